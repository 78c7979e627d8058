"""Where templates are kept: built in and from plugins (folders, read-only), and published ones in the media store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from chimera.errors import ChimeraError
from chimera.ports import MediaStore
from chimera.templates.bundle import export, open_bundle
from chimera.templates.packs import MAIN, Pack, load
from chimera.templates.problems import ProblemsError, nearest, refused
from chimera.templates.resolving import Resolved, resolve
from chimera.templates.semver import Reference, Version

BUILTIN = Path(__file__).parent / "builtin"


class Shelf(Protocol):
    """One place where templates are kept."""

    origin: str

    def names(self) -> list[str]:
        """Every template's name, sorted."""
        ...

    def versions(self, name: str) -> list[Version]:
        """The versions of a template, lowest first; empty where there is none of that name."""
        ...

    def get(self, name: str, version: Version) -> Pack:
        """The pack; `NOT_FOUND`."""
        ...


class FolderShelf:
    """Packs in folders named as they are (`explainer/`), further versions as `explainer@1.2.0/`; read-only."""

    def __init__(self, root: Path, origin: str) -> None:
        self.origin = origin
        self._root = root

    def names(self) -> list[str]:
        """Every template's name, sorted."""
        return sorted({p.name.partition("@")[0] for p in self._folders()})

    def versions(self, name: str) -> list[Version]:
        """The versions in this folder."""
        return sorted(pack.version for pack in self._packs(name))

    def get(self, name: str, version: Version) -> Pack:
        """The pack; `NOT_FOUND`."""
        for pack in self._packs(name):
            if pack.version == version:
                return pack
        raise ChimeraError("NOT_FOUND", f"no template {name}@{version} in {self.origin}", {"template": name})

    def _folders(self) -> list[Path]:
        return [p for p in self._root.iterdir() if (p / MAIN).is_file()] if self._root.is_dir() else []

    def _packs(self, name: str) -> list[Pack]:
        return [self._loaded[p] for p in self._known(name)]

    def _known(self, name: str) -> list[Path]:
        found = [p for p in self._folders() if p.name == name or p.name.startswith(f"{name}@")]
        for path in found:
            if path not in self._loaded:
                try:
                    self._loaded[path] = self._load(path, name)
                except ProblemsError as error:
                    raise refused(f"{name} of {self.origin}", error.problems) from None
        return found

    def _load(self, path: Path, name: str) -> Pack:
        pack = load(path, origin=self.origin)
        if pack.name != name:
            fix = f"name the folder {pack.name!r}"
            raise ProblemsError([pack.document.problem(("name",), f"the folder is named {path.name!r}", fix)])
        return pack

    @cached_property
    def _loaded(self) -> dict[Path, Pack]:
        return {}


class StoreShelf:
    """A tenant's published templates: `tenants/{t}/templates/{name}/{version}/`, each written once."""

    origin = "published"

    def __init__(self, media: MediaStore, tenant_id: str) -> None:
        self._media = media
        self._prefix = f"tenants/{tenant_id}/templates"

    def names(self) -> list[str]:
        """Every template's name, sorted."""
        return sorted({name for name, _ in self._all("")})

    def versions(self, name: str) -> list[Version]:
        """The published versions."""
        return sorted(version for found, version in self._all(f"/{name}") if found == name)

    def get(self, name: str, version: Version) -> Pack:
        """The pack, checked against its checksum; `NOT_FOUND`."""
        info = self.info(name, version)
        data = self._media.get_bytes(self._key(name, version, f"{info['checksum']}.chimera-template"))
        try:
            pack = open_bundle(data, f"{name}@{version}", origin=self.origin)
        except ProblemsError as error:
            raise refused(f"{name}@{version}", error.problems) from None
        if pack.checksum != info["checksum"] or pack.reference != f"{name}@{version}":
            raise ChimeraError("INTERNAL", f"the stored template {name}@{version} is not what was published", {})
        return pack

    def info(self, name: str, version: Version) -> dict[str, Any]:
        """What is known of a publication: checksum, when, by whom."""
        try:
            found: dict[str, Any] = json.loads(self._media.get_bytes(self._key(name, version, "pack.json")))
        except ChimeraError as error:
            if error.code != "NOT_FOUND":
                raise
            raise ChimeraError("NOT_FOUND", f"no template {name}@{version} is published", {"template": name}) from None
        return found

    def put(self, pack: Pack, *, by: str) -> dict[str, Any]:
        """Publish; the same bytes again are fine, others under the same version are a `CONFLICT`."""
        known = self._known(pack)
        if known is not None:
            return known
        # the file's name holds its checksum, so two who publish at once cannot mix their bytes; the entry decides who won
        self._media.put_bytes(self._key(pack.name, pack.version, f"{pack.checksum}.chimera-template"), export(pack))
        info = {
            "name": pack.name,
            "version": str(pack.version),
            "title": pack.text("title"),
            "kind": pack.text("kind"),
            "checksum": pack.checksum,
            "published_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "published_by": by,
        }
        self._media.put_bytes(self._key(pack.name, pack.version, "pack.json"), json.dumps(info, indent=1).encode())
        return self._known(pack) or info

    def _known(self, pack: Pack) -> dict[str, Any] | None:
        try:
            info = self.info(pack.name, pack.version)
        except ChimeraError as error:
            if error.code != "NOT_FOUND":
                raise
            return None
        if info["checksum"] != pack.checksum:
            raise ChimeraError(
                "CONFLICT",
                f"{pack.reference} is published already, with other content; a published version never changes:"
                f" raise `version` in {pack.document.file}",
                {"template": pack.reference, "published": info["checksum"], "given": pack.checksum},
            )
        return info

    def _all(self, below: str) -> list[tuple[str, Version]]:
        found = []
        for key in self._media.keys(self._prefix + below):
            parts = key.removeprefix(self._prefix + "/").split("/")
            if len(parts) == 3 and parts[2] == "pack.json":
                found.append((parts[0], Version.parse(parts[1])))
        return found

    def _key(self, name: str, version: Version, file: str) -> str:
        return f"{self._prefix}/{name}/{version}/{file}"


