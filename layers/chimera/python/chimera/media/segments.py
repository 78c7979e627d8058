"""What a video is cut into to be encoded: for each scene its way in and the rest of it, each named by what it is made of.

A key holds only what the segment's frames depend on. So a changed line leaves every other scene's segments as they are
but for the next scene's way in, which shows the end of the changed one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from chimera.errors import ChimeraError
from chimera.media import encode
from chimera.media.timeline import Clip, Timeline

# Part of every segment's key: raise it when frames would come out differently for the same job.
VERSION = 2
# What finished segments may take up beyond those of the present video.
CACHE_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Segment:
    """A stretch of a clip: `frames` from `first` on, counted from the clip's own first frame."""

    clip: int
    first: int
    frames: int
    key: str

    @property
    def name(self) -> str:
        """Its file's name."""
        return f"{self.key}.mp4"


def cut(timeline: Timeline, overlays: tuple[str, ...], settings: encode.VideoSettings) -> tuple[Segment, ...]:
    """The segments of a video in order. Raises `VALIDATION_FAILED` for a picture or footage that cannot be read."""
    hashes: dict[Path, str] = {}

    def of(path: Path | None) -> str:
        if path is None:
            return ""
        if path not in hashes:
            hashes[path] = _file_hash(path)
        return hashes[path]

    shared = {
        "version": VERSION, "settings": settings.key(), "opencv": cv2.__version__, "logo": of(timeline.logo),
        "logo_box": timeline.logo_box.model_dump() if timeline.logo_box and timeline.logo else None,
    }  # fmt: skip
    found = []
    for clip, overlay in zip(timeline.clips, overlays, strict=True):
        text = hashlib.sha256(overlay.encode("utf-8", "surrogatepass")).hexdigest()
        seen = _seen(clip, timeline, of)
        way_in = clip.transition_frames if clip.index else 0
        if way_in:
            before = timeline.clips[clip.index - 1]
            ground = timeline.theme.background if clip.transition == "dip" else None
            made_of = {**shared, "seen": seen, "type": text, "first": 0, "frames": way_in, "by": clip.transition,
                       "before": _seen(before, timeline, of), "ground": ground}  # fmt: skip
            found.append(Segment(clip.index, 0, way_in, _key(made_of)))
        rest = clip.frames - way_in
        found.append(
            Segment(
                clip.index, way_in, rest, _key({**shared, "seen": seen, "type": text, "first": way_in, "frames": rest})
            )
        )
    return tuple(found)


def _seen(clip: Clip, timeline: Timeline, of: Any) -> dict[str, Any]:
    """What the moving picture of a clip is made of."""
    scene = clip.scene
    scrim = [scene.scrim, timeline.theme.mode] if scene.scrim else 0.0
    if scene.footage is not None:
        return {"footage": of(scene.footage), "start": scene.footage_start, "scrim": scrim}
    made_of: dict[str, Any] = {
        "picture": of(scene.image), "scrim": scrim, "motion": clip.motion.model_dump(), "frames": clip.frames
    }  # fmt: skip
    if scene.image is None:
        made_of["gradient"] = [timeline.theme.surface, timeline.theme.background]
    return made_of


def _key(made_of: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:32]


def _file_hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"the scene's picture {path.name} cannot be read: {error.strerror}",
            {"file": path.name},
        ) from error


def prune(folder: Path, keep: Iterable[str], *, most: int = CACHE_BYTES) -> int:
    """Removes segments, those used longest ago first, until all but those named in `keep` take at most `most` bytes.

    Gives how many were removed. The named ones are marked as used now.
    """
    named, others = set(keep), []
    for path in folder.glob("*.mp4"):
        with contextlib.suppress(OSError):  # another render of the same folder may have removed it
            if path.name in named:
                os.utime(path)
            else:
                known = path.stat()
                others.append((known.st_mtime, path.name, known.st_size))
    left, removed = sum(size for *_, size in others), 0
    for _, name, size in sorted(others):
        if left <= most:
            break
        with contextlib.suppress(OSError):
            (folder / name).unlink()
        left -= size
        removed += 1
    return removed
