"""What people ask of the money: which ledger rows, which scopes are frozen, which reservations are open."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from chimera.domain.ids import is_uuid
from chimera.errors import ChimeraError

ENTRY_TYPES = (
    "DECISION",
    "SETTLE",
    "RELEASE",
    "EXPIRE",
    "LIMIT_CHANGE",
    "REFUND",
    "OVERRUN",
    "FREEZE",
    "UNFREEZE",
    "REFUSAL",
    "KEY",
)
DECISIONS = ("approved", "rejected", "escalated")
REQUEST_TYPES = ("api_call", "compute", "storage", "blockchain")


@dataclass(frozen=True)
class Frozen:
    """A scope in which nothing is approved until a person unfreezes it."""

    scope: str
    reason: str
    since: datetime


@dataclass(frozen=True)
class OpenRequest:
    """An approval whose money is reserved: RESERVED, SIGNED or DISPATCHED. Amount in micros."""

    request_id: str
    agent_id: str
    category: str
    amount_micros: int
    state: str
    spender: str | None
    reserved_at: datetime
    dispatched_at: datetime | None
    expires_at: datetime


@dataclass(frozen=True)
class LedgerFilter:
    """Which ledger rows: None is any; `since` inclusive, `until` exclusive."""

    entry_type: str | None = None
    decision: str | None = None
    agent_id: str | None = None
    request_id: str | None = None
    request_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def values(self) -> dict[str, Any]:
        """By name."""
        return asdict(self)


def ledger_filter(
    *,
    entry_type: str | None = None,
    decision: str | None = None,
    agent_id: str | None = None,
    request_id: str | None = None,
    request_type: str | None = None,
    since: str | None = None,
    until: str | None = None,
    now: datetime,
) -> LedgerFilter:
    """The filter as a person wrote it, or `VALIDATION_FAILED`: see `instant` for `since` and `until`."""
    for name, value, known in (
        ("type", entry_type, ENTRY_TYPES),
        ("decision", decision, DECISIONS),
        ("request_type", request_type, REQUEST_TYPES),
    ):
        if value is not None and value not in known:
            raise _bad(name, value, f"one of {', '.join(known)}")
    for name, value in (("agent", agent_id), ("request", request_id)):
        if value is not None and not is_uuid(value):
            raise _bad(name, value, "a UUID")
    found = LedgerFilter(
        entry_type=entry_type,
        decision=decision,
        agent_id=agent_id,
        request_id=request_id,
        request_type=request_type,
        since=None if since is None else instant(since, "since", now),
        until=None if until is None else instant(until, "until", now, end=True),
    )
    if found.since and found.until and found.since >= found.until:
        raise _bad("until", until, f"a time after since ({found.since.isoformat()})")
    return found


def instant(text: str, name: str, now: datetime, *, end: bool = False) -> datetime:
    """`2026-11-21`, `2026-11-21T10:00:00Z`, or `24h` and `7d` before now; in UTC if nothing else is said.

    A day as an end means all of it. `VALIDATION_FAILED` for anything else.
    """
    ago = re.fullmatch(r"(\d{1,5})([hd])", text)
    try:
        if ago:
            count = int(ago.group(1))
            return now - (timedelta(hours=count) if ago.group(2) == "h" else timedelta(days=count))
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            day = date.fromisoformat(text)
            return datetime.combine(day, time(), UTC) + timedelta(days=int(end))
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _bad(name, text, "a day (2026-11-21), an ISO 8601 time, or 24h or 7d before now") from None


def _bad(name: str, value: Any, expected: str) -> ChimeraError:
    shown = repr(value)[:80]
    return ChimeraError(
        "VALIDATION_FAILED",
        f"{name}: got {shown}, expected {expected}",
        {name: {"got": shown, "expected": expected}},
    )
