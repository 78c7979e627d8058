"""What the ledger tells: entries, budgets, what is unsigned and what is open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import psycopg

from chimera.adapters.postgres.chain import ROWS_BY_SEQ, database_now, key_columns
from chimera.adapters.postgres.database import Connection, Database
from chimera.adapters.postgres.ledger_verify import verify_ledger
from chimera.adapters.postgres.money import reservation_from_row
from chimera.domain.cfo import KINDS, PERIOD_NAMES, SCOPES, period_bounds, periods_of
from chimera.domain.ids import is_uuid
from chimera.domain.ledger import BudgetLine, Entry, Page, Reservation, VerifyReport, entry_from_row
from chimera.errors import ChimeraError
from chimera.ports import Verifier


class LedgerReads:
    """The reading half of the ledger of one tenant."""

    def __init__(
        self, db: Database, tenant_id: str, *, now: Callable[[psycopg.Connection[Any]], datetime] = database_now
    ) -> None:
        self._db = db
        self.tenant_id = tenant_id
        self._now = now

    def get(self, request_id: str) -> tuple[Entry, Entry | None, Reservation | None]:
        """The decision on a request, how it was resolved, and where its reservation stands. `NOT_FOUND`."""
        known_uuid(request_id)
        with self._db.transaction(self.tenant_id) as c:
            # the reservation first: what it says (SIGNED, SETTLED) the later reads then see as well
            row = c.execute("SELECT * FROM reservation WHERE request_id = %s", (request_id,)).fetchone()
            decision = decision_on(c, request_id)
            if decision is None:
                raise ChimeraError("NOT_FOUND", f"no request {request_id}", {"request_id": request_id})
            return decision, resolution_of(c, request_id), reservation_from_row(row) if row else None

    def override_of(self, tx_id: str) -> Entry | None:
        """The person's decision about an escalated one."""
        with self._db.transaction(self.tenant_id) as c:
            row = c.execute("SELECT * FROM ledger_entries WHERE override_of = %s", (tx_id,)).fetchone()
        return entry_from_row(row) if row else None

    def entries(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        agent_id: str | None = None,
        decision: str | None = None,
        request_type: str | None = None,
        entry_type: str | None = None,
    ) -> Page:
        """Entries, newest first; `cursor` is what the page before gave. `VALIDATION_FAILED` for a bad limit
        or cursor."""
        if not 1 <= limit <= 500:
            raise ChimeraError("VALIDATION_FAILED", f"limit: got {limit}, expected 1–500", {"limit": limit})
        if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
            raise ChimeraError("VALIDATION_FAILED", f"cursor: got {cursor[:40]!r}, expected one that a page gave")
        with self._db.transaction(self.tenant_id) as c:
            rows = c.execute(
                "SELECT * FROM ledger_entries"
                " WHERE (%(cursor)s::bigint IS NULL OR seq < %(cursor)s)"
                " AND (%(agent_id)s::text IS NULL OR agent_id::text = %(agent_id)s)"
                " AND (%(decision)s::text IS NULL OR decision = %(decision)s)"
                " AND (%(request_type)s::text IS NULL OR request_type = %(request_type)s)"
                " AND (%(entry_type)s::text IS NULL OR entry_type = %(entry_type)s)"
                " ORDER BY seq DESC LIMIT %(limit)s",
                {
                    "cursor": int(cursor) if cursor else None,
                    "agent_id": agent_id,
                    "decision": decision,
                    "request_type": request_type,
                    "entry_type": entry_type,
                    "limit": limit + 1,
                },
            ).fetchall()
        entries = [entry_from_row(row) for row in rows[:limit]]
        return Page(entries, str(entries[-1].seq) if len(rows) > limit else None)

    def budgets(self) -> list[BudgetLine]:
        """The current day, week and month of every category: total first."""
        with self._db.transaction(self.tenant_id) as c:
            current = periods_of(self._now(c))
            limits = {(r["scope"], r["kind"]): r["limit_micros"] for r in c.execute("SELECT * FROM budget_limits")}
            keys = [(scope, kind, current[kind]) for scope in SCOPES for kind in KINDS if (scope, kind) in limits]
            if not keys:
                return []
            rows = c.execute(
                "SELECT * FROM budget_tracking"
                " WHERE (scope, kind, period_id) IN (SELECT * FROM unnest(%s::text[], %s::text[],"
                " %s::text[]))",
                key_columns(keys),
            )
            found = {(r["scope"], r["kind"]): r for r in rows}
        lines = []
        for scope, kind, period_id in keys:
            row = found.get((scope, kind))
            start, end = period_bounds(kind, period_id)
            lines.append(
                BudgetLine(
                    period=PERIOD_NAMES[kind],
                    category=scope,
                    period_id=period_id,
                    period_start=start,
                    period_end=end,
                    limit_micros=row["limit_micros"] if row else limits[scope, kind],
                    reserved_micros=row["reserved_micros"] if row else 0,
                    spent_micros=row["spent_micros"] if row else 0,
                )
            )
        return lines

    def unsigned(self, limit: int = 100) -> list[Entry]:
        """Rows without a signature, oldest first; not approvals that have ended before they were signed."""
        with self._db.transaction(self.tenant_id) as c:
            waiting = c.execute("SELECT seq FROM ledger_unsigned ORDER BY seq LIMIT %s", (limit,)).fetchall()
            rows = c.execute(ROWS_BY_SEQ + " ORDER BY seq", ([row["seq"] for row in waiting],)).fetchall()
        return [entry_from_row(row) for row in rows]

    def open_reservations(self) -> Sequence[Reservation]:
        """What is reserved and not yet settled, released or expired; oldest first."""
        with self._db.transaction(self.tenant_id) as c:
            rows = c.execute(
                "SELECT * FROM reservation WHERE state IN ('RESERVED', 'SIGNED', 'DISPATCHED') ORDER BY created_at"
            ).fetchall()
        return [reservation_from_row(row) for row in rows]

    def verify(self, verifier: Verifier) -> VerifyReport:
        """Recompute everything from the rows: see ledger_verify."""
        return verify_ledger(self._db, self.tenant_id, verifier)


def decision_on(c: Connection, request_id: str) -> Entry | None:
    """The decision on a request, if there is one."""
    row = c.execute(
        "SELECT * FROM ledger_entries WHERE request_id = %s AND entry_type = 'DECISION'", (request_id,)
    ).fetchone()
    return entry_from_row(row) if row else None


def resolution_of(c: Connection, request_id: str) -> Entry | None:
    """How an approval ended, if it has."""
    row = c.execute(
        "SELECT * FROM ledger_entries WHERE request_id = %s AND entry_type IN ('SETTLE', 'RELEASE', 'EXPIRE')",
        (request_id,),
    ).fetchone()
    return entry_from_row(row) if row else None


def known_uuid(request_id: str) -> None:
    """`NOT_FOUND` for what cannot be a request id."""
    if not is_uuid(request_id):
        raise ChimeraError("NOT_FOUND", f"no request {request_id[:80]!r}: a request id is a UUID")
