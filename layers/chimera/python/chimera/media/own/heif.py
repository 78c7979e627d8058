"""What the boxes of a HEIC or AVIF (ISO/IEC 23008-12) say, nothing decoded: its size, and the colour profile, which ffmpeg
drops where it puts tiles together."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from chimera.media.own.sizes import UnusableError

_MAX_PROFILE = 4_000_000
BOXES_BYTES = 1_000_000
"""How far into a file its boxes are looked for."""


def boxes(path: Path) -> bytes:
    """The start of the file, where its boxes are."""
    with path.open("rb") as file:
        return file.read(BOXES_BYTES)


def shown_size(path: Path) -> tuple[int, int]:
    """Width and height of a HEIC or AVIF as shown, from its boxes: the largest `ispe`, turned by `irot`."""
    data = boxes(path)
    sizes: list[tuple[int, int]] = []
    at, turned = 0, False
    while (at := data.find(b"ispe", at)) >= 0:
        if at + 16 <= len(data):
            sizes.append(struct.unpack(">II", data[at + 8 : at + 16]))
        at += 4
    at = data.find(b"irot")
    turned = at >= 0 and at + 5 <= len(data) and bool(data[at + 4] & 1)
    if not sizes:
        raise UnusableError("a HEIC or AVIF without a size", "one that is whole")
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return (height, width) if turned else (width, height)


def profile(path: Path) -> bytes:
    """The ICC profile for RGB; nothing where there is none that makes sense."""
    data = boxes(path)
    at = max(data.find(b"colrprof"), data.find(b"colrrICC"))
    if at < 4:
        return b""
    found = data[at + 8 : at - 4 + int.from_bytes(data[at - 4 : at], "big")]
    fits = len(found) <= _MAX_PROFILE and int.from_bytes(found[:4], "big") == len(found)
    return found if fits and found[16:20] == b"RGB " and found[36:40] == b"acsp" else b""


def with_profile(png: bytes, icc: bytes) -> bytes:
    """The PNG with the profile behind its header, if it has none of its own."""
    if not icc or b"iCCP" in png[: png.find(b"IDAT")]:
        return png
    body = b"iCCPicc\0\0" + zlib.compress(icc, 1)
    return png[:33] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + png[33:]
