"""Allowances and recovery in the simulator: production's gateway, purse and recovery job over stores in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from chimera.domain.allowance import (
    Allowance,
    CallItem,
    Draw,
    check_call,
    check_correct,
    check_draw,
    check_give_back,
    check_open,
    check_reopened,
)
from chimera.domain.ledger_fold import CounterRow, LedgerFold, compare_counters
from chimera.errors import ChimeraError
from chimera.purse import PaidCall
from chimera.usecases.recovery import BooksCheck, Dispatched, Recovery, Work
from chimera.usecases.spend_gateway import SpendGateway
from chimera.usecases.spend_record import ProductionSpend
from tests.money.invariants import Breach, expect
from tests.money.sim_tables import Changes
from tests.money.sim_world import Actor, unless_unanswered

if TYPE_CHECKING:
    from tests.money.sim_lives import Life
    from tests.money.simulator import Simulation

RECONCILE_SECONDS = 900.0


class _Quiet:
    """Takes log lines and drops them: a history has thousands of them."""

    def warning(self, message: str, **fields: Any) -> None:
        """A step waits."""

    def error(self, message: str, **fields: Any) -> None:
        """A book is wrong."""
        raise Breach(f"recovery: {message}")


QUIET: Any = _Quiet()


class SimAllowances:
    """An `AllowanceStore`: each operation is one atomic step, as the contract asks; the rules are the domain's."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self.tenant_id = sim.store.tenant_id
        self.kept: dict[str, Allowance] = {}
        self.calls: dict[str, dict[str, Draw]] = {}

    def _io(self, call: str, phase: str, request_id: str) -> None:
        self._sim.world.io(f"allowance_{call}", phase, request_id)

    def open(self, request_id: str, amount_micros: int, epoch: int, expires_at: datetime) -> Allowance:
        """Once; `NOT_FOUND` without a reservation behind it."""
        check_open(request_id, amount_micros, epoch, expires_at)
        self._io("open", "before", request_id)
        if request_id not in self._sim.store.tables.reservations:
            raise ChimeraError("NOT_FOUND", f"no approval is reserved for request {request_id}", {})
        made = Allowance(
            request_id=request_id, amount_micros=amount_micros, used_micros=0, epoch=epoch, expires_at=expires_at
        )
        known = self.kept.setdefault(request_id, made)
        self.calls.setdefault(request_id, {})
        self._io("open", "after", request_id)
        return check_reopened(known, amount_micros, epoch)

    def draw(self, request_id: str, call_id: str, micros: int, item: CallItem) -> Draw:
        """Take a call's worst case."""
        check_call(call_id, micros, item)
        self._io("draw", "before", request_id)
        known = self.calls.get(request_id, {}).get(call_id)
        allowance = self.kept.get(request_id)
        control, now = self._sim.store.tables.control, self._sim.world.clock.now()
        there = check_draw(allowance, known, control, request_id, micros, now)
        if there is not None:
            self._io("draw", "after", request_id)
            return there
        attempt = known.attempt + 1 if known else 1
        made = Draw(request_id=request_id, call_id=call_id, item=item, drawn_micros=micros, attempt=attempt)
        self._use(request_id, made, micros)
        self._io("draw", "after", request_id)
        return made

    def correct(self, request_id: str, call_id: str, actual_micros: int, quantity: str | None = None) -> Draw:
        """Book the actual."""
        check_call(call_id, actual_micros)
        self._io("correct", "before", request_id)
        known = self.calls.get(request_id, {}).get(call_id)
        if not check_correct(self.kept.get(request_id), known, request_id, call_id, actual_micros):
            assert known is not None
            return replace(known, first=False)
        assert known is not None
        item = replace(known.item, quantity=quantity or known.item.quantity)
        made = replace(known, item=item, state="CORRECTED", actual_micros=actual_micros)
        self._use(request_id, made, actual_micros - known.drawn_micros, max(0, actual_micros - known.drawn_micros))
        self._io("correct", "after", request_id)
        return made

    def give_back(self, request_id: str, call_id: str, attempt: int) -> Draw:
        """Nothing was called."""
        self._io("give_back", "before", request_id)
        known = self.calls.get(request_id, {}).get(call_id)
        if not check_give_back(self.kept.get(request_id), known, request_id, call_id, attempt):
            assert known is not None
            return replace(known, first=False)
        assert known is not None
        made = replace(known, state="RETURNED")
        self._use(request_id, made, -known.drawn_micros)
        self._io("give_back", "after", request_id)
        return made

    def close(self, request_id: str) -> Allowance:
        """The end."""
        self._io("close", "before", request_id)
        self.get(request_id)
        self.kept[request_id] = replace(self.kept[request_id], closed=True)
        self._io("close", "after", request_id)
        return self.kept[request_id]

    def get(self, request_id: str) -> Allowance:
        """`NOT_FOUND`."""
        if request_id not in self.kept:
            raise ChimeraError("NOT_FOUND", f"no allowance for request {request_id}", {})
        return self.kept[request_id]

    def draws(self, request_id: str) -> list[Draw]:
        """By call id."""
        self._io("draws", "before", request_id)
        calls = self.calls.get(request_id, {})
        return [calls[call_id] for call_id in sorted(calls)]

    def _use(self, request_id: str, draw: Draw, micros: int, over: int = 0) -> None:
        known = self.kept[request_id]
        self.calls[request_id][draw.call_id] = draw
        self.kept[request_id] = replace(
            known, used_micros=known.used_micros + micros, overrun_micros=known.overrun_micros + over
        )
        total = sum(d.charged_micros for d in self.calls[request_id].values())
        now = self.kept[request_id]
        expect(total == now.used_micros, "A1 what was drawn is not what is used", request_id, total, now)
        expect(total <= now.amount_micros + now.overrun_micros, "A2 more drawn than approved", request_id, now)


