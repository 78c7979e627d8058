"""What people ask of the money tables: filtered and streamed ledger rows, use by day, what is open or frozen, who warned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

from psycopg.types.json import Jsonb

from chimera.adapters.postgres.database import Database, Row
from chimera.domain.ledger import Entry, entry_from_row
from chimera.domain.money_views import Frozen, LedgerFilter, OpenRequest

BATCH = 500
_WHERE = (
    " WHERE (%(entry_type)s::text IS NULL OR entry_type = %(entry_type)s)"
    " AND (%(decision)s::text IS NULL OR decision = %(decision)s)"
    " AND (%(agent_id)s::uuid IS NULL OR agent_id = %(agent_id)s)"
    " AND (%(request_id)s::uuid IS NULL OR request_id = %(request_id)s)"
    " AND (%(request_type)s::text IS NULL OR request_type = %(request_type)s)"
    " AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)"
    " AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)"
)


class PostgresMoneyViews:
    """Reads of one tenant's money that decide nothing, and the audit log's rows about budgets."""

    def __init__(self, db: Database, tenant_id: str) -> None:
        self._db = db
        self._tenant = tenant_id

    # --- ledger rows

    def newest(self, wanted: LedgerFilter, limit: int, before: int | None = None) -> list[Entry]:
        """Rows that match, newest first, those before the sequence number `before`."""
        return self._rows(
            wanted,
            " AND (%(before)s::bigint IS NULL OR seq < %(before)s) ORDER BY seq DESC LIMIT %(limit)s",
            before=before,
            limit=limit,
        )

    def oldest(self, wanted: LedgerFilter, limit: int, after: int = 0, until_seq: int | None = None) -> list[Entry]:
        """Rows that match, oldest first, those after the sequence number `after`, up to `until_seq`."""
        return self._rows(
            wanted,
            " AND seq > %(after)s AND (%(until_seq)s::bigint IS NULL OR seq <= %(until_seq)s)"
            " ORDER BY seq LIMIT %(limit)s",
            after=after,
            until_seq=until_seq,
            limit=limit,
        )

    def stream(self, wanted: LedgerFilter) -> Iterator[Entry]:
        """All rows that match, oldest first, as the ledger stood when it began; read in short transactions."""
        head, after = self.head(), 0
        while rows := self.oldest(wanted, BATCH, after, head):
            yield from rows
            after = rows[-1].seq

    def head(self) -> int:
        """The newest row's sequence number, 0 for none."""
        with self._db.transaction(self._tenant) as c:
            row = c.execute("SELECT coalesce(max(seq), 0) AS seq FROM ledger").fetchone()
        return int(row["seq"]) if row else 0

    def of_request(self, request_id: str) -> list[Entry]:
        """Every row of a request, and of the person's decision about it, in the order in which they were written."""
        with self._db.transaction(self._tenant) as c:
            rows = c.execute(
                "SELECT * FROM ledger_entries WHERE request_id = %(id)s OR request_id IN"
                " (SELECT o.request_id FROM ledger o JOIN ledger d ON o.override_of = d.tx_id"
                " WHERE d.request_id = %(id)s) ORDER BY seq",
                {"id": request_id},
            ).fetchall()
        return [entry_from_row(row) for row in rows]

    def _rows(self, wanted: LedgerFilter, rest: str, **values: Any) -> list[Entry]:
        query: Any = f"SELECT * FROM ledger_entries{_WHERE}{rest}"  # noqa: S608 - both are constants
        with self._db.transaction(self._tenant) as c:
            return [entry_from_row(row) for row in c.execute(query, {**wanted.values(), **values}).fetchall()]

    # --- budgets

    def daily_spent(self, since: date) -> dict[str, dict[date, int]]:
        """Micros spent by scope and UTC day from `since` on; a day nobody asked for anything is not there."""
        with self._db.transaction(self._tenant) as c:
            rows = c.execute(
                "SELECT scope, period_id::date AS day, spent_micros FROM budget_tracking"
                " WHERE kind = 'D' AND period_id >= %s ORDER BY scope, period_id",
                (since.isoformat(),),
            ).fetchall()
        found: dict[str, dict[date, int]] = {}
        for row in rows:
            found.setdefault(row["scope"], {})[row["day"]] = row["spent_micros"]
        return found

    def frozen(self) -> list[Frozen]:
        """Scopes in which nothing is approved until a person unfreezes them, and why."""
        with self._db.transaction(self._tenant) as c:
            rows = c.execute("SELECT scope, reason, created_at FROM budget_freeze ORDER BY scope").fetchall()
        return [Frozen(scope=r["scope"], reason=r["reason"], since=r["created_at"]) for r in rows]

    def open_requests(self) -> list[OpenRequest]:
        """What is reserved and not yet settled, released or expired; oldest first."""
        with self._db.transaction(self._tenant) as c:
            rows = c.execute(
                "SELECT r.*, l.agent_id FROM reservation r JOIN ledger l ON l.tx_id = r.decision_tx"
                " WHERE r.state IN ('RESERVED', 'SIGNED', 'DISPATCHED') ORDER BY r.created_at, r.request_id"
            ).fetchall()
        return [
            OpenRequest(
                request_id=str(r["request_id"]),
                agent_id=str(r["agent_id"]),
                category=r["category"],
                amount_micros=r["amount_micros"],
                state=r["state"],
                spender=r["spender"],
                reserved_at=r["created_at"],
                dispatched_at=r["dispatched_at"],
                expires_at=r["expires_at"],
            )
            for r in rows
        ]

    # --- audit log

    def warned(self, ids: Sequence[str]) -> set[str]:
        """Which of these warnings are in the audit log."""
        with self._db.transaction(self._tenant) as c:
            rows = c.execute("SELECT id FROM audit_logs WHERE id = ANY(%s::uuid[])", (list(ids),)).fetchall()
        return {str(row["id"]) for row in rows}

    def enter_warning(self, warning_id: str, subject: dict[str, str], found: dict[str, str]) -> bool:
        """Enter a warning in the audit log; False if it is there already."""
        with self._db.transaction(self._tenant) as c:
            row = c.execute(
                "INSERT INTO audit_logs (id, agent_id, action, input_data, output_data, status)"
                " VALUES (%s, 'cfo', 'budget.warning', %s, %s, 'success') ON CONFLICT DO NOTHING RETURNING id",
                (warning_id, Jsonb(subject), Jsonb(found)),
            ).fetchone()
        return row is not None

    def audited(self, actions: Sequence[str], limit: int) -> list[Row]:
        """Rows of the audit log about these actions, newest first."""
        with self._db.transaction(self._tenant) as c:
            return c.execute(
                "SELECT agent_id AS by, action, input_data AS before, output_data AS after, created_at FROM audit_logs"
                " WHERE action = ANY(%s) ORDER BY created_at DESC, id DESC LIMIT %s",
                (list(actions), limit),
            ).fetchall()

    def sealed_at(self, seq: int) -> datetime | None:
        """When the row was sealed; None if it is not."""
        with self._db.transaction(self._tenant) as c:
            row = c.execute(
                "SELECT created_at FROM ledger_seal WHERE %s BETWEEN first_seq AND last_seq", (seq,)
            ).fetchone()
        return row["created_at"] if row else None
