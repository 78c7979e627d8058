"""The user's own pictures and footage of a run and of a persona: found, put in order, and given the words that describe them.

`file:PATH` names a file or a folder of this machine (not on AWS), `key:KEY` a file or a prefix of the tenant's part of the
media store. Only names, times and captions are looked at here; what a file really is, is found out when it is used.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Literal, TypeVar

from chimera.domain.fit import says_nothing
from chimera.errors import ChimeraError
from chimera.media.own.sniff import sniff
from chimera.ports import MediaStore

MOST_FILES = 300
"""Of one folder or prefix; the first ones by name."""
_CAPTION_BYTES = 4_000
_HEAD_BYTES = 262_144
_FILMS = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts"}
_KNOWN = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".heic", ".heif"} | _FILMS
_NO_PICTURE = "not by its name a picture or footage"
Given = Literal["run", "persona"]
_T = TypeVar("_T")


@dataclass(frozen=True)
class OwnAsset:
    """One file of the user's. `taken` is EXIF's `2024:05:11 18:45:00`, or empty; `text` is what its name and captions say."""

    name: str
    kind: Literal["photo", "footage"]
    given: Given
    path: Path
    key: str = ""
    taken: str = ""
    text: str = ""


@dataclass(frozen=True)
class LeftOut:
    """A file (or an entry of a persona) that is not shown, and why."""

    file: str
    reason: str


@dataclass
class OwnAssets:
    """All that may be used, in order; and what was left out."""

    assets: list[OwnAsset] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def own_assets(
    run: Sequence[str], persona: Sequence[str], *, tenant_id: str, media: MediaStore, allow_files: bool
) -> OwnAssets:
    """What the run and the persona bring, the run's first; what one of them names twice counts once.

    Something that the run names and that is not there, or has no picture in it, is `VALIDATION_FAILED`: who asks for their
    own pictures does not want others. The same of a persona is only noted in `left_out`.
    """
    found = OwnAssets()
    seen: set[str] = set()
    for given, entries in (("run", run), ("persona", persona)):
        for entry in entries:
            try:
                files = _files(entry, tenant_id, media, allow_files, found.left_out)
                whose: Given = "run" if given == "run" else "persona"
                if files[0][2]:
                    taken = _from_store(files, whose, media)
                else:
                    taken = _looked_at(files, whose, entry, found.left_out)
            except ChimeraError as error:
                if given == "run":
                    raise
                found.left_out.append(LeftOut(entry[:200], error.message[:300]))
                continue
            for asset in _in_order(taken):
                mark = asset.key or str(asset.path)
                if mark not in seen:
                    seen.add(mark)
                    found.assets.append(asset)
    return found


def _files(
    entry: str, tenant_id: str, media: MediaStore, allow_files: bool, left_out: list[LeftOut]
) -> list[tuple[str, Path, str]]:
    """(name, path, key) of each file that an entry names."""
    kind, _, rest = entry.partition(":")
    if kind == "file":
        if not allow_files:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"assets: got {entry[:120]!r}; files are read on a laptop only, upload them and name them as key:KEY",
            )
        return [(path.name, path, "") for path in _on_disk(Path(rest), entry, left_out)]
    if kind != "key" or not rest:
        raise ChimeraError("VALIDATION_FAILED", f"assets: got {entry[:120]!r}, expected file:PATH or key:KEY")
    return _in_store(rest, tenant_id, media, left_out)


def _on_disk(path: Path, entry: str, left_out: list[LeftOut]) -> list[Path]:
    path = path.expanduser()
    try:
        path = path.resolve()  # the person named it: a link of theirs is followed once, links inside a folder are not
        if path.is_dir():
            inside = sorted(path.iterdir(), key=_natural)
            names = [p for p in inside if _wanted(p.name) and not p.is_symlink()]
            if not names:
                raise ChimeraError(
                    "VALIDATION_FAILED",
                    f"assets: {entry[:120]!r} holds no picture and no footage; expected one or more",
                )
            left_out += [LeftOut(p.name[:120], _why_not(p)) for p in inside if p not in names and _meant(p.name)]
            return _first(names, entry, left_out)
        if not path.is_file():
            raise ChimeraError("VALIDATION_FAILED", f"assets: {entry[:120]!r} is not there; expected a file or folder")
    except (OSError, RuntimeError) as error:
        raise ChimeraError(
            "VALIDATION_FAILED", f"assets: {entry[:120]!r} cannot be read ({type(error).__name__})"
        ) from None
    return [path]


def _in_store(rest: str, tenant_id: str, media: MediaStore, left_out: list[LeftOut]) -> list[tuple[str, Path, str]]:
    prefix = f"tenants/{tenant_id}/"
    key = rest if rest.startswith("tenants/") else prefix + rest.lstrip("/")
    if not key.startswith(prefix) or ".." in key.split("/") or len(key) > 1024:
        raise ChimeraError("FORBIDDEN", f"assets: key:{rest[:120]} is not in this tenant's part of the media store")
    inside = [key] if media.exists(key) else media.keys(key.rstrip("/") + "/")
    keys = sorted((k for k in inside if _wanted(k.rsplit("/", 1)[-1])), key=lambda k: _natural(Path(k)))
    if not keys:
        raise ChimeraError(
            "VALIDATION_FAILED", f"assets: key:{rest[:120]} is not there, or holds no picture; expected a key or prefix"
        )
    others = [k.rsplit("/", 1)[-1] for k in inside if k not in keys]
    left_out += [LeftOut(name[:120], _NO_PICTURE) for name in others if _meant(name)]
    return [(one.rsplit("/", 1)[-1], Path(), one) for one in _first(keys, rest, left_out)]


def _from_store(files: list[tuple[str, Path, str]], given: Given, media: MediaStore) -> list[OwnAsset]:
    """By their names alone: what is in the store is fetched when it is used."""
    found = []
    for name, _, key in files:
        beside = f"{key}.txt"
        caption = media.get_bytes(beside)[:_CAPTION_BYTES].decode("utf-8", "replace") if media.exists(beside) else ""
        footage = Path(name).suffix.lower() in _FILMS
        found.append(
            OwnAsset(
                name=name, kind="footage" if footage else "photo", given=given, path=Path(), key=key,
                text=_text(name, " ".join(caption.split())),
            )
        )  # fmt: skip
    return found


def local_file(asset: OwnAsset, media: MediaStore, folder: Path) -> Path:
    """The asset as a file of this machine."""
    if not asset.key:
        return asset.path
    place = folder / f"own-{hashlib.sha256(asset.key.encode()).hexdigest()[:16]}{Path(asset.name).suffix.lower()}"
    return media.fetch(asset.key, place).resolve()


def _looked_at(files: list[tuple[str, Path, str]], given: Given, entry: str, left_out: list[LeftOut]) -> list[OwnAsset]:
    taken = []
    for name, path, _ in files:
        try:
            what = sniff(path)
        except ChimeraError as error:
            if len(files) == 1:
                raise
            left_out.append(LeftOut(name[:120], error.message[:300]))
            continue
        if what.container in {"wav", "mp3", "flac", "ogg", "aac"}:
            if len(files) == 1:
                raise ChimeraError(
                    "VALIDATION_FAILED", f"assets: {entry[:120]!r} is sound; expected pictures or footage"
                )
            left_out.append(LeftOut(name[:120], "sound is no picture"))
            continue
        footage = what.family == "film"
        head = b"" if footage else _head(path)
        caption = " ".join(part for part in (_sidecar(path), _inside(head)) if part)
        taken.append(
            OwnAsset(
                name=name, kind="footage" if footage else "photo", given=given, path=path, taken=_taken(head),
                text=_text(name, caption),
            )
        )  # fmt: skip
    if not taken:
        raise ChimeraError("VALIDATION_FAILED", f"assets: {entry[:120]!r} holds nothing that can be used as a picture")
    return taken


def _in_order(assets: list[OwnAsset]) -> list[OwnAsset]:
    """By the time they were taken where most of them say it, else by name."""
    if 2 * sum(1 for a in assets if a.taken) > len(assets):
        return sorted(assets, key=lambda a: (a.taken or "9", _natural(Path(a.name))))
    return assets


def _text(name: str, caption: str) -> str:
    return (caption if says_nothing(name) else f"{name.rsplit('.', 1)[0]} {caption}").strip()[:4000]


def _meant(name: str) -> bool:
    """Whether a file that is no picture by its name was perhaps meant to be one: no caption, nothing hidden."""
    return bool(name) and not name.startswith(".") and not name.lower().endswith(".txt")


def _why_not(path: Path) -> str:
    if path.is_symlink():
        return "a link inside a folder is not followed"
    return "a folder inside a folder is not looked into" if path.is_dir() else _NO_PICTURE


def _first(found: list[_T], entry: str, left_out: list[LeftOut]) -> list[_T]:
    if len(found) > MOST_FILES:
        rest = f"{len(found) - MOST_FILES} files: at most {MOST_FILES} of one folder are looked at, the first by name"
        left_out.append(LeftOut(entry[:200], rest))
    return found[:MOST_FILES]


def _wanted(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in _KNOWN


def _natural(path: Path) -> list[tuple[int, str]]:
    """photo2 before photo10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d{1,18})", path.name.casefold())]


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _sidecar(path: Path) -> str:
    """What stands in `photo.jpg.txt`."""
    beside = path.with_name(path.name + ".txt")
    if not beside.is_file() or beside.is_symlink():
        return ""
    with beside.open("rb") as file:
        return " ".join(file.read(_CAPTION_BYTES).decode("utf-8", "replace").split())


