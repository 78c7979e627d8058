"""Downloads one media file from a direct address: guarded, bounded, resumable, and believed only once it was probed.

The address is dealt with as every stranger's address (`adapters.guarded`); what comes is told by its bytes, never by its
name or its headers, and stays only if it is media within the limits. A page of a platform is not media: what it shows is
not looked for.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import ssl
import time
import zlib
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from chimera.adapters.downloads.naming import title_of
from chimera.adapters.guarded import Answer, Deadline, Guard, Resolver, resolve, show
from chimera.domain.models import Model
from chimera.errors import ChimeraError
from chimera.media.own.limits import MAX_FOOTAGE_BYTES, MAX_FOOTAGE_SECONDS
from chimera.media.own.probe import MediaFacts, probe
from chimera.media.own.sniff import EXPECTED, came_as, container_of
from chimera.media.process import full_disk_reported
from chimera.settings import Settings

ATTEMPTS = 4
"""Connections for one file, the first and three that go on where it broke off."""
_SILENT_SECONDS = 20.0
_CHUNK = 1 << 18
_HEAD = 4096
SUFFIXES = {"matroska": ".mkv", "jpeg": ".jpg", "mpegts": ".ts", "mpeg": ".mpg"}
_BROKEN = {"PROVIDER_TIMEOUT", "PROVIDER_REJECTED"}


class DownloadLimits(Model):
    """How much is taken. `format`: `footage`, `sound` or `picture`, or a container such as `mp4`; empty takes any."""

    max_bytes: int = Field(default=500_000_000, ge=1, le=MAX_FOOTAGE_BYTES)
    max_duration_seconds: float = Field(default=MAX_FOOTAGE_SECONDS, gt=0, le=MAX_FOOTAGE_SECONDS)
    format: str = Field(default="", max_length=20)
    seconds: float = Field(default=900, gt=0, le=7200, description="For all of the download")


class Downloaded(BaseModel):
    """The file, where it came from in the end, and what it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    url: str
    title: str
    sha256: str
    facts: MediaFacts

    def contract(self) -> dict[str, Any]:
        """The answer of the skill `download_video`."""
        facts = self.facts
        return {
            "local_path": str(self.path),
            "title": self.title,
            "duration_seconds": facts.seconds,
            "resolution": f"{facts.width}x{facts.height}" if facts.width else None,
            "size_bytes": facts.bytes,
            "sha256": self.sha256,
        }


