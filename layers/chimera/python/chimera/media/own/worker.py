"""The process that opens strangers' files: one JSON request on stdin, one JSON answer on stdout, within limits.

Decoders are native code fed by whoever made the file, so they run apart: with little memory, time and room to write, no
environment, and no way for a container to name another file. Request: `{op, path, container, …}`. Answer: the facts, or
`{error: {got, expected, code}}`.
"""

from __future__ import annotations

import errno
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chimera.media.own import heif
from chimera.media.own.limited import limit
from chimera.media.own.limits import (
    AUDIO_CODECS,
    DEMUXERS,
    MAX_FOOTAGE_PIXELS,
    MAX_FOOTAGE_SECONDS,
    MAX_STREAMS,
    MIN_LOGO_SIDE,
    MIN_SIDE,
    OPEN_FILES,
    VIDEO_CODECS,
    WORKER_MEMORY_BYTES,
)
from chimera.media.own.sizes import AV_OPTIONS, UnusableError, check_size

_PACKETS_TO_A_FRAME = 400
_PQ, _HLG = 16, 18
_MATRICES = {1: "bt709", 5: "bt601", 6: "bt601", 9: "bt2020"}
"""ISO/IEC 23091-2, MatrixCoefficients, as ffmpeg's scaler names them."""
_LOST_SECONDS = 3.0
"""How much earlier than its header says a file may end before the header is not believed."""


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What was asked; a file that cannot be used is an answer too."""
    path = Path(request["path"])
    try:
        return {"film": film, "picture": picture, "prepare": prepare, "logo": logo, "samples": samples}[request["op"]](
            path, request
        )
    except UnusableError as error:
        return _refusal(error.got, error.expected, error.code)
    except MemoryError:
        return _refusal("a file that needs too much memory", "one that can be decoded within limits")
    except Exception as error:
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            return _refusal("no room to write", "a disk that is not full", "INTERNAL")
        # PyAV's errors are OSErrors and ValueErrors of its own, OpenCV's are its own
        known = isinstance(error, OSError | ValueError | RuntimeError)
        if known or type(error).__module__.partition(".")[0] in {"av", "cv2"}:
            return _refusal(f"a file that cannot be read ({type(error).__name__})", "one that is whole")
        raise


def picture(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """A picture's facts; it is decoded, so that one that breaks off is not taken."""
    if request["container"] == "heif":
        width, height = heif.shown_size(path)
        check_size(width, height)
        return {"width": width, "height": height, "animated": False}
    pixels, animated = _pixels(path, request["container"])
    height, width = pixels.shape[:2]
    check_size(width, height)
    found: dict[str, Any] = {"width": width, "height": height, "animated": animated}
    if request.get("hash"):
        from chimera.media.own.hashing import hash_of

        found["hash"] = hash_of(_flattened(pixels, None))
    return found


def prepare(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The picture cut to the asked shape and written to `out`, as pixels and nothing else."""
    import cv2

    from chimera.media.own.crop import smart_crop
    from chimera.media.own.hashing import hash_of

    pixels, animated = _pixels(path, request["container"])
    height, width = pixels.shape[:2]
    check_size(width, height)
    size = int(request["size"][0]), int(request["size"][1])
    box = smart_crop(pixels, size)
    part = pixels[box.y : box.y + box.height, box.x : box.x + box.width]
    smaller = box.width > size[0]
    fitted = cv2.resize(part, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    flat = _flattened(fitted, request.get("background"))
    out = Path(request["out"])
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95] if out.suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 3]
    done, data = cv2.imencode(out.suffix, flat, quality)
    if not done:
        raise UnusableError("a picture that cannot be written", "a size that can be encoded")
    out.write_bytes(data.tobytes())
    return {
        "source_width": width, "source_height": height, "animated": animated, "crop": asdict(box),
        "upscale": round(max(size[0] / box.width, size[1] / box.height), 4), "hash": hash_of(flat),
    }  # fmt: skip


def logo(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The whole picture, at most `side` pixels on a side, written to `out` as a PNG of pixels and transparency, nothing else."""
    import cv2
    import numpy as np

    pixels, _ = _pixels(path, request["container"], MIN_LOGO_SIDE)
    height, width = pixels.shape[:2]
    scale = min(1.0, request["side"] / max(width, height))
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    fitted = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) if scale < 1 else pixels
    alpha = fitted[:, :, 3:4].astype(np.float32)
    if float(alpha.max()) == 0:
        raise UnusableError("a picture of which nothing shows", "one that is not transparent all over")
    # colours come multiplied by their alpha; a PNG has them as they are
    colour = np.divide(
        fitted[:, :, :3] * 255.0, alpha, out=np.zeros(fitted[:, :, :3].shape, np.float32), where=alpha > 0
    )
    plain = np.dstack([np.clip(np.round(colour), 0, 255).astype(np.uint8), fitted[:, :, 3]])
    done, data = cv2.imencode(".png", plain, [cv2.IMWRITE_PNG_COMPRESSION, 6])
    if not done:
        raise UnusableError("a picture that cannot be written", "a size that can be encoded")
    Path(request["out"]).write_bytes(data.tobytes())
    return {"width": size[0], "height": size[1]}


