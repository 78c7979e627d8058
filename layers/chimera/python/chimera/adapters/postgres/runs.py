"""Runs: one row for each start of the supervisor."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from chimera.adapters.postgres.database import Database, Row
from chimera.errors import ChimeraError


class PostgresRuns:
    """The runs of one tenant."""

    def __init__(self, db: Database, tenant_id: str) -> None:
        self._db = db
        self._tenant = tenant_id

    def begin(self, run_id: str, execution_id: str, options: dict[str, Any]) -> Row:
        """Enter the run; asked again, the same row comes back."""
        with self._db.transaction(self._tenant) as tx:
            tx.execute(
                "INSERT INTO runs (id, execution_id, options) VALUES (%s, %s, %s) ON CONFLICT (id) DO NOTHING",
                (run_id, execution_id, Jsonb(options)),
            )
        return self.get(run_id)

    def get(self, run_id: str) -> Row:
        """The run; `NOT_FOUND` if this tenant has none of that id."""
        with self._db.transaction(self._tenant) as tx:
            row = tx.execute("SELECT * FROM runs WHERE id = %s", (run_id,)).fetchone()
        if row is None:
            raise ChimeraError("NOT_FOUND", f"no run {run_id!r}", {"run_id": run_id})
        return row

    def set_status(self, run_id: str, status: str, **summary: Any) -> None:
        """Change the status and add to the summary."""
        with self._db.transaction(self._tenant) as tx:
            tx.execute(
                "UPDATE runs SET status = %s, summary = summary || %s, state_version = state_version + 1 WHERE id = %s",
                (status, Jsonb(summary), run_id),
            )

    def page(self, limit: int, before: tuple[str, str] | None) -> list[Row]:
        """Newest first; `before` is the (created_at, id) of the last row of the page before."""
        with self._db.transaction(self._tenant) as tx:
            return tx.execute(
                "SELECT * FROM runs WHERE %(at)s::timestamptz IS NULL"
                " OR (created_at, id) < (%(at)s::timestamptz, %(id)s::uuid)"
                " ORDER BY created_at DESC, id DESC LIMIT %(limit)s",
                {"at": before[0] if before else None, "id": before[1] if before else None, "limit": limit},
            ).fetchall()

    def unfinished(self) -> list[Row]:
        """Runs that are neither published nor ended, oldest first."""
        with self._db.transaction(self._tenant) as tx:
            return tx.execute(
                "SELECT * FROM runs WHERE status IN ('running', 'waiting_review', 'waiting_approval') ORDER BY created_at"
            ).fetchall()
