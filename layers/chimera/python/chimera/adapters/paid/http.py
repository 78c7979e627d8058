"""Vendors that cost money, reachable only under an open draw: the key stays in a vault until there is one.

A provider names its vendor and gets a client without a key. Each request takes a `PaidCall` along; the vault gives the
vendor's key to the client, for that one request, only while the call's draw is open. Python cannot stop a plugin that
sets out to read another object's memory or the environment; this makes every honest way to a vendor a paid-for one.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from chimera.domain.models import RequestType
from chimera.errors import ChimeraError
from chimera.purse import PaidCall, Purse

if TYPE_CHECKING:
    import httpx

MAX_BYTES = 64 * 1024 * 1024
MAX_RETRY_AFTER_SECONDS = 86_400.0
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_PATH = re.compile(r"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
_NOT_BILLED = frozenset({401, 402, 403, 404, 405, 413, 415, 429})
"""Refused before any work: the vendor bills nothing. Any other answer may be billed."""
_MINT = object()


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """Where a vendor is and how it wants its key. `secret` names the environment variable, never the key itself."""

    name: str
    base_url: str
    secret: str
    header: str = "Authorization"
    scheme: str = "Bearer "
    timeout_seconds: float = 60.0
    """For an answer's next byte; a whole call takes at most twice that."""
    dedupes_by_key: bool = False
    """The same Idempotency-Key again is answered as before and billed once."""


class Vault:
    """Holds the way to the vendors' keys. `read` gives a secret by its name, or None."""

    def __init__(self, read: Callable[[str], str | None]) -> None:
        self._read = read

    def key(self, vendor: Vendor, call: PaidCall, client: PaidHttp) -> str:
        """The vendor's key, for a client of its own and while the call's draw is open; `FORBIDDEN` otherwise."""
        if not isinstance(call, PaidCall) or not call.live:
            raise ChimeraError("FORBIDDEN", f"{vendor.name}: no key without an open draw", {"vendor": vendor.name})
        if not isinstance(client, PaidHttp) or client.vendor is not vendor:
            raise ChimeraError("FORBIDDEN", f"{vendor.name}: the key is given to its own client only")
        found = self._read(vendor.secret)
        if not found:
            raise ChimeraError(
                "PROVIDER_REJECTED", f"{vendor.name} has no key: set {vendor.secret}", {"variable": vendor.secret}
            )
        if not found.isascii() or not found.isprintable() or " " in found:
            raise ChimeraError(
                "PROVIDER_REJECTED", f"{vendor.secret} is not a key: it has spaces or control characters"
            )
        return found


