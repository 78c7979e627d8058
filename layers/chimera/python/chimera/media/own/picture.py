"""Makes a stranger's picture fit a frame: upright, sRGB, opaque, cut to what it is about, without a word of metadata."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from chimera.errors import ChimeraError
from chimera.media.own import heif
from chimera.media.own.crop import Window
from chimera.media.own.hashing import distance
from chimera.media.own.limits import MAX_PICTURE_PIXELS, PICTURE_SECONDS
from chimera.media.own.probe import MediaFacts, probe
from chimera.media.own.sandbox import ask, ffmpeg, source_options
from chimera.media.own.sniff import refused, sniff
from chimera.media.process import full_disk_reported

_OUT_BYTES = 400_000_000


class PreparedPicture(BaseModel):
    """`crop` is in pixels of the upright source; `upscale` over 1 is how much it was enlarged (soft from about 2 on)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    width: int
    height: int
    source_width: int
    source_height: int
    crop: Window
    upscale: float
    animated: bool
    hash: int
    """Perceptual hash of what was written; see `perceptual_hash`."""


def prepare_picture(path: Path, *, size: tuple[int, int], out: Path, background: str | None = None) -> PreparedPicture:
    """Writes the picture to `out` (.png or .jpg), exactly `size` (width, height, 16 to 8192 pixels).

    EXIF's orientation and a colour profile are applied, transparency is laid on `background` (#rrggbb; None: white, or
    near-black under what is nearly white), of a moving picture the first frame that shows something is taken. Errors as of
    `probe`; nothing is left at `out` then. The same file gives the same bytes.
    """
    if out.suffix not in {".png", ".jpg"}:
        raise ChimeraError("VALIDATION_FAILED", f"out: got {out.suffix!r}, expected .png or .jpg", {"out": out.name})
    check_size(size)
    colour = _bgr(background)
    if sniff(path).family != "picture":
        raise refused(path, probe(path).kind, "a picture")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".picture-", dir=out.parent) as folder:
        source, container = readable(path, Path(folder))
        part = Path(folder) / f"part{out.suffix}"
        answer = ask(
            "prepare", source, container, seconds=PICTURE_SECONDS, file_bytes=_OUT_BYTES, size=list(size), out=str(part),
            background=colour,
        )  # fmt: skip
        part.replace(out)
    return PreparedPicture(path=out, width=size[0], height=size[1], **answer)


def perceptual_hash(path: Path) -> int:
    """The 64-bit hash of a picture, or of the frame in the middle of footage; compare with `distance` and `ALIKE`."""
    with tempfile.TemporaryDirectory(prefix="hash-") as folder:
        if sniff(path).family == "picture":
            source, container = readable(path, Path(folder))
        else:
            facts = probe(path)
            if facts.kind == "sound":
                raise refused(path, "sound", "a picture or footage")
            source = still(path, facts, (facts.seconds or 0.0) / 2, Path(folder) / "frame.png")
            container = "png"
        return int(ask("picture", source, container, hash=True)["hash"])


def still(path: Path, facts: MediaFacts, at: float, out: Path) -> Path:
    """One frame of footage as a PNG, the one shown at `at` seconds; the first one if there is none so late."""
    for start in (at, 0.0):
        arguments = [
            *(("-ss", f"{start:.3f}") if start > 0 else ()), *source_options(path, facts.container), "-map", "0:v:0",
            *_one_png(out),
        ]  # fmt: skip
        ffmpeg(path, arguments, seconds=PICTURE_SECONDS, file_bytes=_OUT_BYTES)
        if out.is_file():
            return out
    raise refused(path, "footage of which no frame can be decoded", "footage that is whole")


def _one_png(out: Path) -> list[str]:
    return [
        "-frames:v", "1", "-map_metadata", "-1", "-c:v", "png", "-pix_fmt", "rgb24", "-f", "image2", "-update", "1",
        "-y", f"file:{out.absolute()}",
    ]  # fmt: skip


def check_size(size: tuple[int, int]) -> None:
    """Refuse a frame size that makes no sense."""
    if not all(16 <= side <= 8192 for side in size):
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"size: got {size[0]} x {size[1]}, expected 16 to 8192 pixels on a side",
            {"size": size},
        )


def readable(path: Path, folder: Path) -> tuple[Path, str]:
    """The picture itself and its container; a PNG of it in `folder` where only ffmpeg reads its kind."""
    container = sniff(path).container
    return (path, container) if container != "heif" else (_plain(path, folder / "plain.png"), "png")


def _plain(path: Path, out: Path) -> Path:
    """A PNG of a HEIC or AVIF, upright, put together from its tiles (a phone writes 48 to 192 of them)."""
    facts = probe(path)
    # without -map ffmpeg takes the largest picture, and of one in tiles the whole. One thread for each tile is enough;
    # twice the pixels, for a decoder rounds sizes up
    arguments = [
        "-threads", "1", "-max_pixels", str(2 * MAX_PICTURE_PIXELS), *source_options(path, "heif"), "-an", *_one_png(out),
    ]  # fmt: skip
    ffmpeg(path, arguments, seconds=PICTURE_SECONDS, file_bytes=_OUT_BYTES)
    png = out.read_bytes() if out.is_file() else b""
    width, height = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
    if (width, height) != (facts.width, facts.height):
        raise refused(
            path, f"a HEIC or AVIF that says {facts.width} x {facts.height} pixels and shows {width} x {height}",
            "one that is whole",
        )  # fmt: skip
    with full_disk_reported("a picture"):
        out.write_bytes(heif.with_profile(png, heif.profile(path)))
    return out


def _bgr(colour: str | None) -> list[int] | None:
    if colour is None:
        return None
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
        raise ChimeraError("VALIDATION_FAILED", f"background: got {colour[:20]!r}, expected #rrggbb", {})
    return [int(colour[i : i + 2], 16) for i in (5, 3, 1)]


__all__ = ["PreparedPicture", "check_size", "distance", "perceptual_hash", "prepare_picture", "readable", "still"]
