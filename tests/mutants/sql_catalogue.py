"""Seeded bugs in the SQL and in the adapter that speaks it, and the examination that must notice them on a real Postgres."""

from __future__ import annotations

import contextlib
import threading
import types
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors

import chimera.adapters.postgres.money as money
from chimera import migrations
from chimera.adapters.postgres.chain import database_now
from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.tenancy import agent_id, seed_tenant
from chimera.domain.cfo import ApprovalRequest, CfoPolicy, RiskWeights, counters, parse_request, periods_of
from chimera.domain.ids import stable_id
from chimera.domain.ledger import Chain, Entry
from chimera.money_ports import MoneyTransaction, Move, Write
from chimera.settings import Settings
from chimera.usecases.ledger import LedgerEngine

NO_RISK = CfoPolicy(weights=RiskWeights(*[0 * RiskWeights().margin] * 5), approval_ttl_seconds=600)
SQL = (migrations.FOLDER / "sql" / "0005_money_engine.sql").read_text(encoding="utf-8")
LIMIT, THREADS, EACH = 30, 6, 10
KID = "k" * 43


@dataclass(frozen=True)
class SqlMutant:
    """`python` changes adapters/postgres/money.py, `function` one function of the migration, `statement` is run as owner."""

    name: str
    what: str
    python: tuple[str, str] | None = None
    function: tuple[str, str, str] | None = None
    statement: str = ""
    fast: bool = False


SQL_MUTANTS = [
    SqlMutant(
        "counters-not-locked",
        "counters are read without FOR UPDATE",
        function=("money_lock", "b.period_id = k.period_id FOR UPDATE;", "b.period_id = k.period_id;"),
        fast=True,
    ),
    SqlMutant(
        "head-not-locked",
        "the chain's head is read without FOR UPDATE",
        function=("money_head", "WHERE h.shard = 0 FOR UPDATE;\n  IF NOT", "WHERE h.shard = 0;\n  IF NOT"),
    ),
    SqlMutant(
        "transaction-clock",
        "the decision's clock is the transaction's start",
        function=("money_view", "now := clock_timestamp();", "now := transaction_timestamp();"),
        fast=True,
    ),
    SqlMutant(
        "limit-grows-with-use",
        "an approval raises the limit it breaks",
        function=("money_write", "CASE WHEN m.reserved + m.spent > 0 THEN b.limit_micros", "CASE WHEN false THEN 0"),
    ),
    SqlMutant(
        "no-check-of-limit",
        "the table lets more be used than the limit",
        statement="ALTER TABLE budget_tracking DROP CONSTRAINT check_spent_within_limit",
    ),
    SqlMutant("no-one-decision", "the unique key of decisions is gone", statement="DROP INDEX one_decision", fast=True),
    SqlMutant("no-one-resolution", "the unique key of resolutions is gone", statement="DROP INDEX one_resolution"),
    SqlMutant(
        "dispatched-expires",
        "the expiry job takes a dispatched approval",
        python=("WHERE state IN ('RESERVED', 'SIGNED') AND expires_at <", "WHERE spender IS NOT NULL AND expires_at <"),
        fast=True,
    ),
    SqlMutant(
        "dispatch-after-end",
        "an expired approval is dispatched",
        python=(
            '            " AND expires_at > coalesce(%s::timestamptz, clock_timestamp()) RETURNING 1 AS done",',
            "            \" AND %s::timestamptz IS DISTINCT FROM 'epoch' RETURNING 1 AS done\",",
        ),
        fast=True,
    ),
    SqlMutant(
        "dispatch-unsigned",
        "the compare-and-swap does not look at the state",
        python=("request_id = %s AND state = 'SIGNED' AND state_version", "request_id = %s AND state_version"),
    ),
    SqlMutant(
        "cut-goes-negative",
        "a limit cut below what is used",
        python=(
            "limit_micros = greatest(%s, reserved_micros + spent_micros)",
            "limit_micros = %s + 0 * reserved_micros",
        ),
        fast=True,
    ),
    SqlMutant(
        "raced-not-retried",
        "a lost race is an error",
        python=("_RETRIED = (\n    Raced,\n", "_RETRIED = (\n"),
        fast=True,
    ),
]


