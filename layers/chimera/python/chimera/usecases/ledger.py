"""The protocol of the money ledger, over a store that only locks, reads and writes (chimera.money_ports).

One short transaction decides: lock the counters and the chain's head in a fixed order, read the clock, apply the
rules, reserve, add one row. The lock order everywhere is reservation -> limits -> counters (sorted) -> chain head.
What holds at every commit:

- I1 0 <= reserved, 0 <= spent, reserved + spent <= limit, for every (scope, kind, period)
- I2 one decision per request, one resolution (settle, release, expire) at most, and only of an approval
- I3 reserved and spent are the sums of the ledger's open and settled approvals, refunds taken off
- I7 sequence numbers without a gap, each row's hash over the one before
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from chimera.domain import ids
from chimera.domain.approval import Claims
from chimera.domain.cfo import (
    ApprovalRequest,
    CfoPolicy,
    check_control,
    counters,
    periods_of,
    scopes_of,
)
from chimera.domain.ids import is_uuid, stable_id
from chimera.domain.ledger import Entry, Override, Reservation
from chimera.domain.money import MAX_MICROS, usd
from chimera.errors import ChimeraError
from chimera.money_ports import DecisionView, MoneyStore, MoneyTransaction, Move, Raced, Write
from chimera.usecases.ledger_desk import Desk
from chimera.usecases.ledger_marks import LedgerMarks

EXPIRY_GRACE = timedelta(seconds=30)
"""The job waits longer than spenders do (they refuse 30 s early): clocks differ."""
MOST_AT_ONCE = 50
_STATES = {"SETTLE": "SETTLED", "RELEASE": "RELEASED", "EXPIRE": "EXPIRED"}


class LedgerEngine(LedgerMarks):
    """The ledger of one tenant. Not thread-safe, as its store is not."""

    def __init__(self, store: MoneyStore, *, new_id: Callable[[], str] = ids.new_id) -> None:
        super().__init__(store, new_id=new_id)
        self._seen: datetime | None = None

    # --- decide

    def decide(
        self, request: ApprovalRequest, policy: CfoPolicy, *, key_id: str, override: Override | None = None
    ) -> Entry:
        """The decision's row: written now, or the one written when this request first came.

        `CONFLICT` when the request id came before with another body, or another key is in use; `FORBIDDEN` for an
        agent that is not the tenant's; `SYSTEM_STOPPED` (nothing written) when the switch forbids spending.
        """

        def work(tx: MoneyTransaction) -> Entry:
            escalated = _escalated(tx, override) if override else None
            periods = self._guessed_periods(tx)
            view = tx.view(request.request_id, request.agent_id, counters(request.request_type, periods))
            self._check_periods(view, periods)
            desk = Desk(view, self.tenant_id, policy, key_id, self._new_id)
            entry = desk.decide(request, view, override=override, escalated=escalated)
            if desk.writes:
                tx.write(desk.writes)
            return entry

        return self._store.run(work)

    def decide_many(
        self, requests: Sequence[ApprovalRequest], policy: CfoPolicy, key_id: str
    ) -> list[Entry | ChimeraError]:
        """What `decide` would give for each of up to 50 requests one after the other, in one transaction.

        A request that cannot be decided has its error in its place and leaves the others alone.
        """
        if not requests:
            return []
        if len(requests) > MOST_AT_ONCE:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"requests: got {len(requests)}, expected at most {MOST_AT_ONCE} at once",
                {"requests": {"got": len(requests), "expected": MOST_AT_ONCE}},
            )

        def work(tx: MoneyTransaction) -> list[Entry | ChimeraError]:
            periods = self._guessed_periods(tx)
            keys = sorted({key for request in requests for key in counters(request.request_type, periods)})
            views = tx.view_many([(request.request_id, request.agent_id) for request in requests], keys)
            self._check_periods(views[0], periods)
            desk = Desk(views[0], self.tenant_id, policy, key_id, self._new_id)
            answers: list[Entry | ChimeraError] = []
            for request, view in zip(requests, views, strict=True):
                try:
                    answers.append(desk.decide(request, view))
                except ChimeraError as error:
                    answers.append(error)
            if desk.writes:
                tx.write(desk.writes)
            return answers

        return self._store.run(work)

    def _guessed_periods(self, tx: MoneyTransaction) -> dict[str, str]:
        """To know which counters to lock, by the clock as last seen; the clock that counts is read after the locks."""
        return periods_of(self._seen or tx.now())

    def _check_periods(self, view: DecisionView, guessed: Mapping[str, str]) -> None:
        """Begin again when a period ended between the guess and the locks: other counters are needed then."""
        self._seen = view.now
        if periods_of(view.now) != guessed:
            raise Raced(f"the counters of {dict(guessed)} were locked, it is {view.now.isoformat()}")

    # --- sign, dispatch

    def attach_signature(self, seq: int, kid: str, signature: bytes) -> Entry:
        """Keep the first signature of a row and give the row with it; an approval becomes SIGNED."""

        def work(tx: MoneyTransaction) -> Entry:
            tx.sign(seq, kid, signature)
            entry = tx.entry_at(seq)
            if entry is None:
                raise ChimeraError("NOT_FOUND", f"no ledger row {seq}", {"seq": seq})
            return entry

        return self._store.run(work)

    def attach_signatures(self, signed: Sequence[tuple[int, str, bytes]]) -> list[Entry]:
        """The same for several rows (seq, kid, signature) in one transaction; the rows in their order."""

        def work(tx: MoneyTransaction) -> list[Entry]:
            for seq, kid, signature in sorted(signed):  # everybody locks in this order
                tx.sign(seq, kid, signature)
            return tx.entries_at([seq for seq, _, _ in signed])

        return self._store.run(work) if signed else []

    def dispatch(self, claims: Claims, spender: str) -> bool:
        """Let one spender use the approval, once, before anything is spent. True the first time, False when
        it asks again.

        `INVALID_SIGNATURE`: not this ledger's approval, ended, or expired. `CONFLICT`: used by another
        spender, or closed. `SYSTEM_STOPPED`: the switch forbids spending.
        """
        if not 0 < len(spender) <= 500:
            raise ChimeraError("VALIDATION_FAILED", f"spender: got {spender[:80]!r}, expected 1–500 characters")

        def work(tx: MoneyTransaction) -> bool:
            held = _held(tx, claims.request_id)
            decision = tx.decision(claims.request_id)
            if decision is None or decision.body != claims.body:
                raise ChimeraError("INVALID_SIGNATURE", "the token is not the approval that the ledger has")
            control = tx.control()
            check_control(control[0] if control else None)
            if held.state == "DISPATCHED" and held.spender == spender:
                return False
            if held.state in {"DISPATCHED", "SETTLED", "RELEASED"}:
                raise ChimeraError(
                    "CONFLICT",
                    f"the approval of {claims.request_id} is {held.state} already",
                    {"state": held.state, "spender": held.spender},
                )
            if control is None or held.control_epoch != control[1]:
                raise ChimeraError(
                    "CONFLICT", "the approval was given before the control switch was last used; ask again"
                )
            if held.state != "SIGNED" or not tx.dispatch(claims.request_id, held.state_version, spender):
                raise ChimeraError(
                    "INVALID_SIGNATURE",
                    "the approval has expired or was never signed",
                    {"state": held.state, "expires_at": held.expires_at.isoformat()},
                )
            return True

        return self._store.run(work)

    # --- settle, release, expire, refund

    def settle(
        self,
        request_id: str,
        actual_micros: int,
        *,
        made_by: str = "cfo",
        details: Mapping[str, Any] | None = None,
        overrun_micros: int = 0,
    ) -> Entry:
        """Charge what it really cost (0 … reserved) to the periods of the decision and give the rest back.

        Again with the same amount: the same row. `CONFLICT`: another amount, never dispatched, or closed
        otherwise. `BUDGET_EXCEEDED`: more than was reserved; the reservation stays as it is.

        `overrun_micros`: what was billed above the reservation, all of which is charged then. It is in no counter, the
        limit held; an OVERRUN row says so and freezes the category (blockchain: the total) until a person looked.
        """
        if actual_micros < 0 or overrun_micros < 0:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"actual cost: got {actual_micros} micros, {overrun_micros} above the reservation, expected 0 or more",
            )

        def work(tx: MoneyTransaction) -> Entry:
            held = _held(tx, request_id)
            done = tx.resolution(request_id)
            if done is not None:
                told = int(done.details.get("overrun_micros", 0))
                if done.entry_type == "SETTLE" and (done.amount_micros, told) == (actual_micros, overrun_micros):
                    return done
                raise _closed(request_id, done)
            if held.state != "DISPATCHED":
                raise ChimeraError(
                    "CONFLICT",
                    f"{request_id} is {held.state}: only a dispatched approval has costs",
                    {"state": held.state},
                )
            if actual_micros > held.amount_micros or (overrun_micros and actual_micros != held.amount_micros):
                raise ChimeraError(
                    "BUDGET_EXCEEDED",
                    f"{usd(actual_micros)} spent, {usd(held.amount_micros)} USD reserved: the cost was not capped",
                    {"actual": usd(actual_micros), "reserved": usd(held.amount_micros)},
                )
            return self._resolve(
                tx, held, "SETTLE", actual_micros, made_by, "settled at the real cost", details, overrun_micros
            )

        return self._store.run(work)

    def release(self, request_id: str, why: str, *, made_by: str = "cfo") -> Entry:
        """Give all of a reservation back, because nothing was spent. Again: the same row. `CONFLICT` once it
        is settled."""

        def work(tx: MoneyTransaction) -> Entry:
            held = _held(tx, request_id)
            done = tx.resolution(request_id)
            if done is not None:
                if done.entry_type == "SETTLE":
                    raise _closed(request_id, done)
                return done
            return self._resolve(tx, held, "RELEASE", 0, made_by, why)

        return self._store.run(work)

    def expire_due(self, limit: int = 100) -> list[Entry]:
        """Close approvals that ended unused. A dispatched one never expires: its money may be spent."""

        def next_one(tx: MoneyTransaction) -> Entry | None:
            held = tx.due_reservation(tx.now() - EXPIRY_GRACE)
            return self._resolve(tx, held, "EXPIRE", 0, "cfo", "not used in time") if held else None

        expired: list[Entry] = []
        while len(expired) < limit and (entry := self._store.run(next_one)) is not None:
            expired.append(entry)
        return expired

    def _resolve(
        self,
        tx: MoneyTransaction,
        held: Reservation,
        entry_type: str,
        actual: int,
        made_by: str,
        reason: str,
        details: Mapping[str, Any] | None = None,
        overrun: int = 0,
    ) -> Entry:
        decision = _decision(tx, held.request_id)
        keys = counters(held.category, held.periods)  # the periods of the decision, also after midnight
        tx.lock_counters(keys)
        chain = self._chain(tx)
        about = _about(decision, held)
        entry = chain.add(
            entry_type,
            amount_micros=actual,
            made_by=made_by,
            reason=reason[:200],
            details={
                **(details or {}),
                "reserved_micros": str(held.amount_micros),
                **({"overrun_micros": str(overrun)} if overrun else {}),
            },
            **about,
        )
        writes = [
            Write(
                entry,
                move=Move(keys, reserved_micros=-held.amount_micros, spent_micros=actual),
                resolve=(held.request_id, _STATES[entry_type]),
            )
        ]
        if overrun:
            scope = scopes_of(held.category)[0]
            why = f"request {held.request_id} was billed {usd(overrun)} USD above the {usd(actual)} reserved"
            row = chain.add(
                "OVERRUN",
                amount_micros=overrun,
                made_by=made_by,
                reason=why,
                details={
                    "freeze": [scope],
                    "why": why,
                    "measured_micros": str(actual + overrun),
                    "reserved_micros": str(held.amount_micros),
                },
                **about,
            )
            writes.append(Write(row, freeze=[scope]))
        tx.write(writes)
        return entry

    def refund(self, request_id: str, amount_micros: int, *, key: str, by: str, reason: str) -> Entry:
        """Book what a vendor gave back (> 0, in all at most what was settled) off the periods of the decision.

        The same `key` again is the same row. `CONFLICT`: the key with another amount, more than was settled, or an
        approval that is not settled.
        """
        if not 0 < amount_micros <= MAX_MICROS or not 0 < len(key) <= 200 or not 0 < len(by) <= 200:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"refund: got {amount_micros} micros, key {key[:80]!r}, by {by[:80]!r}; expected 1–{MAX_MICROS} micros,"
                " a key and a name of 1–200 characters",
                {"amount_micros": amount_micros, "key": key[:80], "by": by[:80]},
            )

        def work(tx: MoneyTransaction) -> Entry:
            held = _held(tx, request_id)
            tx_id = stable_id(self.tenant_id, request_id.lower(), "refund", key)
            known = tx.entry(tx_id)
            if known is not None:
                if known.amount_micros == amount_micros:
                    return known
                raise ChimeraError(
                    "CONFLICT",
                    f"refund {key[:80]!r} of {request_id} was {usd(known.amount_micros)} USD, got {usd(amount_micros)}",
                    {"key": key[:80], "amount": usd(known.amount_micros), "seq": known.seq},
                )
            done = tx.resolution(request_id)
            if done is None or done.entry_type != "SETTLE":
                raise ChimeraError(
                    "CONFLICT",
                    f"{request_id} is {held.state}: only what was settled is refunded",
                    {"state": held.state},
                )
            decision = _decision(tx, request_id)
            before = tx.refunded(decision.tx_id)
            if before + amount_micros > done.amount_micros:
                raise ChimeraError(
                    "CONFLICT",
                    f"{usd(amount_micros)} USD is more than can come back of {request_id}:"
                    f" {usd(done.amount_micros)} settled, {usd(before)} refunded before",
                    {"settled": usd(done.amount_micros), "refunded": usd(before), "amount": usd(amount_micros)},
                )
            keys = counters(held.category, held.periods)
            tx.lock_counters(keys)
            entry = self._chain(tx).add(
                "REFUND",
                tx_id=tx_id,
                amount_micros=amount_micros,
                made_by=by,
                reason=reason[:200],
                details={
                    "key": key,
                    "refunded_micros": str(before + amount_micros),
                    "settled_micros": str(done.amount_micros),
                },
                **_about(decision, held),
            )
            tx.write([Write(entry, move=Move(keys, spent_micros=-amount_micros))])
            return entry

        return self._store.run(work)


def _held(tx: MoneyTransaction, request_id: str) -> Reservation:
    if not is_uuid(request_id):
        raise ChimeraError("NOT_FOUND", f"no request {request_id[:80]!r}: a request id is a UUID")
    held = tx.lock_reservation(request_id)
    if held is None:
        raise ChimeraError("NOT_FOUND", f"no approval of request {request_id}", {"request_id": request_id})
    return held


def _decision(tx: MoneyTransaction, request_id: str) -> Entry:
    decision = tx.decision(request_id)
    if decision is None:
        raise ChimeraError("INTERNAL", f"the reservation of {request_id} has no decision")
    return decision


def _escalated(tx: MoneyTransaction, override: Override) -> Entry:
    entry = tx.decision(override.request_id)
    if entry is None:
        raise ChimeraError("NOT_FOUND", f"no request {override.request_id}", {"request_id": override.request_id})
    if entry.decision != "escalated":
        raise ChimeraError(
            "CONFLICT",
            f"request {override.request_id} is {entry.decision}, only an escalated one waits for a person",
            {"decision": entry.decision},
        )
    return entry


def _about(decision: Entry, held: Reservation) -> dict[str, Any]:
    """What every later row of an approval takes over from it, its periods above all."""
    return {
        "request_id": decision.request_id,
        "agent_id": decision.agent_id,
        "request_type": decision.request_type,
        "settles": decision.tx_id,
        "cfo_agent_id": decision.cfo_agent_id,
        "periods": held.periods,
        "req_sha256": decision.req_sha256,
    }


def _closed(request_id: str, done: Entry) -> ChimeraError:
    return ChimeraError(
        "CONFLICT",
        f"{request_id} is closed: {done.entry_type} of {usd(done.amount_micros)} USD",
        {"entry_type": done.entry_type, "amount": usd(done.amount_micros), "seq": done.seq},
    )
