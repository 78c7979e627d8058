"""The laptop's media bucket: a folder."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from chimera.errors import ChimeraError


@contextlib.contextmanager
def _full_disk_told(key: str) -> Iterator[None]:
    """A disk that is full is one clear error with the file that did not fit, never a system's text."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        raise ChimeraError(
            "INTERNAL",
            f"the disk is full: {key.rsplit('/', 1)[-1][:100]} could not be kept in the media store; free some space and"
            " run again",
            {"reason": "disk_full", "key": key[:300]},
        ) from error


class FolderMediaStore:
    """Keys are paths below a root; a file appears whole or not at all."""

    def __init__(self, root: Path, base_url: str = "") -> None:
        self._root = root.resolve()
        self._base_url = base_url

    def _path(self, key: str) -> Path:
        path = (self._root / key).resolve() if key and "\0" not in key else self._root
        if not path.is_relative_to(self._root) or path == self._root:
            raise ChimeraError("VALIDATION_FAILED", f"media key {key[:200]!r} does not name a file in the store", {})
        return path

    def put_file(self, key: str, path: Path, *, temporary: bool = False) -> str:
        """Store a copy of the file (a hard link where the disk allows it); temporary ones stay as well."""
        with _full_disk_told(key):
            return self._put_file(key, path)

    def _put_file(self, key: str, path: Path) -> str:
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        part.unlink(missing_ok=True)
        try:
            try:
                os.link(path, part)
            except OSError:
                shutil.copyfile(path, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return f"s3://local/{key}"

    def put_bytes(self, key: str, data: bytes) -> str:
        """Store bytes, flushed to the disk before they appear."""
        with _full_disk_told(key):
            return self._put_bytes(key, data)

    def _put_bytes(self, key: str, data: bytes) -> str:
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
        return f"s3://local/{key}"

    def get_bytes(self, key: str) -> bytes:
        """The bytes under the key."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise ChimeraError("NOT_FOUND", f"no media under {key!r}", {"key": key}) from None

    def fetch(self, key: str, to: Path) -> Path:
        """The file itself: on a laptop nothing is copied to be read."""
        path = self._path(key)
        if not path.is_file():
            raise ChimeraError("NOT_FOUND", f"no media under {key!r}", {"key": key})
        return path

    def exists(self, key: str) -> bool:
        """Whether the key is there."""
        return self._path(key).is_file()

    def keys(self, prefix: str) -> list[str]:
        """All keys under a folder-like prefix, sorted; half-written files are not there."""
        base = self._path(prefix.rstrip("/"))
        return sorted(
            p.relative_to(self._root).as_posix()
            for p in base.rglob("*")
            if p.is_file() and not (p.name.startswith(".") and p.name.endswith(".part"))
        )

    def url(self, key: str, *, expires_seconds: int = 300) -> str:
        """A `file:` address: it needs no server and no expiry on one's own disk."""
        return self._path(key).as_uri()
