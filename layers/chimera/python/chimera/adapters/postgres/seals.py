"""Seals in Postgres: the ledger's rows as a seal needs them, and the record of the seals that were anchored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chimera.adapters.postgres.database import Database, Row
from chimera.domain.ids import is_uuid
from chimera.domain.seals import Seal, seal_from_body
from chimera.errors import ChimeraError
from chimera.usecases.sealing import SealableRow

BATCH = 1000
_COLUMNS = "seq, tx_id, prev_hash, body, row_hash, created_at, approval_signature, signed_by"


class PostgresSeals:
    """Rows and recorded seals of one tenant: `SealableRows` and `SealRows`. Not thread-safe, as its Database is not."""

    def __init__(self, db: Database, tenant_id: str) -> None:
        self._db = db
        self.tenant_id = tenant_id

    # --- rows

    def after(self, seq: int, limit: int) -> Sequence[SealableRow]:
        """Up to `limit` committed rows after `seq`. Numbers are given under the chain's lock: no gap can fill up later."""
        with self._db.transaction(self.tenant_id) as c:
            rows = c.execute(
                f"SELECT {_COLUMNS} FROM ledger_entries WHERE seq > %s ORDER BY seq LIMIT %s",  # noqa: S608
                (seq, limit),
            ).fetchall()
        return [_sealable(row) for row in rows]

    def row(self, key: str) -> SealableRow:
        """A row by its sequence number or transaction id; `NOT_FOUND`."""
        column, value = ("tx_id", key) if is_uuid(key) else ("seq", key)
        row = None
        if column == "tx_id" or (value.isascii() and value.isdigit() and len(value) <= 18):
            with self._db.transaction(self.tenant_id) as c:
                row = c.execute(f"SELECT {_COLUMNS} FROM ledger_entries WHERE {column} = %s", (value,)).fetchone()  # noqa: S608
        if row is None:
            raise ChimeraError("NOT_FOUND", f"no ledger entry {key[:80]!r}", {"entry": key[:80]})
        return _sealable(row)

    def hashes(self, first_seq: int, last_seq: int) -> Sequence[bytes]:
        """The row hashes of these rows, in order."""
        with self._db.transaction(self.tenant_id) as c:
            rows = c.execute(
                "SELECT row_hash FROM ledger WHERE seq BETWEEN %s AND %s ORDER BY seq", (first_seq, last_seq)
            ).fetchall()
        return [row["row_hash"] for row in rows]

    # --- seals

    def last(self) -> Seal | None:
        """The newest recorded seal."""
        with self._db.transaction(self.tenant_id) as c:
            row = c.execute("SELECT * FROM ledger_seal ORDER BY number DESC LIMIT 1").fetchone()
        return _seal(row) if row else None

    def keep(self, seal: Seal) -> None:
        """Record a seal; the same again is nothing, another one of its number or rows `CONFLICT`."""
        with self._db.transaction(self.tenant_id) as c:
            c.execute(
                "INSERT INTO ledger_seal (number, first_seq, last_seq, body, kid, sig) VALUES (%s, %s, %s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                (seal.number, seal.first_seq, seal.last_seq, seal.body, seal.kid, seal.signature),
            )
            row = c.execute("SELECT * FROM ledger_seal WHERE number = %s", (seal.number,)).fetchone()
        if row is None or _seal(row) != seal:
            raise ChimeraError(
                "CONFLICT",
                f"seal {seal.number} or its rows {seal.first_seq}-{seal.last_seq} have another seal in the database",
                {"number": seal.number},
            )

    def covering(self, seq: int) -> Seal | None:
        """The seal of a row, if it is sealed."""
        with self._db.transaction(self.tenant_id) as c:
            row = c.execute(
                "SELECT * FROM ledger_seal WHERE last_seq >= %s ORDER BY last_seq LIMIT 1", (seq,)
            ).fetchone()
        return _seal(row) if row and row["first_seq"] <= seq else None

    def all(self) -> Iterator[Seal]:
        """Every recorded seal, in order of number."""
        last = 0
        while True:
            with self._db.transaction(self.tenant_id) as c:
                rows = c.execute(
                    "SELECT * FROM ledger_seal WHERE number > %s ORDER BY number LIMIT %s", (last, BATCH)
                ).fetchall()
            for row in rows:
                yield _seal(row)
            if len(rows) < BATCH:
                return
            last = rows[-1]["number"]

    def recorded(self) -> dict[int, Seal]:
        """Every recorded seal by number, for `SealChecker`."""
        return {seal.number: seal for seal in self.all()}


def _sealable(row: Row) -> SealableRow:
    return SealableRow(
        seq=row["seq"],
        tx_id=str(row["tx_id"]),
        prev_hash=row["prev_hash"],
        body=row["body"],
        row_hash=row["row_hash"],
        created_at=row["created_at"],
        signature=row["approval_signature"],
        signed_by=row["signed_by"],
    )


def _seal(row: Row) -> Seal:
    try:
        seal = seal_from_body(row["body"], row["kid"], row["sig"])
    except ChimeraError as error:
        raise ChimeraError("CONFLICT", f"seal {row['number']} in the database: {error.message}") from error
    if (seal.number, seal.first_seq, seal.last_seq) != (row["number"], row["first_seq"], row["last_seq"]):
        raise ChimeraError("CONFLICT", f"seal {row['number']} in the database is not what its body says")
    return seal
