"""What the pictures' step keeps as it goes on, so that a step that was killed finds its scenes again and pays nothing twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chimera.ports import MediaStore
from chimera.usecases.production import as_json
from chimera.usecases.scope import Scope


class KeptWork:
    """Facts and the file of one paid answer, under the work's own fingerprint; implements `ports.Kept`."""

    def __init__(self, media: MediaStore, scope: Scope, name: str, fingerprint: str) -> None:
        self._media = media
        self._base = scope.key("pictures", f"paid/{name}-{fingerprint[:20]}")

    def noted(self) -> dict[str, Any]:
        """What was noted before; empty if nothing."""
        key = f"{self._base}.json"
        return dict(json.loads(self._media.get_bytes(key))) if self._media.exists(key) else {}

    def note(self, facts: dict[str, Any]) -> None:
        """Add facts to what is noted."""
        self._media.put_bytes(f"{self._base}.json", as_json({**self.noted(), **facts}))

    def promise(self, micros: int) -> None:
        """Note what a call is about to draw, on top of what calls for the same work drew before it."""
        self.note({"promised": int(self.noted().get("promised", 0)) + micros})

    @staticmethod
    def promised_before(media: MediaStore, scope: Scope) -> int:
        """Micros that earlier attempts at this content's pictures drew at most."""
        keys = [key for key in media.keys(scope.key("pictures", "paid")) if key.endswith(".json")]
        return sum(int(json.loads(media.get_bytes(key)).get("promised", 0)) for key in keys)

    def file(self, path: Path) -> None:
        """Keep the file, then note that it is there."""
        key = f"{self._base}{path.suffix}"
        self._media.put_file(key, path)
        self.note({"file": key})

    def found(self, folder: Path) -> Path | None:
        """The file that was paid for before, or None."""
        key = self.noted().get("file")
        if not isinstance(key, str) or not key.startswith(self._base) or not self._media.exists(key):
            return None
        return self._media.fetch(key, folder / key.rsplit("/", 1)[-1]).resolve()


class Waits:
    """How often the step ended because a picture was not there yet, to be begun again; by the step's own fingerprint."""

    def __init__(self, media: MediaStore, scope: Scope, fingerprint: str) -> None:
        self._media = media
        self._key = scope.key("pictures", f"waits-{fingerprint[:20]}.json")

    def so_far(self) -> int:
        """How many times."""
        return int(json.loads(self._media.get_bytes(self._key))["times"]) if self._media.exists(self._key) else 0

    def once_more(self) -> None:
        """Note one more."""
        self._media.put_bytes(self._key, as_json({"times": self.so_far() + 1}))


class SceneCheckpoints:
    """Each finished scene's entry, by its fingerprint."""

    def __init__(self, media: MediaStore, scope: Scope) -> None:
        self._media = media
        self._scope = scope

    def known(self, name: str, fingerprint: str) -> dict[str, Any] | None:
        """The scene's entry, if it was finished for the same work and its files are there."""
        key = self._key(name)
        if not self._media.exists(key):
            return None
        kept = json.loads(self._media.get_bytes(key))
        entry: dict[str, Any] = kept["entry"]
        files = [entry[kind] for kind in ("image", "footage") if entry.get(kind)]
        there = kept["fingerprint"] == fingerprint and all(
            self._media.exists(self._scope.key("pictures", file)) for file in files
        )
        return entry if there else None

    def keep(self, name: str, fingerprint: str, entry: dict[str, Any], folder: Path) -> None:
        """Store the scene's files, then its entry."""
        for kind in ("image", "footage"):
            if entry.get(kind):
                self._media.put_file(self._scope.key("pictures", entry[kind]), folder / entry[kind])
        self._media.put_bytes(self._key(name), as_json({"fingerprint": fingerprint, "entry": entry}))

    def _key(self, name: str) -> str:
        return self._scope.key("pictures", f"{name}.done.json")
