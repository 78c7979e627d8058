"""One polite HTTP client for all sources: it says who asks, waits for no one too long, and reads no more than
it should.
"""

from __future__ import annotations

import codecs
import ipaddress
import json
import re
import socket
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from chimera.errors import ChimeraError

if TYPE_CHECKING:
    import httpx

    from chimera.settings import Settings

VERSION = "0.1"
MAX_BYTES = 5 * 1024 * 1024
"""Of a body, as it comes and unpacked."""
MAX_REDIRECTS = 5
DNS_SECONDS = 0.9
"""A name that takes longer is not waited for: without a network a scan must be quick."""
MAX_RETRY_AFTER_SECONDS = 86_400.0

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)


_NO_CHARSETS = {
    "idna",
    "punycode",
    "unicode-escape",
    "raw-unicode-escape",
    "unicode_escape",
    "raw_unicode_escape",
    "utf-7",
}


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A whole answer with status 200."""

    url: str
    content_type: str
    body: bytes

    def text(self) -> str:
        """The body by its declared charset, else UTF-8, else UTF-8 with replacement characters; no BOM."""
        for bom, name in (
            (codecs.BOM_UTF8, "utf-8"),
            (codecs.BOM_UTF16_LE, "utf-16"),
            (codecs.BOM_UTF16_BE, "utf-16"),
        ):
            if self.body.startswith(bom):
                return self.body.decode(name, "replace").lstrip("\ufeff")
        declared = _CHARSET.search(self.content_type)
        for name in (*([declared[1]] if declared else []), "utf-8"):
            try:
                if codecs.lookup(name).name not in _NO_CHARSETS:
                    return self.body.decode(name)
            except (LookupError, UnicodeError):
                continue
        return self.body.decode("utf-8", "replace")

    def json(self, source: str) -> Any:
        """The body as JSON; PROVIDER_REJECTED shows how it begins where it is none."""
        try:
            return json.loads(self.text(), strict=False)
        except (ValueError, RecursionError) as error:
            raise broken(source, self, f"is not JSON ({type(error).__name__})") from error


def broken(source: str, fetched: Fetched, what: str) -> ChimeraError:
    """The error for an answer that arrived whole but is not what the source documents."""
    return ChimeraError(
        "PROVIDER_REJECTED",
        f"{source}: the answer {what}",
        {"url": fetched.url, "content_type": fetched.content_type[:100], "begins": ascii(fetched.body[:80])},
    )


class PoliteClient:
    """GETs over http(s). One call is one attempt: retrying is the state machine's affair.

    Errors, all ChimeraError: RATE_LIMITED (429, with the server's Retry-After), PROVIDER_TIMEOUT (5xx, time,
    connection, name not found), PROVIDER_REJECTED (other statuses, redirects that lead nowhere or inside,
    unknown encoding), FILE_TOO_LARGE (more than 5 MiB, packed or unpacked). `details.status` has the HTTP
    status where there was one. Environment proxies are not used: only settings configure this program.
    """

    def __init__(self, settings: Settings, *, source: str, max_bytes: int = MAX_BYTES) -> None:
        self._settings = settings
        self._source = source
        self._max_bytes = max_bytes

    def get(self, url: str, *, params: Mapping[str, str] | None = None, accept: str = "*/*") -> Fetched:
        """The answer, within the settings' `http_timeout_seconds` for everything: name, connection,
        redirects, body.
        """
        import httpx

        deadline = time.monotonic() + self._settings.http_timeout_seconds
        headers = {
            "User-Agent": f"chimera-studio/{VERSION} (+{self._settings.http_contact})",
            "Accept": accept,
            "Accept-Encoding": "gzip, deflate",
        }
        timeout = httpx.Timeout(self._settings.http_timeout_seconds)
        address = str(httpx.URL(url, params=dict(params))) if params else url
        started_inside: bool | None = None
        with _translated(self._source, url), httpx.Client(timeout=timeout, trust_env=False) as client:
            for _ in range(MAX_REDIRECTS + 1):
                inside = self._resolve(address, deadline)
                started_inside = inside if started_inside is None else started_inside
                if inside and not started_inside:
                    raise self._error("PROVIDER_REJECTED", "redirects to a private address", address)
                request = client.build_request("GET", address, headers=headers)
                with _Watchdog(deadline) as watchdog:
                    request.extensions = {**request.extensions, "trace": watchdog.trace}
                    try:
                        response = client.send(request, stream=True, follow_redirects=False)
                        try:
                            if response.has_redirect_location:
                                address = urljoin(address, response.headers["location"])
                                continue
                            self._check(response)
                            body = self._read(response, deadline)
                        finally:
                            response.close()
                    except httpx.TransportError as error:
                        if watchdog.barked:
                            raise self._timed_out(address) from error
                        raise
                return Fetched(url=address, content_type=response.headers.get("content-type", ""), body=body)
        raise self._error("PROVIDER_REJECTED", f"more than {MAX_REDIRECTS} redirects", url)

    def _error(self, code: str, what: str, url: str, **details: Any) -> ChimeraError:
        return ChimeraError(code, f"{self._source}: {what}", {"url": url[:500], **details})

    def _timed_out(self, url: str) -> ChimeraError:
        seconds = self._settings.http_timeout_seconds
        return self._error("PROVIDER_TIMEOUT", f"no whole answer within {seconds:g} s", url, reason="timeout")

    def _resolve(self, url: str, deadline: float) -> bool:
        """Whether the host is a private address. Looked up aside, because the system's resolver cannot be
        interrupted.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme not in {"http", "https"} or not host:
            raise self._error("PROVIDER_REJECTED", "not an http(s) address", url)
        found: list[str] = []
        failure: list[str] = []

        def look_up() -> None:
            try:
                found.extend(str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
            except (OSError, UnicodeError) as error:
                failure.append(str(error))

        thread = threading.Thread(target=look_up, name="chimera-dns", daemon=True)
        thread.start()
        thread.join(max(0.0, min(DNS_SECONDS, deadline - time.monotonic())))
        if not found:
            reason = failure[0] if failure else f"no answer within {DNS_SECONDS:g} s"
            raise self._error("PROVIDER_TIMEOUT", f"cannot find {host} ({reason})", url, reason="unreachable")
        return any(not ipaddress.ip_address(address.split("%")[0]).is_global for address in list(found))

    def _check(self, response: httpx.Response) -> None:
        status, url = response.status_code, str(response.url)
        if status == 200:
            return
        wait = retry_after(response.headers.get("retry-after"))
        details = {"url": url[:500], "status": status} | ({} if wait is None else {"retry_after_seconds": wait})
        if status == 429:
            code, what = "RATE_LIMITED", "too many requests (HTTP 429)"
        elif status >= 500:
            code, what = "PROVIDER_TIMEOUT", f"the server fails (HTTP {status})"
        else:
            code, what = "PROVIDER_REJECTED", f"refused (HTTP {status})"
        raise ChimeraError(code, f"{self._source}: {what}", details, retry_after_seconds=wait)

    def _read(self, response: httpx.Response, deadline: float) -> bytes:
        """The body, unpacked, at most `max_bytes`: nothing beyond is held, however small it was packed."""
        encoding = response.headers.get("content-encoding", "identity").strip().lower() or "identity"
        if encoding not in {"identity", "gzip", "x-gzip", "deflate"}:
            raise self._error("PROVIDER_REJECTED", f"unknown content encoding {encoding[:40]!r}", str(response.url))
        unpack = None if encoding == "identity" else _unpacker(encoding)
        body, received = bytearray(), 0
        for chunk in response.iter_raw():
            received += len(chunk)
            if unpack is not None:
                try:
                    chunk = unpack(chunk, self._max_bytes + 1 - len(body))
                except zlib.error as error:
                    raise self._error("PROVIDER_REJECTED", "the packed answer is damaged", str(response.url)) from error
            body += chunk
            if max(received, len(body)) > self._max_bytes:
                raise self._error(
                    "FILE_TOO_LARGE",
                    f"the answer has more than {self._max_bytes} bytes",
                    str(response.url),
                    limit_bytes=self._max_bytes,
                )
            if time.monotonic() > deadline:
                raise self._timed_out(str(response.url))
        return bytes(body)


def _unpacker(encoding: str) -> Any:
    """`(packed, limit) -> unpacked`: gives at most `limit` bytes; a "deflate" stream may lack its zlib
    header.
    """
    state = {"engine": zlib.decompressobj(31 if "gzip" in encoding else 15), "fresh": True}

    def unpack(packed: bytes, limit: int) -> bytes:
        fresh, state["fresh"] = state["fresh"], False
        try:
            return bytes(state["engine"].decompress(packed, max(1, limit)))  # type: ignore[attr-defined]
        except zlib.error:
            if not fresh or "gzip" in encoding:
                raise
            state["engine"] = zlib.decompressobj(-15)
            return bytes(state["engine"].decompress(packed, max(1, limit)))  # type: ignore[attr-defined]

    return unpack


class _Watchdog:
    """Shuts the connection at the deadline: a server that sends a byte a second never runs into a read
    timeout.
    """

    def __init__(self, deadline: float) -> None:
        self.barked = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(max(0.0, deadline - time.monotonic()), self._bark)
        self._timer.daemon = True

    def __enter__(self) -> _Watchdog:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """httpx's trace extension: it shows the connection as soon as there is one."""
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            self._socket = info["return_value"].get_extra_info("socket")
            if self.barked:
                self._bark()

    def _bark(self) -> None:
        self.barked = True
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:  # closed already
                self._socket = None


@contextmanager
def _translated(source: str, url: str) -> Iterator[None]:
    """httpx's errors as ours."""
    import httpx

    try:
        yield
    except httpx.TimeoutException as error:
        raise ChimeraError(
            "PROVIDER_TIMEOUT", f"{source}: no answer in time", {"url": url[:500], "reason": "timeout"}
        ) from error
    except httpx.NetworkError as error:
        raise ChimeraError(
            "PROVIDER_TIMEOUT",
            f"{source}: cannot be reached ({error})",
            {"url": url[:500], "reason": "unreachable"},
        ) from error
    except httpx.TransportError as error:  # a cut-off or malformed answer
        raise ChimeraError(
            "PROVIDER_TIMEOUT",
            f"{source}: the connection broke ({error})",
            {"url": url[:500], "reason": "broken"},
        ) from error
    except (httpx.InvalidURL, httpx.StreamError, ValueError) as error:
        raise ChimeraError(
            "PROVIDER_REJECTED", f"{source}: cannot ask this address ({error})", {"url": url[:500]}
        ) from error


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds (0 to 86,400) of a Retry-After header, which is a number or a date; None if there is none to be
    understood.
    """
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(MAX_RETRY_AFTER_SECONDS, float(text[:12]))
    try:
        when = parsedate_to_datetime(text)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        wait = (when - (now or datetime.now(UTC))).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(MAX_RETRY_AFTER_SECONDS, max(0.0, wait))
