"""A Hypothesis state machine over the production engine: any order of rules that a person, a program or time may choose.

The same oracle as the simulator's (invariants.py) watches every commit and every reply. `crash` arguments kill a call at
one of its I/Os; it is then asked again, as production does.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from chimera.domain.ids import stable_id
from chimera.errors import ChimeraError
from tests.money.invariants import Body
from tests.money.sim_jobs import LIMITS, SCOPES
from tests.money.sim_lives import STRANGER, TYPES, Life
from tests.money.sim_world import MILLI, Crash
from tests.money.simulator import AGENTS, RULES, TENANT, TTL_SECONDS, Simulation

AMOUNTS = st.one_of(
    st.integers(1, 3), st.integers(1, 40).map(lambda n: n * 50_000), st.integers(-1, 1).map(lambda n: RULES.largest + n)
)
BODIES = st.builds(
    Body,
    agent_id=st.sampled_from([*AGENTS * 4, STRANGER]),
    request_type=st.sampled_from(TYPES),
    amount=AMOUNTS,
    roi=st.sampled_from([Fraction(3, 2), Fraction(1_499_999, 1_000_000), Fraction(2), Fraction(3), Fraction(3)]),
    justification=st.sampled_from(["", "a video"]),
)
CRASHES = st.one_of(st.none(), st.none(), st.integers(0, 40))
STEPS = st.one_of(
    st.integers(1, 5000).map(lambda n: timedelta(milliseconds=n)),
    st.sampled_from([timedelta(hours=1), timedelta(hours=-1), timedelta(seconds=30), timedelta(minutes=9)]),
)


class MoneyMachine(RuleBasedStateMachine):
    """One tenant."""

    steps = 0
    """Rules that ran, in all examples."""

    def __init__(self) -> None:
        super().__init__()
        self.sim = Simulation(0)
        self.sim.world.faulty = False
        self.lives: list[Life] = []
        self.made = 0

    @initialize()
    def begin(self) -> None:
        """The tenant's limits."""
        self.sim.jobs.begin()

    # --- inside

    def call(self, crash: int | None, run: Callable[[], Any]) -> None:
        """Run it; killed at one of its I/Os, or refused because of that, it is asked again."""
        type(self).steps += 1
        self.sim.world.crash_in = crash
        try:
            run()
        except Crash:
            run()
        finally:
            self.sim.world.crash_in = None
            self.sim.tasks.clear()
            self.sim.books.checks += 1

    def life(self, pick: int, *states: str) -> Life | None:
        """One of the last twelve requests in these states; without states one that an agent may ask for again."""
        found = [
            life
            for life in self.lives[-12:]
            if (self.sim.state_of(life.request_id) in states if states else life.body.override is None)
        ]
        return found[pick % len(found)] if found else None

    # --- requests

    @rule(body=BODIES, crash=CRASHES)
    def decide(self, body: Body, crash: int | None) -> None:
        self.made += 1
        life = Life(stable_id(TENANT, "request", str(self.made)), body)
        self.lives.append(life)
        self.call(crash, lambda: self.sim.lives.approve(None, life, life.body))

    @rule(kind=st.sampled_from(TYPES), off=st.integers(-1, 1), crash=CRASHES)
    def decide_at_the_limit(self, kind: str, off: int, crash: int | None) -> None:
        left = self.sim.lives.left(kind)
        self.decide(Body(AGENTS[0], kind, max(1, left + off), Fraction(3)), crash)

    @precondition(lambda self: self.life(0))
    @rule(pick=st.integers(0, 11), crash=CRASHES)
    def again(self, pick: int, crash: int | None) -> None:
        life = self.life(pick)
        assert life is not None
        self.call(crash, lambda: self.sim.lives.approve(None, life, life.body))

    @precondition(lambda self: self.life(0))
    @rule(pick=st.integers(0, 11), body=BODIES, crash=CRASHES)
    def again_with_another_body(self, pick: int, body: Body, crash: int | None) -> None:
        life = self.life(pick)
        assert life is not None
        self.call(crash, lambda: self.sim.lives.approve(None, life, body))

    @rule(bodies=st.lists(BODIES, min_size=1, max_size=4), crash=CRASHES)
    def decide_many(self, bodies: list[Body], crash: int | None) -> None:
        batch = [Life(stable_id(TENANT, "request", str(self.made + n)), body) for n, body in enumerate(bodies, 1)]
        self.made += len(batch)
        self.lives.extend(batch)
        self.call(crash, lambda: self.sim.lives.decide_many(None, [*batch, batch[0]]))

    @precondition(lambda self: self.life(0, "ESCALATED"))
    @rule(pick=st.integers(0, 11), yes=st.booleans(), crash=CRASHES)
    def override(self, pick: int, yes: bool, crash: int | None) -> None:
        life = self.life(pick, "ESCALATED")
        assert life is not None
        body = self.sim.books.decisions[life.request_id].body
        self.call(crash, lambda: self.sim.lives.override(None, life, body, yes))
        child = next((c for c in self.sim.lives.all if c.request_id == stable_id(life.request_id, "override")), None)
        if child is not None and child not in self.lives:
            self.lives.append(child)

    # --- spending

    @precondition(lambda self: any(life.token for life in self.lives[-12:]))
    @rule(pick=st.integers(0, 11), spender=st.sampled_from(["a", "a", "b"]), crash=CRASHES)
    def dispatch(self, pick: int, spender: str, crash: int | None) -> None:
        found = [life for life in self.lives[-12:] if life.token]
        life = found[pick % len(found)]
        self.call(crash, lambda: self.sim.lives.dispatch(None, life, spender, False))

    @precondition(lambda self: self.life(0, "SIGNED"))
    @rule(pick=st.integers(0, 11), off=st.integers(-1, 1), crash=CRASHES)
    def dispatch_at_the_end(self, pick: int, off: int, crash: int | None) -> None:
        life = self.life(pick, "SIGNED")
        assert life is not None
        row = self.sim.reservation(life.request_id)
        assert row is not None
        edge = row.expires_at + MILLI * off
        if life.token and edge > self.sim.world.clock.peek():
            self.sim.world.clock.set(edge)
            self.call(crash, lambda: self.sim.lives.dispatch(None, life, "a", False))

    @precondition(lambda self: self.life(0, "DISPATCHED"))
    @rule(pick=st.integers(0, 11), share=st.integers(0, 4), crash=CRASHES)
    def spend_and_settle(self, pick: int, share: int, crash: int | None) -> None:
        life = self.life(pick, "DISPATCHED")
        assert life is not None
        life.actual = self.sim.vendor.charges.get((life.request_id, ""), life.body.amount * share // 4)
        self.call(None, lambda: self.sim.lives.settle_early(None, life))  # a micro above the reservation
        self.call(crash, lambda: self.sim.lives.spend(None, life))
        self.call(crash, lambda: self.sim.lives.settle(None, life, life.actual))

    @precondition(lambda self: self.life(0, "SETTLED"))
    @rule(pick=st.integers(0, 11), amount=AMOUNTS, crash=CRASHES)
    def settle_again(self, pick: int, amount: int, crash: int | None) -> None:
        life = self.life(pick, "SETTLED")
        assert life is not None
        self.call(crash, lambda: self.sim.lives.settle(None, life, life.actual))
        spent = self.sim.books.decisions[life.request_id].spent
        if min(amount, life.body.amount) != spent:
            self.call(None, lambda: self.sim.lives.settle_otherwise(None, life, amount))
        self.call(None, lambda: self.sim.lives.release_settled(None, life))

    @precondition(lambda self: self.life(0, "SETTLED"))
    @rule(pick=st.integers(0, 11), amount=AMOUNTS, key=st.sampled_from("xyz"), crash=CRASHES)
    def refund(self, pick: int, amount: int, key: str, crash: int | None) -> None:
        life = self.life(pick, "SETTLED")
        assert life is not None
        self.call(crash, lambda: self.sim.jobs.refund(None, life.request_id, key, amount))

    @precondition(lambda self: self.life(0, "RESERVED", "SIGNED"))
    @rule(pick=st.integers(0, 11), crash=CRASHES)
    def release(self, pick: int, crash: int | None) -> None:
        life = self.life(pick, "RESERVED", "SIGNED")
        assert life is not None
        self.call(crash, lambda: self.sim.lives.release(None, life))

    # --- time, jobs, people

    @rule(step=STEPS)
    def clock(self, step: timedelta) -> None:
        type(self).steps += 1
        self.sim.world.clock.add(step)

    @rule(seed=st.integers(0, 10**6))
    def clock_edge(self, seed: int) -> None:
        type(self).steps += 1
        self.sim.rng.seed(seed)
        self.sim.world.jump()

    @rule(off=st.integers(-1, 1), crash=CRASHES)
    def expire(self, off: int, crash: int | None) -> None:
        if self.sim.store.tables.open:
            first = min(row.expires_at for row in self.sim.store.tables.open.values())
            edge = first + timedelta(seconds=30) + MILLI * off
            if (
                edge - self.sim.world.clock.peek() < timedelta(seconds=TTL_SECONDS)
                and edge > self.sim.world.clock.peek()
            ):
                self.sim.world.clock.set(edge)
        self.call(crash, lambda: self.sim.ledger().expire_due())

    @rule(crash=CRASHES)
    def sweep(self, crash: int | None) -> None:
        self.call(crash, lambda: self.sim.jobs.sweep(None))

    @rule(
        scope=st.sampled_from(SCOPES),
        kind=st.sampled_from("DWM"),
        to=st.sampled_from([0, 1, 2, 5, 10]),
        crash=CRASHES,
    )
    def set_limit(self, scope: str, kind: str, to: int, crash: int | None) -> None:
        used = [r.reserved + r.spent for k, r in self.sim.store.tables.counters.items() if k[:2] == (scope, kind)]
        micros = max(1, LIMITS[kind] * to // 5 if to else max(used, default=1))
        self.call(crash, lambda: self.sim.ledger().set_limit(scope, kind, micros, by="anna"))

    @rule(scope=st.sampled_from(SCOPES), thaw=st.booleans(), crash=CRASHES)
    def freeze(self, scope: str, thaw: bool, crash: int | None) -> None:
        self.call(crash, lambda: self.sim.ledger().freeze([scope], "odd", "anna"))
        if thaw:
            self.call(crash, lambda: self.sim.jobs.thaw(None, [scope]))

    @rule(state=st.sampled_from(["STOP", "PAUSE_SPEND", "PAUSE_PUBLISH", None]), body=BODIES)
    def stop_and_resume(self, state: str | None, body: Body) -> None:
        self.sim.jobs.set_switch(state)
        self.decide(body, None)
        self.sim.jobs.set_switch("RUN")

    def teardown(self) -> None:
        """Everything from the rows."""
        try:
            self.sim.books.full()
        except ChimeraError as error:
            raise AssertionError(str(error)) from error
