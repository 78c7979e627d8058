"""Allowances, pure: what an approval still covers, what each paid call drew from it, and when a draw is refused.

An allowance is the reservation of one dispatched approval, cut up: every paid call draws its enforced worst case before
it is made and is corrected to what it really cost afterwards. What holds at every commit, whatever crashes:

- A1 used = sum of what its draws are charged (open: the worst case; corrected: the actual; returned: 0)
- A2 remaining = max(0, amount - used), and used <= amount unless a call cost more than its own worst case (overrun)
- A3 after an overrun, after close, after expiry, in a later epoch and under a stop: no further draw
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from chimera.domain.cfo import check_control
from chimera.domain.ids import is_uuid
from chimera.domain.models import CostLine, RequestType
from chimera.domain.money import MAX_MICROS, usd
from chimera.errors import ChimeraError

DrawState = Literal["OPEN", "CORRECTED", "RETURNED"]
Control = tuple[str, int] | None
"""State and epoch of the control switch; None (missing, unreadable) is a STOP."""

CALL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/~-]{0,199}")
"""A call's id is a key in two databases and the value of an HTTP header."""


@dataclass(frozen=True, kw_only=True)
class CallItem:
    """What is bought: at most `quantity` (decimal string) of `unit` before the call, the measured quantity after it."""

    step: str
    item: str
    quantity: str = "1"
    unit: str = "call"
    category: RequestType = "api_call"


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """Where one allowance stands; micros. `used_micros` is above `amount_micros` only after an overrun."""

    request_id: str
    amount_micros: int
    used_micros: int
    epoch: int
    expires_at: datetime
    closed: bool = False
    overrun_micros: int = 0
    """By how much calls cost more than their worst cases; above 0 nothing more is drawn."""

    @property
    def remaining_micros(self) -> int:
        """What may still be drawn."""
        return max(0, self.amount_micros - self.used_micros)


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One paid call's part of an allowance; micros."""

    request_id: str
    call_id: str
    item: CallItem
    drawn_micros: int
    state: DrawState = "OPEN"
    actual_micros: int | None = None
    attempt: int = 1
    """Counts how often it was drawn anew after it had been given back: fences a late twin's `give_back`."""
    first: bool = True
    """False when the draw was there already: an earlier attempt may have made the call."""

    @property
    def charged_micros(self) -> int:
        """What counts against the allowance."""
        if self.state == "RETURNED":
            return 0
        return self.drawn_micros if self.actual_micros is None else self.actual_micros

    def line(self) -> CostLine:
        """The draw as a line of the bill; not `complete` when its actual was never reported: the worst case counts."""
        return CostLine(
            step=self.item.step,
            item=self.item.item,
            category=self.item.category,
            quantity=self.item.quantity,
            unit=self.item.unit,
            amount_micros=self.charged_micros,
            complete=self.state == "CORRECTED",
            drawn_micros=self.drawn_micros,
            actual_micros=self.actual_micros,
            call_id=self.call_id,
        )


def check_open(request_id: str, amount_micros: int, epoch: int, expires_at: datetime) -> None:
    """`VALIDATION_FAILED` for what cannot be an allowance."""
    if not is_uuid(request_id):
        raise ChimeraError("VALIDATION_FAILED", f"request_id: got {request_id[:80]!r}, expected a UUID")
    _check_micros("amount", amount_micros, 1)
    if not isinstance(epoch, int) or isinstance(epoch, bool) or epoch < 0 or expires_at.tzinfo is None:
        raise ChimeraError(
            "VALIDATION_FAILED", f"epoch {epoch!r}, expires_at {expires_at!r}: expected 0 or more and an aware time"
        )


def check_reopened(known: Allowance, amount_micros: int, epoch: int) -> Allowance:
    """The allowance that is there already; `CONFLICT` when it was opened for another amount or epoch."""
    if (known.amount_micros, known.epoch) != (amount_micros, epoch):
        raise ChimeraError(
            "CONFLICT",
            f"the allowance of {known.request_id} was opened with {usd(known.amount_micros)} USD in epoch {known.epoch},"
            f" not with {usd(amount_micros)} in {epoch}",
            {"request_id": known.request_id},
        )
    return known


def check_call(call_id: str, micros: int, item: CallItem | None = None) -> None:
    """`VALIDATION_FAILED` for a call id, an amount or an item that no store takes. 0 micros is a free call."""
    if not isinstance(call_id, str) or not CALL_ID.fullmatch(call_id):
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"call_id: got {str(call_id)[:80]!r}, expected 1-200 of letters, digits and . _ : / ~ -",
        )
    _check_micros("micros", micros, 0)
    if item is not None and not all(0 < len(text) <= 200 for text in (item.step, item.item, item.quantity, item.unit)):
        raise ChimeraError("VALIDATION_FAILED", f"item: got {item!r}, expected texts of 1-200 characters")