class NoMedia:
    """No step noted anything: the purse is the only record."""

    def keys(self, prefix: str) -> list[str]:
        """None."""
        return []


class SimWorkflows:
    """Whether the worker of a request still lives."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim

    def describe(self, execution_id: str) -> dict[str, Any]:
        """RUNNING until it is given up."""
        return {"status": "ABORTED" if execution_id in self._sim.purses.abandoned else "RUNNING"}


class SimBooks:
    """The recovery job's view of the tables; the recomputation is the production fold."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self._fold = LedgerFold()
        self.tenant_id = sim.store.tenant_id

    def check(self, *, full: bool) -> BooksCheck:
        """The fold over all rows against the counters."""
        self._sim.world.io("books", "before")
        tables = self._sim.store.tables
        for entry in tables.ledger[self._fold.seq :]:
            self._fold.apply(entry)
            self._fold.seq = entry.seq
        rows = [CounterRow(k, r.target, r.limit, r.reserved, r.spent) for k, r in tables.counters.items()]
        wrong = compare_counters(self._fold, rows)
        problems = self._fold.problems.found + [text for texts in wrong.values() for text in texts]
        if set(self._fold.open) != {r.request_id for r in (*tables.open.values(), *tables.dispatched.values())}:
            problems.append("the open reservations are not those of the ledger")
        if set(self._fold.frozen) != set(tables.frozen):
            problems.append("the frozen scopes are not those of the ledger")
        self._sim.world.io("books", "after")
        return BooksCheck(problems, sorted(wrong), len(tables.ledger), full)

    def note_trouble(self, problems: list[str], scopes: list[str]) -> bool:
        """There must be none: two recomputations, the oracle's and production's, agree."""
        if problems:
            raise Breach(f"I3 the production fold finds: {problems[0]}")
        return False

    def frozen(self) -> set[str]:
        """Frozen scopes."""
        return set(self._sim.store.tables.frozen)

    def dispatched(self, older_than_seconds: float, limit: int = 100) -> list[Dispatched]:
        """Dispatched longer ago than that."""
        self._sim.world.io("dispatched", "before")
        before = self._sim.world.clock.now() - timedelta(seconds=older_than_seconds)
        found = [
            Dispatched(r.request_id, r.amount_micros, r.category, r.spender or "", r.dispatched_at)
            for r in self._sim.store.tables.dispatched.values()
            if r.dispatched_at is not None and r.dispatched_at < before
        ]
        self._sim.world.io("dispatched", "after")
        return found[:limit]