@dataclass(frozen=True, kw_only=True)
class PaidAnswer:
    """A whole answer with a 2xx status."""

    status: int
    content_type: str
    body: bytes

    def json(self) -> Any:
        """The body as JSON, decimals kept exact; `PROVIDER_REJECTED` where it is none."""
        try:
            return json.loads(self.body, parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            raise ChimeraError(
                "PROVIDER_REJECTED",
                f"the answer is not JSON ({type(error).__name__})",
                {"content_type": self.content_type, "begins": ascii(self.body[:80])},
            ) from error


class PaidHttp:
    """A vendor's HTTP client; one comes from `PaidFactory.vendor`. Thread-safe; nothing is retried, no redirect followed.

    Errors, all ChimeraError. Known not to have been made, so the draw goes back: no connection (`AGENT_OFFLINE`), 429
    (`RATE_LIMITED`, with `retry_after_seconds`), 401, 402, 403, 404, 405, 413 and 415 (`PROVIDER_REJECTED`). May be
    billed, so the draw stays: time, a cut connection and 5xx (`PROVIDER_TIMEOUT`), other 4xx and redirects
    (`PROVIDER_REJECTED`), an answer above 64 MiB (`FILE_TOO_LARGE`).
    """

    def __init__(self, mint: object, vendor: Vendor, vault: Callable[[], Vault]) -> None:
        if mint is not _MINT:
            raise ChimeraError("FORBIDDEN", "a paid client comes from context.paid.vendor(...)")
        self.vendor = vendor
        self._vault = vault

    def post(self, path: str, call: PaidCall, *, json: Any = None, data: Mapping[str, Any] | None = None,
             files: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None,
             query: Mapping[str, str] | None = None) -> PaidAnswer:  # fmt: skip
        """The paid request itself, with the call's id as Idempotency-Key: once for each call (`CONFLICT`)."""
        if call.sent:
            raise ChimeraError("CONFLICT", f"call {call.call_id} was sent already; draw for another one")
        return self._request("POST", path, call, headers or {}, json=json, data=data, files=files, params=query)

    def get(self, path: str, call: PaidCall, *, headers: Mapping[str, str] | None = None) -> PaidAnswer:
        """A request that costs nothing by itself, such as asking whether a paid job is done; any number of times."""
        return self._request("GET", path, call, headers or {})

    def key(self, call: PaidCall) -> str:
        """The vendor's key while the call's draw is open: for a vendor whose requests are signed with it."""
        return self._vault().key(self.vendor, call, self)

    def _request(self, method: str, path: str, call: PaidCall, headers: Mapping[str, str], **body: Any) -> PaidAnswer:
        import httpx  # a quarter of a second: only for those who pay

        if not _PATH.fullmatch(path) or ".." in path:
            raise ChimeraError("VALIDATION_FAILED", f"path: got {path[:80]!r}, expected one below the vendor's address")
        vendor = self.vendor
        key = self._vault().key(vendor, call, self)
        own = {vendor.header: f"{vendor.scheme}{key}"}
        if method == "POST":
            own["Idempotency-Key"] = call.call_id
            call.sent = True
        taken = {name.lower() for name in own}
        extra = {name: value for name, value in headers.items() if name.lower() not in taken}
        deadline = time.monotonic() + 2 * vendor.timeout_seconds
        patience = httpx.Timeout(vendor.timeout_seconds, connect=min(10.0, vendor.timeout_seconds))
        try:
            # no proxy and no .netrc from the environment: the key goes to the vendor and nowhere else
            with (
                httpx.Client(timeout=patience, follow_redirects=False, trust_env=False) as client,
                client.stream(method, vendor.base_url + path, headers={**extra, **own}, **body) as response,
            ):
                content = _read(response, vendor, deadline)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            self._not_made(method, call)
            raise ChimeraError(
                "AGENT_OFFLINE", f"{vendor.name} cannot be reached", _details(vendor, reason=type(error).__name__)
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise ChimeraError(
                "PROVIDER_TIMEOUT",
                f"{vendor.name} did not answer; the call may have been made",
                _details(vendor, reason=type(error).__name__, call_id=call.call_id),
            ) from None
        if 200 <= response.status_code < 300:
            kind = response.headers.get("content-type", "")[:100]
            return PaidAnswer(status=response.status_code, content_type=kind, body=content)
        raise self._refused(method, response, content, call, key)

    def _refused(self, method: str, response: httpx.Response, content: bytes, call: PaidCall, key: str) -> ChimeraError:
        vendor, status = self.vendor, response.status_code
        if status in _NOT_BILLED:
            self._not_made(method, call)
        said = content[:300].decode("utf-8", "replace").replace(key, "[key]")
        details = _details(vendor, status=status, call_id=call.call_id, said=ascii(said)[1:-1])
        if status == 429:
            wait = _retry_after(response.headers.get("retry-after"))
            details["retry_after_seconds"] = wait
            return ChimeraError("RATE_LIMITED", f"{vendor.name} asks to wait", details, retry_after_seconds=wait)
        if status in (401, 403):
            return ChimeraError(
                "PROVIDER_REJECTED", f"{vendor.name} does not accept the key in {vendor.secret}", details
            )
        if status >= 500:
            return ChimeraError("PROVIDER_TIMEOUT", f"{vendor.name} failed ({status}); the call may be billed", details)
        if status < 400:
            return ChimeraError(
                "PROVIDER_REJECTED", f"{vendor.name} points elsewhere ({status}); not followed", details
            )
        return ChimeraError("PROVIDER_REJECTED", f"{vendor.name} refused the call ({status})", details)

    def _not_made(self, method: str, call: PaidCall) -> None:
        if method == "POST":  # a poll that fails says nothing about the paid request before it
            call.not_made()


class PaidFactory:
    """What a provider gets as `context.paid`: clients of vendors, and paid calls from the purse of the work at hand."""

    def __init__(self, vault: Callable[[], Vault] | None = None, purse: Purse | None = None) -> None:
        self._vault = vault or _no_vault
        self._purse = purse

    def vendor(self, vendor: Vendor) -> PaidHttp:
        """The vendor's client. `VALIDATION_FAILED` unless its address is https (or on this machine)."""
        parts = urlsplit(vendor.base_url)
        secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
        bare = not (parts.query or parts.fragment or parts.username or parts.password)
        if not secure or not parts.hostname or not bare or vendor.base_url.endswith("/"):
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"{vendor.name}: got {vendor.base_url[:80]!r}, expected an https address without a slash at its end",
            )
        if not 0 < vendor.timeout_seconds <= 600 or not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,60}", vendor.header):
            raise ChimeraError("VALIDATION_FAILED", f"{vendor.name}: expected a timeout of 0-600 s and a header's name")
        return PaidHttp(_MINT, vendor, self._vault)

    @contextmanager
    def call(
        self,
        client: PaidHttp,
        call_id: str,
        worst_case_micros: int,
        item: str,
        *,
        quantity: str = "1",
        unit: str = "call",
        category: RequestType = "api_call",
    ) -> Iterator[PaidCall]:
        """A paid call of a vendor: see `Purse.call`. `FORBIDDEN` where no approved work is at hand."""
        if self._purse is None:
            raise ChimeraError("FORBIDDEN", f"{client.vendor.name}: nothing is approved here that could be paid from")
        with self._purse.call(
            f"{client.vendor.name}/{call_id}",
            worst_case_micros,
            item,
            quantity=quantity,
            unit=unit,
            category=category,
            repeatable=client.vendor.dedupes_by_key,
        ) as call:
            yield call


def _no_vault() -> Vault:
    raise ChimeraError("FORBIDDEN", "nothing is approved here that could be paid from")


def _read(response: httpx.Response, vendor: Vendor, deadline: float) -> bytes:
    most = MAX_BYTES if response.is_success else 4096
    parts, size = [], 0
    for part in response.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > most and response.is_success:
            raise ChimeraError("FILE_TOO_LARGE", f"{vendor.name} sends more than {most} bytes", _details(vendor))
        if size > most:
            break
        if time.monotonic() > deadline:
            raise TimeoutError("the whole answer took too long")
    return b"".join(parts)


def _details(vendor: Vendor, **more: Any) -> dict[str, Any]:
    return {"vendor": vendor.name, **more}


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header (a number or a date), at most a day; None where it says nothing."""
    if not value:
        return None
    try:
        seconds = float(value) if value.strip().isdigit() else parsedate_to_datetime(value).timestamp() - time.time()
    except (TypeError, ValueError):
        return None
    return min(MAX_RETRY_AFTER_SECONDS, max(0.0, seconds))
