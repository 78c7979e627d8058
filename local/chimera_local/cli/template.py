"""`chimera template`: look at templates, check and try them, publish, carry them about, say which a persona uses."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from chimera.bootstrap import App
from chimera.errors import ChimeraError
from chimera.settings import get_settings
from chimera.templates.bundle import SUFFIX, export, file_name, open_bundle
from chimera.templates.lint import problems_of
from chimera.templates.packs import MAIN, Pack, load
from chimera.templates.problems import Problem, ProblemsError, refused
from chimera.templates.semver import Reference
from chimera.templates.shelves import Templates, entry_data
from chimera.usecases import template_desk
from chimera.usecases.template_desk import describe, persona_of, roll_back
from chimera_local.cli import who
from chimera_local.cli.options import parameters_of
from chimera_local.cli.screen import inline, show
from chimera_local.world import world

JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


@click.group()
def template() -> None:
    """Templates lay a brief out as a video; each is versioned, and a persona uses the one that it is pinned to.

    TARGET is NAME, NAME@VERSION, a folder with template.yaml, a YAML file or an exported file.
    """


@template.command("ls")
@JSON
def list_templates(as_json: bool) -> int:
    """Every template: built in, from plugins, published."""
    entries = library().entries()
    text = Text(f"{'name':20} {'version':9} {'kind':14} {'from':10} title\n", "dim")
    for e in entries:
        text.append(f"{e.name:20} {e.version:9} {inline(e.kind):14} {inline(e.origin):10} {inline(e.title)}\n")
    show({"templates": [entry_data(e) for e in entries]}, as_json=as_json, text=text)
    return 0


@template.command("show")
@click.argument("target")
@JSON
def show_template(target: str, as_json: bool) -> int:
    """One template: versions, parameters, regions, blocks, checksum."""
    templates = library()
    value = describe(templates.resolved(opened(target, templates)), templates)
    show(value, as_json=as_json, text=_shown(value))
    return 0


@template.command()
@click.argument("targets", nargs=-1, required=True)
@JSON
def validate(targets: tuple[str, ...], as_json: bool) -> int:
    """Check templates: form, names, regions, and trial expansions in all aspects. Exit code 2 if anything is wrong."""
    templates = library()
    results = []
    text = Text()
    for target in targets:
        try:
            pack = opened(target, templates, raw=True)
            name, problems = pack.reference, problems_of(pack, templates)
        except ProblemsError as error:
            name, problems = target, list(error.problems)
        results.append({"template": name, "valid": not problems, "problems": [asdict(p) for p in problems]})
        for problem in problems:
            text.append(f"{problem}\n")
        text.append(f"{name}: {_count(problems)}\n", "red" if problems else "green")
    valid = all(r["valid"] for r in results)
    show({"valid": valid, "templates": results}, as_json=as_json, text=text)
    return 0 if valid else 2


@template.command()
@click.argument("target")
@click.option("--aspect", type=click.Choice(["9:16", "16:9", "1:1"]), help="Of the clip; the sheet shows all three.")
@click.option(
    "--mode", type=click.Choice(["dark", "light"]), help="For a persona of that theme; empty: the template's own."
)
@click.option("--param", "parameters", multiple=True, help="NAME=VALUE; repeat for several.")
@click.option("--seed", default=7, show_default=True, help="Another number, another look.")
@click.option("--platform", default="", help="Whose safe area is kept; empty: the strictest of all.")
@click.option("--no-clip", is_flag=True, help="Only the contact sheet.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder; default: previews in CHIMERA_HOME."
)
@JSON
def preview(
    target: str,
    aspect: str | None,
    mode: str | None,
    parameters: tuple[str, ...],
    seed: int,
    platform: str,
    no_clip: bool,
    out: Path | None,
    as_json: bool,
) -> int:
    """Show a template with sample words: a sheet of every scene in all aspects, and 5 s of video without a voice."""
    from chimera.templates.preview import make_preview

    templates = library()
    resolved = templates.resolved(opened(target, templates))
    folder = (
        out or get_settings().home_path / "previews"
    ) / f"{resolved.pack.name}-{resolved.pack.version}{f'-{mode}' if mode else ''}"
    made = make_preview(
        resolved,
        folder,
        App(get_settings()).providers("canvases")["cards"],
        clip_aspect=aspect or "9:16",  # type: ignore[arg-type]
        mode=mode,  # type: ignore[arg-type]
        parameters=parameters_of(parameters),
        seed=seed,
        platform=platform,
        with_clip=not no_clip,
    )
    text = Text(f"Sheet  {made['sheet']}  ({made['scenes']} scenes, 3 aspects)\n")
    if made["clip"]:
        text.append(f"Clip   {made['clip']}  ({made['clip_seconds']:.1f} s)\n")
    text.append(f"Took   {made['seconds']:.1f} s")
    show(made, as_json=as_json, text=text)
    return 0


@template.command()
@click.argument("target")
@JSON
def publish(target: str, as_json: bool) -> int:
    """Check a template and make it a version of your own. A published version never changes."""
    templates = library()
    info = templates.publish(opened(target, templates), by=who())
    text = Text(f"{info['name']}@{info['version']} is published ({info['checksum'][:12]})\n")
    text.append(f"  chimera template pin {info['name']}@{info['version']} --persona …")
    show(info, as_json=as_json, text=text)
    return 0


@template.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@JSON
def import_template(file: Path, as_json: bool) -> int:
    """Publish an exported template, after checking it and every hash in it."""
    templates = library()
    info = templates.publish(opened(str(file), templates), by=who())
    show(info, as_json=as_json, text=Text(f"{info['name']}@{info['version']} is imported ({info['checksum'][:12]})"))
    return 0


@template.command("export")
@click.argument("target")
@click.option("--out", type=click.Path(path_type=Path), default=Path(), help="File or folder; default: here.")
@JSON
def export_template(target: str, out: Path, as_json: bool) -> int:
    """Write a template as one file, NAME-VERSION.chimera-template; the same bytes each time."""
    templates = library()
    pack = opened(target, templates)
    problems = problems_of(pack, templates)
    if problems:
        raise refused(pack.reference, problems)
    path = out / file_name(pack) if out.is_dir() or not out.suffix else out
    data = export(pack)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise ChimeraError("VALIDATION_FAILED", f"{path} cannot be written: {error.strerror}", {}) from None
    value = {"template": pack.reference, "file": str(path), "bytes": len(data), "checksum": pack.checksum}
    show(value, as_json=as_json, text=Text(f"{path}  ({len(data):,} bytes, {pack.checksum[:12]})"))
    return 0


@template.command()
@click.argument("reference")
@click.option("--persona", default="", help="Name or id; not needed where there is one only.")
@JSON
def pin(reference: str, persona: str, as_json: bool) -> int:
    """Let a persona use NAME@VERSION (or a range, NAME@^1.2); NAME alone pins the newest version."""
    with world(get_settings(), engine=False) as w:
        rows = w.app.personas(w.tenant)
        value = template_desk.pin(reference, persona_of(rows, persona), rows, w.app.templates(w.tenant), by=who())
    said = f"{inline(value['persona'])}: {value['before']} -> {value['after']} (today {value['now']})"
    show(value, as_json=as_json, text=Text(said))
    return 0


@template.command()
@click.option("--persona", default="", help="Name or id; not needed where there is one only.")
@JSON
def rollback(persona: str, as_json: bool) -> int:
    """Take a persona's last pin back; again goes one further back."""
    with world(get_settings(), engine=False) as w:
        rows = w.app.personas(w.tenant)
        value = roll_back(persona_of(rows, persona), rows, w.app.templates(w.tenant), by=who())
    show(value, as_json=as_json, text=Text(f"{inline(value['persona'])}: {value['before']} -> {value['after']}"))
    return 0


