"""What is known before the first frame: the timeline, its type, its captions, and the key of each segment."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from chimera.errors import ChimeraError
from chimera.media import audio, captions, encode, segments
from chimera.media.cues import Cue
from chimera.media.fonts import drawable, font_file
from chimera.media.layout import Layout, layout_of
from chimera.media.models import RenderJob
from chimera.media.text import clean, without_emoji
from chimera.media.theme import theme_for
from chimera.media.timeline import Timeline, build
from chimera.media.typeset import Page, page_of, typeset

MAX_SECONDS = 600.0


@dataclass(frozen=True)
class Plan:
    """Everything that is known before the first frame."""

    job: RenderJob
    timeline: Timeline
    layout: Layout
    page: Page
    cues: tuple[tuple[Cue, ...], ...]
    settings: encode.VideoSettings
    overlays: tuple[str, ...]
    segments: tuple[segments.Segment, ...]

    @property
    def chapters(self) -> tuple[tuple[float, str], ...]:
        """(seconds, title) of each chapter."""
        return tuple((chapter.seconds, chapter.title) for chapter in self.timeline.chapters)


def make_plan(job: RenderJob, encoder: encode.Encoder) -> Plan:
    """Lays the job out. Raises `VALIDATION_FAILED` for inputs that cannot be read, `VIDEO_TOO_LONG` over 600 s."""
    layout = layout_of(job.aspect, job.platform)
    theme = job.theme or theme_for(job.seed)
    voices = tuple(audio.length(s.audio) if s.audio is not None else 0.0 for s in job.scenes)
    for family in (theme.display, theme.text):
        font_file(family)  # a file that is no font is said before anything is made
    timeline = build(job, voices, layout)
    if timeline.seconds > MAX_SECONDS:
        raise ChimeraError(
            "VIDEO_TOO_LONG",
            f"the video would last {timeline.seconds:.1f} s; at most {MAX_SECONDS:.0f} s",
            {"seconds": timeline.seconds},
        )
    page = page_of(timeline, layout)
    cues = tuple(clip.cues for clip in timeline.clips)
    settings = encode.VideoSettings.plan(
        size=job.size, fps=job.fps, quality=job.quality_preset, seconds=timeline.seconds, max_bytes=job.max_bytes,
        encoder=encoder, pieces=2 * len(timeline.clips),
    )  # fmt: skip
    overlays = tuple(typeset(c, c.cues, page, look=timeline.captions) for c in timeline.clips)
    return Plan(job, timeline, layout, page, cues, settings, overlays, segments.cut(timeline, overlays, settings))


def write_captions(plan: Plan, work_dir: Path) -> tuple[Path, Path, Path]:
    """The files beside the video: its timeline; SRT, WebVTT, and the burned-in ASS of all clips, all made from it."""
    fps = plan.job.fps
    cues = [
        c
        for clip, own in zip(plan.timeline.clips, plan.cues, strict=True)
        for c in captions.shifted(own, clip.start(fps))
    ]
    texts = {
        "captions.srt": captions.srt(cues),
        "captions.vtt": captions.vtt(cues, plan.job.language),
        "timeline.json": plan.timeline.model_dump_json(indent=1),
        "overlay.ass": "\n".join(f"; clip {i}\n{text}" for i, text in enumerate(plan.overlays)),
    }
    for name, text in texts.items():
        temporary = work_dir / f".{name}.{os.getpid()}.tmp"
        temporary.write_text(text, "utf-8")
        temporary.replace(work_dir / name)
    return work_dir / "captions.srt", work_dir / "captions.vtt", work_dir / "overlay.ass"


def warnings_of(job: RenderJob) -> tuple[str, ...]:
    """What a person should know of the picture: characters that no font here has."""
    text = clean(job.title, limit=300) + " ".join(clean(s.narration) + clean(s.on_screen_text) for s in job.scenes)
    missing = drawable(without_emoji(text))[1]
    return (f"{missing} characters have no font on this machine and are only in the caption files",) if missing else ()


def sha256(path: Path) -> str:
    """The file's hash as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