def _inside(head: bytes) -> str:
    """Title and description of an XMP packet, as text; its XML is not parsed."""
    found = []
    for tag in (b"dc:title", b"dc:description"):
        match = re.search(rb"<" + tag + rb"\b[^>]*>(.{0,3000}?)</" + tag + rb">", head, re.S)
        if match:
            found.append(unescape(re.sub(r"<[^>]{0,300}>", " ", match[1].decode("utf-8", "replace"))))
    return " ".join(" ".join(found).split())[:2000]


def _taken(head: bytes) -> str:
    """EXIF's DateTimeOriginal (0x9003), else DateTime (0x0132); empty where there is none or it is broken."""
    at = head.find(b"Exif\0\0")
    if at < 0:
        return ""
    data = head[at + 6 : at + 6 + 65_536]
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return ""
    try:
        first = struct.unpack_from(order + "I", data, 4)[0]
        main = _directory(data, order, first)
        sub = _directory(data, order, main[0x8769]) if 0x8769 in main else {}
        for entries, tag in ((sub, 0x9003), (main, 0x0132)):
            if tag in entries:
                text = data[entries[tag] : entries[tag] + 19].decode("ascii", "replace")
                if re.fullmatch(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d", text):
                    return text
    except struct.error:
        return ""
    return ""


def _directory(data: bytes, order: str, at: int) -> dict[int, int]:
    """Tag -> value or offset, of one image file directory; at most 200 entries."""
    count = min(struct.unpack_from(order + "H", data, at)[0], 200)
    found: dict[int, int] = {}
    for entry in range(count):
        tag, _, _, value = struct.unpack_from(order + "HHII", data, at + 2 + 12 * entry)
        found[tag] = value
    return found
