"""`/v1/approvals`, `/v1/ledger`, `/v1/budgets`: ask the CFO, see every decision, set limits."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from chimera.domain.cfo import PERIOD_NAMES, ApprovalRequest
from chimera.domain.ledger import BudgetLine, Entry, Page
from chimera.domain.models import Decision, RequestType
from chimera.domain.money import MICROS, usd
from chimera.errors import ChimeraError
from chimera.ports import Row
from chimera.usecases.review import Decide, decide
from functions.api.call import Call, current, known_id, new_router
from functions.api.models import (
    ApprovalAnswer,
    ApprovalDetail,
    BudgetLimit,
    Budgets,
    BudgetView,
    DecisionView,
    LedgerEntry,
    PageOf,
    ReviewView,
    SpendDecided,
    SpendDecision,
    Verified,
)
from functions.api.paging import CursorText, Limit, bad_cursor, decode_parts, encode
from functions.api.views import decision_fields, decision_view, ledger_view

router = new_router()
KINDS = {name: kind for kind, name in PERIOD_NAMES.items()}


@router.get("/v1/approvals", tags=["approvals"], summary="Decisions, newest first")
def list_approvals(
    limit: Limit = 20, cursor: CursorText = None, decision: Annotated[Decision | None, Query()] = None
) -> PageOf[DecisionView]:
    """Every decision of the CFO, whatever it was."""
    call = current(router)
    page = call.app.ledger(call.tenant).entries(
        limit=limit, cursor=_seq(cursor), decision=decision, entry_type="DECISION"
    )
    return PageOf[DecisionView](items=[decision_view(e) for e in page.entries], next_cursor=_following(page))


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
def ask(body: Annotated[ApprovalRequest, Body()]) -> Response[ApprovalAnswer]:
    """The same request again gives the first decision again; `request_id` is the idempotency key."""
    call = current(router)
    answer = ApprovalAnswer.model_validate(call.app.cfo(call.tenant).approve(body))
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


@router.get("/v1/ledger", tags=["ledger"], summary="Ledger rows, newest first")
def list_ledger(
    limit: Limit = 20,
    cursor: CursorText = None,
    agent_id: Annotated[str | None, Query(max_length=36)] = None,
    decision: Annotated[Decision | None, Query()] = None,
    request_type: Annotated[RequestType | None, Query()] = None,
) -> PageOf[LedgerEntry]:
    """Every decision, settlement, release, expiry and change of limits."""
    call = current(router)
    page = call.app.ledger(call.tenant).entries(
        limit=limit, cursor=_seq(cursor), agent_id=agent_id, decision=decision, request_type=request_type
    )
    return PageOf[LedgerEntry](items=[ledger_view(e) for e in page.entries], next_cursor=_following(page))


@router.get("/v1/ledger/verify", tags=["ledger"], summary="Recompute the whole ledger")
def verify_ledger() -> Verified:
    """Chain, signatures and counters; a change made behind the ledger's back is found."""
    call = current(router)
    return Verified.model_validate(call.app.ledger(call.tenant).verify(call.app.verifier))


@router.get("/v1/ledger/<entry_id>", tags=["ledger"], summary="A ledger row")
def get_entry(entry_id: str) -> LedgerEntry:
    """By its sequence number or transaction id."""
    call = current(router)
    return ledger_view(call.app.overview(call.tenant).ledger_entry(entry_id))


@router.get("/v1/budgets", tags=["budgets"], summary="Limits and what is left")
def get_budgets() -> Budgets:
    """This UTC day, ISO week and month, in total and for each category."""
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
    return ApprovalAnswer.model_validate(answer)


def _budgets(call: Call) -> Budgets:
    lines = call.app.ledger(call.tenant).budgets()
    return Budgets(items=[_budget(line) for line in lines])


def _budget(line: BudgetLine) -> BudgetView:
    return BudgetView(
        **{
            **vars(line),
            "limit": usd(line.limit_micros),
            "reserved": usd(line.reserved_micros),
            "spent": usd(line.spent_micros),
            "remaining": usd(line.remaining_micros),
        }
    )


def _seq(cursor: str | None) -> str | None:
    """The ledger's own cursor, a sequence number, in ours."""
    if cursor is None:
        return None
    parts = decode_parts(cursor)
    if len(parts) != 1 or not (parts[0].isascii() and parts[0].isdigit() and len(parts[0]) <= 18):
        raise bad_cursor(cursor)
    return parts[0]


def _following(page: Page) -> str | None:
    return encode(page.next_cursor) if page.next_cursor else None