class Purses:
    """Spending through the gateway: a purse, paid calls, a bill; and the recovery job for what nobody finished."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.store = SimAllowances(sim)
        self.books = SimBooks(sim)
        self.media: Any = NoMedia()
        self.abandoned: set[str] = set()
        sim.store.on_commit.append(self._check_recovered)

    def _check_recovered(self, changes: Changes) -> None:
        """What recovery settles below the whole is what a closed allowance says was drawn."""
        for entry in (write.entry for write in changes.writes):
            if entry.made_by == "recovery" and entry.entry_type == "SETTLE":
                held = self.sim.books.decisions[entry.request_id].entry.amount_micros
                if entry.amount_micros < held:
                    kept = self.store.kept[entry.request_id]
                    expect(kept.closed and kept.used_micros == entry.amount_micros, "recovery's bill", entry, kept)
            elif entry.made_by == "recovery" and entry.entry_type == "OVERRUN":
                kept = self.store.kept[entry.request_id]
                over = kept.used_micros - kept.amount_micros
                expect(kept.closed and over == entry.amount_micros, "recovery's overrun", entry, kept)

    def gateway(self, actor: Actor | None) -> SpendGateway:
        """Production's."""
        return SpendGateway(self.sim.cfo(actor), self.store, self.sim.verifier, self.sim.world.clock)

    def recovery(self, actor: Actor | None) -> Recovery:
        """Production's, with the production record of what was spent."""
        sim = self.sim
        workflows: Any = SimWorkflows(sim)
        spend = ProductionSpend(
            sim.store.tenant_id, lambda r: Work(r, r), self.store, sim.cfo(actor), self.media, workflows
        )
        return Recovery(
            sim.cfo(actor), sim.ledger(actor), self.books, spend, sim.jobs.seals.sealer(),
            reconcile_after_seconds=RECONCILE_SECONDS,
        )  # fmt: skip

    def recover(self, actor: Actor | None) -> None:
        """One run of the job."""
        job = self.recovery(actor)
        job._log = QUIET
        report = job.run()
        expect(not report.problems, "recovery found a problem", report.problems)

    # --- a life with a purse

    def begin(self, life: Life) -> None:
        """Open the purse, perhaps twice, perhaps by two workers; then two or three paid calls, then the bill."""
        rng = self.sim.rng
        count = rng.choice((1, 2, 3))
        whole = life.body.amount + rng.choice((0, 0, 0, 1))
        worst = [whole // count] * (count - 1) + [whole - whole // count * (count - 1)]
        for number, micros in enumerate(worst):
            actual = rng.choice((0, micros, micros, rng.randrange(micros + 1)))
            if rng.random() < 0.01:
                actual += rng.randrange(1, 500)
            self.sim.add(
                "paid_call", self._calling(life, number, micros, actual), life.request_id, rng.choice((1, 1, 2))
            )
        life.calls = count

    def _calling(self, life: Life, number: int, worst: int, actual: int) -> Callable[[Actor | None], None]:
        return lambda actor: self._call(actor, life, number, worst, actual)

    def _call(self, actor: Actor | None, life: Life, number: int, worst: int, actual: int) -> None:
        sim, request_id = self.sim, life.request_id
        if request_id in self.abandoned or "bill" in life.done:
            return
        tick = sim.store.tick
        try:
            purse = self.gateway(actor).open(
                life.token, agent_id=life.body.agent_id, spender="worker-0", request_id=request_id
            )
            with purse.at("render").call(f"scene-{number}", worst, "image") as call:
                self._make(call, request_id, actual, worst)
        except ChimeraError as error:
            unless_unanswered(error)
            self._no_call(error, life, number, tick)
            return
        self._called(life, number)

    def _make(self, call: PaidCall, request_id: str, actual: int, worst: int) -> None:
        if self.sim.rng.random() < 0.08:
            call.not_made()
            return
        call.used(self.sim.vendor.charge(request_id, actual, call.call_id, worst))

    def _no_call(self, error: ChimeraError, life: Life, number: int, tick: int) -> None:
        if error.code == "SYSTEM_STOPPED":
            stopped = any(c is None or c[0] in ("STOP", "PAUSE_SPEND") for c in self.sim.books.controls_since(tick))
            expect(stopped, "SYSTEM_STOPPED while the switch lets money be spent", life.request_id)
        elif error.code not in ("BUDGET_EXCEEDED", "CONFLICT", "INVALID_SIGNATURE"):
            raise error
        self._called(life, number)

    def _called(self, life: Life, number: int) -> None:
        life.done.add(f"call-{number}")
        if self.sim.rng.random() < 0.03:
            self.abandoned.add(life.request_id)
        if sum(1 for done in life.done if done.startswith("call-")) == life.calls and "billing" not in life.done:
            life.done.add("billing")
            self.sim.add("bill", lambda actor: self.bill(actor, life), life.request_id, self.sim.rng.choice((1, 2, 3)))

    def bill(self, actor: Actor | None, life: Life) -> None:
        """Close the allowance and settle at what was drawn."""
        sim, request_id = self.sim, life.request_id
        if request_id in self.abandoned or sim.state_of(request_id) not in ("DISPATCHED", "SETTLED"):
            return
        lines = self.gateway(actor).bill(request_id, self.media, "")
        life.done.add("bill")
        expect(self.store.get(request_id).closed, "a bill of an open allowance", request_id)
        again = [line.model_dump_json() for line in self.gateway(actor).bill(request_id, self.media, "")]
        expect(again == [line.model_dump_json() for line in lines], "I9 a bill that changes", request_id)
        measured = sum(line.amount_micros for line in lines)
        sim.books.settlements_asked[request_id].add(measured)
        try:
            answer = sim.cfo(actor).settle(request_id, lines)
        except ChimeraError as error:
            unless_unanswered(error)
            state = sim.books.decisions[request_id].state
            expect(error.code == "CONFLICT" and state in ("SETTLED", "RELEASED"), "a bill was refused", error.message)
            return
        sim.books.reply("settle", request_id, measured, answer)

    def abandon_all(self, lives: Sequence[Life]) -> None:
        """Every worker is gone."""
        self.abandoned |= {life.request_id for life in lives}
