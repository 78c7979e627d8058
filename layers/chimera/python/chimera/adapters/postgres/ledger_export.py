"""What an export reads of Postgres: the head and the counters of one moment, then rows that cannot change any more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chimera.adapters.postgres.chain import database_now
from chimera.adapters.postgres.database import Connection, Database, Row
from chimera.adapters.postgres.seals import PostgresSeals
from chimera.domain.ledger import GENESIS, Entry, entry_from_row, timestamp
from chimera.domain.seals import Seal
from chimera.usecases.ledger_export import ExportSnapshot


class PostgresExport:
    """One tenant's ledger as an export reads it. Not thread-safe, as its Database is not."""

    def __init__(self, db: Database, tenant_id: str) -> None:
        self._db = db
        self.tenant_id = tenant_id

    def snapshot(self) -> ExportSnapshot:
        """Writers wait for the few milliseconds in which head and counters are read together."""
        with self._db.transaction(self.tenant_id) as c:
            # every change of money ends with this lock, so under it the counters fit the head
            head = c.execute("SELECT seq, hash FROM chain_head WHERE shard = 0 FOR UPDATE").fetchone()
            return ExportSnapshot(
                at=database_now(c),
                head_seq=head["seq"] if head else 0,
                head_hash=head["hash"] if head else GENESIS,
                lines=list(_beside(c)),
            )

    def entries(self, after: int, upto: int, limit: int) -> Sequence[Entry]:
        """Up to `limit` rows with after < seq <= upto, in order, with their signatures."""
        with self._db.transaction(self.tenant_id) as c:
            rows = c.execute(
                "SELECT * FROM ledger_entries WHERE seq > %s AND seq <= %s ORDER BY seq LIMIT %s", (after, upto, limit)
            ).fetchall()
        return [entry_from_row(row) for row in rows]

    def seals(self, upto: int) -> Iterator[Seal]:
        """The recorded seals of rows up to `upto`, in order."""
        for seal in PostgresSeals(self._db, self.tenant_id).all():
            if seal.last_seq <= upto:
                yield seal

    def purposes(self) -> Mapping[str, str]:
        """Every key that signed or was announced: key id to purpose, from KEY rows, signatures and seals."""
        with self._db.transaction(self.tenant_id) as c:
            rows = c.execute(
                "SELECT details->>'kid' AS kid, details->>'purpose' AS purpose, 1 AS rank"
                " FROM ledger WHERE entry_type = 'KEY'"
                " UNION SELECT kid, 'seal', 2 FROM ledger_seal"
                " UNION SELECT kid, 'cfo', 3 FROM ledger_signature ORDER BY rank DESC"
            ).fetchall()
        return {row["kid"]: row["purpose"] for row in rows}


def _beside(c: Connection) -> Iterator[dict[str, Any]]:
    queries: dict[str, str] = {
        "counter": "SELECT scope, kind, period_id, target_limit_micros, limit_micros, reserved_micros, spent_micros"
        " FROM budget_tracking ORDER BY scope, kind, period_id",
        "limit": "SELECT scope, kind, limit_micros FROM budget_limits ORDER BY scope, kind",
        "reservation": "SELECT request_id, state, category, amount_micros, periods, expires_at, decision_tx FROM reservation"
        " WHERE state IN ('RESERVED', 'SIGNED', 'DISPATCHED') ORDER BY request_id",
        "freeze": "SELECT scope FROM budget_freeze ORDER BY scope",
    }
    for kind, query in queries.items():
        rows: list[Row] = c.execute(query).fetchall()
        for row in rows:
            for name in ("request_id", "decision_tx"):
                if name in row:
                    row[name] = str(row[name])
            if "expires_at" in row:
                row["expires_at"] = timestamp(row["expires_at"])
            yield {"type": kind, **row}
