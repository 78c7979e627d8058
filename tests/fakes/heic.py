"""A picture as a phone writes it: HEIC (ISO/IEC 23008-12) in tiles, with a small one beside it, made box by box."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from chimera.media import process

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
TILE = 64


def _box(kind: bytes, *parts: bytes, full: int | None = None) -> bytes:
    """A box; `full`: its version, for one that has version and flags."""
    body = (b"" if full is None else struct.pack(">I", full << 24)) + b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def _coded(tiles: list[Pixels]) -> tuple[bytes, list[bytes]]:
    """The decoder's configuration and each tile as one HEVC picture that needs no other."""
    command = [
        process.executable(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{TILE}x{TILE}", "-i", "-",
        "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=1:log-level=none:info=0", "-qp", "12",
        "-vf", "scale=out_color_matrix=bt709", "-pix_fmt", "yuv420p", "-tag:v", "hvc1", "-f", "mp4",
        "-movflags", "frag_keyframe+empty_moov+default_base_moof", "-",
    ]  # fmt: skip
    film = subprocess.run(command, input=b"".join(t.tobytes() for t in tiles), check=True, capture_output=True).stdout
    at = film.index(b"hvcC")
    configuration = film[at - 4 : at - 4 + int.from_bytes(film[at - 4 : at], "big")]
    coded = []
    while (at := film.find(b"mdat", at)) >= 0:  # a fragment of its own for each
        coded.append(film[at + 4 : at - 4 + int.from_bytes(film[at - 4 : at], "big")])
        at += 4
    assert len(coded) == len(tiles)
    return configuration, coded


def tiled_heic(
    path: Path, picture: Pixels, *, turns: int = 0, icc: bytes = b"", says: tuple[int, int] | None = None
) -> Path:
    """The picture (BGR) in tiles of 64 pixels; `turns`: by how many quarters it is to be turned to the left when shown;
    `says`: another width and height than it has, in the box that tells them."""
    height, width = picture.shape[:2]
    rows, columns = -(-height // TILE), -(-width // TILE)
    whole = np.pad(picture, ((0, rows * TILE - height), (0, columns * TILE - width), (0, 0)), mode="edge")
    tiles = [
        whole[y * TILE : (y + 1) * TILE, x * TILE : (x + 1) * TILE] for y in range(rows) for x in range(columns)
    ]  # fmt: skip
    configuration, coded = _coded(tiles)
    coded.append(coded[0])  # the small one
    small, grid = len(coded), len(coded) + 1
    properties = [
        configuration, _box(b"ispe", struct.pack(">II", TILE, TILE), full=0),
        _box(b"ispe", struct.pack(">II", *(says or (width, height))), full=0), _box(b"irot", bytes([turns])),
        *([_box(b"colr", b"prof", icc)] if icc else []),
    ]  # fmt: skip
    of_grid = bytes([3, 0x84, *([5] if icc else [])])
    links = b"".join(struct.pack(">HBBB", item, 2, 0x81, 2) for item in range(1, grid))
    links += struct.pack(">HB", grid, len(of_grid)) + of_grid
    names = [
        _box(b"infe", struct.pack(">HH", item, 0), b"hvc1" if item < grid else b"grid", b"\0", full=2)
        for item in range(1, grid + 1)
    ]  # fmt: skip
    layout = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)

    def meta(start: int) -> bytes:
        places, at = [], start
        for item, data in enumerate(coded, 1):
            places.append(struct.pack(">HHHHII", item, 0, 0, 1, at, len(data)))
            at += len(data)
        places.append(struct.pack(">HHHHII", grid, 1, 0, 1, 0, len(layout)))
        return _box(
            b"meta", _box(b"hdlr", b"\0" * 4 + b"pict" + b"\0" * 13, full=0),
            _box(b"pitm", struct.pack(">H", grid), full=0),
            _box(b"iinf", struct.pack(">H", grid), *names, full=0),
            _box(
                b"iref", _box(b"dimg", struct.pack(f">HH{small - 1}H", grid, small - 1, *range(1, small))),
                _box(b"thmb", struct.pack(">HHH", small, 1, grid)), full=0,
            ),
            _box(b"iprp", _box(b"ipco", *properties), _box(b"ipma", struct.pack(">I", grid), links, full=0)),
            _box(b"idat", layout),
            _box(b"iloc", b"\x44\x00", struct.pack(">H", grid), *places, full=1),
            full=0,
        )  # fmt: skip

    first = _box(b"ftyp", b"heic", b"\0" * 4, b"mif1heic")
    path.write_bytes(first + meta(len(first) + len(meta(0)) + 8) + _box(b"mdat", *coded))
    return path
