"""Those who interfere with the requests in the simulator: sweeps, people with limits and freezes, the switch, seals, refunds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from chimera.errors import ChimeraError
from tests.money.invariants import expect
from tests.money.sim_seals import SealJobs
from tests.money.sim_world import MILLI, Actor, unless_unanswered

if TYPE_CHECKING:
    from tests.money.simulator import Simulation

LIMITS = {"D": 12_000_000, "W": 50_000_000, "M": 150_000_000}
SCOPES = ("total", "api_call", "compute", "storage")
GRACE = timedelta(seconds=30)


class Jobs:
    """Queues jobs and people's acts."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.rng = sim.rng
        self.seals = SealJobs(sim)
        self.number = 0

    def begin(self) -> None:
        """The tenant's first limits."""
        for scope in SCOPES:
            for kind, micros in LIMITS.items():
                limit = micros if scope == "total" else micros * 6 // 10
                self.sim.ledger().set_limit(scope, kind, limit, by="settings", reason="start-up")

    def new(self) -> None:
        """Any job."""
        self.number += 1
        chance = self.rng.random()
        sim = self.sim
        if chance < 0.28:
            sim.add("sweep", self.sweep)
        elif chance < 0.40:
            sim.add("expiry", self.expiry)
        elif chance < 0.52:
            self._limit()
        elif chance < 0.58:
            self._freeze()
        elif chance < 0.70:
            sim.add("switch", self._switch)
        elif chance < 0.76:
            self._refuse()
        elif chance < 0.84:
            sim.add("seal", self.seals.seal)
        elif chance < 0.86:
            sim.add("prove", self.seals.prove)
        elif chance < 0.93:
            sim.add("recover", sim.purses.recover)
        else:
            self._answer()

    # --- sweep and expiry

    def sweep(self, actor: Actor | None) -> None:
        self.sim.cfo(actor).sweep()

    def expiry(self, actor: Actor | None) -> None:
        """The sweep at the very edge of some reservation's grace."""
        open_now = self.sim.store.tables.open
        if open_now and self.sim.world.faulty:
            row = open_now[self.rng.choice(sorted(open_now))]
            edge = row.expires_at + self.rng.choice((timedelta(0), GRACE)) + MILLI * self.rng.choice((-1, 0, 1))
            if edge > self.sim.world.clock.peek():
                self.sim.world.clock.set(edge)
        for entry in self.sim.ledger(actor).expire_due():
            expect(entry.entry_type == "EXPIRE", "expire_due gives expiries", entry.entry_type)

    # --- people

    def _limit(self) -> None:
        scope, kind = self.rng.choice(SCOPES), self.rng.choice("DWM")
        base = LIMITS[kind] if scope == "total" else LIMITS[kind] * 6 // 10
        micros = self.rng.choice((base, base, base * 2, base // 2, base // 5, 1))
        if self.rng.random() < 0.3:  # the very amount that is in use, or one micro beside it
            used = [r.reserved + r.spent for k, r in self.sim.store.tables.counters.items() if k[:2] == (scope, kind)]
            micros = max(1, (used[-1] if used else base) + self.rng.choice((-1, 0, 1)))

        def run(actor: Actor | None) -> None:
            self.sim.ledger(actor).set_limit(scope, kind, micros, by="anna", reason="simulated")
            if micros < base:
                self.sim.add("set_limit", lambda again: self._raise(again, scope, kind, base))

        self.sim.add("set_limit", run, copies=self.rng.choice((1, 1, 2)))

    def _raise(self, actor: Actor | None, scope: str, kind: str, micros: int) -> None:
        self.sim.ledger(actor).set_limit(scope, kind, micros, by="anna", reason="back to normal")

    def _freeze(self) -> None:
        scopes = self.rng.sample(SCOPES, self.rng.choice((1, 1, 2)))
        self.sim.add("freeze", lambda actor: self.frozen(actor, scopes), copies=self.rng.choice((1, 2)))

    def frozen(self, actor: Actor | None, scopes: list[str]) -> None:
        self.sim.ledger(actor).freeze(scopes, "something is odd", "anna")
        self.sim.add("unfreeze", lambda again: self.thaw(again, scopes))

    def thaw(self, actor: Actor | None, scopes: list[str]) -> None:
        try:
            self.sim.ledger(actor).unfreeze(scopes, "looked at it", "anna")
        except ChimeraError as error:
            if error.code != "CONFLICT":
                raise
        # what an overrun froze in the meantime needs a look as well
        left = sorted(self.sim.store.tables.frozen)
        if left and self.rng.random() < 0.8:
            self.sim.add("unfreeze", lambda again: self.thaw(again, left))

    def _switch(self, actor: Actor | None) -> None:
        """Another part of the system: a stop, a pause, or its row lost; somebody resumes later."""
        self.set_switch(self.rng.choice(("STOP", "PAUSE_SPEND", "PAUSE_PUBLISH", None)))
        self.sim.add("resume", lambda again: self.set_switch("RUN"))

    def set_switch(self, state: str | None) -> None:
        store = self.sim.store
        before = store.tables.control
        spends = before is not None and before[0] in ("RUN", "PAUSE_PUBLISH")
        if before is None and state is None:
            return
        if state is None:  # the row is gone: it reads as a stop; what comes later has a new epoch
            self._epoch = before[1] if before else 0
            store.set_control(None, new_epoch=False)
        elif before is None:
            store.tables.control = ("STOP", self._epoch)
            store.set_control(state, new_epoch=state in ("RUN", "PAUSE_PUBLISH"))
        else:
            store.set_control(state, new_epoch=spends != (state in ("RUN", "PAUSE_PUBLISH")))
        self.sim.books.control_changed()

    _epoch = 0

    def _refuse(self) -> None:
        number, forged = self.number, f"{self.number:08x}-0000-4000-8000-000000000000"

        def run(actor: Actor | None) -> None:
            raw = {"request_cost": "-1", "number": number}
            entry = self.sim.ledger(actor).refuse("caller", "VALIDATION_FAILED", "not valid", raw, forged, "nonsense")
            again = self.sim.books.replies.setdefault(("refuse", str(number)), entry.tx_id)
            expect(again == entry.tx_id, "I9 the same refusal is the same row", number)

        self.sim.add("refuse", run, copies=self.rng.choice((1, 2, 3)))

    def _answer(self) -> None:
        by_state: dict[str, list[str]] = {}
        for one in self.sim.lives.all[-300:]:
            if one.request_id in self.sim.books.decisions:
                by_state.setdefault(self.sim.state_of(one.request_id), []).append(one.request_id)
        if not by_state:
            return
        request_id = self.rng.choice(by_state[self.rng.choice(sorted(by_state))])

        def run(actor: Actor | None) -> None:
            body = self.sim.books.decisions[request_id].body
            before = self.sim.books.answered(request_id, body)
            answer = self.sim.cfo(actor).answer(request_id)
            self.sim.books.reply("approve", request_id, body, answer, before=before)

        self.sim.add("answer", run, request_id)

    # --- refunds

    def refunds(self, request_id: str, most: int) -> None:
        """Some refunds of one settlement, each asked for again; one of them perhaps with another amount."""
        for number in range(self.rng.choice((1, 2, 3))):
            key = f"note-{number}"
            amount = self.rng.choice((most, most // 2 or 1, 1))
            self.sim.add("refund", self._refunding(request_id, key, amount), request_id, self.rng.choice((1, 2)))
            if self.rng.random() < 0.3:
                self.sim.add("refund", self._refunding(request_id, key, amount + 1), request_id)

    def _refunding(self, request_id: str, key: str, amount: int) -> Callable[[Actor | None], None]:
        return lambda actor: self.refund(actor, request_id, key, amount)

    def refund(self, actor: Actor | None, request_id: str, key: str, amount: int) -> None:
        booked = self.sim.books.refunds
        try:
            entry = self.sim.ledger(actor).refund(request_id, amount, key=key, by="vendor", reason="credit note")
        except ChimeraError as error:
            unless_unanswered(error)
            decision = self.sim.books.decisions[request_id]
            wrong = decision.refunded + amount > decision.spent or booked.get((request_id, key), amount) != amount
            expect(error.code == "CONFLICT" and wrong, "a refund was refused", request_id, key, amount, error.message)
            return
        expect(booked[request_id, key] == amount, "I9 a refund's key with another amount", request_id, key)
        expect(entry.amount_micros == amount and entry.request_id == request_id, "the refund's row", entry)

    # --- the end

    def resume_all(self) -> None:
        """The switch back to RUN."""
        self.set_switch("RUN")

    def recover_all(self) -> None:
        """Recovery until there is nothing to do: the sweeps, and the vendor's word on what was dispatched."""
        sim = self.sim
        sim.purses.abandon_all(sim.lives.all)
        for _ in range(3):
            sim.add("recover", sim.purses.recover)
        for _ in range(3):
            sim.add("sweep", self.sweep)
        sim.add("seal", self.seals.seal)
