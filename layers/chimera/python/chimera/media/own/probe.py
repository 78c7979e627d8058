"""What a stranger's file is: picture, footage or sound, and the facts that a frame needs; or one error that says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from chimera.errors import ChimeraError
from chimera.media.own.limits import MAX_FOOTAGE_SECONDS, PICTURE_SECONDS, PROBE_SECONDS
from chimera.media.own.sandbox import ask
from chimera.media.own.sniff import shown, sniff


class MediaFacts(BaseModel):
    """`width` and `height` are pixels as shown: upright, square. `fps` is the average; None where it does not apply."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["picture", "footage", "sound"]
    container: str
    bytes: int = Field(ge=1)
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    fps: float | None = None
    has_sound: bool = False
    video_codec: str | None = None
    audio_codec: str | None = None
    rotation: int = 0
    """Degrees that footage is turned by when shown; `width` and `height` are after it."""
    hdr: bool = False
    """PQ or HLG: brighter than a usual screen; tone-mapped when prepared."""
    anamorphic: bool = False
    matrix: str | None = None
    """BT.601, 709 or 2020 where the file says which its colours were coded with."""
    animated: bool = False
    """A GIF, APNG or WebP that moves: it is taken as a picture, by a good frame of it."""


def probe(path: Path) -> MediaFacts:
    """The facts of the file, by its content and not its name, read in a process with limits.

    `NOT_FOUND`; `VALIDATION_FAILED` for what is no plain file, of no known kind, broken or too small; `FILE_TOO_LARGE` (bytes
    or pixels); `VIDEO_TOO_LONG` (over two hours, sound too). Limits: `chimera.media.own.limits`.
    """
    found = sniff(path)
    if found.family == "picture":
        answer = ask("picture", path, found.container, seconds=PICTURE_SECONDS)
        return MediaFacts(kind="picture", container=found.container, bytes=found.bytes, **answer)
    answer = ask("film", path, found.container, seconds=PROBE_SECONDS)
    if answer["seconds"] > MAX_FOOTAGE_SECONDS:
        hours = answer["seconds"] / 3600
        raise ChimeraError(
            "VIDEO_TOO_LONG",
            f"{shown(path)}: got {hours:.1f} hours, expected at most {MAX_FOOTAGE_SECONDS // 3600}",
            {"file": shown(path), "seconds": answer["seconds"], "limit_seconds": MAX_FOOTAGE_SECONDS},
        )
    kind: Literal["footage", "sound"] = "footage" if answer["video_codec"] else "sound"
    return MediaFacts(kind=kind, container=found.container, bytes=found.bytes, **answer)