def broken_adapter(mutant: SqlMutant) -> types.ModuleType:
    """adapters/postgres/money.py with the bug in it; the file itself stays as it is."""
    text = Path(str(money.__file__)).read_text(encoding="utf-8")
    if mutant.python is not None:
        assert text.count(mutant.python[0]) == 1, f"{mutant.name}: the text changed: {mutant.python[0]!r}"
        text = text.replace(*mutant.python)
    module = types.ModuleType(f"{money.__name__}_{mutant.name.replace('-', '_')}")
    exec(compile(text, str(money.__file__), "exec"), module.__dict__)
    return module


def break_database(mutant: SqlMutant, owner_url: str) -> None:
    """Put the bug into the schema of this database."""
    with psycopg.connect(owner_url, autocommit=True) as owner:
        if mutant.function is not None:
            name, old, new = mutant.function
            start = SQL.index(f"CREATE FUNCTION {name}(")
            text = SQL[start : SQL.index("END $$;", start) + len("END $$;")]
            assert text.count(old) == 1, f"{mutant.name}: the text changed: {old!r}"
            owner.execute(text.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1).replace(old, new).encode())
        if mutant.statement:
            owner.execute(mutant.statement.encode())


class Examination:
    """One tenant in one database, looked at from all sides that only a database has."""

    def __init__(self, app_url: str, adapter: types.ModuleType, home: Path) -> None:
        self._url = app_url
        self._adapter = adapter
        self.tenant = str(uuid.uuid4())
        self.agent = agent_id(self.tenant, "artist")
        self.clock = datetime(2031, 3, 3, 23, 59, 30, tzinfo=UTC)
        settings = Settings().model_copy(update={"home": home, "tenant_id": self.tenant})
        with psycopg.connect(app_url) as connection:
            seed_tenant(connection, self.tenant, settings)

    @contextlib.contextmanager
    def engine(self, *, real_clock: bool = False) -> Iterator[LedgerEngine]:
        """The production engine over the adapter with the bug."""
        read: Callable[[Any], datetime] = database_now if real_clock else lambda _: self.clock
        with contextlib.closing(Database(self._url)) as database:
            yield LedgerEngine(self._adapter.PostgresMoney(database, self.tenant, now=read))

    def request(self, number: int, cost: str = "1.00") -> ApprovalRequest:
        """Request number n."""
        body = {"agent_id": self.agent, "request_type": "compute", "request_cost": cost, "projected_roi": "9"}
        return parse_request({"request_id": stable_id(self.tenant, str(number)), "justification": "", **body})

    def examine(self) -> None:
        """Raises when anything is not as it must be."""
        with self.engine() as engine:
            self._one_by_one(engine)
        self._race()

    # --- one after the other

    def _one_by_one(self, engine: LedgerEngine) -> None:
        first = engine.decide(self.request(1), NO_RISK, key_id=KID)
        second = engine.decide(self.request(2), NO_RISK, key_id=KID)
        assert not self._dispatched(engine, second), "dispatched without a signature"
        engine.attach_signature(first.seq, KID, b"s" * 64)
        engine.attach_signature(second.seq, KID, b"s" * 64)
        assert self._dispatched(engine, first), "a good approval is dispatched"
        self.clock += timedelta(seconds=60)  # midnight has passed since the engine last looked
        third = engine.decide(self.request(3), NO_RISK, key_id=KID)
        assert third.periods == periods_of(self.clock), "the periods after midnight"
        self.clock += timedelta(hours=1)
        assert not self._dispatched(engine, second), "dispatched after its end"
        assert {e.request_id for e in engine.expire_due()} == {second.request_id, third.request_id}, "what expires"
        engine.set_limit("total", "M", 1, by="anna")
        engine.settle(first.request_id, 900_000)
        self._refused(engine, second, "DECISION", errors.UniqueViolation)
        self._refused(engine, first, "RELEASE", errors.UniqueViolation)
        engine.set_limit("total", "M", LIMIT * 1_000_000, by="anna")
        keys = counters("compute", periods_of(self.clock))
        self._refused(engine, first, "SETTLE", errors.CheckViolation, Move(keys, reserved_micros=10**14))

    def _dispatched(self, engine: LedgerEngine, approval: Entry) -> bool:
        def work(tx: MoneyTransaction) -> bool:
            held = tx.lock_reservation(approval.request_id)
            assert held is not None
            return tx.dispatch(approval.request_id, held.state_version, "worker")

        return engine._store.run(work)

    def _refused(
        self, engine: LedgerEngine, like: Entry, entry_type: str, expected: type[Exception], move: Move | None = None
    ) -> None:
        """The tables refuse such a row, whatever the engine would do."""

        def work(tx: MoneyTransaction) -> None:
            seq, digest = tx.head()
            chain = Chain(self.tenant, seq, digest, tx.now(), KID, lambda: str(uuid.uuid4()))
            entry = chain.add(
                entry_type,
                request_id=like.request_id,
                amount_micros=1 if entry_type == "DECISION" else 0,
                made_by="test",
                req_sha256=like.req_sha256,
                agent_id=like.agent_id,
                request_type=like.request_type,
                decision="rejected" if entry_type == "DECISION" else None,
                settles=None if entry_type == "DECISION" else like.tx_id,
                periods=like.periods,
            )
            tx.write([Write(entry, move=move)])
            raise _Undone

        try:
            # each attempt of `run` would be refused again: the transaction is asked once
            with contextlib.closing(Database(self._url)) as database, database.transaction(self.tenant) as connection:
                work(self._adapter.PostgresTransaction(connection, self.tenant, now=lambda _: self.clock))
        except expected:
            return
        except _Undone:
            raise AssertionError(f"a second {entry_type} was written, or more than the limit") from None

    # --- all at once

    def _race(self) -> None:
        """Six threads want twice what is there, with duplicates and refusals between."""
        with self.engine(real_clock=True) as engine:
            before = engine.set_limit("total", "D", LIMIT * 1_000_000 + 999_999, by="anna")
        assert before is not None
        barrier = threading.Barrier(THREADS)
        troubles: list[BaseException] = []
        entries: dict[str, list[Entry]] = {}

        def worker(number: int) -> None:
            try:
                with self.engine(real_clock=True) as engine:
                    barrier.wait()
                    for n in range(EACH):
                        request = self.request(
                            1000 + (n if n < 3 else number * 100 + n)
                        )  # the first three are everybody's
                        entries.setdefault(request.request_id, []).append(engine.decide(request, NO_RISK, key_id=KID))
                        engine.refuse("racer", "FORBIDDEN", "not yours", f"{number} {n}")
            except BaseException as error:  # noqa: BLE001 - told by the main thread
                troubles.append(error)

        threads = [threading.Thread(target=worker, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if troubles:
            raise troubles[0]
        for answers in entries.values():
            assert all(replace(a, signature=None) == replace(answers[0], signature=None) for a in answers), "duplicates"
        approved = sum(1 for answers in entries.values() if answers[0].decision == "approved")
        assert approved == LIMIT, f"{approved} approved, {LIMIT} fit"
        self._check_rows(before.seq)

    def _check_rows(self, first: int) -> None:
        with contextlib.closing(Database(self._url)) as database, database.transaction(self.tenant) as connection:
            query = "SELECT seq, prev_hash, row_hash, created_at FROM ledger WHERE seq >= %s ORDER BY seq"
            raced = connection.execute(query, (first,)).fetchall()
        for before, row in pairwise(raced):
            assert row["seq"] == before["seq"] + 1 and row["prev_hash"] == before["row_hash"], "the chain"
            assert row["created_at"] > before["created_at"], "clocks go with the order of the rows"


class _Undone(Exception):  # noqa: N818
    """Leaves the transaction without a commit."""
