"""A forger with the database's superuser, the hash function and the source code, but without the CFO's key or the seals' anchor.

Each attack leaves tables that fit each other as well as a forger can make them: hashes, the chain's head, counters and
reservations are all repaired after it.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import psycopg
import rfc8785
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from chimera.adapters.postgres.tenancy import agent_id
from chimera.bootstrap import App
from chimera.domain.ledger import FIELDS, GENESIS, Entry, body_fields, entry_from_row, row_hash, signing_message
from chimera.domain.ledger_fold import LedgerFold
from chimera.ports import Signer

Conn = psycopg.Connection[dict[str, Any]]
TABLES = (
    "ledger",
    "ledger_signature",
    "ledger_seal",
    "ledger_key",
    "ledger_unsigned",
    "chain_head",
    "budget_tracking",
    "budget_limits",
    "budget_freeze",
    "reservation",
)


def open_super(url: str) -> Conn:
    """A superuser for whom no trigger, foreign key or row-level security stands in the way."""
    connection: Conn = psycopg.connect(url, row_factory=dict_row, autocommit=True)
    connection.execute("SET session_replication_role = replica")
    return connection


def fill(app: App, requests: int, seed: int, seal_every: int = 7) -> None:
    """A ledger of real decisions with what became of them: settled, refunded, released, rejected, open; all of it sealed."""
    chance = random.Random(seed)
    tenant = app.settings.tenant_id
    cfo, ledger, sealer = app.cfo(tenant), app.ledger(tenant), app.sealer(tenant)
    for number in range(requests):
        answer = cfo.approve(
            {
                "request_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
                "agent_id": agent_id(tenant, "artist"),
                "request_type": chance.choice(["api_call", "compute", "storage", "blockchain"]),
                "request_cost": str(chance.randint(1, 900) / 100),
                "projected_roi": chance.choice(["2.0", "2.5", "1.0"]),
                "justification": f"video {number}: “größer”\n\\ \x7f",
            }
        )
        fate = chance.random()
        if answer["approved"] and fate < 0.6:
            cfo.dispatch(answer["token"], f"run-{number}")
            actual = chance.randint(0, 10_000)
            ledger.settle(answer["request_id"], actual)
            if actual and fate < 0.2:
                ledger.refund(answer["request_id"], actual // 2 + 1, key="r", by="ada", reason="vendor's credit")
        elif answer["approved"] and fate < 0.8:
            cfo.release(answer["request_id"], "not needed")
        if number % seal_every == 0:
            cfo.sweep()
            sealer.seal_due(force=True)
    cfo.sweep()
    sealer.seal_due(force=True)


class Copy:
    """The tenant's tables as they were, and a way back to them."""

    def __init__(self, c: Conn, tenant: str) -> None:
        self._c, self._tenant = c, tenant
        self._columns: dict[str, sql.Composed] = {}
        c.execute("CREATE SCHEMA IF NOT EXISTS before")
        for table in TABLES:
            names = c.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s"
                " AND is_generated = 'NEVER' AND is_identity = 'NO'",
                (table,),
            ).fetchall()
            self._columns[table] = sql.SQL(", ").join(sql.Identifier(row["column_name"]) for row in names)
            c.execute(sql.SQL("DROP TABLE IF EXISTS before.{}").format(sql.Identifier(table)))
            c.execute(
                sql.SQL("CREATE TABLE before.{0} AS SELECT {1} FROM public.{0} WHERE tenant_id = {2}").format(
                    sql.Identifier(table), self._columns[table], sql.Literal(tenant)
                )
            )

    def restore(self) -> None:
        """Everything as it was."""
        with self._c.transaction():
            for table in reversed(TABLES):
                self._c.execute(
                    sql.SQL("DELETE FROM {} WHERE tenant_id = {}").format(
                        sql.Identifier(table), sql.Literal(self._tenant)
                    )
                )
            for table in TABLES:
                self._c.execute(
                    sql.SQL("INSERT INTO public.{0} ({1}) SELECT {1} FROM before.{0}").format(
                        sql.Identifier(table), self._columns[table]
                    )
                )


