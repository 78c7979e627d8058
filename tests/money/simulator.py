"""The money simulator: production use cases over a simulated world, every fault point hit, every invariant checked.

One seed is one history: lives of requests (sim_lives.py), people and jobs that interfere (sim_jobs.py), crashes, lost
answers, duplicates, late deliveries, clocks that jump. `simulate(seed, ops)` raises `Breach` at the first invariant that
does not hold, or gives the figures. `python tests/money/run.py --seed N --trace` shows a history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from chimera.domain.cfo import ApprovalRequest, CfoPolicy, parse_request
from chimera.domain.ids import stable_id
from chimera.domain.ledger import Reservation
from chimera.errors import ChimeraError
from chimera.usecases.cfo import Cfo
from tests.money.invariants import Books, Breach, Rules
from tests.money.sim_jobs import Jobs
from tests.money.sim_ledger import SimLedger
from tests.money.sim_lives import Lives
from tests.money.sim_purses import Purses
from tests.money.sim_store import KEEPS_LOSING, SimStore
from tests.money.sim_tables import Changes
from tests.money.sim_world import (
    RETRYABLE,
    Actor,
    Crash,
    SimSigner,
    SimVerifier,
    SimWorld,
    Task,
    Vendor,
    repeatable_ids,
)

TENANT = "11111111-1111-4111-8111-111111111111"
TTL_SECONDS = 600
POLICY = CfoPolicy(max_transaction_micros=3_000_000, risk_threshold=Decimal("0.38"), approval_ttl_seconds=TTL_SECONDS)
RULES = Rules(largest=3_000_000, threshold=Fraction(38, 100), ttl_seconds=TTL_SECONDS)
AGENTS = [stable_id(TENANT, role) for role in ("artist", "director", "scout", "cfo")]
POOL = 24
MOST_RETRIES = 400
"""With faults as rare as here, an operation that fails more often is stuck."""
MOST_LOST = 3
"""Times that one operation may lose eight races in a row."""
FULL_CHECK = 2_000
"""Operations between two full recomputations."""


@dataclass
class Figures:
    """What histories add up to."""

    seeds: int = 0
    ops: int = 0
    crashes: int = 0
    away: int = 0
    clock_jumps: int = 0
    switches: int = 0
    redelivered: int = 0
    rows: int = 0
    checks: int = 0
    charges: int = 0
    types: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    visits: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    faults: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)

    def add(self, other: Figures) -> None:
        """Sum up."""
        for name, value in vars(other).items():
            if isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)
            else:
                getattr(self, name).update(value)


class Simulation:
    """One history."""

    def __init__(self, seed: int, *, trace: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.world = SimWorld(seed, trace=trace)
        self.rng = self.world.rng
        self.store = SimStore(TENANT, self.world, AGENTS)
        self.verifier = SimVerifier()
        self.signer = SimSigner(self.world)
        self.vendor = Vendor(self.world)
        self.books = Books(self.store, RULES, self.verifier.verify)
        self.vendor.on_charge = self.books.charge
        self.agents = AGENTS
        self.largest = RULES.largest
        self.policy = POLICY
        self.tasks: list[Task] = []
        self.lives = Lives(self)
        self.jobs = Jobs(self)
        self.purses = Purses(self)
        self.target_ops = 0
        self.checked_at = 0
        self.closing = False
        self.world.state_of = self.state_of
        self.world.next_task = self.next_task
        self.world.on_result = self.result
        if trace:
            self.store.on_commit.append(self._trace_commit)

    # --- what production code is given

    def ledger(self, actor: Actor | None = None) -> SimLedger:
        """The engine of one worker process; a crash takes its memory."""
        if actor is None:
            return SimLedger(self.store)
        if "ledger" not in actor.memory:
            actor.memory["ledger"] = SimLedger(self.store)
        found: SimLedger = actor.memory["ledger"]
        return found

    def cfo(self, actor: Actor | None = None) -> Cfo:
        """A CFO in that process."""
        return Cfo(self.ledger(actor), self.signer, self.verifier, self.world.clock, POLICY)

    def parsed(self, request: dict[str, Any]) -> ApprovalRequest:
        """As the engine takes it."""
        return parse_request(request)

    # --- tasks

    def add(self, op: str, run: Callable[[Actor | None], None], target: str | None = None, copies: int = 1) -> None:
        """Queue an operation, to be delivered `copies` times at moments that chance picks."""
        for _ in range(copies):
            self.tasks.append(Task(op, run, target))

    def next_task(self) -> Task | None:
        """Any of the queued ones: what is asked first may well come last."""
        if not self.closing:
            while len(self.tasks) < POOL:
                if self.rng.random() < 0.16:
                    self.jobs.new()
                else:
                    self.lives.new()
        if not self.tasks:
            return None
        index = int(self.rng.random() * len(self.tasks))
        self.tasks[index], self.tasks[-1] = self.tasks[-1], self.tasks[index]
        task = self.tasks.pop()
        self.world.clock.add(timedelta(milliseconds=int(self.rng.expovariate(1 / 1500))))
        if self.world.faulty and self.rng.random() < 0.004:
            self.world.jump()
        if self.world.trace:
            self.world.trace(f"{self.world.counts.ops}: {task.op} {task.target or ''} {self.state_of(task.target)}")
        return task

    def result(self, actor: Actor, task: Task, error: BaseException | None) -> None:
        """A crash or a missing answer: whoever asked asks again. Any other error was not to be."""
        counts = self.world.counts
        if error is None:
            return
        if isinstance(error, Crash) or (isinstance(error, ChimeraError) and error.code in RETRYABLE):
            counts.redelivered += 1
            task.retries += 1
            task.lost += isinstance(error, ChimeraError) and error.message == KEEPS_LOSING
            if task.retries > MOST_RETRIES or task.lost > MOST_LOST:
                raise Breach(f"{task.op} of {task.target} is never answered: {error!r}") from error
            self.tasks.append(task)
            return
        raise Breach(f"{task.op} of {task.target} ({self.state_of(task.target)}) failed: {error!r}") from error

    def state_of(self, request_id: str | None) -> str:
        """Where a request stands, for the coverage."""
        if request_id is None:
            return "-"
        row = self.store.tables.reservations.get(request_id)
        if row is not None:
            return row.state
        known = self.store.tables.decisions.get(request_id)
        return "NONE" if known is None else (self.store.tables.ledger[known - 1].decision or "").upper()

    def reservation(self, request_id: str) -> Reservation | None:
        """The committed reservation."""
        return self.store.tables.reservations.get(request_id)

    # --- the history

    def run(self, ops: int) -> Figures:
        """Live through `ops` operations, then heal, recover and look whether anything is stuck."""
        self.target_ops = ops
        try:
            with repeatable_ids(self.rng, self.world.clock):
                self.jobs.begin()
                self.world.run(self._enough)
                self.books.full()
                self._heal()
        except (Breach, AssertionError) as error:
            raise Breach(f"seed {self.seed}, operation {self.world.counts.ops}: {error}") from error
        finally:
            self.world.close()
        return self.figures()

    def _enough(self) -> bool:
        ops = self.world.counts.ops
        if ops - self.checked_at >= FULL_CHECK:
            self.checked_at = ops
            self.books.full()
        return ops >= self.target_ops

    def _heal(self) -> None:
        """No more faults: what is queued is delivered, then recovery does the rest."""
        self.world.faulty = False
        self.closing = True
        self.jobs.resume_all()
        self.world.run(lambda: False)
        self.books.full()
        self.world.clock.add(timedelta(days=2))
        self.jobs.recover_all()
        self.world.run(lambda: False)
        self.books.full(closed=True)
        self.jobs.seals.check()

    def figures(self) -> Figures:
        """What happened."""
        counts = self.world.counts
        return Figures(
            seeds=1,
            ops=counts.ops,
            crashes=counts.crashes,
            away=counts.away,
            clock_jumps=counts.clock_jumps,
            switches=counts.switches,
            redelivered=counts.redelivered,
            rows=len(self.store.tables.ledger),
            checks=self.books.checks,
            charges=len(self.vendor.charges),
            types=Counter(self.books.types),
            decisions=Counter(f"{o.entry.decision} {o.entry.code}".strip() for o in self.books.decisions.values()),
            ends=Counter(r.state for r in self.store.tables.reservations.values()),
            errors=Counter(counts.errors),
            visits=Counter(self.world.visits),
            faults=Counter(self.world.faults),
        )

    def _trace_commit(self, changes: Changes) -> None:
        trace: Any = self.world.trace
        for write in changes.writes:
            e = write.entry
            trace(f"    row {e.seq} {e.entry_type} {e.request_id} {e.decision or ''} {e.code} {e.amount_micros}")
        for request_id, row in changes.reservations.items():
            trace(f"    {request_id} is {row.state}")


def simulate(seed: int, ops: int, *, trace: Callable[[str], None] | None = None) -> Figures:
    """One history from a seed; `Breach` with the seed when an invariant does not hold."""
    return Simulation(seed, trace=trace).run(ops)
