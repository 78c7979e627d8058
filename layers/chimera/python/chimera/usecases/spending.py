"""The CFO's steps of one production: approve, dispatch, settle or release."""

from __future__ import annotations

from typing import Any

from chimera.domain.allowance import CallItem
from chimera.domain.ids import stable_id
from chimera.errors import ChimeraError
from chimera.metrics import measure
from chimera.ports import ContentRows, RunRows
from chimera.usecases.cfo import Asker, Cfo
from chimera.usecases.costs import noted
from chimera.usecases.production import MadeContent
from chimera.usecases.scope import Scope
from chimera.usecases.spend_gateway import SpendGateway


class Approve(Scope):
    """Input of `approve`: the request as `write_brief` made it."""

    request: dict[str, Any]


class OverrideApproval(Scope):
    """Input of `override_approval`: the escalated request and the person's decision."""

    request: dict[str, Any]
    review: dict[str, Any]


class Dispatch(Scope):
    """Input of `dispatch`: the signed approval, and who spends (the same after a crash)."""

    approval: dict[str, Any]
    spender: str


class Settle(Scope):
    """Input of `settle`, `settle_failure` and `release_approval`."""

    request_id: str


def approve(event: Approve, cfo: Cfo, content: ContentRows) -> dict[str, Any]:
    """Ask the CFO; the same request again gives the first decision again."""
    artist = Asker("artist", frozenset({stable_id(event.tenant_id, "artist")}))  # this machine is the artist's
    answer = counted(cfo.approve(event.request, asker=artist))
    content.advance(event.content_id, ("draft",), approval_request_id=answer["request_id"])
    return answer


def counted(answer: dict[str, Any]) -> dict[str, Any]:
    """Count a decision, and how long it took."""
    measure("ledger_transactions_total", approved="true" if answer["approved"] else "false")
    measure("approval_latency_seconds", answer["execution_time_ms"] / 1000)
    return answer


def override(event: OverrideApproval, cfo: Cfo, content: ContentRows, runs: RunRows) -> dict[str, Any]:
    """A person's answer to an escalated request is a decision of its own in the ledger; it waives risk, never budget."""
    runs.set_status(event.run_id, "running")
    yes = event.review.get("decision") == "approved"
    by, note = str(event.review.get("by") or "unknown"), str(event.review.get("note") or "")
    answer = counted(cfo.approve_override(event.request, by, approve=yes, note=note))
    content.advance(event.content_id, ("draft",), approval_request_id=answer["request_id"])
    return answer


def dispatch(event: Dispatch, gateway: SpendGateway, made: MadeContent, content: ContentRows) -> dict[str, Any]:
    """Use the approval, once, and open its allowance; only then does the content begin to be made.

    What the brief used before there was an approval is the first thing that the allowance pays.
    """
    purse = gateway.open(
        event.approval.get("token"),
        agent_id=stable_id(event.tenant_id, "artist"),
        spender=event.spender,
        request_id=event.approval["request_id"],
    )
    for line in noted(made.media, event.prefix):
        if line.step == "brief":
            item = CallItem(
                step=line.step, item=line.item, quantity=line.quantity, unit=line.unit, category=line.category
            )
            purse.book("brief", line.amount_micros, item)
    content.advance(event.content_id, ("draft", "generating"), stage="generating")
    return {"request_id": event.approval["request_id"]}


def settle(event: Settle, cfo: Cfo, gateway: SpendGateway, made: MadeContent, content: ContentRows) -> dict[str, Any]:
    """Close the allowance and book what its calls cost (one that never said, at its worst case); again books nothing."""
    lines = gateway.bill(event.request_id, made.media, event.prefix)
    entry = cfo.settle(event.request_id, lines)
    content.advance(
        event.content_id,
        ("draft", "generating", "review", "ready", "failed"),
        production_cost_micros=entry["actual_micros"],
    )
    return {"request_id": event.request_id, "actual": entry["actual"], "reserved": entry["reserved"]}


def settle_failure(
    event: Settle, cfo: Cfo, gateway: SpendGateway, made: MadeContent, content: ContentRows
) -> dict[str, Any]:
    """After a failure: what was used was used; an approval that was never dispatched is given back."""
    if cfo.state(event.request_id) == "DISPATCHED":
        return settle(event, cfo, gateway, made, content)
    try:
        return release(event, cfo, content)
    except ChimeraError as error:
        if error.code != "CONFLICT":
            raise
        return {"request_id": event.request_id, "actual": None, "reserved": None}  # settled, released or expired before


def release(event: Settle, cfo: Cfo, content: ContentRows) -> dict[str, Any]:
    """Give the whole reservation back."""
    cfo.release(event.request_id, "production was not begun")
    return {"request_id": event.request_id, "actual": "0.00", "reserved": "0.00"}