@dataclass
class Forger:
    """One attack at one place; `place` is the sequence number of a row after the first KEY row, not of the last row."""

    c: Conn
    tenant: str
    chance: random.Random
    old_key: Signer
    """A key whose public half the verifier knows, but with which this ledger was never signed."""

    def rows(self, first: int = 1) -> list[Entry]:
        found = self.c.execute(
            "SELECT * FROM ledger_entries WHERE tenant_id = %s AND seq >= %s ORDER BY seq", (self.tenant, first)
        ).fetchall()
        return [entry_from_row(row) for row in found]

    def rewrite(self, first: int, rows: list[Entry], signer: Signer | None = None) -> None:
        """Put these rows in place of all from `first` on, every hash made to fit, and repair all that rests on them.

        Signatures stay where they were, by row number, unless there is a key to sign with.
        """
        before = self.c.execute(
            "SELECT row_hash FROM ledger WHERE tenant_id = %s AND seq = %s", (self.tenant, first - 1)
        ).fetchone()
        head = before["row_hash"] if before else GENESIS
        self.c.execute("DELETE FROM ledger WHERE tenant_id = %s AND seq >= %s", (self.tenant, first))
        for number, row in enumerate(rows, start=first):
            entry = replace(row, seq=number, prev_hash=head)
            body = rfc8785.dumps(body_fields(entry))
            head = row_hash(entry.prev_hash, body)
            self.insert(replace(entry, body=body, row_hash=head))
        last = first + len(rows) - 1
        self.c.execute("DELETE FROM ledger_signature WHERE tenant_id = %s AND seq > %s", (self.tenant, last))
        self.c.execute(
            "UPDATE chain_head SET seq = %s, hash = %s WHERE tenant_id = %s", (max(last, first - 1), head, self.tenant)
        )
        self.repair()

    def insert(self, entry: Entry) -> None:
        values = {name: getattr(entry, name) for name in FIELDS}
        values |= {"periods": Jsonb(entry.periods), "details": Jsonb(entry.details)}
        self.c.execute(
            sql.SQL("INSERT INTO ledger ({}) VALUES ({})").format(
                sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ").join([sql.Placeholder()] * len(values))
            ),
            tuple(values.values()),
        )

    def repair(self) -> None:
        """Counters, reservations and recorded seals as the rows that are there now say."""
        fold = LedgerFold()
        states: dict[str, str] = {}
        for row in self.rows():
            fold.apply(row)
            if row.is_approval:
                states[row.request_id] = "SIGNED"
            elif row.entry_type in {"SETTLE", "RELEASE", "EXPIRE"}:
                states[row.request_id] = {"SETTLE": "SETTLED", "RELEASE": "RELEASED", "EXPIRE": "EXPIRED"}[
                    row.entry_type
                ]
        self.c.execute(
            "UPDATE budget_tracking SET reserved_micros = 0, spent_micros = 0 WHERE tenant_id = %s", (self.tenant,)
        )
        for key in {*fold.reserved, *fold.spent}:
            self.c.execute(
                "UPDATE budget_tracking SET reserved_micros = greatest(%s, 0), spent_micros = greatest(%s, 0)"
                " WHERE tenant_id = %s AND (scope, kind, period_id) = (%s, %s, %s)",
                (fold.reserved.get(key, 0), fold.spent.get(key, 0), self.tenant, *key),
            )
        self.c.execute(
            "DELETE FROM reservation WHERE tenant_id = %s AND NOT request_id = ANY(%s::uuid[])",
            (self.tenant, list(states)),
        )
        for request_id, state in states.items():
            self.c.execute(
                "UPDATE reservation SET state = %s WHERE tenant_id = %s AND request_id = %s AND state <> %s",
                (state, self.tenant, request_id, state),
            )
        self.c.execute("DELETE FROM ledger_seal WHERE tenant_id = %s AND last_seq > %s", (self.tenant, fold.seq))

    # --- the attacks

    def edit(self, place: int) -> None:
        """One column of one row, no hash touched."""
        change = self.chance.choice(
            [
                "amount_micros = amount_micros + 1",
                "justification = justification || '!'",
                "projected_roi = coalesce(projected_roi, 0) + 1",
                "made_by = 'nobody'",
                "reason = reason || '.'",
                "created_at = created_at + interval '1 microsecond'",
                "request_id = gen_random_uuid()",
                """details = details || '{"x": "1"}'""",
                "tx_id = gen_random_uuid()",
                "key_id = 'x'",
                "body = body || ' '",
                "row_hash = sha256(row_hash)",
            ]
        )
        # ROI and justification are a decision's own
        kind = "DECISION" if "roi" in change or "justification" in change else None
        statement = f"UPDATE ledger SET {change} WHERE tenant_id = %s AND seq = (SELECT max(seq) FROM ledger WHERE"
        statement += " tenant_id = %s AND seq <= %s AND (%s::text IS NULL OR entry_type = %s))"
        changed = self.c.execute(statement, (self.tenant, self.tenant, place, kind, kind))
        assert changed.rowcount == 1

    def rewrite_amount(self, place: int) -> None:
        """A smaller amount, and everything after it made to fit."""
        rows = self.rows(place)
        self.rewrite(place, [replace(rows[0], reason=f"{rows[0].reason} (corrected)"), *rows[1:]])

    def delete(self, place: int) -> None:
        """One row gone, the later ones moved up."""
        self.rewrite(place, self.rows(place + 1))

    def add(self, place: int) -> None:
        """A row that never was, between two others."""
        template = next(row for row in self.rows() if row.entry_type == "DECISION")
        forged = replace(
            template,
            tx_id=str(uuid.uuid4()),
            request_id=str(uuid.uuid4()),
            decision="rejected",
            expires_at=None,
            amount_micros=1,
        )
        self.rewrite(place, [forged, *self.rows(place)])

    def reorder(self, place: int) -> None:
        """Two neighbours swapped."""
        rows = self.rows(place)
        self.rewrite(place, [rows[1], rows[0], *rows[2:]])

    def truncate(self, place: int) -> None:
        """The tail gone, signatures of what is left all true, every table as it was at that row."""
        self.rewrite(place + 1, [])

    def fork(self, place: int) -> None:
        """Another history from here on: the same requests, a minute later."""
        rows = [replace(row, created_at=row.created_at + timedelta(minutes=1)) for row in self.rows(place)]
        self.rewrite(place, rows)

    def swap_signatures(self, place: int) -> None:
        """Two true signatures, each under the other's row."""
        a, b = place, place + 1
        for old, new in ((a, -1), (b, a), (-1, b)):
            self.c.execute(
                "UPDATE ledger_signature SET seq = %s WHERE tenant_id = %s AND seq = %s", (new, self.tenant, old)
            )

    def downgrade(self, place: int) -> None:
        """A true signature by a key that the verifier knows, but which did not sign this ledger."""
        row = self.rows(place)[0]
        if self.chance.random() < 0.5:  # also in the row itself, with everything after it
            self.rewrite(place, [replace(row, key_id=self.old_key.key_id), *self.rows(place + 1)])
            row = self.rows(place)[0]
        self.c.execute(
            "UPDATE ledger_signature SET kid = %s, sig = %s WHERE tenant_id = %s AND seq = %s",
            (self.old_key.key_id, self.old_key.sign(signing_message(row)), self.tenant, place),
        )


ATTACKS: dict[str, Callable[[Forger, int], None]] = {
    "edit": Forger.edit,
    "rewrite": Forger.rewrite_amount,
    "delete": Forger.delete,
    "insert": Forger.add,
    "reorder": Forger.reorder,
    "truncate": Forger.truncate,
    "fork": Forger.fork,
    "swap signatures": Forger.swap_signatures,
    "key downgrade": Forger.downgrade,
}