class Downloader:
    """Downloads over https; over http too where private addresses are allowed, which is for tests."""

    def __init__(
        self,
        settings: Settings,
        *,
        resolver: Resolver = resolve,
        allowed: Callable[[str], bool] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        schemes = {"https", "http"} if settings.allow_private_addresses else {"https"}
        self._guard = Guard(settings, schemes=frozenset(schemes), resolver=resolver, allowed=allowed, tls=tls)

    def fetch(self, url: str, *, max_bytes: int, max_seconds: float, to: Path) -> Downloaded:
        """`download` as the port of ingest has it."""
        return self.download(url, DownloadLimits(max_bytes=max_bytes, max_duration_seconds=max_seconds), to)

    def download(self, url: str, limits: DownloadLimits, to: Path) -> Downloaded:
        """The file at `url`, as a file of the folder `to` that is named by its hash.

        What broke off stays there as a part: the same call again goes on with it, if the server vouches that the file is
        still the same. Raises `VALIDATION_FAILED` (not an address, not media), `FORBIDDEN` (leads to an address that is not
        public), `FILE_TOO_LARGE`, `VIDEO_TOO_LONG`, `PROVIDER_TIMEOUT`, `RATE_LIMITED`, `PROVIDER_REJECTED` (HTTP error,
        broke off), `CONFLICT` (the same download runs already). Nothing but a part that can be resumed is left then.
        """
        self._guard.parse(url)
        to.mkdir(parents=True, exist_ok=True)
        key = hashlib.sha256(url.encode()).hexdigest()[:24]
        deadline = Deadline(limits.seconds, what=f"the download of {show(url)}")
        with _Part(to / f".{key}.part") as part, full_disk_reported("a download"):
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    self._fetch(url, part, limits, deadline)
                    break
                except ChimeraError as error:
                    if error.code not in {*_BROKEN, "RATE_LIMITED"}:
                        part.drop()  # going on with it would come to the same end
                    last = attempt == ATTEMPTS or deadline.passed
                    if error.code not in _BROKEN or not part.resumable or last:
                        raise
                    time.sleep(0.2 * attempt)
            return self._taken(url, part, limits, to)

    def _fetch(self, url: str, part: _Part, limits: DownloadLimits, deadline: Deadline) -> None:
        asked = {"Accept": "video/*, audio/*, image/*, */*;q=0.1", "Accept-Encoding": "identity", **part.asked()}
        with self._guard.follow(url, deadline, asked, silent_seconds=_SILENT_SECONDS) as answer:
            self._receive(answer, part, limits)

    def _receive(self, answer: Answer, part: _Part, limits: DownloadLimits) -> None:
        status = answer.response.status
        if status == 416:  # there is nothing behind what we have: either it is all, or it is another file
            part.drop()
            raise ChimeraError("PROVIDER_REJECTED", f"{show(answer.url)} answered HTTP 416", retryable=True)
        if status not in {200, 206, 429} and status < 500:  # gone or refused; in trouble it may well go on later
            part.drop()
        answer.check(200, 206)
        expected = part.begin(status, answer.headers, answer.url)
        if expected is not None and expected > limits.max_bytes:
            raise _too_large(answer.url, expected, limits)
        for piece in _pieces(answer.response, answer.headers.get("content-encoding", ""), limits.max_bytes):
            part.write(piece)
            if part.size > limits.max_bytes:
                raise _too_large(answer.url, part.size, limits)
        if expected is not None and part.size != expected:
            raise ChimeraError(
                "PROVIDER_REJECTED",
                f"{show(answer.url)} broke off after {part.size:,} of {expected:,} bytes",
                retryable=True,
            )

    def _taken(self, url: str, part: _Part, limits: DownloadLimits, to: Path) -> Downloaded:
        """The finished part, probed and under its name; a part that is not wanted is not kept."""
        try:
            with part.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            facts = _wanted(probe(part.path), url, limits)
        except ChimeraError:
            part.drop()
            raise
        final = to / f"{digest[:32]}{SUFFIXES.get(facts.container, f'.{facts.container}')}"
        title = title_of(part.disposition, part.url)
        part.keep(final)
        return Downloaded(path=final, url=part.url, title=title, sha256=digest, facts=facts)


class _Part:
    """A file that grows, what it is a part of, and a lock so that it grows once. Closed, it stays only if resumable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._about = path.with_suffix(".json")
        self._file: FileIO
        self.size = 0
        self.url, self.disposition = "", ""
        self._validator = ""
        self._kept = False

    def __enter__(self) -> _Part:
        self._file = self.path.open("ab", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise _running(self.path) from None
        if not _is_at(self._file, self.path):  # it was finished between the two lines above, and is no part any more
            self._file.close()
            raise _running(self.path)
        self.size = self._file.tell()
        with contextlib.suppress(OSError, ValueError, AttributeError):
            known = json.loads(self._about.read_text("utf-8"))
            self._validator = str(known.get("validator") or "")
        if not self._validator:
            self.drop()
        return self

    def __exit__(self, *_: object) -> None:
        resumable = self.resumable and not self._kept
        self._file.close()
        if not resumable:
            self._about.unlink(missing_ok=True)
            if not self._kept:
                self.path.unlink(missing_ok=True)

    @property
    def resumable(self) -> bool:
        """Whether a further connection can go on with it."""
        return bool(self._validator) and self.size > 0

    def asked(self) -> dict[str, str]:
        """What asks for the rest, and only for the rest of the same file."""
        return {"Range": f"bytes={self.size}-", "If-Range": self._validator} if self.resumable else {}

    def begin(self, status: int, headers: dict[str, str], url: str) -> int | None:
        """Take up an answer; gives the whole file's length where the server says it."""
        self.url, self.disposition = url, headers.get("content-disposition", "")
        packed = headers.get("content-encoding", "").strip().lower() not in {"", "identity"}
        length = headers.get("content-length", "")
        if status == 206:
            first, _, total = headers.get("content-range", "").removeprefix("bytes ").partition("/")
            if not self.size or packed or not first.startswith(f"{self.size}-"):
                self.drop()
                raise ChimeraError("PROVIDER_REJECTED", f"{show(url)} answered with another part", retryable=True)
            return int(total) if total.isdigit() else None
        self.drop()
        tag = headers.get("etag", "").strip()
        self._validator = "" if packed else (tag if tag.startswith('"') else headers.get("last-modified", "").strip())
        if self._validator:
            with full_disk_reported("a download"):
                self._about.write_text(json.dumps({"validator": self._validator, "url": url}), "utf-8")
        return int(length) if length.isdigit() and not packed else None

    def write(self, piece: bytes) -> None:
        """Add bytes; at the first ones it is looked whether this is media at all."""
        if self.size == 0 and container_of(piece[:_HEAD].ljust(16, b"\0")) is None:
            came = came_as(piece[:_HEAD]) or (f"bytes that begin {piece[:12].hex(' ')}" if piece else "0 bytes")
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"{show(self.url)}: got {came}, expected {EXPECTED}; only direct addresses of media files are taken",
                {"got": came, "expected": EXPECTED},
            )
        # here as well: what breaks while the guard's answer is open, it takes for the server's
        with full_disk_reported("a download"):
            left = memoryview(piece)
            while left:  # unbuffered: nothing is left to be written when it is dropped
                left = left[self._file.write(left) :]
        self.size += len(piece)

    def drop(self) -> None:
        """Begin again from nothing."""
        self._file.truncate(0)
        self._file.seek(0)
        self.size, self._validator = 0, ""
        self._about.unlink(missing_ok=True)

    def keep(self, final: Path) -> None:
        """It is whole: from now on it has its name."""
        self.path.replace(final)
        self._kept = True


