"""What the render container runs: `render` makes the file, `inspect` measures it; both speak through the media store."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from chimera.domain.bill import BillOfMaterials, SignedFile
from chimera.domain.cards import is_still
from chimera.errors import ChimeraError
from chimera.media.models import RenderJob, RenderResult
from chimera.metrics import measure
from chimera.ports import ContentSigner, MediaStore
from chimera.purse import Purse
from chimera.usecases.bill import bill_of_materials
from chimera.usecases.checkpoints import StoredSegments
from chimera.usecases.costs import Meter
from chimera.usecases.job_ends import failed, stops_on_sigterm
from chimera.usecases.production import MadeContent, made_once
from chimera.usecases.render_job import job_of
from chimera.usecases.scope import Scope

if TYPE_CHECKING:
    from chimera.media.encode import EncoderChoice

NAMES = {
    "video": "video/video.mp4",
    "thumbnail": "video/thumbnail.jpg",
    "thumbnail_b": "video/thumbnail-b.jpg",
    "poster": "video/poster.jpg",
    "srt": "captions/captions.srt",
    "vtt": "captions/captions.vtt",
    "ass": "captions/captions.ass",
}
BILL = "video/video.bom.json"
TIMELINE = "video/timeline.json"


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """How this machine renders: with which encoder, and whether finished segments must be kept beyond its folder."""

    encoder: EncoderChoice = "auto"
    keep_segments: bool = False
    credentials: Callable[[], ContentSigner | None] = lambda: None
    """Who signs the provenance manifest; None: the file carries none, and the judge asks a person."""
    mining: Literal["allowed", "notAllowed"] = "notAllowed"
    timestamps: str = ""


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
    if is_still(made.brief().format):
        from chimera.usecases.stills import render_stills

        return render_stills(made, work, progress, purse, how, _inputs)
    from chimera.media.render import render

    job = job_of(made)
    signer = how.credentials()
    signs = b"signed" if signer else b""
    fingerprint = hashlib.sha256(
        job.model_dump_json(exclude={"scenes"}).encode() + _inputs(made, job) + signs
    ).hexdigest()

    def make(meter: Meter) -> dict[str, Any]:
        def onward(part: float) -> None:
            meter.checkpoint()
            progress(part)

        started = time.monotonic()
        kept = StoredSegments(made.media, made.scope) if how.keep_segments else None
        result = render(job, work, onward, encoder=how.encoder, checkpoints=kept)
        measure("video_production_duration_seconds", time.monotonic() - started, resolution=job.height)
        result, bill = _with_provenance(made, job, result, how, signer)
        files: dict[str, Any] = {}
        for kind, name in NAMES.items():
            path: Path = getattr(result, kind)
            key = f"{made.scope.prefix}/{name}"
            digest = result.sha256 if kind == "video" else hashlib.sha256(path.read_bytes()).hexdigest()
            url = made.media.put_file(key, path)
            files[kind] = {"key": key, "url": url, "sha256": digest, "size_bytes": path.stat().st_size}
        shown = [_file(NAMES[kind], files[kind]) for kind in ("thumbnail", "thumbnail_b", "poster")]
        files["bom"] = _keep_bill(made, bill.model_copy(update={"files": shown}))
        files["timeline"], chapters = _keep_timeline(made, result)
        return {
            "format": "video",
            "height_preset": job.height,
            "aspect": job.aspect,
            "template": job.template,
            "chapters": chapters,
            "files": files,
            **result.model_dump(mode="json", exclude=set(NAMES)),
        }

    report, fresh = made_once(made, purse, "render", "render.json", ("fingerprint", fingerprint), make)
    if not fresh:
        progress(1.0)
    return report


def _file(name: str, kept: dict[str, Any]) -> SignedFile:
    return SignedFile(name=Path(name).name, sha256=kept["sha256"], size_bytes=kept["size_bytes"])


def _with_provenance(
    made: MadeContent, job: RenderJob, result: RenderResult, how: Rendering, signer: ContentSigner | None
) -> tuple[RenderResult, BillOfMaterials]:
    """The file with its manifest, and the bill of materials that names it; nothing changes the file after this."""
    bill, parts = bill_of_materials(made, job, result.music)
    said: dict[str, str] = {}
    if signer is not None:
        from chimera.media.provenance import sign

        signed = sign(result.video, bill, signer, parts=parts, mining=how.mining, timestamps=how.timestamps)
        said = signed.model_dump(include={"manifest", "signed_by", "signed_at"})
        with result.video.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = result.video.stat().st_size
        if size > job.max_bytes:
            raise ChimeraError(
                "FILE_TOO_LARGE",
                f"the signed video has {size:,} bytes; at most {job.max_bytes:,} are allowed",
                {"size_bytes": size},
            )
        result = result.model_copy(update={"sha256": digest, "size_bytes": size})
    finished = SignedFile(name=result.video.name, sha256=result.sha256, size_bytes=result.size_bytes, **said)
    return result, bill.model_copy(update={"video": finished})


def _keep_bill(made: MadeContent, bill: BillOfMaterials) -> dict[str, Any]:
    """Beside the video for people, and among the reports for the judge."""
    data = bill.model_dump_json(indent=1).encode()
    key = f"{made.scope.prefix}/{BILL}"
    url = made.media.put_bytes(key, data)
    made.write("reports", "bill.json", bill.model_dump(mode="json"))
    return {"key": key, "url": url, "sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}


def _keep_timeline(made: MadeContent, result: RenderResult) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The timeline beside the video, without where this machine keeps its files; and its chapters."""
    from chimera.media.timeline import Timeline

    timeline = Timeline.model_validate_json((result.video.parent / "timeline.json").read_bytes())
    data = timeline.published().model_dump_json(indent=1).encode()
    url = made.media.put_bytes(f"{made.scope.prefix}/{TIMELINE}", data)
    kept = {
        "key": f"{made.scope.prefix}/{TIMELINE}",
        "url": url,
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_bytes": len(data),
    }
    return kept, [chapter.model_dump() for chapter in timeline.chapters]


