"""A template pack: its YAML file, sample data and assets, read into memory and named by a checksum over all of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chimera.templates.problems import Problem, ProblemsError
from chimera.templates.reading import MAX_BYTES, Document, read_yaml
from chimera.templates.semver import Version

MAIN = "template.yaml"
SAMPLE = "preview.json"
MEMBER = re.compile(r"^(?:template\.yaml|preview\.json|README\.md|(?:assets/)[A-Za-z0-9][A-Za-z0-9._-]{0,79})$")
ASSET_TYPES = frozenset({".png", ".jpg", ".jpeg", ".svg", ".ttf", ".otf", ".txt", ".md", ".json"})
MAX_MEMBERS = 60
MAX_PACK_BYTES = 30_000_000


@dataclass(frozen=True)
class Pack:
    """One version of one template. `data` is its YAML; `files` are all its members by name."""

    name: str
    version: Version
    data: Mapping[str, Any]
    document: Document
    files: Mapping[str, bytes] = field(repr=False)
    origin: str = "file"  # `builtin`, a plugin's name, `published`, `file`

    @property
    def reference(self) -> str:
        """NAME@VERSION."""
        return f"{self.name}@{self.version}"

    @property
    def checksum(self) -> str:
        """sha256 over the members' names and hashes: the same for the same content, however it was packed."""
        return checksum_of(self.files)

    def text(self, key: str) -> str:
        """A text of the head (`title`, `description`, `kind`), empty where it is missing."""
        return str(self.data.get(key) or "")


def checksum_of(files: Mapping[str, bytes]) -> str:
    """sha256 over `name sha256` lines, sorted by name."""
    lines = [f"{name} {hashlib.sha256(files[name]).hexdigest()}\n" for name in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_files(place: Path) -> dict[str, bytes]:
    """The members of a pack on disk: a folder with `template.yaml`, or one YAML file. `ProblemsError` says what hinders."""
    if place.is_file():
        return {MAIN: _bytes(place, MAX_BYTES)}
    main = place / MAIN
    if not main.is_file():
        raise _wrong(str(place), "there is no template here", f"a pack is one YAML file or a folder with {MAIN}")
    sizes = {MAIN: main.stat().st_size}
    for path in place.rglob("*"):
        if path.is_symlink():
            raise _wrong(str(path), "a link", "put the file itself into the pack")
        if path.is_dir():
            continue
        if not path.is_file():
            raise _wrong(str(path), "neither a file nor a folder", "remove it")
        sizes[path.relative_to(place).as_posix()] = path.stat().st_size
        if len(sizes) > MAX_MEMBERS:
            break  # it is refused; a folder that is no pack at all may hold anything
    check_members(dict(sorted(sizes.items())), str(place))
    return {name: _bytes(place / name, MAX_BYTES if name == MAIN else MAX_PACK_BYTES) for name in sorted(sizes)}


def sizes_of(files: Mapping[str, bytes]) -> dict[str, int]:
    """How many bytes each member has."""
    return {name: len(data) for name, data in files.items()}


def check_members(sizes: Mapping[str, int], label: str) -> None:
    """Refuse what a pack may not hold, by names and bytes; `ProblemsError` names every such member."""
    found = []
    for name in sizes:
        known = MEMBER.match(name) and (not name.startswith("assets/") or Path(name).suffix.lower() in ASSET_TYPES)
        if not known:
            kinds = " ".join(sorted(ASSET_TYPES))
            fix = f"a pack holds {MAIN}, {SAMPLE}, README.md and assets/NAME ({kinds}); remove it"
            found.append(Problem(label, 0, 0, "", f"the member {name[:120]!r} is not expected", fix))
    if MAIN not in sizes:
        found.append(Problem(label, 0, 0, "", f"{MAIN} is missing", "add it"))
    if len(sizes) > MAX_MEMBERS or sum(sizes.values()) > MAX_PACK_BYTES:
        limit = f"at most {MAX_MEMBERS} members of together {MAX_PACK_BYTES:,} bytes"
        found.append(Problem(label, 0, 0, "", f"the pack is too large; expected {limit}", "leave out what is not used"))
    if found:
        raise ProblemsError(found)


def read_pack(files: Mapping[str, bytes], *, origin: str = "file", label: str = "") -> Pack:
    """The pack of these members; its YAML must be sound and name itself. Everything else is `schema.check`'s."""
    check_members(sizes_of(files), label or origin)
    document = read_yaml(files[MAIN], label or MAIN)
    data = document.data
    if not isinstance(data, dict):
        raise ProblemsError([document.problem((), "got no mapping", "begin with `name: my-template`")])
    found = []
    name, version = data.get("name"), data.get("version")
    if not isinstance(name, str) or not re.match(r"^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$", name) or len(name) > 60:
        found.append(document.problem(("name",), f"got {name!r}, expected small letters, digits and single hyphens"))
    try:
        parsed = Version.parse(version if isinstance(version, str) else repr(version))
    except Exception as error:
        from chimera.errors import ChimeraError

        if not isinstance(error, ChimeraError):
            raise
        fix = "quote it: version: '1.0.0'" if isinstance(version, int | float) else ""
        found.append(document.problem(("version",), f"got {version!r}, expected major.minor.patch such as 1.0.0", fix))
    if found:
        raise ProblemsError(found)
    return Pack(str(name), parsed, data, document, dict(files), origin)


def load(place: Path, *, origin: str = "file") -> Pack:
    """The pack in a folder or a YAML file."""
    label = str(place if place.is_file() else place / MAIN)
    return read_pack(read_files(place), origin=origin, label=label)


def _bytes(path: Path, limit: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > limit:
            raise _wrong(str(path), f"{size:,} bytes, expected at most {limit:,}", "make it smaller")
        return path.read_bytes()
    except OSError as error:
        raise _wrong(str(path), f"cannot be read: {error.strerror}", "check the file and its rights") from None


def _wrong(file: str, message: str, fix: str) -> ProblemsError:
    return ProblemsError([Problem(file, 0, 0, "", message, fix)])
