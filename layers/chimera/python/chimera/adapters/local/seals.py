"""Anchored seals on a laptop: a folder of read-only files, each written once, outside the database.

It stops whoever holds the database, and mistakes; not whoever is this user on this machine. Copy the folder elsewhere, or
use the Object Lock bucket, where that matters.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from chimera.domain.ids import is_uuid
from chimera.domain.seals import Seal, already_anchored, read_record, to_record
from chimera.errors import ChimeraError

_NAME = re.compile(r"(\d{12})\.json")


class FolderSealAnchor:
    """`<folder>/<tenant>/<number, 12 digits>.json`, mode 0444 in a folder of mode 0700."""

    def __init__(self, folder: Path, tenant_id: str) -> None:
        if not is_uuid(tenant_id):  # it becomes a folder's name
            raise ChimeraError("VALIDATION_FAILED", f"tenant: got {tenant_id[:80]!r}, expected a UUID")
        self._folder = folder / tenant_id

    def keep(self, seal: Seal) -> None:
        """Write the seal, durably (fsync of file and folder). `CONFLICT` when other bytes are there already."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = self._path(seal.number)
        handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=f".{target.name}.", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(to_record(seal))
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o444)
            self._appear(Path(temporary), target)
        finally:
            Path(temporary).unlink(missing_ok=True)
        _sync(self._folder)
        if target.read_bytes() != to_record(seal):
            raise already_anchored(seal, str(target))

    def get(self, number: int) -> Seal | None:
        """The seal of a number."""
        try:
            record = self._path(number).read_bytes()
        except FileNotFoundError:
            return None
        return read_record(record, str(self._path(number)), number)

    def all(self) -> Iterator[Seal]:
        """Every seal, in order; unfinished temporary files are passed over."""
        try:
            names = sorted(path.name for path in self._folder.iterdir())
        except FileNotFoundError:
            return
        for name in names:
            if found := _NAME.fullmatch(name):
                seal = self.get(int(found[1]))
                if seal is not None:
                    yield seal

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:012d}.json"

    @staticmethod
    def _appear(temporary: Path, target: Path) -> None:
        """Whole or not at all, and never over another file."""
        try:
            os.link(temporary, target)
        except FileExistsError:
            return
        except OSError:  # no hard links on this disk: claim the name, then write it in place
            try:
                handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
            except FileExistsError:
                return
            with os.fdopen(handle, "wb") as file:
                file.write(temporary.read_bytes())
                file.flush()
                os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
