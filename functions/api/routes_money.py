"""`/v1/approvals`, `/v1/budgets`: ask the CFO, see every decision, set limits, unfreeze."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from chimera.domain.cfo import PERIOD_NAMES
from chimera.domain.ledger import Entry
from chimera.domain.models import Decision
from chimera.domain.money import MICROS, usd
from chimera.errors import ChimeraError
from chimera.ports import Row
from chimera.usecases.budgets import overview
from chimera.usecases.review import Decide, decide
from chimera.usecases.spending import counted
from functions.api.call import Call, current, known_id, new_router
from functions.api.models import PageOf, ReviewView
from functions.api.models_money import (
    ApprovalAnswer,
    ApprovalDetail,
    BudgetLimit,
    Budgets,
    DecisionView,
    SpendDecided,
    SpendDecision,
    SpendRequest,
    Unfreeze,
)
from functions.api.paging import CursorText, Limit, encode, seq_of
from functions.api.views import decision_fields, decision_view

router = new_router()
KINDS = {name: kind for kind, name in PERIOD_NAMES.items()}


@router.get("/v1/approvals", tags=["approvals"], summary="Decisions, newest first")
def list_approvals(
    limit: Limit = 20, cursor: CursorText = None, decision: Annotated[Decision | None, Query()] = None
) -> PageOf[DecisionView]:
    """Every decision of the CFO, whatever it was."""
    call = current(router)
    page = call.app.ledger(call.tenant).entries(
        limit=limit, cursor=seq_of(cursor), decision=decision, entry_type="DECISION"
    )
    return PageOf[DecisionView](
        items=[decision_view(e) for e in page.entries],
        next_cursor=encode(page.next_cursor) if page.next_cursor else None,
    )


@router.post(
    "/v1/approvals",
    tags=["approvals"],
    summary="Ask the CFO (operator)",
    responses={
        200: {"description": "Approved or rejected: the decision is the answer"},
        202: {
            "description": "Escalated: a person decides",
            "content": {"application/json": {"model": ApprovalAnswer}},
        },
    },
)
def ask(body: Annotated[SpendRequest, Body()]) -> Response[ApprovalAnswer]:
    """The same request again gives the first decision again; `request_id` is the idempotency key.

    A request that cannot be decided (a field that does not fit, an agent that is not yours) is a REFUSAL row in the ledger.
    """
    call = current(router)
    call.who.require_agent(body.agent_id)
    answer = ApprovalAnswer.model_validate(counted(call.app.cfo(call.tenant).approve(body)))
    status = 202 if answer.decision == "escalated" else 200
    return Response(status_code=status, content_type="application/json", body=answer)


@router.get("/v1/approvals/<request_id>", tags=["approvals"], summary="A decision")
def get_approval(request_id: str) -> ApprovalDetail:
    """With where its money is, and what a person decided about it."""
    call = current(router)
    ledger = call.app.ledger(call.tenant)
    decision, resolution, reservation = ledger.get(known_id(request_id, "request"))
    override = ledger.override_of(decision.tx_id)
    return ApprovalDetail(
        **{
            **decision_fields(decision),
            "state": reservation.state if reservation else str(decision.decision).upper(),
            "settled": usd(resolution.amount_micros) if resolution else None,
            "decided_by_person": decision_view(override) if override else None,
        }
    )


@router.post(
    "/v1/approvals/<request_id>/decide",
    tags=["approvals"],
    summary="Decide an escalated request (operator)",
)
def decide_approval(request_id: str, body: Annotated[SpendDecision, Body()]) -> SpendDecided:
    """A person may waive the risk, never the budget. The same decision again is the same answer."""
    call = current(router)
    decision, _, _ = call.app.ledger(call.tenant).get(known_id(request_id, "request"))
    if decision.decision != "escalated":
        raise ChimeraError(
            "CONFLICT",
            f"request {request_id} is {decision.decision}, only an escalated one waits for a person",
            {"request_id": request_id, "decision": decision.decision},
        )
    waiting = call.app.overview(call.tenant).review_of_request(decision.request_id)
    told = _tell_run(call, waiting, body) if waiting else None
    answer = None if waiting else _override(call, decision, body)
    return SpendDecided(
        request_id=decision.request_id,
        decision=body.decision,
        by=call.who.subject,
        review=told,
        approval=answer,
    )


@router.get("/v1/budgets", tags=["budgets"], summary="Limits and what is left")
def get_budgets() -> Budgets:
    """This UTC day, ISO week and month, in total and for each category, with forecast, warnings and what is open."""
    call = current(router)
    return _budgets(call)


@router.put(
    "/v1/budgets",
    tags=["budgets"],
    summary="Set a limit (operator)",
)
def set_budget(body: Annotated[BudgetLimit, Body()]) -> Budgets:
    """Holds from the current period on and is a row of the ledger; below what is used it freezes spending."""
    call = current(router)
    call.app.ledger(call.tenant).set_limit(
        body.category, KINDS[body.period], int(body.limit * MICROS), by=call.who.subject, reason=body.reason
    )
    return _budgets(call)


@router.post("/v1/budgets/unfreeze", tags=["budgets"], summary="Unfreeze a category (operator)")
def unfreeze(body: Annotated[Unfreeze, Body()]) -> Budgets:
    """After an overrun or a mismatch was looked at; a row of the ledger."""
    call = current(router)
    call.app.ledger(call.tenant).unfreeze([body.category], body.reason, by=call.who.subject)
    call.app.cfo(call.tenant).sweep()
    return _budgets(call)


def _tell_run(call: Call, waiting: Row, body: SpendDecision) -> ReviewView:
    event = Decide(
        review_id=str(waiting["id"]),
        decision=body.decision,
        by=call.who.subject,
        note=body.note,
        expected_hash=waiting["subject_hash"],
    )
    return ReviewView.model_validate(decide(event, call.app.reviews(call.tenant), call.app.workflows))


def _override(call: Call, entry: Entry, body: SpendDecision) -> ApprovalAnswer:
    request: dict[str, Any] = {
        "request_id": entry.request_id,
        "agent_id": entry.agent_id,
        "request_type": entry.request_type,
        "request_cost": Decimal(entry.amount_micros) / MICROS,
        "projected_roi": entry.projected_roi,
        "justification": entry.justification,
        "currency": entry.currency,
    }
    approve = body.decision == "approved"
    answer = call.app.cfo(call.tenant).approve_override(request, call.who.subject, approve=approve, note=body.note)
    return ApprovalAnswer.model_validate(counted(answer))


def _budgets(call: Call) -> Budgets:
    app, tenant = call.app, call.tenant
    return Budgets.model_validate(overview(app.ledger(tenant), app.money_views(tenant), app.clock.now()))
