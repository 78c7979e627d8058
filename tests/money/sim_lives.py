"""The life of a request in the simulator: asked for (again, otherwise, late), decided by a person, spent once, settled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from chimera.domain.ids import new_id, stable_id
from chimera.domain.models import CostLine
from chimera.domain.money import usd
from chimera.errors import ChimeraError
from tests.money.invariants import Body, Breach, expect, keys_of, periods_at
from tests.money.sim_world import MILLI, Actor, unless_unanswered

if TYPE_CHECKING:
    from tests.money.simulator import Simulation

TYPES = ("api_call", "compute", "storage", "blockchain")
ROIS = tuple(Decimal(roi) for roi in ("1.5", "1.5", "1.499999", "1.6", "2", "2.9", "3", "3", "3", "4", "0.2"))
STRANGER = "99999999-9999-4999-8999-999999999999"


@dataclass
class Life:
    """One request and what became of it."""

    request_id: str
    body: Body
    token: dict[str, Any] | None = None
    spenders: set[str] = field(default_factory=set)
    actual: int = 0
    done: set[str] = field(default_factory=set)
    calls: int = 0
    """Paid calls of a life with a purse."""
    edge: int | None = None
    """Asks for what is left at the moment it is first asked, and this many micros more."""


def as_request(request_id: str, body: Body) -> dict[str, Any]:
    """As an agent sends it."""
    return {
        "request_id": request_id,
        "agent_id": body.agent_id,
        "request_type": body.request_type,
        "request_cost": usd(body.amount),
        "projected_roi": str(Decimal(body.roi.numerator) / body.roi.denominator),
        "justification": body.justification,
        "currency": body.currency,
    }


class Lives:
    """Makes requests and queues what happens to them."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.rng = sim.rng
        self.all: list[Life] = []

    # --- asking

    def new(self) -> None:
        """A new request: delivered once to four times, now and then with another body under its id."""
        rng = self.rng
        request_id = new_id()
        life = Life(request_id, self._body(), edge=rng.choice((-1, 0, 0, 1, 1)) if rng.random() < 0.16 else None)
        self.all.append(life)
        copies = rng.choice((1, 1, 1, 2, 3, 4))
        if rng.random() < 0.1:
            batch = [life] + [Life(new_id(), self._body()) for _ in range(rng.randrange(1, 5))]
            batch += [rng.choice(batch)] if rng.random() < 0.5 else []
            self.all.extend(batch[1:])
            self.sim.add("decide_many", lambda actor: self.decide_many(actor, batch), request_id, copies)
            for one in batch:
                self.sim.add("approve", self._approving(one, one.body), one.request_id)
            return
        self.sim.add("approve", lambda actor: self.approve(actor, life, self._asked(life)), request_id, copies)
        if rng.random() < 0.12:
            self.sim.add("approve_other", self._approving(life, self._mutated(life.body)), request_id)

    def _asked(self, life: Life) -> Body:
        """The request's body; at the edge it is made when it is first asked for."""
        left = self.left(life.body.request_type)
        if life.edge is not None and not life.done and 1 < left <= self.sim.largest:
            life.body = replace(life.body, amount=left + life.edge)
        life.edge = None
        return life.body

    def _body(self) -> Body:
        rng, sim = self.rng, self.sim
        kind = rng.choice(TYPES)
        agent = rng.choice(sim.agents) if rng.random() > 0.01 else STRANGER
        roi = rng.choice(ROIS)
        edge = rng.random()
        if edge < 0.05:
            amount = max(1, self.left(kind) + rng.choice((-1, 0, 1)))
        elif edge < 0.09:
            amount = 1
        elif edge < 0.13:
            amount = sim.largest + rng.choice((-1, 0, 1))
        else:
            amount = rng.randrange(1, 60) * 10_000 + rng.choice((0, 0, 1, 249))
        currency = "USD" if rng.random() > 0.01 else "EUR"
        return Body(agent, kind, max(1, amount), Fraction(roi), rng.choice(("", "a video")), currency)

    def left(self, kind: str) -> int:
        tables = self.sim.store.tables
        rows = [tables.counters.get(key) for key in keys_of(kind, periods_at(self.sim.world.clock.peek()))]
        return min((r.limit - r.reserved - r.spent for r in rows if r is not None), default=0)

    def _mutated(self, body: Body) -> Body:
        changed = {
            0: lambda b: Body(b.agent_id, b.request_type, b.amount + 1, b.roi, b.justification, b.currency),
            1: lambda b: Body(
                b.agent_id, b.request_type, b.amount, b.roi + Fraction(1, 10), b.justification, b.currency
            ),
            2: lambda b: Body(b.agent_id, b.request_type, b.amount, b.roi, b.justification + "!", b.currency),
            3: lambda b: Body(
                b.agent_id, "compute" if b.request_type != "compute" else "storage", b.amount, b.roi, b.justification
            ),
        }
        return changed[self.rng.randrange(4)](body)

    def _approving(self, life: Life, body: Body) -> Callable[[Actor | None], None]:
        return lambda actor: self.approve(actor, life, body)

    def approve(self, actor: Actor | None, life: Life, body: Body) -> None:
        books, request_id = self.sim.books, life.request_id
        books.requested[request_id].add(body)
        tick, before = self.sim.store.tick, books.answered(request_id, body)
        try:
            answer = self.sim.cfo(actor).approve(as_request(request_id, body))
        except ChimeraError as error:
            self._refused(error, request_id, body, tick)
            return
        books.reply("approve", request_id, body, answer, before=before)
        self._go_on(life, body, answer)

    def decide_many(self, actor: Actor | None, batch: list[Life]) -> None:
        for life in batch:
            self.sim.books.requested[life.request_id].add(life.body)
        tick = self.sim.store.tick
        requests = [self.sim.parsed(as_request(life.request_id, life.body)) for life in batch]
        answers = self.sim.ledger(actor).decide_many(requests, self.sim.policy, self.sim.signer.key_id)
        expect(len(answers) == len(batch), "a batch has as many answers as requests", len(answers))
        for life, answer in zip(batch, answers, strict=True):
            if isinstance(answer, ChimeraError):
                self._refused(answer, life.request_id, life.body, tick)
                continue
            known = self.sim.books.decisions.get(life.request_id)
            expect(known is not None and known.entry.seq == answer.seq, "I2 a batch's answer is in the ledger", life)
            assert known is not None
            expect(known.body == life.body, "I9 another body got the batch's decision", life)

    def _refused(self, error: ChimeraError, request_id: str, body: Body, tick: int) -> None:
        """An error is right only where the rules say so, and it wrote no decision."""
        known = self.sim.books.decisions.get(request_id)
        if error.code == "CONFLICT":
            expect(known is not None and known.body != body, "CONFLICT without another body", request_id, error.message)
        elif error.code == "FORBIDDEN":
            expect(body.agent_id == STRANGER, "FORBIDDEN for an agent of the tenant", request_id)
            expect(known is None, "FORBIDDEN and yet decided", request_id)
        elif error.code == "SYSTEM_STOPPED":
            stopped = any(c is None or c[0] in ("STOP", "PAUSE_SPEND") for c in self.sim.books.controls_since(tick))
            expect(stopped, "SYSTEM_STOPPED while the switch lets money be spent", request_id)
        else:
            raise error

    # --- what comes of the answer

    def _go_on(self, life: Life, body: Body, answer: dict[str, Any]) -> None:
        if answer["decision"] == "escalated" and "override" not in life.done:
            life.done.add("override")
            yes = self.rng.random() < 0.75
            copies = self.rng.choice((1, 2, 3))
            self.sim.add("override", lambda actor: self.override(actor, life, body, yes), life.request_id, copies)
            if self.rng.random() < 0.15:
                self.sim.add("override_other", lambda actor: self.override(actor, life, body, not yes), life.request_id)
        elif answer["approved"] and "plan" not in life.done:
            life.done.add("plan")
            life.body, life.token = body, answer["token"]  # of two bodies under one id, the one that won
            self._plan(life)

    def override(self, actor: Actor | None, life: Life, body: Body, yes: bool) -> None:
        second = stable_id(life.request_id, "override")
        said = Body(
            body.agent_id, body.request_type, body.amount, body.roi, body.justification, body.currency,
            (life.request_id, "anna", yes, "as agreed"),
        )  # fmt: skip
        books = self.sim.books
        books.requested[second].add(said)
        tick, before = self.sim.store.tick, books.answered(second, said)
        try:
            answer = self.sim.cfo(actor).approve_override(
                as_request(life.request_id, body), "anna", approve=yes, note="as agreed"
            )
        except ChimeraError as error:
            self._refused(error, second, said, tick)
            return
        books.reply("approve", second, said, answer, before=before)
        if answer["approved"] and "child" not in life.done:
            life.done.add("child")
            child = Life(second, said, done={"plan"}, token=answer["token"])
            self.all.append(child)
            self._plan(child)

    def _plan(self, life: Life) -> None:
        rng, sim = self.rng, self.sim
        reserved = life.body.amount
        life.actual = rng.choice((0, reserved, reserved, rng.randrange(reserved + 1), rng.randrange(reserved + 1)))
        if rng.random() < 0.015:
            life.actual = reserved + rng.randrange(1, 1000)
        end = rng.random()
        if end < 0.07:
            sim.add("release", lambda actor: self.release(actor, life), life.request_id, rng.choice((1, 2)))
            return
        if end < 0.13:
            return  # nobody comes: it expires
        if end < 0.2:
            sim.add("forged", lambda actor: self.forged(actor, life), life.request_id)
        if end < 0.2:
            sim.add("settle_early", lambda actor: self.settle_early(actor, life), life.request_id)
        if rng.random() < 0.25:
            sim.purses.begin(life)
            return
        at_edge = end < 0.3
        for number in range(rng.choice((1, 1, 2))):
            spender = f"worker-{number if rng.random() < 0.4 else 0}"
            self._queue_dispatch(life, spender, at_edge)

    def _queue_dispatch(self, life: Life, spender: str, at_edge: bool) -> None:
        self.sim.add(
            "dispatch", lambda actor: self.dispatch(actor, life, spender, at_edge), life.request_id,
            self.rng.choice((1, 1, 2, 3)),
        )  # fmt: skip

    # --- spending

    def dispatch(self, actor: Actor | None, life: Life, spender: str, at_edge: bool) -> None:
        sim, request_id = self.sim, life.request_id
        row = sim.reservation(request_id)
        if at_edge and row is not None and row.state == "SIGNED" and self.rng.random() < 0.8:
            step = self.rng.choice((-MILLI, timedelta(0), MILLI, timedelta(seconds=30), timedelta(seconds=30) + MILLI))
            sim.world.clock.set(max(sim.world.clock.peek(), row.expires_at + step))
        tick = sim.store.tick
        before = sim.world.clock.peek()
        try:
            told = sim.cfo(actor).dispatch(
                life.token, spender, request_id=request_id, agent_id=life.body.agent_id, amount_micros=life.body.amount
            )
        except ChimeraError as error:
            self._not_let_through(error, life, spender, tick)
            return
        after = sim.reservation(request_id)
        expect(after is not None and after.spender == spender, "I5 let through and not written", request_id, before)
        life.spenders.add(spender)
        expect(len(life.spenders) == 1, "I5 two spenders were let through", request_id, life.spenders)
        expect(told["request_id"] == request_id, "I5 told of another request", told)
        if "spend" not in life.done:
            life.done.add("spend")
            if self.rng.random() < 0.1:
                sim.add("settle_early", lambda actor: self.settle_early(actor, life), request_id)
            if self.rng.random() < 0.04:
                sim.purses.abandoned.add(request_id)
            if life.actual == 0 and self.rng.random() < 0.3:
                sim.add("release", lambda actor: self.release(actor, life), request_id, 2)
            else:
                sim.add("spend", lambda actor: self.spend(actor, life), request_id, self.rng.choice((1, 1, 2)))

    def _not_let_through(self, error: ChimeraError, life: Life, spender: str, tick: int) -> None:
        unless_unanswered(error)
        sim, row = self.sim, self.sim.reservation(life.request_id)
        assert row is not None
        controls = sim.books.controls_since(tick)
        if error.code == "SYSTEM_STOPPED":
            stopped = any(c is None or c[0] in ("STOP", "PAUSE_SPEND") for c in controls)
            expect(stopped, "SYSTEM_STOPPED while the switch lets money be spent", life.request_id)
            if self.rng.random() < 0.5:
                self._queue_dispatch(life, spender, False)
        elif error.code == "CONFLICT":
            later = any(c is None or c[1] != row.control_epoch for c in controls)
            stopped = all(c is None or c[0] in ("STOP", "PAUSE_SPEND") for c in controls)
            expect(not stopped, "CONFLICT where SYSTEM_STOPPED comes first", error.message)
            expect(
                row.state not in ("RESERVED", "SIGNED") or later, "CONFLICT on a usable approval", row, error.message
            )
            expect(spender not in life.spenders or row.state != "DISPATCHED", "the spender itself was refused", row)
        elif error.code == "INVALID_SIGNATURE":
            if sim.world.clock.put_back and "not valid yet" in error.message:
                if self.rng.random() < 0.5:
                    self._queue_dispatch(life, spender, False)
                return
            late = row.expires_at <= sim.world.clock.highest
            expect(late or row.state not in ("SIGNED", "DISPATCHED"), "a good approval was refused", row, error.message)
        else:
            raise error

    def forged(self, actor: Actor | None, life: Life) -> None:
        """An altered token opens nothing."""
        assert life.token is not None
        claims = dict(life.token["claims"])
        name = self.rng.choice(("amount_micros", "request_id", "exp", "agent_id", "tenant_id"))
        claims[name] = {"amount_micros": str(life.body.amount + 1), "exp": claims["exp"] + 3600}.get(name, STRANGER)
        try:
            self.sim.cfo(actor).dispatch({**life.token, "claims": claims}, "thief")
        except ChimeraError as error:
            unless_unanswered(error)
            if error.code not in ("INVALID_SIGNATURE", "NOT_FOUND"):
                raise
            return
        raise Breach(f"I5 a token with another {name} was let through: {life.request_id}")

    def spend(self, actor: Actor | None, life: Life) -> None:
        if life.request_id in self.sim.purses.abandoned:
            return
        if life.actual:
            self.sim.vendor.charge(life.request_id, life.actual)
        if "settle" not in life.done:
            life.done.add("settle")
            copies = self.rng.choice((1, 1, 2, 3))
            self.sim.add("settle", lambda actor: self.settle(actor, life, life.actual), life.request_id, copies)

    def settle(self, actor: Actor | None, life: Life, measured: int) -> None:
        sim, request_id = self.sim, life.request_id
        if request_id in sim.purses.abandoned and sim.state_of(request_id) == "DISPATCHED":
            return
        sim.books.settlements_asked[request_id].add(measured)
        parts = [measured // 3, measured - measured // 3] if measured > 10 else [measured]
        lines = [
            CostLine(step="render", item="seconds", quantity="1", unit="s", amount_micros=micros) for micros in parts
        ]
        try:
            answer = sim.cfo(actor).settle(request_id, lines)
        except ChimeraError as error:
            unless_unanswered(error)
            known = sim.books.decisions[request_id]
            other = known.state in ("RELEASED", "EXPIRED") or (known.state == "SETTLED" and known.spent != measured)
            expect(
                error.code == "CONFLICT" and other, "a settlement was refused", request_id, known.state, error.message
            )
            return
        self._settled(life, measured, answer)

    def _settled(self, life: Life, measured: int, answer: dict[str, Any]) -> None:
        sim, request_id = self.sim, life.request_id
        sim.books.reply("settle", request_id, measured, answer)
        expect(answer["actual_micros"] == min(measured, life.body.amount), "settled at another cost", answer, measured)
        if "after" in life.done:
            return
        life.done.add("after")
        if self.rng.random() < 0.15 and measured:
            other = self.rng.randrange(measured) if self.rng.random() < 0.5 else 0
            sim.add("settle_other", lambda actor: self.settle_otherwise(actor, life, other), request_id)
        if self.rng.random() < 0.1:
            sim.add("release", lambda actor: self.release_settled(actor, life), request_id)
        if self.rng.random() < 0.15 and measured:
            sim.jobs.refunds(request_id, min(measured, life.body.amount))

    def settle_otherwise(self, actor: Actor | None, life: Life, other: int) -> None:
        """A closed settlement stays as it is."""
        lines = [CostLine(step="render", item="seconds", quantity="1", unit="s", amount_micros=other)]
        try:
            self.sim.cfo(actor).settle(life.request_id, lines)
        except ChimeraError as error:
            unless_unanswered(error)
            expect(error.code == "CONFLICT", "another settlement", error.code)
            return
        raise Breach(f"I2 {life.request_id} was settled a second time at {other}")

    def settle_early(self, actor: Actor | None, life: Life) -> None:
        """What nobody was let through for has no costs, and no costs are above what is reserved."""
        request_id = life.request_id
        over = self.sim.reservation(request_id)
        dispatched = over is not None and over.state == "DISPATCHED"
        amount = life.body.amount + 1 if dispatched else life.body.amount
        try:
            self.sim.ledger(actor).settle(request_id, amount)
        except ChimeraError as error:
            unless_unanswered(error)
            expect(error.code in ("CONFLICT", "BUDGET_EXCEEDED"), "a settlement too early or too high", error.code)
            return
        settled = self.sim.books.decisions[request_id]
        fits = settled.state == "SETTLED" and settled.spent == amount  # it came after the settlement itself
        expect(fits, "I2 settled before the dispatch, or above the reservation", request_id, amount, settled.state)

    def release_settled(self, actor: Actor | None, life: Life) -> None:
        try:
            self.sim.cfo(actor).release(life.request_id, "changed my mind")
        except ChimeraError as error:
            unless_unanswered(error)
            expect(error.code == "CONFLICT", "the release of a settled one", error.code)
            return
        raise Breach(f"I2 {life.request_id} was released after it was settled")

    def release(self, actor: Actor | None, life: Life) -> None:
        request_id = life.request_id
        if request_id in self.sim.purses.abandoned:
            return
        try:
            answer = self.sim.cfo(actor).release(request_id, "nothing was spent")
        except ChimeraError as error:
            unless_unanswered(error)
            expect(error.code == "CONFLICT", "a release was refused", request_id, error.message)
            expect(self.sim.state_of(request_id) == "SETTLED", "a release was refused", self.sim.state_of(request_id))
            return
        self.sim.books.reply("release", request_id, "", answer)
