"""The end of an allowance: fence it, and turn what its calls drew and used into the bill that the CFO settles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from chimera.allowance_ports import AllowanceStore
from chimera.domain.models import CostLine
from chimera.errors import ChimeraError
from chimera.ports import MediaStore
from chimera.usecases.costs import noted

PRODUCTION_WINDOW = timedelta(days=7)
"""How long after its approval's end a dispatched production may go on drawing: longer than any run that is still wanted,
and than a laptop is usually closed. Until dispatch the approval's own end counts."""


class Answers(Protocol):
    """What the CFO answered to a request (usecases.cfo.Cfo)."""

    def answer(self, request_id: str) -> dict[str, Any]:
        """The answer; `NOT_FOUND`."""
        ...


def allowance_end(exp: int) -> datetime:
    """When the allowance of an approval ends that was to be used before `exp` (Unix seconds)."""
    return datetime.fromtimestamp(exp, UTC) + PRODUCTION_WINDOW


def close_allowance(
    store: AllowanceStore, answers: Answers, media: MediaStore, prefix: str, request_id: str
) -> list[CostLine]:
    """Close the allowance of a request and give its bill: one line a call; again is the same bill.

    A draw whose actual was never reported is corrected first if its step noted a finished measurement beside its files;
    one of which nothing is known counts in full. An allowance that was never opened (a crash between dispatch and
    opening) is opened and closed, so that it cannot be opened later.
    """
    try:
        allowance = store.get(request_id)
    except ChimeraError as error:
        if error.code != "NOT_FOUND":
            raise
        claims = answers.answer(request_id)["token"]["claims"]
        allowance = store.open(
            request_id, int(claims["amount_micros"]), int(claims["control_epoch"]), allowance_end(int(claims["exp"]))
        )
    lines = noted(media, prefix)
    if not allowance.closed:
        measured = {line.call_id: line for line in lines if line.complete and line.call_id}
        for draw in store.draws(request_id):
            line = measured.get(draw.call_id)
            if draw.state == "OPEN" and line is not None:
                store.correct(request_id, draw.call_id, line.amount_micros, line.quantity)
        store.close(request_id)
    bill = [draw.line() for draw in store.draws(request_id) if draw.state != "RETURNED"]
    known = {line.call_id for line in bill}
    # what was used before there was an allowance to draw from: the brief, where opening it was cut off
    return bill + [line for line in lines if line.step == "brief" and "brief" not in known]
