"""Encodes: a clip's frames with its type burned in (a segment), the joining of segments, the thumbnail.

The picture is encoded by x264, or by NVENC where a trial shows that it works. A segment's key names its encoder, so
that a video is never joined from segments of two.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import ffmpeg

from chimera.errors import ChimeraError
from chimera.media import process
from chimera.media.models import QualityPreset

_BT709 = {"color_range": "tv", "colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}
_SETTINGS: dict[QualityPreset, tuple[str, int]] = {
    "preview": ("ultrafast", 26),
    "draft": ("superfast", 27),
    "standard": ("veryfast", 21),
    "high": ("medium", 18),
}
Encoder = Literal["x264", "nvenc"]
EncoderChoice = Literal["auto", "x264", "nvenc"]
# NVENC's preset and constant quality beside each x264 pair above. Its cq is on the scale of crf, but needs about three
# more for the same bits (rate control by look-ahead, not by macroblock trees); not measured on a GPU by us.
_NVENC: dict[str, str] = {"ultrafast": "p1", "superfast": "p2", "veryfast": "p4", "medium": "p6"}
_NVENC_CQ_OFFSET = 3
AUDIO_BITS_PER_SECOND = 192_000
_CONTAINER_SHARE = 0.94  # of the size limit; the rest is headers and the rate control's freedom
_RATE_STEP = 250_000
_BUFFER_SECONDS = 2
_THREADS = 2
# No frames are held for a look-ahead thread: the same bits with 25 MB less at 1080p.
_LEAN, _STEADY = "sync-lookahead=0", "sync-lookahead=0:scenecut=0:weightp=0"


@dataclass(frozen=True)
class VideoSettings:
    """Everything about the encoding that a segment's key depends on."""

    width: int
    height: int
    fps: int
    preset: str
    crf: int
    maxrate: int
    encoder: Encoder = "x264"

    @classmethod
    def plan(
        cls,
        *,
        size: tuple[int, int],
        fps: int,
        quality: QualityPreset,
        seconds: float,
        max_bytes: int,
        encoder: Encoder = "x264",
        pieces: int = 1,
    ) -> VideoSettings:
        """Settings for a video of that length: the bit rate is capped by what the size limit leaves.

        Each of the `pieces` that are encoded on their own may overdraw the cap by its buffer. The cap goes down in steps
        of a seventh, and never binds for short videos, so that a changed line leaves the other scenes' keys as they were.
        """
        preset, crf = _SETTINGS[quality]
        pixels = size[0] * size[1]
        rate = max(round(8_000_000 * pixels * fps / (1080 * 1920 * 30) / _RATE_STEP), 3) * _RATE_STEP
        room = max_bytes * 8 * _CONTAINER_SHARE - AUDIO_BITS_PER_SECOND * seconds
        while rate > _RATE_STEP and rate * (seconds + min(_BUFFER_SECONDS * pieces, seconds)) > room:
            rate = max(rate * 6 // 7 // 1000 * 1000, _RATE_STEP)
        return cls(size[0], size[1], fps, preset, crf, rate, encoder)

    def codec(self, *, steady: bool = False) -> dict[str, Any]:
        """What ffmpeg is told of the encoder: both H.264 High, 4:2:0, a key frame each two seconds, capped alike."""
        capped = {"maxrate": self.maxrate, "bufsize": self.maxrate * _BUFFER_SECONDS, "g": self.fps * 2}
        if self.encoder == "nvenc":
            return {
                "vcodec": "h264_nvenc", "preset": _NVENC[self.preset], "rc": "vbr", "cq": self.crf + _NVENC_CQ_OFFSET,
                "b:v": 0, **capped, "pix_fmt": "nv12", "rc-lookahead": 20, "spatial-aq": 1,
            }  # fmt: skip
        more = {"x264-params": _STEADY if steady else _LEAN}
        return {"vcodec": "libx264", "preset": self.preset, "crf": self.crf, **capped, "pix_fmt": "yuv420p", **more}

    def key(self) -> dict[str, Any]:
        """What a segment's key says of the settings."""
        values = asdict(self)
        if self.encoder == "x264":  # as it was before there was a choice, so that finished segments stay good
            del values["encoder"]
        return values


def choose_encoder(choice: EncoderChoice = "auto") -> Encoder:
    """The encoder to use: the one asked for, or with `auto` NVENC where it works and x264 elsewhere.

    `VALIDATION_FAILED` if NVENC is asked for on a machine where it does not work.
    """
    if choice == "x264":
        return "x264"
    works = nvenc_works(process.executable())
    if choice == "nvenc" and not works:
        raise ChimeraError(
            "VALIDATION_FAILED",
            "video_encoder: got nvenc, which does not work on this machine; expected auto or x264",
            {"video_encoder": choice},
        )
    return "nvenc" if works else "x264"


@functools.lru_cache(maxsize=4)
def nvenc_works(program: str) -> bool:
    """Whether this ffmpeg can encode one frame with NVENC: that it lists the encoder says nothing about the machine."""
    frame = ["-f", "lavfi", "-i", "color=black:size=256x256:rate=30"]
    out = ["-frames:v", "1", "-pix_fmt", "nv12", "-c:v", "h264_nvenc", "-f", "null", "-"]
    try:
        process.run([program, "-hide_banner", "-nostats", "-loglevel", "error", *frame, *out])
    except ChimeraError as error:
        if error.details.get("reason") == "ffmpeg":
            return False
        raise
    return True


def _burned(stream: Any) -> Any:
    tagged = stream.filter("setparams", range="tv", colorspace="bt709", color_primaries="bt709", color_trc="bt709")
    return tagged.filter("ass", "overlay.ass")


def _raw_input(settings: VideoSettings) -> Any:
    size = f"{settings.width}x{settings.height}"
    return ffmpeg.input("pipe:0", format="rawvideo", pix_fmt="yuv420p", s=size, framerate=settings.fps, **_BT709)


def segment(
    frames: Iterable[Any],
    overlay: str | None,
    *,
    settings: VideoSettings,
    folder: Path,
    fonts: Path,
    out: Path,
    first: int = 0,
    steady: bool = False,
) -> None:
    """Encodes one segment: raw I420 frames in, H.264 High in MP4 out, atomically.

    `overlay` is an ASS script to burn in, whose time at the first frame is that of frame `first`. `steady` says that
    no cut and no fade is in the frames, so the encoder need not look for one: the same bits for a little less work.

    Two encoder threads, on every machine: the bytes do not depend on how many cores there are, and one segment with two
    threads needs half the memory of two segments with one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stream = _raw_input(settings)
    if overlay is not None:
        (folder / "overlay.ass").write_text(overlay, "utf-8")
        if first:
            stream = stream.filter("setpts", f"PTS+{first}/{settings.fps}/TB")
        stream = _burned(stream)
        if first:
            stream = stream.filter("setpts", "PTS-STARTPTS")
    stream = ffmpeg.output(
        stream, "segment.mp4", **settings.codec(steady=steady), fps_mode="cfr", r=settings.fps,
        video_track_timescale=settings.fps * 512, threads=_THREADS,
        **{"profile:v": "high", "flags:v": "+bitexact"}, fflags="+bitexact", **_BT709,
    )  # fmt: skip
    options = ("-loglevel", "error", "-filter_threads", "1")
    process.run(process.command(stream, options=options), cwd=folder, feed=frames, fonts=fonts)
    (folder / "segment.mp4").replace(out)


def still(
    frame: Any,
    overlay: str,
    *,
    settings: VideoSettings,
    at: float,
    folder: Path,
    fonts: Path,
    out: Path,
    height: int | None = None,
) -> None:
    """One frame with its type at `at` seconds of the overlay's time, as a JPEG; `height` scales it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "overlay.ass").write_text(overlay, "utf-8")
    stream = _raw_input(settings).filter("setpts", f"PTS+{at:.3f}/TB")
    stream = _burned(stream)
    if height is not None:
        stream = stream.filter("scale", -2, height, flags="lanczos")
    stream = stream.filter("scale", out_range="pc").filter("format", "yuvj420p")
    target = ffmpeg.output(stream, "still.jpg", vframes=1, vcodec="mjpeg", **{"q:v": 3}, fflags="+bitexact")
    process.run(process.command(target, options=("-loglevel", "error")), cwd=folder, data=bytes(frame), fonts=fonts)
    (folder / "still.jpg").replace(out)


def smaller(picture: Path, out: Path, *, height: int) -> None:
    """A JPEG scaled to `height` (pixels, even), as a JPEG."""
    large = cv2.imread(str(picture))
    if large is None:
        raise ChimeraError("INTERNAL", f"{picture.name} cannot be read again", {"file": picture.name})
    width = max(round(large.shape[1] * height / large.shape[0] / 2) * 2, 2)
    small = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
    whole, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not whole:
        raise ChimeraError("INTERNAL", f"{out.name} cannot be written", {"file": out.name})
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data.tobytes())
    temporary.replace(out)