def _pixels(path: Path, container: str, least: int = MIN_SIDE) -> tuple[Any, bool]:
    from chimera.media.own.decode import load  # not above: footage is probed without the libraries that pictures need

    return load(path, container, least)


def _flattened(pixels: Any, background: list[int] | None) -> Any:
    """BGR on a plain background: the one given (B, G, R), else white, or near-black where all that shows is light."""
    import numpy as np

    alpha = pixels[:, :, 3:4]
    if int(alpha.min()) == 255:
        return np.ascontiguousarray(pixels[:, :, :3])
    if background is None:
        weight = float(alpha.sum())
        light = float(pixels[:, :, :3].mean(axis=2).sum()) / weight if weight else 0.0
        background = [20, 20, 20] if light > 0.85 else [255, 255, 255]
    under = (255 - alpha.astype(np.uint16)) * np.array(background, np.uint16)[None, None, :]
    # a cubic filter overshoots: a colour may come out stronger than its alpha allows
    return np.minimum(pixels[:, :, :3].astype(np.uint16) + (under + 127) // 255, 255).astype(np.uint8)


def film(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The facts of footage or a recording: its first frame is decoded, its end looked for."""
    import av

    with (
        path.open("rb") as file,
        av.open(
            file, "r", format=DEMUXERS[request["container"]], options=AV_OPTIONS, metadata_errors="replace"
        ) as container,
    ):
        if len(container.streams) > MAX_STREAMS:
            raise UnusableError(f"a file of {len(container.streams)} streams", f"at most {MAX_STREAMS}")
        shown = next((s for s in container.streams.video if not _is_cover(s)), None)
        heard = next(iter(container.streams.audio), None)
        if shown is None and heard is None:
            raise UnusableError("a file without picture or sound", "footage or a recording")
        found: dict[str, Any] = {"has_sound": heard is not None, "audio_codec": None, "video_codec": None}
        if heard is not None:
            found["audio_codec"] = _allowed(heard, AUDIO_CODECS)
        if shown is not None:
            found |= _shown(container, shown)
        seconds = _seconds(container, shown or heard)
        if seconds <= 0:
            raise UnusableError("a file of no length", "one with at least a frame")
        return found | {"seconds": round(seconds, 3)}


def samples(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Scores of frames (those that decode by themselves) at even distances: `[[seconds, score], …]`, as many as there are."""
    import av
    import numpy as np

    from chimera.media.own.interest import Looks

    times: list[float] = []
    frames: list[Any] = []
    with (
        path.open("rb") as file,
        av.open(
            file, "r", format=DEMUXERS[request["container"]], options=AV_OPTIONS, metadata_errors="replace"
        ) as container,
    ):
        stream = next(s for s in container.streams.video if not _is_cover(s))
        stream.codec_context.thread_count = 1
        start = (container.start_time or 0) / 1_000_000
        for number in range(int(request["count"])):
            at = float(request["length"]) * (number + 0.5) / int(request["count"])
            container.seek(round((start + at) * 1_000_000), backward=True, any_frame=False)
            try:
                frame = _first_frame(container, stream)
            except UnusableError:
                continue
            _check_frame(frame.width, frame.height)
            shown_at = max(float(frame.time or 0) - start, 0.0)
            if not times or shown_at > times[-1]:
                times.append(round(shown_at, 3))
                frames.append(frame.reformat(width=160, height=90).to_ndarray(format="bgr24"))
    if not frames:
        raise UnusableError("footage of which no frame can be decoded", "footage that is whole")
    scores, _ = Looks(np.stack(frames), moving=False).scores()
    return {"samples": [[at, round(float(score), 4)] for at, score in zip(times, scores, strict=True)]}


def _shown(container: Any, stream: Any) -> dict[str, Any]:
    name = _allowed(stream, VIDEO_CODECS)
    context = stream.codec_context
    width, height = int(context.width), int(context.height)
    _check_frame(width, height)
    context.thread_count = 1
    frame = _first_frame(container, stream)
    # the decoder knows better than the header
    _check_frame(frame.width, frame.height)
    width, height = frame.width, frame.height
    aspect = float(stream.sample_aspect_ratio or context.sample_aspect_ratio or 1)
    anamorphic = aspect != 1 and 0.2 < aspect < 5
    if anamorphic:
        width = max(round(width * aspect), 1)
    rotation = int(getattr(frame, "rotation", 0) or 0) % 360
    if rotation % 180:
        width, height = height, width
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    fps = float(rate) if rate else 0.0
    return {
        "video_codec": name, "width": width, "height": height, "rotation": rotation,
        "fps": round(fps, 3) if math.isfinite(fps) and 0 < fps <= 1000 else None,
        "hdr": int(context.color_trc or 0) in {_PQ, _HLG}, "anamorphic": anamorphic,
        "matrix": _MATRICES.get(int(context.colorspace or 0)),
    }  # fmt: skip


def _check_frame(width: int, height: int) -> None:
    if width * height > MAX_FOOTAGE_PIXELS:
        raise UnusableError(
            f"frames of {width:,} x {height:,} pixels", f"at most {MAX_FOOTAGE_PIXELS:,} pixels", "FILE_TOO_LARGE"
        )
    if min(width, height) < MIN_SIDE:
        raise UnusableError(f"frames of {width} x {height} pixels", f"{MIN_SIDE} pixels or more on each side")


def _is_cover(stream: Any) -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def _allowed(stream: Any, known: tuple[str, ...]) -> str:
    context = stream.codec_context
    name = str(context.codec.canonical_name if context is not None else "unknown")
    if name not in known:
        raise UnusableError(f"a stream encoded as {name[:40]!r}", "a common codec such as H.264, HEVC, VP9, AV1 or AAC")
    return name


def _first_frame(container: Any, stream: Any) -> Any:
    import av

    errors = 0
    for number, packet in enumerate(container.demux(stream)):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            errors += 1
            frames = []
        if frames:
            return frames[0]
        if number >= _PACKETS_TO_A_FRAME:
            break
    raise UnusableError("footage of which no frame can be decoded", "footage that is whole")


def _seconds(container: Any, stream: Any) -> float:
    """The length that is really there: the last packet near the claimed end, else the last of all."""
    claimed = (container.duration or 0) / 1_000_000
    start = (container.start_time or 0) / 1_000_000
    if claimed > MAX_FOOTAGE_SECONDS * 40:
        claimed = 0.0  # no header of a real file says so
    found = _last(container, stream, start + max(claimed - 2.0, 0.0)) - start if claimed else 0.0
    if claimed and found >= claimed - _LOST_SECONDS:
        return min(found, claimed) if found > 0 else claimed
    if claimed > MAX_FOOTAGE_SECONDS and found > MAX_FOOTAGE_SECONDS:
        return found
    return _last(container, stream, start) - start


def _last(container: Any, stream: Any, seconds: float) -> float:
    """When the last packet at or after `seconds` ends."""
    import av

    container.seek(round(seconds * 1_000_000), backward=True, any_frame=False)
    base, last = float(stream.time_base or 0), 0.0
    try:
        for packet in container.demux(stream):
            if packet.pts is not None:
                last = max(last, float(packet.pts + (packet.duration or 0)) * base)
    except av.FFmpegError:
        return last  # it breaks off here
    return last


def _refusal(got: str, expected: str, code: str = "VALIDATION_FAILED") -> dict[str, Any]:
    return {"error": {"got": got, "expected": expected, "code": code}}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    limit(WORKER_MEMORY_BYTES, int(asked["cpu_seconds"]), int(asked["file_bytes"]), OPEN_FILES)
    if asked["op"] != "film":
        import cv2

        cv2.setNumThreads(1)
    json.dump(answer(asked), sys.stdout)
