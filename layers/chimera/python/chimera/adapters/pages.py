"""Reads a page's main text without letting its address, redirects, size or slowness reach anything else.

An address from a trend may point anywhere, also at this machine or a cloud's metadata service. So: http and
https only; every address that the name resolves to must be public; the connection goes to the address that
was checked (a second DNS answer is never asked for) while Host header and TLS name stay the page's; each
redirect starts over.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote, urljoin, urlsplit

from chimera.adapters.page_text import decode, extract
from chimera.domain.models import Snippet
from chimera.errors import ChimeraError
from chimera.settings import Settings

MAX_BYTES = 2_000_000
MAX_REDIRECTS = 3
MAX_CHARACTERS = 20_000
_REDIRECTS = {301, 302, 303, 307, 308}
_PORTS = {80, 443, 8080, 8443}

# Networks that `ipaddress` calls global although they lead, or can lead, to private hosts: NAT64, 6to4,
# Teredo,
# 6to4 relays, IPv4-compatible, site-local.
_TRAPS = [
    ipaddress.ip_network(n)
    for n in (
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
        "192.88.99.0/24",
        "::/96",
        "fec0::/10",
    )
]

Resolver = Callable[[str, int], list[str]]


def is_public(address: str) -> bool:
    """Whether an IP address is a host of the open internet; anything doubtful, also an unreadable one, is
    not.
    """
    ip = _parsed(address)
    if ip is None or not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_link_local:
        return False
    return not any(ip.version == net.version and ip in net for net in _TRAPS)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(address.split("%", 1)[0])
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip


def _is_public_or_local(address: str) -> bool:
    """For tests: also loopback and private networks, never link-local, where clouds keep credentials."""
    ip = _parsed(address)
    if ip is None or ip.is_link_local or ip.is_unspecified or ip.is_multicast:
        return False
    return is_public(address) or ip.is_loopback or (ip.is_private and not ip.is_reserved)


def resolve(host: str, port: int) -> list[str]:
    """Every address of a name, in the system's order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


@dataclass(frozen=True, kw_only=True)
class _Target:
    scheme: str
    host: str
    port: int
    path: str
    host_header: str


