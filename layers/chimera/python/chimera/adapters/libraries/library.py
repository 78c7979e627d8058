"""What all libraries have in common: a question, an answer in JSON, a file that is fetched safely, and the terms' duties."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from pydantic import ValidationError

from chimera.adapters.downloads.download import Downloader, DownloadLimits
from chimera.adapters.guarded import Deadline, Guard
from chimera.domain.fit import Candidate
from chimera.errors import ChimeraError

if TYPE_CHECKING:
    from chimera.plugins.hookspecs import ProviderContext

Orientation = Literal["portrait", "landscape", "square"]
MAX_ANSWER = 4_000_000
MAX_PICTURE = 60_000_000
MAX_FOOTAGE = 300_000_000
CANDIDATES = 15
_DOWNLOAD_SECONDS = 60.0


class Library(ABC):
    """A library over HTTP. A subclass says how to ask and how to read the answer; `secret` names its key, if it has one."""

    name = ""
    priority = 50
    secret = ""
    delivers: tuple[str, ...] = ("photo",)

    def __init__(self, context: ProviderContext) -> None:
        self._settings = context.settings
        self._secret = context.secret
        self._guard = Guard(context.settings)
        self._downloader = Downloader(context.settings)

    @property
    def ready(self) -> bool:
        """Whether it can be asked: it needs no key, or its key is there."""
        return not self.secret or bool(self._secret(self.secret))

    def search(self, prompt: str, *, want: str, orientation: Orientation, language: str = "en") -> list[Candidate]:
        """Up to 15 candidates, the library's best first, only with a known licence. `want` is `photo` or `footage`.

        Raises `RATE_LIMITED`, `PROVIDER_TIMEOUT`, `PROVIDER_REJECTED` (a key that is not accepted, an answer that is none).
        """
        asked = " ".join(re.sub(r"[^\w\s'-]+", " ", prompt).split())[:100].strip()
        if not asked or want not in self.delivers:
            return []
        found = []
        for raw in self._found(asked, want, orientation, language)[:CANDIDATES]:
            try:
                candidate = Candidate.model_validate(raw)
            except ValidationError:
                continue  # an entry without an address or an id cannot be used; the others can
            if candidate.usable:
                found.append(candidate)
        return found

    def fetch(self, candidate: Candidate, folder: Path) -> Path:
        """The file, in `folder`; tells the library where its terms ask for that. Errors as of `Downloader.download`."""
        footage = candidate.kind == "footage"
        limits = DownloadLimits(
            max_bytes=MAX_FOOTAGE if footage else MAX_PICTURE, format="footage" if footage else "picture",
            max_duration_seconds=600, seconds=_DOWNLOAD_SECONDS,
        )  # fmt: skip
        path = self._downloader.download(candidate.file_url, limits, folder).path
        if candidate.notify_url:
            self._used(candidate)
        return path

    @abstractmethod
    def _found(self, asked: str, want: str, orientation: Orientation, language: str) -> list[dict[str, Any]]:
        """The library's answer as fields of `Candidate`."""

    def _used(self, candidate: Candidate) -> None:  # noqa: B027 - most libraries' terms do not ask for it
        """Tells the library that a file of it is used, where its terms ask for that (`notify_url`)."""

    def _key(self) -> str:
        found = self._secret(self.secret) or ""
        if not found or not found.isascii() or not found.isprintable() or " " in found:
            raise ChimeraError("PROVIDER_REJECTED", f"{self.name} has no usable key: set {self.secret}")
        return found

    def _json(self, url: str, query: Mapping[str, str | int], headers: Mapping[str, str] | None = None) -> Any:
        """The answer to a GET as JSON. The key may be in the query or a header; no error shows either."""
        deadline = Deadline(self._settings.http_timeout_seconds, what=self.name)
        target = self._guard.parse(f"{url}{'&' if '?' in url else '?'}{urlencode(query)}" if query else url)
        asked = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        with self._guard.get(target, deadline, asked) as response:
            status, wait = response.status, response.getheader("Retry-After", "") or ""
            body = response.read(MAX_ANSWER + 1)
        if status == 429:
            raise ChimeraError(
                "RATE_LIMITED",
                f"{self.name} asks to wait",
                retry_after_seconds=float(wait) if wait.isdigit() else None,
            )
        if status in (401, 403):
            raise ChimeraError(
                "PROVIDER_REJECTED", f"{self.name} does not accept the key in {self.secret or 'use'} ({status})"
            )
        if status >= 500:
            raise ChimeraError("PROVIDER_TIMEOUT", f"{self.name} failed ({status})")
        if status != 200 or len(body) > MAX_ANSWER:
            raise ChimeraError("PROVIDER_REJECTED", f"{self.name} answered HTTP {status} with {len(body)} bytes")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise ChimeraError("PROVIDER_REJECTED", f"{self.name} answered something that is not JSON") from None


def mapped(entries: Any, read: Callable[[dict[str, Any]], dict[str, Any]]) -> list[dict[str, Any]]:
    """Each entry as fields of a candidate; an entry of an unknown form is left out, the others are kept."""
    found = []
    for entry in entries if isinstance(entries, list) else []:
        try:
            found.append(read(entry))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            continue
    return found


def plain(value: Any, most: int = 300) -> str:
    """A text without tags, entities and line breaks, cut to `most` characters."""
    text = unescape(re.sub(r"<[^>]{0,500}>", " ", str(value or "")[:20_000]))
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:most]


def link(value: Any, most: int = 2000) -> str:
    """An https address (http where it is this machine's), or nothing."""
    text = str(value or "")
    if text.startswith("//"):
        text = "https:" + text
    return text if re.match(r"https?://[^\s<>\"']+$", text) and len(text) <= most else ""
