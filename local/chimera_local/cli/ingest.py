"""`chimera ingest`: a file or an address becomes material, and with --make a video."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from chimera.domain.ids import new_id
from chimera.errors import ChimeraError, explain, from_cause
from chimera.media.process import full_disk_reported
from chimera.settings import get_settings
from chimera.usecases.ingest import MAX_URL_BYTES, production_of, read_material, take_in
from chimera_local.cli import emit
from chimera_local.cli.options import production_options, run_options
from chimera_local.cli.progress import StageProgress
from chimera_local.cli.run import to_the_end
from chimera_local.runs import start_run
from chimera_local.world import World, world

_POLL_SECONDS = 0.2
_NOT_WITH_IT = ("sources", "topic", "script", "text")


@click.command()
@click.argument("source")
@click.option("--make", is_flag=True, help="Make a video of it; the further options are those of `chimera run`.")
@click.option("--accept-rough", is_flag=True, help="With --make: also where the transcript is rough, past the brief.")
@click.option("--language", default="", help="Of what is said, such as en; empty: the transcriber finds out.")
@click.option("--no-transcript", is_flag=True, help="Only look at it: for pictures and footage without words.")
@click.option("--max-mb", default=MAX_URL_BYTES // 1_000_000, show_default=True, help="Of a download, in MB.")
@click.option(
    "--stop-at", type=click.Choice(["brief", "approval", "render", "judge"]), default=None, help="With --make."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@production_options
def ingest(
    source: str,
    make: bool,
    accept_rough: bool,
    language: str,
    no_transcript: bool,
    max_mb: int,
    stop_at: str | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Take in a picture, footage or a recording: SOURCE is a file, or the https address of one.

    It is probed and transcribed, and what was found is printed: title, facts, what was said and when, and the `key:` under
    which `chimera run --asset` takes it. The same file again is the same upload. A page of a video platform is no file.
    """
    for name in _NOT_WITH_IT:
        if given[name]:
            raise ChimeraError("VALIDATION_FAILED", f"--{name.removesuffix('s')}: got one, expected none with `ingest`")
    title = str(given.pop("title"))
    options = run_options({**given, "title": "", "stop_at": stop_at or ""})
    started = time.monotonic()
    with StageProgress() as progress, world(get_settings(), note=progress.update) as w:
        progress.done("database")
        progress.done("engine")
        if make:
            w.app.run_checks(w.tenant).check(options)
        progress.update("ingest")
        event = _event(w, source, title, max_mb * 1_000_000)
        event |= {"language": language or None, "transcribe": not no_transcript}
        material = _run(w, event)
        progress.done("ingest")
        if not make:
            emit(material, as_json=as_json, text=summary(material))
            return 0
        asked = production_of(material)
        rough = bool(material["transcript"]["rough"])
        if rough and not accept_rough and not options.stop_at:
            options = options.model_copy(update={"stop_at": "brief"})
            progress.note(
                f"the transcript is rough ({material['transcript']['engine']}): this stops at the brief. Read it; "
                "--accept-rough goes on, a better transcriber is set up with CHIMERA_WHISPER_MODEL"
            )
        whole = options.model_copy(update={"assets": [*asked["assets"], *options.assets]}).model_dump(mode="json")
        run_id = start_run(w, type(options).model_validate({**whole, "material": asked["material"]}))
        return to_the_end(w, run_id, progress, started, as_json)


def _event(w: World, source: str, title: str, max_bytes: int) -> dict[str, Any]:
    """The machine's input: an address as it is, a file as the upload that its copy has become."""
    if "://" in source:
        return {"tenant_id": w.tenant, "url": source, "title": title, "max_bytes": max_bytes}
    path = Path(source).expanduser()
    with tempfile.TemporaryDirectory(prefix=".ingest-", dir=w.app.settings.home_path) as folder:
        copy = Path(folder) / (path.name or "file")
        _copied(path, copy)
        taken = take_in(w.tenant, copy, w.app.media, title=title or path.stem.replace("_", " "))
    return taken.model_dump(mode="json")


def _copied(path: Path, copy: Path) -> None:
    """Copy what the person named: the store keeps it, whatever becomes of the original. It is judged before."""
    from chimera.media.own.sniff import sniff

    real = path.resolve()  # the person named it: a link of theirs is followed here, and nowhere else
    sniff(real)
    with full_disk_reported("copying the file"), real.open("rb") as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def _run(w: World, event: dict[str, Any]) -> dict[str, Any]:
    """Run the machine to its end; its failure is the error of the step that failed."""
    named = hashlib.sha256(str(event.get("key") or event.get("url")).encode()).hexdigest()[:16]
    execution = w.workflows.start("ingest", f"{named}-{new_id()}", event)
    while (found := w.workflows.describe(execution))["status"] == "RUNNING":
        w.check_room()
        time.sleep(_POLL_SECONDS)
    if found["status"] != "SUCCEEDED":
        cause = str(found.get("cause") or "")
        known = from_cause(cause)
        if known is not None:
            raise known
        failure = explain(str(found.get("error") or found["status"]), cause)
        raise ChimeraError(failure["code"], failure["message"], failure["details"])
    output = found["output"]
    return read_material(w.app.media, w.tenant, str(output["upload_id"]))


def summary(material: dict[str, Any]) -> str:
    """What a person wants to know of it."""
    facts, heard = material["facts"], material["transcript"]
    size = f", {facts['width']}x{facts['height']}" if facts["width"] else ""
    length = f", {facts['seconds']:.1f} s" if facts["seconds"] else ""
    lines = [
        "",
        f"Title      {material['title']}",
        f"What       {facts['kind']} ({facts['container']}{size}{length}, {facts['bytes'] / 1e6:.1f} MB)",
    ]
    if material["asset"]:
        lines.append(f"Asset      {material['asset']}")
    if heard is None:
        lines.append(
            f"Said       {'nothing: it is silent' if facts['has_sound'] and material['silent'] else 'no transcript'}"
        )
    else:
        rough = "; rough: to be searched, not quoted" if heard["rough"] else ""
        lines.append(f"Said       {len(heard['text'].split())} words, {heard['language']} ({heard['engine']}{rough})")
        lines += [f"  {piece['start']:7.1f}  {piece['text']}" for piece in material["snippets"][:12]]
        if len(material["snippets"]) > 12:
            lines.append(f"           … and {len(material['snippets']) - 12} more pieces (--json has all)")
    lines.append(f"Upload     {material['upload_id']}")
    return "\n".join(lines)
