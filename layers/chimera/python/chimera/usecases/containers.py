"""What the render container runs: `render` makes the file, `inspect` measures it; both speak through the media store."""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chimera.errors import ChimeraError
from chimera.media.models import RenderJob, RenderScene
from chimera.metrics import measure
from chimera.ports import MediaStore
from chimera.purse import Purse
from chimera.usecases.checkpoints import StoredSegments
from chimera.usecases.costs import metered
from chimera.usecases.production import MadeContent, worst_case
from chimera.usecases.scope import Scope

if TYPE_CHECKING:
    from chimera.media.encode import EncoderChoice

TERMINATED = 143
"""128 + SIGTERM: what Batch starts again (`EvaluateOnExit`)."""
NAMES = {
    "video": "video/video.mp4",
    "thumbnail": "video/thumbnail.jpg",
    "poster": "video/poster.jpg",
    "srt": "captions/captions.srt",
    "vtt": "captions/captions.vtt",
    "ass": "captions/captions.ass",
}


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """How this machine renders: with which encoder, and whether finished segments must be kept beyond its folder."""

    encoder: EncoderChoice = "auto"
    keep_segments: bool = False


def run(
    arguments: list[str],
    media: MediaStore,
    work: Path,
    purse_of: Callable[[Scope, str], Purse],
    rendering: Rendering | None = None,
) -> int:
    """Parse the container's command and run it, paid from the purse of its approved request.

    0: done. 1: failed, the error's JSON on stderr. 143: asked to stop (SIGTERM), to be started again.
    """
    parser = argparse.ArgumentParser(prog="main.py")
    parser.add_argument("command", choices=["render", "inspect"])
    parser.add_argument("--scope", required=True, help="the production's scope as JSON")
    parser.add_argument("--request-id", required=True, help="the approved request that the job is paid from")
    asked = parser.parse_args(arguments)
    stops_on_sigterm()
    try:
        scope = Scope.model_validate_json(asked.scope)
        made, purse = MadeContent(media, scope), purse_of(scope, asked.request_id)
        if asked.command == "render":
            render_content(made, work, _progress, purse, rendering or Rendering())
        else:
            inspect_content(made, purse)
    except (ChimeraError, OSError) as error:
        return failed(error)
    return 0


def failed(error: ChimeraError | OSError) -> int:
    """The exit code of a job that failed, its error told on stderr; an `OSError` other than a full disk is raised."""
    if isinstance(error, OSError):
        if error.errno != errno.ENOSPC:
            raise error
        error = ChimeraError("INTERNAL", "the disk is full; free some space and run again", {"reason": "disk_full"})
    sys.stderr.write(f"{error}\n")
    return 1


def stops_on_sigterm() -> None:
    """From here on SIGTERM ends the process with 143, by way of every `finally`; Spot gives 120 s for that."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)


def _stop(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # asked once is enough: a second one would break off the tidying up
    raise SystemExit(TERMINATED)


def _progress(part: float) -> None:
    sys.stdout.write(f"progress {part:.3f}\n")
    sys.stdout.flush()


def render_content(
    made: MadeContent,
    work: Path,
    progress: Callable[[float], None],
    purse: Purse,
    rendering: Rendering | None = None,
) -> dict[str, Any]:
    """Render the brief with its voice and pictures; done before, it is not done again."""
    how = rendering or Rendering()
    from chimera.media.render import render

    job = _job(made)
    fingerprint = hashlib.sha256(job.model_dump_json(exclude={"scenes"}).encode() + _inputs(made)).hexdigest()
    known = made.read_or_none("reports", "render.json")
    if known and known["fingerprint"] == fingerprint:
        progress(1.0)
        return known
    scope, limit = made.scope, worst_case(made, "render")
    with metered(made.media, scope.prefix, "render", gigabytes=4, purse=purse, worst_case_micros=limit) as meter:

        def onward(part: float) -> None:
            meter.checkpoint()
            progress(part)

        started = time.monotonic()
        kept = StoredSegments(made.media, scope) if how.keep_segments else None
        result = render(job, work, onward, encoder=how.encoder, checkpoints=kept)
        measure("video_production_duration_seconds", time.monotonic() - started, resolution=job.height)
        files: dict[str, Any] = {}
        for kind, name in NAMES.items():
            path: Path = getattr(result, kind)
            key = f"{scope.prefix}/{name}"
            digest = result.sha256 if kind == "video" else hashlib.sha256(path.read_bytes()).hexdigest()
            url = made.media.put_file(key, path)
            files[kind] = {"key": key, "url": url, "sha256": digest, "size_bytes": path.stat().st_size}
    report = {
        "fingerprint": fingerprint,
        "height_preset": job.height,
        "aspect": job.aspect,
        "files": files,
        **result.model_dump(mode="json", exclude=set(NAMES)),
    }
    made.write("reports", "render.json", report)
    return report


def _inputs(made: MadeContent) -> bytes:
    parts = [made.read("audio", "voice.json")["fingerprint"], made.read("pictures", "pictures.json")["fingerprint"]]
    return json.dumps(parts).encode()


def _job(made: MadeContent) -> RenderJob:
    brief, ask = made.brief(), made.read("brief", "material.json")
    voice, pictures = made.read("audio", "voice.json"), made.read("pictures", "pictures.json")
    options, store, scope = ask["options"], made.media, made.scope
    scratch = Path()
    scenes = [
        RenderScene(
            narration=scene.narration,
            on_screen_text=scene.on_screen_text,
            visual_prompt=scene.visual_prompt,
            image=store.fetch(scope.key("pictures", picture["image"]), scratch / picture["image"]),
            audio=store.fetch(scope.key("audio", spoken["audio"]), scratch / spoken["audio"]),
            words=tuple(spoken["words"]),
        )
        for scene, spoken, picture in zip(brief.scenes, voice["scenes"], pictures["scenes"], strict=True)
    ]
    return RenderJob(
        title=brief.title,
        outro_image=store.fetch(scope.key("pictures", pictures["outro"]["image"]), scratch / "outro.png"),
        scenes=tuple(scenes),
        sources=tuple(brief.sources),
        aspect=brief.aspect,
        height=options["resolution"],
        fps=options["fps"],
        quality_preset=options["quality_preset"],
        seed=int(pictures["seed"]),
        language=brief.language,
    )


def inspect_content(made: MadeContent, purse: Purse) -> dict[str, Any]:
    """Measure the finished file in one decode pass; numbers only, the judge decides."""
    from chimera.media.inspect import inspect

    brief, render = made.brief(), made.read("reports", "render.json")
    known = made.read_or_none("reports", "technical.json")
    if known and known.get("sha256") == render["sha256"]:
        return known
    scope, limit = made.scope, worst_case(made, "inspect")
    video = made.media.fetch(render["files"]["video"]["key"], Path("video.mp4"))
    vtt = made.media.fetch(render["files"]["vtt"]["key"], Path("captions.vtt"))
    with metered(made.media, scope.prefix, "inspect", gigabytes=2, purse=purse, worst_case_micros=limit):
        report = inspect(
            video,
            vtt=vtt,
            narration=" ".join(s.narration for s in brief.scenes),
            expected={"width": render["width"], "height": render["height"], "fps": render["fps"]},
        )
    value = {**report.model_dump(mode="json"), "sha256": render["sha256"]}
    made.write("reports", "technical.json", value)
    return value
