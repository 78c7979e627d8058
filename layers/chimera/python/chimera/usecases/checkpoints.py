"""Finished segments in the media store: where a job's folder dies with its machine, the next attempt starts from them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chimera.errors import ChimeraError
from chimera.ports import MediaStore
from chimera.usecases.scope import Scope

FOLDER = "segments"
FETCHERS = 8


class StoredSegments:
    """The segments of one piece of content, below its `video/segments/`; their names are hashes of what they are made of.

    So a segment that is found is the right one, whatever attempt made it. A store that fails costs time, not the job:
    what cannot be kept or brought is told on stderr and encoded again.
    """

    def __init__(self, media: MediaStore, scope: Scope) -> None:
        self._media = media
        self._scope = scope

    def restore(self, names: Sequence[str], folder: Path) -> None:
        """Bring those of `names` that are kept into `folder`."""
        try:
            kept = {key.rpartition("/")[2] for key in self._media.keys(self._key("")[:-1])}
        except ChimeraError as error:
            _tell(f"finished segments cannot be looked for: {error.code}")
            return
        wanted = [name for name in names if name in kept]
        with ThreadPoolExecutor(max_workers=FETCHERS, thread_name_prefix="fetch") as pool:
            brought = sum(pool.map(lambda name: self._bring(name, folder), wanted))
        _tell(f"{brought} of {len(names)} segments restored")

    def keep(self, path: Path) -> None:
        """Keep a finished segment under its file's name."""
        try:
            self._media.put_file(self._key(path.name), path, temporary=True)
        except ChimeraError as error:
            _tell(f"segment {path.name} is not kept: {error.code}")
            return
        _tell(f"segment {path.name} kept")

    def _bring(self, name: str, folder: Path) -> bool:
        arriving = folder / f".{name}.part"
        try:
            found = self._media.fetch(self._key(name), arriving)
            if found.stat().st_size == 0:
                return False
            found.replace(folder / name)
        except ChimeraError as error:
            _tell(f"segment {name} cannot be restored: {error.code}")
            return False
        finally:
            arriving.unlink(missing_ok=True)
        return True

    def _key(self, name: str) -> str:
        return self._scope.key("video", f"{FOLDER}/{name}")


def _tell(what: str) -> None:
    sys.stderr.write(f"checkpoint: {what}\n")
    sys.stderr.flush()
