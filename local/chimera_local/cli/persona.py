"""`chimera persona`: for whom a video is made: voices, pronunciation, colours, logo, template; all of it by commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from chimera.domain.models import Persona
from chimera.domain.personas import KEYS, flat, form_of, named, patch_of
from chimera.errors import ChimeraError
from chimera.settings import get_settings
from chimera.usecases.personas import PersonaDesk, keep_logo
from chimera_local.cli import who
from chimera_local.cli.screen import inline, show
from chimera_local.persona_files import as_yaml, read_persona, write_persona
from chimera_local.world import World, world

JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object.")
LOGO = click.option("--logo", default="", help="A picture; it is kept as a plain PNG and stands still in a corner.")
_LOGO_KEY = "theme.logo"


@click.group()
def persona() -> None:
    """Personas: who speaks, how it looks, what it says; `chimera run --persona NAME` makes a video for one.

    NAME is a persona's name or id. `chimera persona keys` lists what can be set.
    """


@persona.command("ls")
@JSON
def list_personas(as_json: bool) -> int:
    """Every persona, by name."""
    with world(get_settings(), engine=False) as w:
        everyone = w.app.personas(w.tenant).all()
    text = Text(f"{'name':24} {'language':8} {'template':18} {'voice':22} {'a day':>5}  id\n", "dim")
    for one in everyone:
        name, voice = inline(one.name)[:24], _narrator(one)[:22]
        text.append(f"{name:24} {one.language:8} {one.template:18} {voice:22} {one.daily_quota:5}  {one.persona_id}\n")
    show({"personas": [shown(one) for one in everyone]}, as_json=as_json, text=text)
    return 0


@persona.command("keys")
@JSON
def list_keys(as_json: bool) -> int:
    """Everything that can be set, with its meaning."""
    text = Text()
    for key in KEYS:
        text.append(f"{key.name:20}", "bold").append(f" {key.meaning}\n")
    value = {"keys": [{"key": k.name, "path": ".".join(k.path), "meaning": k.meaning} for k in KEYS]}
    show(value, as_json=as_json, text=text)
    return 0


@persona.command("show")
@click.argument("name")
@JSON
def show_persona(name: str, as_json: bool) -> int:
    """One persona: all that is set, defaults left out."""
    with world(get_settings(), engine=False) as w:
        found = desk(w).find(name)
    _tell(found, as_json)
    return 0


@persona.command()
@click.argument("name")
@click.argument("values", nargs=-1, metavar="[KEY=VALUE]...")
@LOGO
@JSON
def new(name: str, values: tuple[str, ...], logo: str, as_json: bool) -> int:
    """Make a persona; what is not set is as `chimera persona keys` says."""
    pairs = [*_pairs(values), ("name", name)]
    with world(get_settings(), engine=False) as w:
        made = desk(w).create(patch_of(_with_files(w, pairs, logo)))
    _tell(made, as_json)
    return 0


@persona.command("set")
@click.argument("name")
@click.argument("values", nargs=-1, metavar="[KEY=VALUE]...")
@LOGO
@JSON
def set_values(name: str, values: tuple[str, ...], logo: str, as_json: bool) -> int:
    """Change a persona: `theme.accent=#ff5500 voice.speed=1.1 lexicon.GIF=jif`. An empty value goes back to the default."""
    pairs = _pairs(values)
    if not pairs and not logo:
        raise ChimeraError("VALIDATION_FAILED", "nothing to set; expected KEY=VALUE or --logo FILE", {})
    with world(get_settings(), engine=False) as w:
        at = desk(w)
        changed = at.change(at.find(name).persona_id, patch_of(_with_files(w, pairs, logo)))
    _tell(changed, as_json)
    return 0


@persona.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--replace", is_flag=True, help="If there is one of that name, make it as the file says.")
@JSON
def import_persona(file: Path, replace: bool, as_json: bool) -> int:
    """Make a persona of a YAML file, as `export` writes it; paths in it count from its folder."""
    values = flat(read_persona(file))
    with world(get_settings(), engine=False) as w:
        at = desk(w)
        patch = patch_of(_with_files(w, values, "", file.parent))
        before = [one for one in at.all() if one.name == patch.get("name")] if replace else []
        made = at.change(before[0].persona_id, patch, whole=True) if before else at.create(patch)
    _tell(made, as_json)
    return 0


@persona.command("export")
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A file; its logo is put beside it.")
@JSON
def export_persona(name: str, out: Path | None, as_json: bool) -> int:
    """Write a persona as YAML, to stdout or a file."""
    with world(get_settings(), engine=False) as w:
        found = desk(w).find(name)
        document = named(form_of(found))
        if out is None:
            if as_json:
                show(document, as_json=True, text=Text())
            else:
                click.echo(as_yaml(document), nl=False)
            return 0
        files = write_persona(document, out, w.app.media, w.tenant)
    show({"persona": found.name, "files": files}, as_json=as_json, text=Text("\n".join(files)))
    return 0


@persona.command("rm")
@click.argument("name")
@JSON
def remove(name: str, as_json: bool) -> int:
    """Delete a persona that nothing was made for yet."""
    with world(get_settings(), engine=False) as w:
        at = desk(w)
        gone = at.delete(at.find(name).persona_id)
    show({"deleted": shown(gone)}, as_json=as_json, text=Text(f"{inline(gone.name)} is deleted"))
    return 0


# --- what they share


def desk(w: World) -> PersonaDesk:
    """Where the person at the keyboard sets personas; their own files may be named."""
    return w.app.persona_desk(w.tenant, by=who(), files=True)


def shown(one: Persona) -> dict[str, Any]:
    """A persona as `--json` has it: the contract's fields."""
    return one.model_dump(mode="json")


