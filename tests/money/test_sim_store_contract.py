"""The simulated store does what Postgres does: the same operations give the same rows, counters, states and refusals."""

from __future__ import annotations

import contextlib
import random
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha512
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.money import PostgresMoney
from chimera.adapters.postgres.tenancy import agent_id, seed_tenant
from chimera.domain.approval import Claims
from chimera.domain.cfo import CfoPolicy, parse_request
from chimera.domain.ids import stable_id
from chimera.domain.ledger import Entry
from chimera.errors import ChimeraError
from chimera.settings import Settings
from chimera.usecases.ledger import LedgerEngine
from tests.money.sim_jobs import SCOPES
from tests.money.sim_store import SimStore
from tests.money.sim_tables import NoFaults

KID = "k" * 43
POLICY = CfoPolicy(max_transaction_micros=3_000_000, approval_ttl_seconds=600)
COMPARED = [
    "entry_type",
    "request_id",
    "agent_id",
    "request_type",
    "amount_micros",
    "currency",
    "projected_roi",
    "risk_score",
    "decision",
    "code",
    "reason",
    "justification",
    "made_by",
    "override_of",
    "settles",
    "periods",
    "control_epoch",
    "expires_at",
    "details",
    "req_sha256",
    "key_id",
    "created_at",
]