@dataclass(frozen=True)
class Entry:
    """A line of `chimera template ls`."""

    name: str
    version: str
    title: str
    kind: str
    origin: str
    versions: tuple[str, ...]
    checksum: str


class Templates:
    """All templates of a tenant: the library that engine, command line and API share."""

    def __init__(self, shelves: Sequence[Shelf], store: StoreShelf | None = None) -> None:
        self._store = store
        self._shelves: tuple[Shelf, ...] = (*shelves, store) if store else tuple(shelves)

    def names(self) -> list[str]:
        """Every template's name."""
        return sorted({name for shelf in self._shelves for name in shelf.names()})

    def versions(self, name: str) -> list[Version]:
        """Every version of a template, lowest first."""
        return sorted({version for shelf in self._shelves for version in shelf.versions(name)})

    def find(self, reference: Reference) -> Pack:
        """The highest version that is meant. `NOT_FOUND` says which there are; a name in two places is a `CONFLICT`."""
        holders = [shelf for shelf in self._shelves if shelf.versions(reference.name)]
        if len(holders) > 1:
            raise ChimeraError(
                "CONFLICT",
                f"two templates are named {reference.name!r} ({' and '.join(s.origin for s in holders)}); rename one",
                {"template": reference.name},
            )
        if not holders:
            near = nearest(reference.name, self.names())
            raise ChimeraError(
                "NOT_FOUND", f"no template is named {reference.name!r}; {near}", {"template": str(reference)}
            )
        versions = holders[0].versions(reference.name)
        best = reference.range.best(versions)
        if best is None:
            listed = ", ".join(map(str, versions))
            message = f"no version of {reference.name!r} is {reference.range.text}; there are: {listed}"
            raise ChimeraError("NOT_FOUND", message, {"template": str(reference), "versions": listed})
        return holders[0].get(reference.name, best)

    def resolve(self, text: str) -> Resolved:
        """The template of `NAME` or `NAME@RANGE` with all it is built on, ready to be expanded."""
        pack = self.find(Reference.parse(text))
        return self.resolved(pack)

    def resolved(self, pack: Pack) -> Resolved:
        """A pack with all it is built on; `VALIDATION_FAILED` for what is missing or built on itself."""
        try:
            return resolve(pack, self)
        except ProblemsError as error:
            raise refused(pack.reference, error.problems) from None

    def entries(self, names: Iterable[str] | None = None) -> list[Entry]:
        """These templates, or all, each at its highest version."""
        found = []
        for name in self.names() if names is None else names:
            pack = self.find(Reference.parse(name))
            versions = tuple(map(str, self.versions(name)))
            head = (pack.text("title"), pack.text("kind"), pack.origin)
            found.append(Entry(name, str(pack.version), *head, versions, pack.checksum))
        return found

    def publish(self, pack: Pack, *, by: str) -> dict[str, Any]:
        """Make a sound pack a version of the tenant's own. `VALIDATION_FAILED`, or `CONFLICT` where the name is taken."""
        if self._store is None:
            raise ChimeraError("FORBIDDEN", "there is no store to publish to", {})
        for shelf in self._shelves:
            if shelf is not self._store and shelf.versions(pack.name):
                raise ChimeraError(
                    "CONFLICT",
                    f"{pack.name!r} is the name of a template of {shelf.origin}; choose another,"
                    f" and `extends: {pack.name}@^{shelf.versions(pack.name)[-1].major}` to build on it",
                    {"template": pack.name},
                )
        from chimera.templates.lint import problems_of  # only who publishes needs the checks

        problems = problems_of(pack, self)
        if problems:
            raise refused(pack.reference, problems)
        return self._store.put(pack, by=by)


def entry_data(entry: Entry) -> dict[str, Any]:
    """An entry as JSON has it."""
    return asdict(entry)


def templates(media: MediaStore | None, tenant_id: str, folders: Iterable[tuple[str, Path]] = ()) -> Templates:
    """The built-in templates, those of plugins (`folders`: plugin's name and folder), and the tenant's own."""
    shelves = [FolderShelf(BUILTIN, "builtin"), *(FolderShelf(path, name) for name, path in folders)]
    return Templates(shelves, StoreShelf(media, tenant_id) if media is not None else None)
