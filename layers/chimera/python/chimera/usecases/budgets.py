"""What is left of every limit, what it will come to, what is frozen and what is still open: for people and programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

from chimera.domain.forecast import HISTORY_DAYS, forecast, level, used_percent
from chimera.domain.ledger import BudgetLine
from chimera.domain.money import usd
from chimera.domain.money_views import Frozen, OpenRequest


class BudgetLines(Protocol):
    """The ledger's counters of the current periods (adapters.postgres.ledger)."""

    def budgets(self) -> Sequence[BudgetLine]:
        """Total first."""
        ...


class BudgetRows(Protocol):
    """What else is known of the budgets (adapters.postgres.money_views)."""

    def daily_spent(self, since: date) -> dict[str, dict[date, int]]:
        """Micros by scope and UTC day."""
        ...

    def frozen(self) -> list[Frozen]:
        """Scopes that are frozen."""
        ...

    def open_requests(self) -> list[OpenRequest]:
        """Open reservations, oldest first."""
        ...


def overview(ledger: BudgetLines, rows: BudgetRows, now: datetime) -> dict[str, Any]:
    """`{currency, at, items, warnings, frozen, open_reservations}`; amounts are decimal strings in USD, times ISO 8601.

    An item's `level` is ok, notice (50 %), warning (80 %), critical (95 %) or frozen; `warnings` are those that are not ok.
    """
    frozen = rows.frozen()
    stopped = {f.scope for f in frozen}
    spent = rows.daily_spent(now.astimezone(UTC).date() - timedelta(days=HISTORY_DAYS))
    items = [_item(line, line.category in stopped, spent.get(line.category, {}), now) for line in ledger.budgets()]
    return {
        "currency": "USD",
        "at": iso(now),
        "items": items,
        "warnings": [
            {
                "period": item["period"],
                "period_id": item["period_id"],
                "category": item["category"],
                "level": item["level"],
                "used_percent": item["used_percent"],
            }
            for item in items
            if item["level"] != "ok"
        ],
        "frozen": [{"category": f.scope, "reason": f.reason, "since": iso(f.since)} for f in frozen],
        "open_reservations": [_open(request, now) for request in rows.open_requests()],
    }


def _item(line: BudgetLine, frozen: bool, daily: dict[date, int], now: datetime) -> dict[str, Any]:
    used = line.reserved_micros + line.spent_micros
    foreseen = forecast(
        start=line.period_start,
        end=line.period_end,
        now=now,
        spent_micros=line.spent_micros,
        reserved_micros=line.reserved_micros,
        limit_micros=line.limit_micros,
        daily=daily,
    )
    return {
        "period": line.period,
        "period_id": line.period_id,
        "category": line.category,
        "period_start": iso(line.period_start),
        "period_end": iso(line.period_end),
        "limit": usd(line.limit_micros),
        "reserved": usd(line.reserved_micros),
        "spent": usd(line.spent_micros),
        "remaining": usd(0 if frozen else line.remaining_micros),
        "used_percent": str(used_percent(used, line.limit_micros)),
        "level": level(used, line.limit_micros, frozen=frozen),
        "frozen": frozen,
        "forecast": {
            "expected": usd(foreseen.expected_micros),
            "low": usd(foreseen.low_micros),
            "high": usd(foreseen.high_micros),
            "basis": foreseen.basis,
            "exceeds_limit": foreseen.expected_micros > line.limit_micros,
            "runs_out_at": iso(foreseen.runs_out_at) if foreseen.runs_out_at else None,
        },
    }


def _open(request: OpenRequest, now: datetime) -> dict[str, Any]:
    return {
        "request_id": request.request_id,
        "agent_id": request.agent_id,
        "category": request.category,
        "amount": usd(request.amount_micros),
        "state": request.state,
        "spender": request.spender,
        "reserved_at": iso(request.reserved_at),
        "dispatched_at": iso(request.dispatched_at) if request.dispatched_at else None,
        "expires_at": iso(request.expires_at),
        "age_seconds": max(0, round((now - request.reserved_at).total_seconds())),
    }


def iso(instant: datetime) -> str:
    """ISO 8601 in UTC, whole seconds, with Z."""
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