@template.command()
@click.argument("name")
@click.option("--extends", default="explainer@^1", show_default=True, help="What to build on.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Where the folder goes.")
@JSON
def new(name: str, extends: str, out: Path, as_json: bool) -> int:
    """Begin a template of your own: a folder NAME with a template.yaml that works."""
    reference = Reference.parse(name)
    if reference.range.text:
        raise ChimeraError("VALIDATION_FAILED", f"name: got {name!r}, expected a name without a version", {})
    library().resolve(extends)
    path = out / name / MAIN
    if path.exists():
        raise ChimeraError("CONFLICT", f"{path} is there already", {"file": str(path)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_NEW.format(name=name, extends=extends, title=name.replace("-", " ").capitalize()), "utf-8")
    except OSError as error:
        raise ChimeraError("VALIDATION_FAILED", f"{path} cannot be written: {error.strerror}", {}) from None
    here = path.parent if path.is_absolute() else f"./{path.parent}"
    text = Text(f"{path}\n  chimera template preview {here}\n  chimera template publish {here}")
    show({"file": str(path), "name": name, "extends": extends}, as_json=as_json, text=text)
    return 0


_NEW = """name: {name}
version: 1.0.0
title: {title}
description: What makes it different from its parent.
kind: explainer
extends: {extends}

parameters:
  kicker:
    type: string
    default: ""
    description: Small words at the top of the title card.

blocks:
  # The parent's block of the same name, with something added; `use: super` is the parent's own.
  brand:
    layers:
      - use: super
      - kind: text
        box: {{from: body, part: [0.4, 0, 0.6, 0.1], mirror: true}}
        text: "{{{{ params.kicker }}}}"
        align: "{{{{ 'left' if brief.rtl else 'right' }}}}"
        font: text
        weight: 600
        size: 30
        lines: 1
        upper: true
        valign: top
        enter: fade
"""


# --- what they share


def library() -> Templates:
    """The templates that the command line works on; needs no database."""
    settings = get_settings()
    return App(settings).templates(settings.tenant_id)


def opened(target: str, templates: Templates, *, raw: bool = False) -> Pack:
    """The pack that TARGET names. `raw` leaves problems of its files as they are, else they are `VALIDATION_FAILED`."""
    path = Path(target)
    is_path = "/" in target or "\\" in target or path.suffix in {".yaml", ".yml", SUFFIX} or target in {".", ".."}
    try:
        if is_path or (path / MAIN).is_file():
            if not is_path and templates.versions(target.partition("@")[0]):
                raise ChimeraError(
                    "VALIDATION_FAILED",
                    f"{target} is a folder here and the name of a template; write ./{target} or {target}@VERSION",
                    {"target": target},
                )
            if path.suffix == SUFFIX:
                return open_bundle(_read(path), str(path))
            return load(path)
        return templates.find(Reference.parse(target))
    except ProblemsError as error:
        if raw:
            raise
        raise refused(target, error.problems) from None


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > 40_000_000:
            raise ProblemsError([Problem(str(path), 0, 0, "", "larger than 40 MB: not a template", "")])
        return path.read_bytes()
    except OSError as error:
        raise ProblemsError([Problem(str(path), 0, 0, "", f"cannot be read: {error.strerror}", "")]) from None


def _count(problems: list[Problem]) -> str:
    return "valid" if not problems else f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"


def _shown(value: dict[str, Any]) -> Text:
    text = Text(f"{value['name']}@{value['version']}  {inline(value['title'])}\n", "bold")
    text.append(f"{inline(value['description'])}\n")
    for key in ("kind", "origin", "extends", "author", "licence", "checksum"):
        if value[key]:
            text.append(f"  {key:10} {inline(value[key])}\n")
    text.append(f"  {'versions':10} {', '.join(value['versions']) or '-'}\n")
    text.append(f"  {'blocks':10} {', '.join(value['blocks']) or '-'}\n")
    for name, spec in value["parameters"].items():
        default = json.dumps(spec.get("default"), ensure_ascii=False)
        kind = "|".join(map(str, spec["choices"])) if spec["type"] == "choice" else spec["type"]
        text.append(f"  --param {name}={default}  ({kind}) {inline(spec.get('description', ''))}\n")
    return text
