"""Tells what a file is by its first bytes, never by its name, and opens nothing but regular files."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chimera.errors import ChimeraError
from chimera.media.own.limits import MAX_FOOTAGE_BYTES, MAX_PICTURE_BYTES

Family = Literal["picture", "film"]
_HEAD = 4096
EXPECTED = (
    "a picture (JPEG, PNG, WebP, GIF, AVIF, HEIC), footage (MP4, MOV, MKV, WebM, AVI, MPEG) "
    "or a recording (WAV, MP3, M4A, FLAC, OGG, AAC)"
)
_PICTURE_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
# the boxes that a QuickTime file from before `ftyp` begins with
_QUICKTIME = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
# what people bring, or are made to bring, that leads elsewhere or holds many things
_REFUSED: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"^\s*#EXTM3U"), "a playlist (M3U)"),
    (re.compile(rb"^\s*ffconcat"), "a list of files (ffconcat)"),
    (re.compile(rb"^;?FFMETADATA"), "metadata of a film"),
    (re.compile(rb"^\s*\[(playlist|InternetShortcut|Desktop Entry)\]", re.I), "a shortcut or playlist"),
    (re.compile(rb"^\s*(https?|ftp|rtsp|rtmp|file|concat|data):", re.I), "an address in a file"),
    (re.compile(rb"^v=0\r?\n"), "a description of a stream (SDP)"),
    (re.compile(rb"<(svg|MPD|smil|asx|playlist|SmoothStreamingMedia)[\s>]", re.I), "a drawing or playlist in XML"),
    (re.compile(rb"^\s*<(\?xml|!doctype|html)", re.I), "a page or XML"),
    (re.compile(rb"^PK\x03\x04|^Rar!|^7z\xbc|^\x1f\x8b|^BZh|^\xfd7zXZ|^\x28\xb5\x2f\xfd"), "an archive"),
    (re.compile(rb"^%PDF|^%!PS"), "a document (PDF or PostScript)"),
    (re.compile(rb"^BM|^II\*\0|^MM\0\*"), "a picture without a place on the web (BMP, TIFF or raw)"),
    (re.compile(rb"^\x7fELF|^MZ|^#!"), "a program"),
)


@dataclass(frozen=True)
class Sniffed:
    """The container, by content; `bytes` is the file's length."""

    container: str
    family: Family
    bytes: int


def sniff(path: Path) -> Sniffed:
    """What the file at `path` is.

    `NOT_FOUND`; `VALIDATION_FAILED` for anything that is no regular file (also a link), is empty, or is of a kind that is not
    taken; `FILE_TOO_LARGE`.
    """
    head, size = _head(path)
    if size == 0:
        raise refused(path, "0 bytes", EXPECTED)
    found = container_of(head)
    if found is None:
        raise refused(path, came_as(head) or f"bytes that begin {head[:12].hex(' ')}", EXPECTED)
    container, family = found
    most = MAX_PICTURE_BYTES if family == "picture" else MAX_FOOTAGE_BYTES
    if size > most:
        raise ChimeraError(
            "FILE_TOO_LARGE",
            f"{shown(path)}: got {size:,} bytes, expected at most {most:,} for {container}",
            {"file": shown(path), "bytes": size, "limit_bytes": most},
        )
    return Sniffed(container=container, family=family, bytes=size)


def came_as(head: bytes) -> str:
    """What refused bytes are, where that can be said; else nothing."""
    return next((name for pattern, name in _REFUSED if pattern.search(head[:1024])), "")


def shown(path: Path) -> str:
    """The file's name as a message may carry it: one line, at most 120 characters."""
    name = path.name.encode("utf-8", "replace").decode()
    return "".join(c if c.isprintable() else "�" for c in name)[:120] or "the file"


def refused(path: Path, got: str, expected: str) -> ChimeraError:
    """The one error for a file that is not taken: what came, what was expected."""
    return ChimeraError(
        "VALIDATION_FAILED",
        f"{shown(path)}: got {got}, expected {expected}",
        {"file": shown(path), "got": got, "expected": expected},
    )


def _head(path: Path) -> tuple[bytes, int]:
    """The first bytes and the length. A device or pipe is never waited for, a link never followed."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        info = path.lstat()
        if not stat.S_ISREG(info.st_mode):  # opening some devices already does something
            raise refused(path, _sort(info.st_mode), "a regular file")
        handle = os.open(path, flags)
    except FileNotFoundError:
        raise ChimeraError("NOT_FOUND", f"there is no file {shown(path)}", {"file": shown(path)}) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name cannot be one"
        raise refused(path, f"a file that cannot be read ({reason})", "a readable file") from None
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            raise refused(path, _sort(info.st_mode), "a regular file")
        return os.read(handle, _HEAD), info.st_size
    finally:
        os.close(handle)


def _sort(mode: int) -> str:
    kinds = {
        stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket",
    }  # fmt: skip
    return kinds.get(stat.S_IFMT(mode), "a device")


def container_of(head: bytes) -> tuple[str, Family] | None:
    """Container and family by a file's first bytes (4096 tell all of them apart); None for what is not taken."""
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg", "picture"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png", "picture"
    if head[:6] in {b"GIF87a", b"GIF89a"}:
        return "gif", "picture"
    if head[:4] == b"RIFF":
        sorts: dict[bytes, tuple[str, Family]] = {
            b"WEBP": ("webp", "picture"), b"AVI ": ("avi", "film"), b"WAVE": ("wav", "film"),
        }  # fmt: skip
        return sorts.get(head[8:12])
    if head[4:8] == b"ftyp":
        length = min(max(int.from_bytes(head[:4], "big"), 16), 256)
        brands = {head[8:12], *(head[i : i + 4] for i in range(16, length, 4))}
        if head[8:12] in _PICTURE_BRANDS:
            return "heif", "picture"
        return ("mov" if b"qt  " in brands else "mp4"), "film"
    if head[4:8] in _QUICKTIME:
        return "mov", "film"
    return _other_film(head)


def _other_film(head: bytes) -> tuple[str, Family] | None:
    for magic, container in (
        (b"\x1a\x45\xdf\xa3", "matroska"),
        (b"\x00\x00\x01\xba", "mpeg"),
        (b"fLaC", "flac"),
        (b"OggS", "ogg"),
        (b"ID3", "mp3"),
    ):
        if head.startswith(magic):
            return container, "film"
    for start, step in ((0, 188), (4, 192)):  # MPEG-TS, and with time stamps as cameras write it
        if len(head) > start + 3 * step and all(head[start + i * step] == 0x47 for i in range(4)):
            return "mpegts", "film"
    if len(head) > 4 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "aac", "film"
    if len(head) > 4 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 == 0x02:
        return "mp3", "film"
    return None
