"""Pictures and footage as people bring them, and as attackers do; made here, byte by byte where it matters."""

from __future__ import annotations

import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from chimera.media import process

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def corners(width: int = 240, height: int = 160) -> Pixels:
    """Red, green, blue and white quarters (BGR), so that every turn and mirroring can be told."""
    picture = np.zeros((height, width, 3), np.uint8)
    half, middle = height // 2, width // 2
    picture[:half, :middle], picture[:half, middle:] = (0, 0, 255), (0, 255, 0)
    picture[half:, :middle], picture[half:, middle:] = (255, 0, 0), (255, 255, 255)
    return picture


def encoded(picture: Pixels, suffix: str = ".jpg") -> bytes:
    """The picture's bytes."""
    return bytes(cv2.imencode(suffix, picture)[1].tobytes())


def stored(upright: Pixels, orientation: int) -> Pixels:
    """The pixels as a camera would store them that writes this EXIF orientation."""
    back = {
        1: lambda p: p, 2: lambda p: p[:, ::-1], 3: lambda p: p[::-1, ::-1], 4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2), 6: lambda p: np.rot90(p, 1), 7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),
        8: lambda p: np.rot90(p, 3),
    }  # fmt: skip
    return np.ascontiguousarray(back[orientation](upright))


def with_exif(jpeg: bytes, orientation: int, secret: bytes = b"") -> bytes:
    """The JPEG with an orientation, a make that says `secret`, and a comment that says it too."""
    value = secret.ljust(8, b".") + b"\0"
    ifd = struct.pack(">H", 2)
    ifd += struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    ifd += struct.pack(">HHII", 0x010F, 2, len(value), 8 + 2 + 2 * 12 + 4)
    tiff = b"MM\0*" + struct.pack(">I", 8) + ifd + struct.pack(">I", 0) + value
    app1 = b"Exif\0\0" + tiff
    comment = b"note " + secret
    segments = b"\xff\xe1" + struct.pack(">H", len(app1) + 2) + app1
    segments += b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment
    return jpeg[:2] + segments + jpeg[2:]


def chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int, *further: bytes) -> bytes:
    """A PNG that says it has this size and holds nothing but the given chunks and a few bytes of data."""
    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + ihdr + b"".join(further) + data


def into_png(png: bytes, *further: bytes) -> bytes:
    """The PNG with further chunks behind its header."""
    return png[:33] + b"".join(further) + png[33:]


def scene(width: int, height: int, subject: tuple[float, float], *, seed: int = 1, radius: float = 0.12) -> Pixels:
    """A quiet landscape with a figure at `subject` (shares of width and height): a head of skin, a coloured body."""
    rng = np.random.default_rng(seed)
    rows = np.linspace(0, 1, height)[:, None, None]
    sky, ground = np.array([210, 180, 150.0]), np.array([90, 130, 110.0])
    picture = sky + (ground - sky) * (rows > 0.6) + rows * 12 + rng.normal(0, 3, (height, width, 1))
    picture = np.clip(np.broadcast_to(picture, (height, width, 3)), 0, 255).astype(np.uint8).copy()
    x, y, r = round(subject[0] * width), round(subject[1] * height), round(radius * min(width, height))
    cv2.ellipse(picture, (x, y + 2 * r), (r, 2 * r), 0, 0, 360, (150, 60, 40), -1)
    cv2.circle(picture, (x, y), r, (120, 160, 215), -1)
    cv2.circle(picture, (x - r // 3, y - r // 5), max(r // 8, 1), (30, 30, 30), -1)
    cv2.circle(picture, (x + r // 3, y - r // 5), max(r // 8, 1), (30, 30, 30), -1)
    return picture


def film(out: Path, *arguments: str) -> Path:
    """Footage made by ffmpeg from its own test pictures."""
    command = [process.executable(), "-v", "error", "-nostdin", *arguments, "-y", f"file:{out}"]
    subprocess.run(command, check=True, capture_output=True)
    return out


def gif(path: Path, frames: list[Pixels]) -> Path:
    """An animated GIF of these frames."""
    height, width = frames[0].shape[:2]
    command = [
        process.executable(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", "10",
        "-i", "-", "-y", f"file:{path}",
    ]  # fmt: skip
    subprocess.run(command, input=b"".join(frame.tobytes() for frame in frames), check=True, capture_output=True)
    return path