def _tell(one: Persona, as_json: bool) -> None:
    text = Text(f"{inline(one.name)}  {one.persona_id}\n", "bold")
    for key, value in flat(named(form_of(one))):
        if key != "name":
            said = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            text.append(f"  {key:20} {inline(said)}\n")
    for note in _notes(one):
        text.append(f"  {inline(note)}\n", "yellow")
    text.append(f"  chimera run --persona {_quoted(one.name)}")
    show({**shown(one), "notes": _notes(one)}, as_json=as_json, text=text)


def _notes(one: Persona) -> list[str]:
    """What will be other than it was set: colours that cannot be read on the ground."""
    from chimera.media.theme import theme_of

    theme = one.brand_guidelines.theme
    notes = list(theme_of(theme, 0)[1]) if theme is not None and theme.background else []
    return notes if one.channels else [*notes, "it has no channel: what is made for it is posted nowhere"]


def _narrator(one: Persona) -> str:
    choice = one.brand_guidelines.voices.get("narrator")
    return f"{choice.provider} {choice.voice}".strip() if choice and (choice.provider or choice.voice) else one.voice_id


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name


def _pairs(values: Sequence[str]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for value in values:
        key, mark, rest = value.partition("=")
        if not mark or not key.strip():
            raise ChimeraError("VALIDATION_FAILED", f"got {value[:80]!r}, expected KEY=VALUE", {"value": value[:80]})
        pairs.append((key.strip(), rest.strip()))
    twice = sorted({key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1})
    if twice:
        raise ChimeraError("VALIDATION_FAILED", f"{twice[0]} is set twice; expected one value", {"key": twice[0]})
    return pairs


def _with_files(w: World, pairs: Sequence[tuple[str, Any]], logo: str, folder: Path = Path()) -> list[tuple[str, Any]]:
    """The values with the files that they name: a logo taken into the store, other paths made absolute."""
    found: list[tuple[str, Any]] = []
    for key, value in [*pairs, *([(_LOGO_KEY, logo)] if logo else [])]:
        if key == _LOGO_KEY and value and not str(value).startswith("key:"):
            path = folder / Path(str(value).removeprefix("file:")).expanduser()
            value = keep_logo(w.tenant, path, w.app.media, folder=w.app.settings.home_path)
        elif key == "assets" and value:
            entries = value.split(",") if isinstance(value, str) else value
            value = [_absolute(str(one).strip(), folder) for one in entries]
        elif key.startswith(("voice.", "voices.")) and key.endswith(".name") and str(value or "").startswith("file:"):
            value = _absolute(str(value), folder)
        elif key.endswith("_font") and value and ("/" in str(value) or "." in str(value)):
            value = _absolute(str(value), folder).removeprefix("file:")
        found.append((key, value))
    return found


def _absolute(entry: str, folder: Path) -> str:
    if entry.startswith("key:"):
        return entry
    path = folder / Path(entry.removeprefix("file:")).expanduser()
    if not path.exists():
        raise ChimeraError("VALIDATION_FAILED", f"there is no file or folder {path}", {"file": str(path)})
    return f"file:{path.resolve()}"
