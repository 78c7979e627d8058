"""Pixels of a stranger's picture: upright, in sRGB, with its size checked before anything is decoded. Worker process only."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from chimera.media.own.limits import DEMUXERS, MIN_SIDE
from chimera.media.own.sizes import AV_OPTIONS, UnusableError, check_size

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
GIF_FRAMES = 60
"""Frames of an animation that are looked at for a good one."""
_FLAT = 4.0
"""Standard deviation (0–255) of luma below which a frame shows nothing."""
_KEPT_CHUNKS = {
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"sRGB", b"cICP", b"sBIT", b"iCCP", b"eXIf",
}  # fmt: skip
_MAX_CHUNKS = 200_000
_MAX_PROFILE, _MAX_EXIF = 4_000_000, 65_536


def load(path: Path, container: str, least: int = MIN_SIDE) -> tuple[Pixels, bool]:
    """The picture as BGRA with premultiplied alpha, upright, in sRGB; and whether it moves (then a good frame of it).

    `least` pixels on each side; of a moving picture always `MIN_SIDE`.
    """
    if container == "gif":
        return _gif(path)
    data = path.read_bytes()
    if container == "png":
        data, animated = _plain_png(data)
    else:
        animated = container == "webp" and data[12:16] == b"VP8X" and bool(data[20] & 0x02)
    return _still(data, least), animated


def _still(data: bytes, least: int) -> Pixels:
    import skia

    codec = skia.Codec.MakeFromData(data)
    if codec is None:
        raise UnusableError("a picture that cannot be read", "one that is whole")
    size = codec.dimensions()
    width, height = int(size.width()), int(size.height())
    check_size(width, height, least)
    pixels = np.zeros((height, width, 4), np.uint8)
    info = skia.ImageInfo.Make(
        width, height, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType, skia.ColorSpace.MakeSRGB()
    )
    result = codec.getPixels(info, pixels.reshape(-1), width * 4)
    if result in (skia.Codec.kInvalidConversion, skia.Codec.kUnimplemented):
        return _by_opencv(data)
    if result != skia.Codec.kSuccess:
        raise UnusableError(f"a broken picture ({result.name.removeprefix('k')})", "one that is whole")
    return _upright(pixels, int(codec.getOrigin()))


def _by_opencv(data: bytes) -> Pixels:
    """For what Skia does not convert, such as CMYK; OpenCV turns it upright itself."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise UnusableError("a picture that cannot be read", "one that is whole")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA), dtype=np.uint8)


def _upright(pixels: Pixels, origin: int) -> Pixels:
    """Undo the orientation of EXIF (1–8, tag 0x0112)."""
    if origin in {2, 4, 5, 7}:
        pixels = np.asarray(cv2.flip(pixels, 0 if origin == 4 else 1), dtype=np.uint8)
    turns = {
        3: cv2.ROTATE_180, 5: cv2.ROTATE_90_COUNTERCLOCKWISE, 6: cv2.ROTATE_90_CLOCKWISE, 7: cv2.ROTATE_90_CLOCKWISE,
        8: cv2.ROTATE_90_COUNTERCLOCKWISE,
    }  # fmt: skip
    return np.asarray(cv2.rotate(pixels, turns[origin]), dtype=np.uint8) if origin in turns else pixels


def _plain_png(data: bytes) -> tuple[bytes, bool]:
    """The PNG without its texts, times and further frames, none of which is needed and all of which can be bombs."""
    kept, at, animated, counted = [data[:8]], 8, False, 0
    while at + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        end = at + 12 + length
        counted += 1
        if end > len(data) or counted > _MAX_CHUNKS:
            break
        animated = animated or kind == b"acTL"
        if kind in _KEPT_CHUNKS and _sound(kind, data[at + 8 : end - 4] if kind in {b"iCCP", b"eXIf"} else b""):
            kept.append(data[at:end])
        at = end
        if kind == b"IEND":
            return b"".join(kept), animated
    raise UnusableError("a PNG that breaks off", "one that is whole")


def _sound(kind: bytes, body: bytes) -> bool:
    if kind == b"eXIf":
        return len(body) <= _MAX_EXIF
    if kind != b"iCCP":
        return True
    packed = body[body.find(b"\0") + 2 :]
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(packed, _MAX_PROFILE)
    except zlib.error:
        return False
    return unpacking.eof


def _gif(path: Path) -> tuple[Pixels, bool]:
    """The first frame that shows something, of the first sixty; else the first one."""
    import av

    first: Pixels | None = None
    seen = 0
    with path.open("rb") as file, av.open(file, "r", format=DEMUXERS["gif"], options=AV_OPTIONS) as container:
        stream = container.streams.video[0]
        check_size(stream.codec_context.width, stream.codec_context.height)
        for frame in container.decode(stream):
            check_size(frame.width, frame.height)
            pixels = _premultiplied(np.ascontiguousarray(frame.to_ndarray(format="bgra")))
            first = pixels if first is None else first
            seen += 1
            grey = cv2.cvtColor(pixels, cv2.COLOR_BGRA2GRAY)
            if float(grey.std()) > _FLAT:
                return pixels, _moves(container, stream, seen)
            if seen >= GIF_FRAMES:
                break
    if first is None:
        raise UnusableError("a GIF without a frame", "one that is whole")
    return first, seen > 1


def _moves(container: Any, stream: Any, seen: int) -> bool:
    return seen > 1 or next(iter(container.decode(stream)), None) is not None


def _premultiplied(pixels: Pixels) -> Pixels:
    alpha = pixels[:, :, 3]
    if bool((alpha == 255).all()):
        return pixels
    out = pixels.astype(np.uint16)
    out[:, :, :3] = (out[:, :, :3] * alpha[:, :, None] + 127) // 255
    return out.astype(np.uint8)
