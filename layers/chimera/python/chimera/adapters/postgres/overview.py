"""What people look at across tables: the review queue, counts for health and metrics, a ledger row."""

from __future__ import annotations

from typing import Any

from chimera.adapters.postgres.database import Database, Row
from chimera.adapters.postgres.reviews import PUBLIC
from chimera.domain.ids import is_uuid
from chimera.domain.ledger import Entry, entry_from_row
from chimera.errors import ChimeraError

# metric: its label, and the query that counts by it
COUNTS: dict[str, tuple[str, str]] = {
    "runs": ("status", "SELECT status AS label, count(*) AS n FROM runs GROUP BY status"),
    "content": ("stage", "SELECT stage AS label, count(*) AS n FROM content_pipeline GROUP BY stage"),
    "reviews": ("status", "SELECT status AS label, count(*) AS n FROM reviews GROUP BY status"),
    "publications": ("status", "SELECT status AS label, count(*) AS n FROM publications GROUP BY status"),
    "trends": ("", "SELECT '' AS label, count(*) AS n FROM trends"),
    "ledger_entries": ("type", "SELECT entry_type AS label, count(*) AS n FROM ledger GROUP BY entry_type"),
    "decisions": (
        "decision",
        "SELECT decision AS label, count(*) AS n FROM ledger WHERE entry_type = 'DECISION' GROUP BY decision",
    ),
    "reviews_undelivered": (
        "",
        "SELECT '' AS label, count(*) AS n FROM reviews WHERE status IN ('approved', 'rejected')"
        " AND task_token IS NOT NULL AND delivered_at IS NULL",
    ),
}


class PostgresOverview:
    """Reads of one tenant that belong to no single table."""

    def __init__(self, db: Database, tenant_id: str) -> None:
        self._db = db
        self._tenant = tenant_id

    def review_queue(self, limit: int, before: tuple[str, str] | None, after_pending: bool) -> list[Row]:
        """Reviews, those that wait for a person first, then newest first; tokens stay inside.

        `before` is the (created_at, id) of the last row of the page before, `after_pending` whether that one
        was decided.
        """
        with self._db.transaction(self._tenant) as tx:
            return tx.execute(
                f"SELECT {PUBLIC} FROM reviews"  # noqa: S608
                " WHERE %(at)s::timestamptz IS NULL OR (status <> 'pending') > %(decided)s"
                " OR ((status <> 'pending') = %(decided)s"
                " AND (created_at, id) < (%(at)s::timestamptz, %(id)s::uuid))"
                " ORDER BY (status <> 'pending'), created_at DESC, id DESC LIMIT %(limit)s",
                {
                    "at": before[0] if before else None,
                    "id": before[1] if before else None,
                    "decided": after_pending,
                    "limit": limit,
                },
            ).fetchall()

    def review_of_request(self, request_id: str) -> Row | None:
        """The newest review of an escalated request, if a run asked for one."""
        with self._db.transaction(self._tenant) as tx:
            return tx.execute(
                f"SELECT {PUBLIC} FROM reviews WHERE kind = 'spend' AND request_id = %s"  # noqa: S608
                " ORDER BY created_at DESC, id DESC LIMIT 1",
                (request_id,),
            ).fetchone()

    def ledger_entry(self, key: str) -> Entry:
        """A ledger row by its sequence number or its transaction id; `NOT_FOUND`."""
        row = None
        with self._db.transaction(self._tenant) as tx:
            if is_uuid(key):
                row = tx.execute("SELECT * FROM ledger_entries WHERE tx_id = %s", (key,)).fetchone()
            elif key.isascii() and key.isdigit() and len(key) <= 18:
                row = tx.execute("SELECT * FROM ledger_entries WHERE seq = %s", (int(key),)).fetchone()
        if row is None:
            raise ChimeraError("NOT_FOUND", f"no ledger entry {key[:80]!r}", {"entry": key[:80]})
        return entry_from_row(row)

    def agents_by_role(self) -> dict[str, int]:
        """How many agents of each role are not offline."""
        with self._db.transaction(self._tenant) as tx:
            rows = tx.execute(
                "SELECT role, count(*) FILTER (WHERE status IN ('idle', 'busy')) AS n FROM agents"
                " GROUP BY role ORDER BY role"
            ).fetchall()
        return {row["role"]: row["n"] for row in rows}

    def budget_rows(self) -> int:
        """How many limits are set: the budget store answers."""
        with self._db.transaction(self._tenant) as tx:
            row = tx.execute("SELECT count(*) AS n FROM budget_limits").fetchone()
        assert row is not None
        return int(row["n"])

    def counts(self) -> dict[str, dict[str, int]]:
        """Each metric of COUNTS: how many, by label."""
        found: dict[str, dict[str, int]] = {}
        with self._db.transaction(self._tenant) as tx:
            for name, (_, query) in COUNTS.items():
                statement: Any = query
                found[name] = {row["label"]: row["n"] for row in tx.execute(statement).fetchall()}
        return found
