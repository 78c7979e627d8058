"""Makes a stranger's footage fit a scene: its best stretch, cut to the frame's shape, at a constant rate, silent, in SDR."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from chimera.errors import ChimeraError
from chimera.media import process
from chimera.media.own.crop import Window, best_window
from chimera.media.own.hashing import hash_of
from chimera.media.own.interest import RATE, Flaw, Frames, Looks, Stretch, best_stretch, energy_of
from chimera.media.own.limits import FOOTAGE_SECONDS, MAX_PREPARED_BYTES, MAX_PREPARED_SECONDS
from chimera.media.own.picture import check_size
from chimera.media.own.probe import MediaFacts, probe
from chimera.media.own.sandbox import ask, ffmpeg, source_options
from chimera.media.own.sniff import refused, shown

_LOOK = 256
"""Pixels of the longer side of the frames that are judged."""
_WHOLE_SECONDS = 30.0
"""Up to this length all of the footage is judged; of longer footage the stretches around its best samples."""
_SAMPLES, _CANDIDATES = 64, 4
_INDEX_BYTES = 8_000_000
"""More than the index of ten minutes at 120 frames a second."""
# PQ and HLG to BT.709: linear light, Hable's curve, back (ffmpeg's own recipe for zscale and tonemap)
_TONE_MAP = (
    "zscale=transfer=linear:npl=100,format=gbrpf32le,zscale=primaries=bt709,tonemap=tonemap=hable:desat=0,"
    "zscale=transfer=bt709:matrix=bt709:range=tv"
)


class PreparedFootage(BaseModel):
    """`start` and `crop` are in the upright source. `seconds` is less than asked for where the source is shorter.

    `flaws` cover a fifth or more of the stretch and could not be avoided; `upscale` over 1 is how much it was enlarged.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    width: int
    height: int
    fps: int
    frames: int
    seconds: float
    start: float
    crop: Window
    upscale: float
    score: float
    flaws: tuple[Flaw, ...]
    tone_mapped: bool
    hash: int
    """Perceptual hash of the stretch's middle, cut as it is shown."""