def check_draw(
    allowance: Allowance | None, known: Draw | None, control: Control, request_id: str, micros: int, now: datetime
) -> Draw | None:
    """The draw that is there already under this call id, or None: it may be made now. Raises when it may not.

    `known` is the draw under the call id, `control` what the switch says, read no earlier than the two. `NOT_FOUND`: no
    such allowance. `CONFLICT`: another amount under this call id, or closed. `INVALID_SIGNATURE`: the approval has
    expired or is of an older epoch. `SYSTEM_STOPPED`: the switch. `BUDGET_EXCEEDED`: not enough left, or overrun.
    """
    if allowance is None:
        raise ChimeraError(
            "NOT_FOUND", f"no allowance is open for request {request_id[:80]}", {"request_id": request_id[:80]}
        )
    if known is not None and known.state != "RETURNED":
        if known.drawn_micros != micros:
            raise ChimeraError(
                "CONFLICT",
                f"call {known.call_id} drew {usd(known.drawn_micros)} USD before, now {usd(micros)}",
                {"call_id": known.call_id, "drawn": usd(known.drawn_micros), "asked": usd(micros)},
            )
        if known.state == "CORRECTED":  # nothing will be spent under it: the answer is the same for ever
            return replace(known, first=False)
    if allowance.closed:
        raise closed(allowance)
    if allowance.expires_at <= now:
        raise ChimeraError(
            "INVALID_SIGNATURE",
            "the approval behind this allowance has expired",
            {"expires_at": allowance.expires_at.isoformat()},
        )
    check_control(control[0] if control else None)
    assert control is not None
    if control[1] != allowance.epoch:
        raise ChimeraError(
            "INVALID_SIGNATURE",
            "the approval was given before the control switch was last used; ask again",
            {"epoch": allowance.epoch, "now": control[1]},
        )
    if known is not None and known.state == "OPEN":
        return replace(known, first=False)
    if allowance.overrun_micros > 0:
        raise ChimeraError(
            "BUDGET_EXCEEDED",
            f"a call cost {usd(allowance.overrun_micros)} USD more than its worst case: nothing more is drawn from"
            f" the approval of {allowance.request_id}",
            {"overrun": usd(allowance.overrun_micros), "asked": usd(micros)},
        )
    if allowance.remaining_micros < micros:
        raise ChimeraError(
            "BUDGET_EXCEEDED",
            f"{usd(micros)} USD asked for, {usd(allowance.remaining_micros)} left of the {usd(allowance.amount_micros)}"
            " that were approved",
            {
                "asked": usd(micros),
                "remaining": usd(allowance.remaining_micros),
                "approved": usd(allowance.amount_micros),
            },
        )
    return None


def check_correct(allowance: Allowance | None, known: Draw | None, request_id: str, call_id: str, actual: int) -> bool:
    """Whether the draw is to be corrected now: False when it was, to this amount.

    `NOT_FOUND`, `CONFLICT` (corrected to another amount, given back, or the allowance is closed).
    """
    if allowance is None or known is None:
        raise ChimeraError("NOT_FOUND", f"no draw of call {call_id[:80]} for request {request_id[:80]}")
    if known.state == "CORRECTED" and known.actual_micros == actual:
        return False
    if allowance.closed:
        raise closed(allowance)
    if known.state != "OPEN":
        raise ChimeraError(
            "CONFLICT",
            f"call {call_id} is {known.state} at {usd(known.charged_micros)} USD, not {usd(actual)}",
            {"call_id": call_id, "state": known.state, "charged": usd(known.charged_micros)},
        )
    return True


def check_give_back(
    allowance: Allowance | None, known: Draw | None, request_id: str, call_id: str, attempt: int
) -> bool:
    """Whether the draw is to be given back now: False when this very draw was. `NOT_FOUND`, `CONFLICT`."""
    if allowance is None or known is None:
        raise ChimeraError("NOT_FOUND", f"no draw of call {call_id[:80]} for request {request_id[:80]}")
    if known.attempt == attempt and known.state == "RETURNED":
        return False
    if allowance.closed:
        raise closed(allowance)
    if known.attempt != attempt or known.state != "OPEN":
        raise ChimeraError(
            "CONFLICT",
            f"call {call_id} was drawn anew or booked since: attempt {known.attempt} is {known.state}",
            {"call_id": call_id, "state": known.state, "attempt": known.attempt},
        )
    return True


def closed(allowance: Allowance) -> ChimeraError:
    """The error for whatever comes after the end."""
    return ChimeraError(
        "CONFLICT",
        f"the allowance of {allowance.request_id} is closed at {usd(allowance.used_micros)} USD",
        {"request_id": allowance.request_id, "used": usd(allowance.used_micros)},
    )


def _check_micros(name: str, micros: int, least: int) -> None:
    if not isinstance(micros, int) or isinstance(micros, bool) or not least <= micros <= MAX_MICROS:
        raise ChimeraError("VALIDATION_FAILED", f"{name}: got {micros!r}, expected {least}-{MAX_MICROS} whole micros")
