"""Reads a page's main text without letting its address, redirects, size or slowness reach anything else.

What an address may lead to is decided in `guarded`; each redirect starts over there.
"""

from __future__ import annotations

import http.client
import ssl
import zlib
from collections.abc import Callable
from urllib.parse import urljoin

from chimera.adapters.guarded import (
    MAX_REDIRECTS,
    REDIRECTS,
    Deadline,
    Guard,
    Resolver,
    Target,
    is_public,
    resolve,
    show,
)
from chimera.adapters.page_text import decode, extract
from chimera.domain.models import Snippet
from chimera.errors import ChimeraError
from chimera.settings import Settings

__all__ = ["MAX_BYTES", "SafePageReader", "is_public", "resolve"]

MAX_BYTES = 2_000_000
MAX_CHARACTERS = 20_000
_ASKED = {
    "Accept": "text/html,application/xhtml+xml,text/plain;q=0.8",
    "Accept-Encoding": "gzip, identity;q=0.5",
}


class SafePageReader:
    """PageReader over http(s): at most 3 redirects, 2 MB, and `http_timeout_seconds` in all."""

    def __init__(
        self,
        settings: Settings,
        *,
        resolver: Resolver = resolve,
        allowed: Callable[[str], bool] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._seconds = settings.http_timeout_seconds
        self._guard = Guard(settings, resolver=resolver, allowed=allowed, tls=tls)

    def snippet(self, url: str) -> Snippet:
        """The page's title and up to 20,000 characters of its main text; `url` of the answer is where it
        ended up.

        Raises `VALIDATION_FAILED` (not an http(s) address), `FORBIDDEN` (leads to an address that is not
        public), `PROVIDER_TIMEOUT`, `RATE_LIMITED`, `PROVIDER_REJECTED` (HTTP error, not a page, no text).
        """
        deadline = Deadline(self._seconds)
        seen = url
        for _ in range(MAX_REDIRECTS + 1):
            target = self._guard.parse(seen)
            status, headers, body = self._get(target, deadline)
            if status in REDIRECTS and headers.get("location"):
                seen = urljoin(target.url, headers["location"].strip())
                continue
            return self._read(seen, status, headers, body)
        raise ChimeraError("PROVIDER_REJECTED", f"{show(url)}: more than {MAX_REDIRECTS} redirects")

    def _get(self, target: Target, deadline: Deadline) -> tuple[int, dict[str, str], bytes]:
        with self._guard.get(target, deadline, _ASKED) as response:
            headers = {name.lower(): value for name, value in response.getheaders()}
            body = b"" if response.status in REDIRECTS else _read_capped(response)
        return response.status, headers, _inflate(body, headers.get("content-encoding", ""))

    def _read(self, url: str, status: int, headers: dict[str, str], body: bytes) -> Snippet:
        if status == 429:
            after = headers.get("retry-after", "")
            raise ChimeraError(
                "RATE_LIMITED",
                f"{show(url)} asks for patience",
                retry_after_seconds=float(after) if after.isdigit() else None,
            )
        if status != 200:
            raise ChimeraError("PROVIDER_REJECTED", f"{show(url)} answered HTTP {status}", retryable=status >= 500)
        kind = headers.get("content-type", "text/html").split(";")[0].strip().lower()
        if kind not in {"text/html", "application/xhtml+xml", "text/plain", ""}:
            raise ChimeraError("PROVIDER_REJECTED", f"{show(url)} is {kind[:60]}, expected a page of text")
        text = decode(body, headers.get("content-type", ""))
        page = extract(text) if kind != "text/plain" else None
        title = page.title if page else ""
        main = (page.text if page else text).strip()[:MAX_CHARACTERS]
        if not main and not title:
            raise ChimeraError("PROVIDER_REJECTED", f"{show(url)} holds no readable text")
        return Snippet(url=url, title=title[:300], text=main)


def _read_capped(response: http.client.HTTPResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while size < MAX_BYTES:
        chunk = response.read1(min(65_536, MAX_BYTES - size))
        if not chunk:
            break
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)


def _inflate(body: bytes, encoding: str) -> bytes:
    """Undo gzip or deflate, again at most 2 MB: a small answer may unpack to gigabytes."""
    kind = encoding.strip().lower()
    if kind in {"", "identity"}:
        return body
    if kind not in {"gzip", "x-gzip", "deflate"}:
        raise ChimeraError("PROVIDER_REJECTED", f"the page is packed as {kind[:20]!r}, expected gzip or nothing")
    try:
        return zlib.decompressobj(wbits=47).decompress(body, MAX_BYTES)
    except zlib.error:
        raise ChimeraError("PROVIDER_REJECTED", "the page is packed brokenly", retryable=True) from None