def _running(path: Path) -> ChimeraError:
    return ChimeraError("CONFLICT", "this download runs already", {"part": path.name})


def _is_at(file: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _pieces(response: http.client.HTTPResponse, encoding: str, most: int) -> Iterator[bytes]:
    """The body in pieces, the first one long enough to tell what it is; unpacked where it came packed, to a limit."""
    kind = encoding.strip().lower()
    if kind not in {"", "identity", "gzip", "x-gzip", "deflate"}:
        raise ChimeraError("PROVIDER_REJECTED", f"the file is packed as {kind[:20]!r}, expected it as it is")
    first = response.read(_HEAD)
    if kind in {"", "identity"}:
        yield first
        while piece := response.read1(_CHUNK):
            yield piece
        return
    unpacking = zlib.decompressobj(wbits=47)
    given, packed = 0, first
    try:
        while packed:
            while packed and given <= most:  # never more than a piece at once, however small the packed one was
                piece = unpacking.decompress(packed, _CHUNK)
                packed = unpacking.unconsumed_tail
                given += len(piece)
                if piece:
                    yield piece
            packed = response.read1(_CHUNK) if given <= most else b""
    except zlib.error:
        raise ChimeraError("PROVIDER_REJECTED", "the file is packed brokenly", retryable=True) from None


def _wanted(facts: MediaFacts, url: str, limits: DownloadLimits) -> MediaFacts:
    if facts.seconds is not None and facts.seconds > limits.max_duration_seconds:
        raise ChimeraError(
            "VIDEO_TOO_LONG",
            f"{show(url)}: got {facts.seconds:.0f} s, expected at most {limits.max_duration_seconds:.0f} s",
            {"seconds": facts.seconds, "limit_seconds": limits.max_duration_seconds},
        )
    if limits.format and limits.format not in {facts.kind, facts.container}:
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"{show(url)}: got {facts.kind} ({facts.container}), expected {limits.format[:20]}",
            {"got": facts.container, "expected": limits.format},
        )
    return facts


def _too_large(url: str, size: int, limits: DownloadLimits) -> ChimeraError:
    return ChimeraError(
        "FILE_TOO_LARGE",
        f"{show(url)}: got {size:,} bytes or more, expected at most {limits.max_bytes:,}",
        {"bytes": size, "limit_bytes": limits.max_bytes},
    )