@dataclass
class _Deadline:
    seconds: float
    started: float = field(default_factory=time.monotonic)

    def left(self) -> float:
        """Seconds left; raises `PROVIDER_TIMEOUT` when there are none."""
        left = self.seconds - (time.monotonic() - self.started)
        if left <= 0:
            raise ChimeraError("PROVIDER_TIMEOUT", f"the page did not answer within {self.seconds:g} s")
        return left


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
        self._agent = f"ChimeraStudio/1 (+{settings.http_contact})"
        self._any_port = settings.allow_private_addresses or allowed is not None
        self._allowed = allowed or (_is_public_or_local if settings.allow_private_addresses else is_public)
        self._resolver = resolver
        self._tls = tls

    def snippet(self, url: str) -> Snippet:
        """The page's title and up to 20,000 characters of its main text; `url` of the answer is where it
        ended up.

        Raises `VALIDATION_FAILED` (not an http(s) address), `FORBIDDEN` (leads to an address that is not
        public), `PROVIDER_TIMEOUT`, `RATE_LIMITED`, `PROVIDER_REJECTED` (HTTP error, not a page, no text).
        """
        deadline = _Deadline(self._seconds)
        seen = url
        for _ in range(MAX_REDIRECTS + 1):
            target = self._parse(seen)
            status, headers, body = self._get(target, deadline)
            if status in _REDIRECTS and headers.get("location"):
                seen = urljoin(_address(target), headers["location"].strip())
                continue
            return self._read(seen, status, headers, body)
        raise ChimeraError("PROVIDER_REJECTED", f"{_shown(url)}: more than {MAX_REDIRECTS} redirects")

    def _parse(self, url: str) -> _Target:
        expected = "an http or https address with a host name and no user name"
        if len(url) > 2048 or re.search(r"[\x00-\x20\x7f\\]", url.strip()):
            raise ChimeraError("VALIDATION_FAILED", f"url: got {_shown(url)}, expected {expected}")
        try:
            parts = urlsplit(url.strip())
            port = parts.port
            host = (parts.hostname or "").encode("idna").decode("ascii") if parts.hostname else ""
        except (ValueError, UnicodeError):
            raise ChimeraError("VALIDATION_FAILED", f"url: got {_shown(url)}, expected {expected}") from None
        if parts.scheme not in {"http", "https"} or not host or "@" in parts.netloc or "%" in host:
            raise ChimeraError("VALIDATION_FAILED", f"url: got {_shown(url)}, expected {expected}")
        default = 443 if parts.scheme == "https" else 80
        if port is not None and port not in _PORTS and not self._any_port:
            raise ChimeraError("FORBIDDEN", f"{_shown(url)}: port {port} is not one that pages are served on")
        bracketed = f"[{host}]" if ":" in host else host
        safe = "/%:@!$&'()*+,;=~-._"
        path = quote(parts.path or "/", safe=safe) + (f"?{quote(parts.query, safe=safe + '?/')}" if parts.query else "")
        return _Target(
            scheme=parts.scheme,
            host=host,
            port=port or default,
            path=path,
            host_header=bracketed if port in {None, default} else f"{bracketed}:{port}",
        )

    def _addresses(self, target: _Target, deadline: _Deadline) -> list[str]:
        answer: list[str] = []
        failure: list[OSError | UnicodeError] = []

        def ask() -> None:
            try:
                answer.extend(self._resolver(target.host, target.port))
            except (OSError, UnicodeError) as error:
                failure.append(error)

        # The system's resolver takes no deadline, so it is given a thread that may be left behind.
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(deadline.left())
        if thread.is_alive():
            raise ChimeraError("PROVIDER_TIMEOUT", f"the name {target.host} was not resolved in time")
        if failure or not answer:
            raise ChimeraError("PROVIDER_REJECTED", f"the name {target.host} has no address", retryable=True)
        refused = [a for a in answer if not self._allowed(a)]
        if refused:
            raise ChimeraError(
                "FORBIDDEN",
                f"{target.host} leads to {refused[0]}, which is not a public address",
                {"host": target.host, "address": refused[0]},
            )
        return answer

    def _connect(self, target: _Target, deadline: _Deadline) -> socket.socket:
        last: OSError | None = None
        for address in self._addresses(target, deadline)[:4]:
            try:
                raw = socket.create_connection((address, target.port), timeout=min(deadline.left(), 5.0))
            except OSError as error:
                last = error
                continue
            if target.scheme == "http":
                return raw
            try:
                context = self._tls or ssl.create_default_context()
                return context.wrap_socket(raw, server_hostname=target.host)
            except OSError as error:  # ssl.SSLError is one; a wrong certificate is not retried elsewhere
                raw.close()
                last = error
        raise ChimeraError("PROVIDER_REJECTED", f"{target.host} cannot be reached: {last}", retryable=True)

    def _get(self, target: _Target, deadline: _Deadline) -> tuple[int, dict[str, str], bytes]:
        sock = self._connect(target, deadline)
        expired = threading.Event()

        def cut() -> None:
            expired.set()
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # closed already

        # A socket timeout is per read; one byte a second would outlive it. The timer ends the whole exchange.
        timer = threading.Timer(deadline.left(), cut)
        timer.daemon = True
        timer.start()
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.sock = sock
        try:
            sock.settimeout(deadline.left())
            connection.putrequest("GET", target.path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", target.host_header)
            connection.putheader("User-Agent", self._agent)
            connection.putheader("Accept", "text/html,application/xhtml+xml,text/plain;q=0.8")
            connection.putheader("Accept-Encoding", "gzip, identity;q=0.5")
            connection.putheader("Connection", "close")
            connection.endheaders()
            response = connection.getresponse()
            try:
                headers = {name.lower(): value for name, value in response.getheaders()}
                body = b"" if response.status in _REDIRECTS else _read_capped(response)
            finally:
                response.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            if expired.is_set() or isinstance(error, TimeoutError):
                raise ChimeraError(
                    "PROVIDER_TIMEOUT", f"{target.host} did not answer within {self._seconds:g} s"
                ) from None
            raise ChimeraError(
                "PROVIDER_REJECTED",
                f"{target.host} answered brokenly: {type(error).__name__}",
                retryable=True,
            ) from None
        finally:
            timer.cancel()
            connection.close()
            sock.close()
        if expired.is_set():
            raise ChimeraError("PROVIDER_TIMEOUT", f"{target.host} did not answer within {self._seconds:g} s")
        return response.status, headers, _inflate(body, headers.get("content-encoding", ""))

    def _read(self, url: str, status: int, headers: dict[str, str], body: bytes) -> Snippet:
        if status == 429:
            after = headers.get("retry-after", "")
            raise ChimeraError(
                "RATE_LIMITED",
                f"{_shown(url)} asks for patience",
                retry_after_seconds=float(after) if after.isdigit() else None,
            )
        if status != 200:
            raise ChimeraError("PROVIDER_REJECTED", f"{_shown(url)} answered HTTP {status}", retryable=status >= 500)
        kind = headers.get("content-type", "text/html").split(";")[0].strip().lower()
        if kind not in {"text/html", "application/xhtml+xml", "text/plain", ""}:
            raise ChimeraError("PROVIDER_REJECTED", f"{_shown(url)} is {kind[:60]}, expected a page of text")
        text = decode(body, headers.get("content-type", ""))
        page = extract(text) if kind != "text/plain" else None
        title = page.title if page else ""
        main = (page.text if page else text).strip()[:MAX_CHARACTERS]
        if not main and not title:
            raise ChimeraError("PROVIDER_REJECTED", f"{_shown(url)} holds no readable text")
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


def _address(target: _Target) -> str:
    return f"{target.scheme}://{target.host_header}{target.path}"


def _shown(url: str) -> str:
    return repr(url[:120])
