"""Reads a page's main text without letting its address, redirects, size or slowness reach anything else.

What an address may lead to is decided in `guarded`; each redirect starts over there.
"""

from __future__ import annotations

import http.client
import ssl
import zlib
from collections.abc import Callable

from chimera.adapters.guarded import (
    Deadline,
    Guard,
    Resolver,
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
        with self._guard.follow(url, Deadline(self._seconds), _ASKED) as answer:
            body = _inflate(_read_capped(answer.response), answer.headers.get("content-encoding", ""))
        answer.check(200)
        return _snippet(answer.asked, answer.headers, body)


def _snippet(url: str, headers: dict[str, str], body: bytes) -> Snippet:
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
