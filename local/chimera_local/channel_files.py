"""Serves the local channel's folder over HTTP: ranges, revalidation, and nothing outside of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

CONTENT_TYPES = {
    ".mp4": "video/mp4",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".vtt": "text/vtt; charset=utf-8",
    ".srt": "application/x-subrip; charset=utf-8",
    ".xml": "application/rss+xml; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".css": "text/css; charset=utf-8",
}
"""Only files of these kinds are served."""
HIDDEN = {"stats"}
"""Folders of the channel that are not for readers."""
_VIDEO = re.compile(r"posts/([^/]+)/(?:video\.mp4|card-01\.jpg)")
PROBE_BYTES = 2
"""Players ask for the first two bytes to see whether ranges work: that is no view."""


@dataclass(frozen=True, kw_only=True)
class FileAnswer:
    """Status and headers, and which bytes of which file are the body (`length` 0: none)."""

    status: int
    headers: dict[str, str]
    path: Path | None = None
    start: int = 0
    length: int = 0
    viewed_post: str | None = None


def find(root: Path, below: str) -> Path | None:
    """The file that `below` (decoded, without a leading slash) names, if it may be served."""
    parts = (below or "index.html").split("/")
    if any(part in ("", ".", "..") or part.startswith(".") or "\\" in part or "\0" in part for part in parts):
        return None
    if parts[0] in HIDDEN:
        return None
    path = root.joinpath(*parts)
    if path.suffix.lower() not in CONTENT_TYPES:
        return None
    try:
        real = path.resolve(strict=True)  # a symbolic link may not lead out either
    except (OSError, RuntimeError):
        return None
    return real if real.is_relative_to(root.resolve()) and real.is_file() else None


def answer(root: Path, below: str, headers: Mapping[str, str]) -> FileAnswer | None:
    """The answer to GET or HEAD with these (lower-case) request headers; None: there is no such file."""
    path = find(root, below)
    if path is None:
        return None
    found = path.stat()
    size = found.st_size
    tag = f'"{found.st_mtime_ns:x}-{size:x}"'
    modified = format_datetime(datetime.fromtimestamp(int(found.st_mtime), UTC), usegmt=True)
    common = {
        "content-type": CONTENT_TYPES[path.suffix.lower()],
        "accept-ranges": "bytes",
        "etag": tag,
        "last-modified": modified,
        "cache-control": "no-cache",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'none'",
    }
    matches = [part.strip().removeprefix("W/") for part in headers.get("if-none-match", "").split(",")]
    if tag in matches or "*" in matches:
        return FileAnswer(status=304, headers={**common, "content-length": "0"})
    span: tuple[int, int] | bool | None = None
    if "range" in headers and headers.get("if-range", tag) in (tag, modified):
        span = _span(headers["range"], size)
    if span is False:
        refused = {"content-range": f"bytes */{size}", "content-length": "0"}
        return FileAnswer(status=416, headers={**common, **refused})
    start, end = span if isinstance(span, tuple) else (0, size - 1)
    length = end - start + 1
    video = _VIDEO.fullmatch(below)
    viewed = video[1] if video and start == 0 and length > PROBE_BYTES else None
    extra = {"content-length": str(length)}
    if isinstance(span, tuple):
        extra["content-range"] = f"bytes {start}-{end}/{size}"
    return FileAnswer(
        status=206 if isinstance(span, tuple) else 200,
        headers={**common, **extra},
        path=path,
        start=start,
        length=length,
        viewed_post=viewed,
    )


def _span(text: str, size: int) -> tuple[int, int] | bool | None:
    """First and last byte of a Range header; None: to be ignored (RFC 9110 14.2), False: unsatisfiable."""
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", text.replace(" ", ""))
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found[1], found[2]
    if not first:
        wanted = int(last)
        return (max(0, size - wanted), size - 1) if wanted and size else False
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        return False
    return start, min(int(last), size - 1) if last else size - 1
