"""A template as one file: a plain zip with a manifest of hashes, the same bytes for the same pack; and back, distrustfully."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import zipfile
from collections.abc import Mapping
from typing import Any

from chimera.templates.packs import MAX_MEMBERS, MAX_PACK_BYTES, Pack, check_members, checksum_of, read_pack, sizes_of
from chimera.templates.problems import Problem, ProblemsError

SUFFIX = ".chimera-template"
MANIFEST = "MANIFEST.json"
FORMAT = 1
_MAX_BYTES = MAX_PACK_BYTES + 1_000_000


def file_name(pack: Pack) -> str:
    """NAME-VERSION.chimera-template."""
    return f"{pack.name}-{pack.version}{SUFFIX}"


def export(pack: Pack) -> bytes:
    """The pack as one file. Members are stored, not compressed: what is small on disk is small in memory."""
    members = {n: {"sha256": hashlib.sha256(d).hexdigest(), "bytes": len(d)} for n, d in sorted(pack.files.items())}
    manifest = {
        "format": FORMAT,
        "name": pack.name,
        "version": str(pack.version),
        "checksum": pack.checksum,
        "members": members,
    }
    text = json.dumps(manifest, sort_keys=True, indent=1).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in ((MANIFEST, text), *sorted(pack.files.items())):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            archive.writestr(info, data)
    return out.getvalue()


def open_bundle(data: bytes, label: str, *, origin: str = "file") -> Pack:
    """The pack in an exported file; everything in it is checked against the manifest. Raises `ProblemsError`."""
    if len(data) > _MAX_BYTES:
        raise _bad(label, f"the file has {len(data):,} bytes, expected at most {_MAX_BYTES:,}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = _members(archive, label, len(data))
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        raise _bad(label, f"not an exported template: {str(error)[:120]}") from None
    manifest = _manifest(files.pop(MANIFEST, None), label)
    listed: Mapping[str, Any] = manifest["members"]
    check_members(sizes_of(files), label)
    for name in sorted({*listed, *files}):
        if name not in files or name not in listed:
            raise _bad(label, f"the member {name[:120]!r} is {'missing' if name in listed else 'not in the manifest'}")
        if hashlib.sha256(files[name]).hexdigest() != listed[name].get("sha256"):
            raise _bad(label, f"the member {name!r} was changed: its sha256 is not the manifest's")
    if checksum_of(files) != manifest["checksum"]:
        raise _bad(label, "the checksum of the whole is not the manifest's")
    pack = read_pack(files, origin=origin, label=f"{label}/template.yaml")
    if (pack.name, str(pack.version)) != (manifest["name"], manifest["version"]):
        raise _bad(label, f"the manifest says {manifest['name']}@{manifest['version']}, the template {pack.reference}")
    return pack


def _members(archive: zipfile.ZipFile, label: str, size: int) -> dict[str, bytes]:
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS + 1:
        raise _bad(label, f"{len(infos):,} members, expected at most {MAX_MEMBERS + 1}")
    if sum(info.file_size for info in infos) > size:
        raise _bad(label, "it unpacks to more than it is: not an exported template")
    files: dict[str, bytes] = {}
    for info in infos:
        name = info.filename
        if name in files:
            raise _bad(label, f"the member {name[:120]!r} stands in it twice")
        if name.startswith("/") or "\\" in name or ".." in name.split("/") or "\0" in info.orig_filename:
            raise _bad(label, f"the member {name[:120]!r} leads out of the pack")
        if stat.S_ISLNK(info.external_attr >> 16) or info.is_dir():
            raise _bad(label, f"the member {name[:120]!r} is a link or a folder")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 0x1:
            raise _bad(label, f"the member {name[:120]!r} is compressed or encrypted")
        files[name] = archive.read(info)
    return files


def _manifest(data: bytes | None, label: str) -> dict[str, Any]:
    try:
        made = json.loads(data or b"")
    except ValueError:
        raise _bad(label, f"{MANIFEST} is missing or not JSON") from None
    kinds = {"name": str, "version": str, "checksum": str, "members": dict}
    if not isinstance(made, dict) or made.get("format") != FORMAT:
        raise _bad(
            label, f"{MANIFEST}: got format {made.get('format') if isinstance(made, dict) else made!r}, expected 1"
        )
    if any(not isinstance(made.get(key), kind) for key, kind in kinds.items()) or not all(
        isinstance(member, dict) for member in made["members"].values()
    ):
        raise _bad(label, f"{MANIFEST} is not of the form; expected {', '.join(kinds)}")
    return made


def _bad(label: str, message: str) -> ProblemsError:
    return ProblemsError([Problem(label, 0, 0, "", message, "export it again with `chimera template export`")])