def _inputs(made: MadeContent, job: RenderJob) -> bytes:
    parts = [made.read("audio", "voice.json")["fingerprint"], made.read("pictures", "pictures.json")["fingerprint"]]
    parts.append(hashlib.sha256(b"".join(s.model_dump_json().encode() for s in job.scenes)).hexdigest())
    # another file under the same name is another video
    if job.music_file is not None:
        from chimera.media.music.own import fingerprint

        parts.append(fingerprint(job.music_file))
    from chimera.media.fonts import BUNDLED

    theme = job.theme
    fonts = [] if theme is None else [Path(f) for f in (theme.display, theme.text) if f not in BUNDLED]
    for path in [*fonts, *([job.logo] if job.logo else [])]:
        parts.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return json.dumps(parts).encode()


def inspect_content(made: MadeContent, purse: Purse) -> dict[str, Any]:
    """Measure the finished file in one decode pass; numbers only, the judge decides."""
    if is_still(made.brief().format):
        from chimera.usecases.stills import inspect_stills

        return inspect_stills(made, purse)
    from chimera.media.inspect import inspect

    brief, render = made.brief(), made.read("reports", "render.json")

    def make(_meter: Meter) -> dict[str, Any]:
        pictures = made.read("pictures", "pictures.json")
        report = inspect(
            made.media.fetch(render["files"]["video"]["key"], Path("video.mp4")),
            vtt=made.media.fetch(render["files"]["vtt"]["key"], Path("captions.vtt")),
            narration=" ".join(s.narration for s in brief.scenes),
            expected={
                "width": render["width"],
                "height": render["height"],
                "fps": render["fps"],
                "expected_seconds": render["duration_seconds"],
            },
            fits=[float(s["fit"]) for s in pictures["scenes"] if s.get("fit") is not None],
        )
        return report.model_dump(mode="json")

    return made_once(made, purse, "inspect", "technical.json", ("sha256", render["sha256"]), make)[0]