class Script:
    """Operations that chance picks, the same for the same seed, on one engine."""

    def __init__(self, engine: LedgerEngine, seed: int, clock: list[datetime]) -> None:
        self.engine = engine
        self.rng = random.Random(seed)
        self.clock = clock
        self.approved: list[Entry] = []
        self.agents = [agent_id(engine.tenant_id, role) for role in ("artist", "scout")]

    def step(self, number: int) -> Any:
        """One operation; its row in comparable form, or the refusal."""
        self.clock[0] += timedelta(milliseconds=self.rng.choice((1, 700, 20_000, 90_000, 3_600_000)))
        if self.rng.random() < 0.05:
            self.clock[0] = self.clock[0].replace(hour=23, minute=59, second=59)
        often = (self.decide, self.decide, self.decide, self.many, self.spend, self.spend, self.settle, self.settle)
        seldom = (self.release, self.expire, self.refund, self.limit, self.freeze, self.refuse)
        act: Callable[[int], Any] = self.rng.choice((*often, *seldom))
        try:
            told = act(number)
        except ChimeraError as error:
            return act.__name__, error.code, error.message
        entries = told if isinstance(told, list) else [told]
        return act.__name__, [_comparable(each) for each in entries]

    def request(self, number: int) -> Any:
        """A request; now and then one that came before, or a stranger's."""
        rng = self.rng
        cost = rng.choice(("0.4", "1.25", "2", "3", "3.000001", "0.000001"))
        agent = rng.choice(self.agents) if rng.random() > 0.05 else stable_id("stranger")
        return parse_request(
            {
                "request_id": stable_id(self.engine.tenant_id, str(number if rng.random() > 0.1 else number // 2)),
                "agent_id": agent,
                "request_type": rng.choice(("compute", "storage", "api_call", "blockchain")),
                "request_cost": cost,
                "projected_roi": rng.choice(("1.5", "9", "1.2")),
                "justification": "",
            }
        )

    def decide(self, number: int) -> Entry:
        entry = self.engine.decide(self.request(number), POLICY, key_id=KID)
        return self._signed(entry)

    def many(self, number: int) -> list[Any]:
        requests = [self.request(number * 1000 + n) for n in range(4)]
        entries = self.engine.decide_many([*requests, requests[0]], POLICY, KID)
        return [self._signed(e) if isinstance(e, Entry) else e for e in entries]

    def _signed(self, entry: Entry) -> Entry:
        if entry.is_approval:
            self.approved.append(entry)
            if self.rng.random() < 0.8:
                return self.engine.attach_signature(entry.seq, KID, sha512(entry.request_id.encode()).digest())
        return entry

    def _one(self) -> Entry:
        return self.rng.choice(self.approved[-8:]) if self.approved else _nobody()

    def spend(self, number: int) -> Any:
        e = self._one()
        claims = Claims(
            e.request_id, e.tenant_id, e.agent_id or "", e.request_type or "", e.amount_micros, e.seq, 0, 0, e.body
        )
        return self.engine.dispatch(claims, self.rng.choice(("a", "a", "b")))

    def settle(self, number: int) -> Entry:
        e = self._one()
        over = self.rng.choice((0, 0, 0, 7))
        share = 4 if over else self.rng.randrange(6)
        return self.engine.settle(e.request_id, e.amount_micros * share // 4, overrun_micros=over)

    def release(self, number: int) -> Entry:
        return self.engine.release(self._one().request_id, "not needed")

    def expire(self, number: int) -> list[Entry]:
        return self.engine.expire_due()

    def refund(self, number: int) -> Entry:
        return self.engine.refund(self._one().request_id, self.rng.choice((1, 400_000)), key="n", by="v", reason="")

    def limit(self, number: int) -> Any:
        scope, kind = self.rng.choice(SCOPES), self.rng.choice("DWM")
        return self.engine.set_limit(scope, kind, self.rng.choice((1, 2_000_000, 9_000_000, 50_000_000)), by="anna")

    def freeze(self, number: int) -> Entry:
        scopes = [self.rng.choice(SCOPES)]
        return (self.engine.freeze if self.rng.random() < 0.4 else self.engine.unfreeze)(scopes, "odd", "anna")

    def refuse(self, number: int) -> Entry:
        return self.engine.refuse("caller", "VALIDATION_FAILED", "no", f"{number // 3}", self.agents[0], "nonsense")


def _nobody() -> Entry:
    raise ChimeraError("NOT_FOUND", "nothing was approved yet")


def _comparable(told: Any) -> Any:
    if isinstance(told, ChimeraError):
        return told.code, told.message
    if not isinstance(told, Entry):
        return told
    return {name: getattr(told, name) for name in COMPARED} | {"signature": told.signature, "signed_by": told.signed_by}


def _difference(real: Any, simulated: Any) -> Any:
    """What is not the same, for the message."""
    if isinstance(real, dict) and isinstance(simulated, dict):
        return {k: (real[k], simulated.get(k)) for k in real if real[k] != simulated.get(k)}
    if isinstance(real, list | tuple) and isinstance(simulated, list | tuple) and len(real) == len(simulated):
        return [_difference(a, b) for a, b in zip(real, simulated, strict=True) if a != b]
    return real, simulated


def _counting_ids() -> Callable[[], str]:
    count = iter(range(1, 10**9))
    return lambda: str(uuid.UUID(int=next(count) << 64 | 0x7 << 76 | 0x2 << 62))


@contextlib.contextmanager
def on_postgres(url: str, tenant: str, clock: list[datetime], home: Path) -> Iterator[LedgerEngine]:
    """A seeded tenant in Postgres."""
    with psycopg.connect(url) as connection:
        seed_tenant(connection, tenant, Settings().model_copy(update={"home": home, "tenant_id": tenant}))
    with contextlib.closing(Database(url)) as database:
        yield LedgerEngine(PostgresMoney(database, tenant, now=lambda _: clock[0]), new_id=_counting_ids())


def in_memory(tenant: str, clock: list[datetime]) -> tuple[SimStore, LedgerEngine]:
    """The same tenant in the simulated store."""
    agents = [agent_id(tenant, role) for role in ("artist", "scout", "cfo")]
    store = SimStore(tenant, NoFaults(lambda: clock[0]), agents)
    return store, LedgerEngine(store, new_id=_counting_ids())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_operations_give_the_same(seed: int, new_database: Callable[[], Any], tmp_path: Path) -> None:
    tenant = str(uuid.UUID(int=seed << 64 | 0x4 << 76 | 0x2 << 62))
    begin = datetime(2026, 12, 31, 20, 0, tzinfo=UTC)
    clocks = [begin], [begin]
    store, memory = in_memory(tenant, clocks[0])
    with on_postgres(new_database().app, tenant, clocks[1], tmp_path) as postgres:
        for engine in (postgres, memory):
            for scope in SCOPES:
                for kind, micros in {"D": 9_000_000, "W": 30_000_000, "M": 60_000_000}.items():
                    engine.set_limit(scope, kind, micros, by="anna")
        scripts = Script(postgres, seed, clocks[1]), Script(memory, seed, clocks[0])
        for number in range(150):
            real, simulated = (script.step(number) for script in scripts)
            assert real == simulated, f"operation {number}: {_difference(real, simulated)}"

        def states(tx: Any) -> Any:
            return {e.request_id: tx.lock_reservation(e.request_id) for e in scripts[0].approved}, tx.frozen()

        real, simulated = postgres._store.run(states), memory._store.run(states)
        assert {k: (r.state, r.spender, r.state_version) for k, r in real[0].items()} == {
            k: (r.state, r.spender, r.state_version) for k, r in simulated[0].items()
        }
        assert set(real[1]) == set(simulated[1])
        keys = sorted(store.tables.counters)
        assert postgres._store.run(lambda tx: tx.lock_counters(keys)) == memory._store.run(
            lambda tx: tx.lock_counters(keys)
        )