def prepare_footage(
    path: Path, *, size: tuple[int, int], fps: int, seconds: float, out: Path, start: float | None = None
) -> PreparedFootage:
    """Writes up to `seconds` (0.1 to 600) of the footage to `out` (.mp4: H.264, all the quality, no sound, no metadata).

    `start` None takes the stretch that is sharpest, best lit and liveliest, without black, frozen or blurred parts where
    there is such a one. `size` is even (width, height). Rotation is applied, HDR is tone-mapped, the rate made constant.
    Errors as of `probe`, and `VALIDATION_FAILED` for a start behind the end or footage that is black throughout; nothing is
    left at `out` then. The same file gives the same bytes.
    """
    facts = _checked(path, size, fps, seconds, start)
    length = facts.seconds or 0.0
    seconds = min(seconds, length)
    if start is None:
        stretch, frames = _choose(path, facts, seconds)
    else:
        seconds = min(seconds, length - start)
        frames = _look(path, facts, start, seconds)
        judged = best_stretch(Looks(frames), seconds)
        stretch = judged.model_copy(update={"start": start})
    if "black" in stretch.flaws and bool((Looks(frames).scores()[1]["black"]).all()):
        raise refused(path, "footage that is black throughout", "footage that shows something")
    box = _crop(frames, facts, size)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".footage-", dir=out.parent) as folder:
        part = Path(folder) / "part.mp4"
        _write(path, facts, stretch.start, seconds, box, size, fps, part)
        count = _frames(part)
        if not count:
            raise refused(path, f"nothing that can be decoded from {stretch.start:g} s on", "footage that is whole")
        part.replace(out)
    middle = frames[len(frames) // 2]
    high, wide = middle.shape[:2]
    x, y = box.x * wide // _width(facts), box.y * high // _height(facts)
    cut = middle[y : y + max(box.height * high // _height(facts), 1), x : x + max(box.width * wide // _width(facts), 1)]
    return PreparedFootage(
        path=out, width=size[0], height=size[1], fps=fps, frames=count, seconds=round(count / fps, 6), start=stretch.start,
        crop=box, upscale=round(max(size[0] / box.width, size[1] / box.height), 4), score=stretch.score,
        flaws=stretch.flaws, tone_mapped=facts.hdr, hash=hash_of(cut),
    )  # fmt: skip


def _checked(path: Path, size: tuple[int, int], fps: int, seconds: float, start: float | None) -> MediaFacts:
    check_size(size)
    if size[0] % 2 or size[1] % 2:
        raise ChimeraError(
            "VALIDATION_FAILED", f"size: got {size[0]} x {size[1]}, expected even numbers", {"size": size}
        )
    for name, value, low, high in (("fps", fps, 1, 120), ("seconds", seconds, 0.1, MAX_PREPARED_SECONDS)):
        if not low <= value <= high:
            raise ChimeraError(
                "VALIDATION_FAILED", f"{name}: got {value:g}, expected {low:g} to {high:g}", {name: value}
            )
    facts = probe(path)
    if facts.kind != "footage":
        raise refused(path, f"a {facts.kind}" if facts.kind == "picture" else "sound", "footage")
    if start is not None and not 0 <= start < (facts.seconds or 0.0):
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"start: got {start:g} s, expected 0 or more and less than the {facts.seconds:g} s of {shown(path)}",
            {"start": start, "seconds": facts.seconds},
        )
    if facts.hdr and not _tone_maps():
        raise refused(path, "HDR footage, which this ffmpeg cannot convert", "SDR footage")
    return facts


def _choose(path: Path, facts: MediaFacts, seconds: float) -> tuple[Stretch, Frames]:
    """The best stretch and its small frames."""
    length = facts.seconds or 0.0
    if length <= _WHOLE_SECONDS:
        places = [(0.0, length)]
    else:
        answer = ask("samples", path, facts.container, seconds=FOOTAGE_SECONDS, count=_SAMPLES, length=length)
        places = _around(answer["samples"], seconds, length)
    found: list[tuple[Stretch, Frames]] = []
    for start, span in places:
        frames = _look(path, facts, start, span)
        stretch = best_stretch(Looks(frames), seconds, offset=start)
        first = round((stretch.start - start) * RATE)
        found.append((stretch, frames[first : first + max(round(seconds * RATE), 1)]))
    stretch, frames = max(found, key=lambda pair: (pair[0].score, -pair[0].start))
    latest = max(length - seconds, 0.0)
    return stretch.model_copy(update={"start": round(min(stretch.start, latest), 3)}), frames


def _around(samples: list[tuple[float, float]], seconds: float, length: float) -> list[tuple[float, float]]:
    """Where to look closely: around the best samples, apart from one another, each long enough to choose within."""
    span = min(max(seconds * 1.5, 8.0), length)
    chosen: list[float] = []
    for at, _ in sorted(samples, key=lambda sample: (-sample[1], sample[0])):
        if all(abs(at - other) >= span for other in chosen):
            chosen.append(at)
        if len(chosen) == _CANDIDATES:
            break
    return [(round(min(max(at - span / 2, 0.0), length - span), 3), span) for at in sorted(chosen)]


def _look(path: Path, facts: MediaFacts, start: float, seconds: float) -> Frames:
    """Small frames, `RATE` a second, upright; at least one."""
    width, height = _width(facts), _height(facts)
    scale = min(_LOOK / max(width, height), 1.0)
    small = max(round(width * scale), 16), max(round(height * scale), 16)
    arguments = [
        "-threads", "2", *_seek(start), *source_options(path, facts.container), "-t", f"{max(seconds, 1 / RATE):.3f}",
        "-map", "0:v:0", "-vf", f"fps={RATE},scale={small[0]}:{small[1]}:flags=area,format=bgr24", "-f", "rawvideo", "-",
    ]  # fmt: skip
    data, _ = ffmpeg(path, arguments, seconds=FOOTAGE_SECONDS)
    one = small[0] * small[1] * 3
    if len(data) < one:
        raise refused(path, f"nothing that can be decoded from {start:g} s on", "footage that is whole")
    return np.frombuffer(data[: len(data) // one * one], np.uint8).reshape(-1, small[1], small[0], 3)


def _crop(frames: Frames, facts: MediaFacts, size: tuple[int, int]) -> Window:
    box = best_window(energy_of(frames), (_width(facts), _height(facts)), size)
    even = {
        "x": box.x // 2 * 2,
        "y": box.y // 2 * 2,
        "width": max(box.width // 2 * 2, 2),
        "height": max(box.height // 2 * 2, 2),
    }
    return Window(**even)


def _write(
    path: Path, facts: MediaFacts, start: float, seconds: float, box: Window, size: tuple[int, int], fps: int, out: Path
) -> None:
    matrix = facts.matrix or ("bt709" if _height(facts) >= 720 else "bt601")
    colours = "" if facts.hdr else f":in_color_matrix={matrix}:out_color_matrix=bt709:out_range=tv"
    steps = [
        "bwdif=deint=interlaced",  # lets progressive frames through
        f"fps={fps}",
        *([f"scale={_width(facts)}:{_height(facts)}"] if facts.anamorphic else []),
        f"crop={box.width}:{box.height}:{box.x}:{box.y}",
        f"scale={size[0]}:{size[1]}:flags=bicubic{colours}",
        *([_TONE_MAP] if facts.hdr else []),
        "format=yuv420p",
        "setsar=1",
    ]
    arguments = [
        "-threads", "2", *_seek(start), *source_options(path, facts.container), "-map", "0:v:0", "-an", "-sn", "-dn",
        "-vf", ",".join(steps), "-frames:v", str(max(round(seconds * fps), 1)), "-fps_mode", "cfr",
        "-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-g", "15", "-threads", "2", "-tune", "fastdecode",
        "-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709", "-color_range", "tv",
        "-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact",
        "-video_track_timescale", str(fps * 512), "-f", "mp4", "-y", f"file:{out.absolute()}",
    ]  # fmt: skip
    ffmpeg(path, arguments, seconds=FOOTAGE_SECONDS, file_bytes=MAX_PREPARED_BYTES)


def _frames(film: Path) -> int:
    """Frames of the one track of a film of ours, by its table of sample sizes (`stsz`, ISO/IEC 14496-12, 8.7.3)."""
    if not film.is_file():
        return 0
    with film.open("rb") as file:
        file.seek(max(film.stat().st_size - _INDEX_BYTES, 0))
        data = file.read()
    at = data.rfind(b"stsz")  # the index stands behind the data
    return int.from_bytes(data[at + 12 : at + 16], "big") if at >= 0 else 0


def _seek(start: float) -> list[str]:
    return ["-ss", f"{start:.3f}"] if start > 0 else []


def _width(facts: MediaFacts) -> int:
    return facts.width or 1


def _height(facts: MediaFacts) -> int:
    return facts.height or 1


@functools.lru_cache(maxsize=1)
def _tone_maps() -> bool:
    """Whether this ffmpeg has the filters that bring HDR down."""
    out, _ = process.run([process.executable(), "-hide_banner", "-filters"])
    names = {line.split()[1] for line in out.decode("utf-8", "replace").splitlines() if len(line.split()) > 1}
    return {"zscale", "tonemap"} <= names
