"""Cursor pagination: an opaque cursor names the last row of the page before, so new rows shift nothing."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

from aws_lambda_powertools.event_handler.openapi.params import Query

from chimera.domain.ids import is_uuid
from chimera.errors import ChimeraError

T = TypeVar("T")
Limit = Annotated[int, Query(ge=1, le=100, description="How many, 1–100")]
CursorText = Annotated[str | None, Query(max_length=400, description="`next_cursor` of the page before")]
Place = tuple[str, str]


def page_of(rows: Sequence[dict[str, Any]], limit: int, *more: str) -> tuple[list[dict[str, Any]], str | None]:
    """The first `limit` of `limit + 1` rows, and the cursor of the next page if there is one."""
    shown = list(rows[:limit])
    if len(rows) <= limit:
        return shown, None
    last = shown[-1]
    return shown, encode(last["created_at"].isoformat(), str(last["id"]), *more)


def encode(*parts: str) -> str:
    """Parts as base64url of JSON."""
    text = json.dumps(parts, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode(cursor: str | None) -> Place | None:
    """(created_at, id) of the last row of the page before; `VALIDATION_FAILED` for what no page gave."""
    if cursor is None:
        return None
    parts = decode_parts(cursor)
    try:
        aware = len(parts) == 2 and datetime.fromisoformat(parts[0]).tzinfo is not None and is_uuid(parts[1])
    except ValueError:
        aware = False
    if not aware:
        raise bad_cursor(cursor)
    return parts[0], parts[1]


def decode_parts(cursor: str) -> list[str]:
    """The parts of a cursor; `VALIDATION_FAILED` if it is none."""
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        parts = json.loads(data)
    except (binascii.Error, ValueError, RecursionError):
        raise bad_cursor(cursor) from None
    if not isinstance(parts, list) or not parts or not all(isinstance(part, str) for part in parts):
        raise bad_cursor(cursor)
    return parts


def seq_of(cursor: str | None) -> str | None:
    """The ledger's own cursor, a sequence number, in ours; `VALIDATION_FAILED` for what no page gave."""
    if cursor is None:
        return None
    parts = decode_parts(cursor)
    if len(parts) != 1 or not (parts[0].isascii() and parts[0].isdigit() and len(parts[0]) <= 18):
        raise bad_cursor(cursor)
    return parts[0]


def bad_cursor(cursor: str) -> ChimeraError:
    """The error of a cursor that no page gave."""
    expected = "the next_cursor of the page before"
    return ChimeraError(
        "VALIDATION_FAILED",
        f"cursor: got {cursor[:40]!r}, expected {expected}",
        {"cursor": {"got": cursor[:40], "expected": expected}},
    )
