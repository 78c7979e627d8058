"""Connects to addresses that strangers give, without letting them reach anything else.

An address may point anywhere, also at this machine or a cloud's metadata service. So: known schemes only; every address that
the name resolves to must be public; the connection goes to the address that was checked (a second DNS answer is never asked
for) while Host header and TLS name stay the page's. No proxy, no stored password, no cookie. Who follows a redirect starts
over with it.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, urljoin, urlsplit

from chimera.errors import ChimeraError
from chimera.settings import Settings

MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {80, 443, 8080, 8443}
_CONNECT_SECONDS = 5.0

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
class Target:
    """An address taken apart and found sound."""

    scheme: str
    host: str
    port: int
    path: str
    host_header: str

    @property
    def url(self) -> str:
        """The address put together again."""
        return f"{self.scheme}://{self.host_header}{self.path}"


@dataclass
class Deadline:
    """A time by which all of it must be done; `what` names it in errors."""

    seconds: float
    what: str = "the page"
    started: float = field(default_factory=time.monotonic)

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return time.monotonic() - self.started >= self.seconds

    def left(self) -> float:
        """Seconds left; raises `PROVIDER_TIMEOUT` when there are none."""
        left = self.seconds - (time.monotonic() - self.started)
        if left <= 0:
            raise ChimeraError("PROVIDER_TIMEOUT", f"{self.what} did not answer within {self.seconds:g} s")
        return left


class Guard:
    """Connections to public addresses only; with `settings.allow_private_addresses` also to this machine, for tests."""

    def __init__(
        self,
        settings: Settings,
        *,
        schemes: frozenset[str] = frozenset({"http", "https"}),
        resolver: Resolver = resolve,
        allowed: Callable[[str], bool] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._agent = f"ChimeraStudio/1 (+{settings.http_contact})"
        self._any_port = settings.allow_private_addresses or allowed is not None
        self._allowed = allowed or (_is_public_or_local if settings.allow_private_addresses else is_public)
        self._schemes = schemes
        self._resolver = resolver
        self._tls = tls

    def parse(self, url: str) -> Target:
        """The address, if it is one that may be asked; `VALIDATION_FAILED` or `FORBIDDEN` (port)."""
        kinds = " or ".join(sorted(self._schemes))
        expected = f"an {kinds} address with a host name and no user name"
        if len(url) > 2048 or re.search(r"[\x00-\x20\x7f\\]", url.strip()):
            raise ChimeraError("VALIDATION_FAILED", f"url: got {show(url)}, expected {expected}")
        try:
            parts = urlsplit(url.strip())
            port = parts.port
            host = (parts.hostname or "").encode("idna").decode("ascii") if parts.hostname else ""
        except (ValueError, UnicodeError):
            raise ChimeraError("VALIDATION_FAILED", f"url: got {show(url)}, expected {expected}") from None
        if parts.scheme not in self._schemes or not host or "@" in parts.netloc or "%" in host:
            raise ChimeraError("VALIDATION_FAILED", f"url: got {show(url)}, expected {expected}")
        default = 443 if parts.scheme == "https" else 80
        if port is not None and port not in _PORTS and not self._any_port:
            raise ChimeraError("FORBIDDEN", f"{show(url)}: port {port} is not one that pages are served on")
        bracketed = f"[{host}]" if ":" in host else host
        safe = "/%:@!$&'()*+,;=~-._"
        path = quote(parts.path or "/", safe=safe) + (f"?{quote(parts.query, safe=safe + '?/')}" if parts.query else "")
        return Target(
            scheme=parts.scheme,
            host=host,
            port=port or default,
            path=path,
            host_header=bracketed if port in {None, default} else f"{bracketed}:{port}",
        )

    def _addresses(self, target: Target, deadline: Deadline) -> list[str]:
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

    def _connect(self, target: Target, deadline: Deadline) -> socket.socket:
        last: OSError | None = None
        for address in self._addresses(target, deadline)[:4]:
            try:
                raw = socket.create_connection((address, target.port), timeout=min(deadline.left(), _CONNECT_SECONDS))
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

    @contextmanager
    def get(
        self, target: Target, deadline: Deadline, headers: Mapping[str, str], *, silent_seconds: float | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Ask once; the answer is open while the block runs and ends with the deadline, or after so much silence.

        What breaks within the block too is `PROVIDER_TIMEOUT` or `PROVIDER_REJECTED`.
        """
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
            sock.settimeout(min(deadline.left(), silent_seconds or deadline.seconds))
            connection.putrequest("GET", target.path, skip_host=True, skip_accept_encoding=True)
            for name, value in {
                "Host": target.host_header, "User-Agent": self._agent, **headers, "Connection": "close",
            }.items():  # fmt: skip
                connection.putheader(name, value)
            connection.endheaders()
            with connection.getresponse() as response:
                yield response
        except (OSError, http.client.HTTPException, ValueError) as error:
            if expired.is_set() or isinstance(error, TimeoutError):
                raise _late(target, deadline) from None
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
            raise _late(target, deadline)

    @contextmanager
    def follow(
        self, url: str, deadline: Deadline, headers: Mapping[str, str], *, silent_seconds: float | None = None
    ) -> Iterator[Answer]:
        """`get` through at most three redirects, each of which starts over here."""
        seen = url
        for _ in range(MAX_REDIRECTS + 1):
            target = self.parse(seen)
            with self.get(target, deadline, headers, silent_seconds=silent_seconds) as response:
                said = {name.lower(): value for name, value in response.getheaders()}
                if response.status not in _REDIRECTS or not said.get("location"):
                    yield Answer(asked=seen, url=target.url, headers=said, response=response)
                    return
            seen = urljoin(target.url, said["location"].strip())
        raise ChimeraError("PROVIDER_REJECTED", f"{show(url)}: more than {MAX_REDIRECTS} redirects")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came in the end, and from where (as it was asked for, and as it went out); header names in small letters."""

    asked: str
    url: str
    headers: dict[str, str]
    response: http.client.HTTPResponse

    def check(self, *good: int) -> None:
        """`RATE_LIMITED` for 429, `PROVIDER_REJECTED` for any other status than these."""
        status = self.response.status
        if status == 429:
            after = self.headers.get("retry-after", "")
            raise ChimeraError(
                "RATE_LIMITED",
                f"{show(self.url)} asks for patience",
                retry_after_seconds=float(after) if after.isdigit() else None,
            )
        if status not in good:
            raise ChimeraError("PROVIDER_REJECTED", f"{show(self.url)} answered HTTP {status}", retryable=status >= 500)


def show(url: str) -> str:
    """The address as an error shows it."""
    return repr(url[:120])


def _late(target: Target, deadline: Deadline) -> ChimeraError:
    return ChimeraError("PROVIDER_TIMEOUT", f"{target.host} did not answer within {deadline.seconds:g} s")
