"""What the API takes and gives about money: approvals, ledger rows, budgets, costs."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from chimera.domain.cfo import ApprovalRequest
from chimera.domain.models import Decision, Model, RequestType
from chimera.domain.money import MICROS, to_micros
from functions.api.models import Money, Note, ReviewView, View

EntryType = Literal[
    "DECISION",
    "SETTLE",
    "RELEASE",
    "EXPIRE",
    "LIMIT_CHANGE",
    "REFUND",
    "OVERRUN",
    "FREEZE",
    "UNFREEZE",
    "REFUSAL",
    "KEY",
]
Level = Literal["ok", "notice", "warning", "critical", "frozen"]


def _limit(value: Any) -> Decimal:
    return Decimal(to_micros(value, "limit")) / MICROS


def _amount(value: Any) -> Decimal:
    return Decimal(to_micros(_no_fraction(value), "amount")) / MICROS


def _whole_or_text(value: Any) -> Decimal:
    return Decimal(to_micros(_no_fraction(value), "request_cost")) / MICROS


def _no_fraction(value: Any) -> Any:
    """JSON's fractions arrive as exact Decimals (see body.parse_object); who wrote them did not promise that."""
    if isinstance(value, float | Decimal):
        raise ValueError(f'got the number {value}, expected a decimal string such as "{value}", not a float')
    return value


# --- requests: unknown fields are refused


class SpendDecision(Model):
    """A person's decision about an escalated request."""

    decision: Literal["approved", "rejected"]
    note: Note = ""


class BudgetLimit(Model):
    """A new limit, from the current period on."""

    period: Literal["daily", "weekly", "monthly"]
    category: Literal["total", "api_call", "compute", "storage"]
    limit: Annotated[Decimal, BeforeValidator(_limit)] = Field(description="USD: a decimal string, or a number")
    reason: str = Field(default="", max_length=200)


class Unfreeze(Model):
    """A category that is frozen, and why it is safe to spend from it again."""

    category: Literal["total", "api_call", "compute", "storage"]
    reason: str = Field(min_length=1, max_length=200)


class Refund(Model):
    """Money that came back for a settled request."""

    amount: Annotated[Decimal, BeforeValidator(_amount)] = Field(description="USD: a decimal string, or a whole number")
    reason: str = Field(min_length=1, max_length=200)


class SpendRequest(ApprovalRequest):
    """A request to the CFO as it comes over the wire: its cost is a decimal string or a whole number.

    A JSON fraction is refused: whatever wrote it may have made a binary float of it.
    """

    request_cost: Annotated[
        Decimal,
        BeforeValidator(_whole_or_text),
        WithJsonSchema(
            {
                "anyOf": [{"type": "string", "pattern": r"^\d{1,10}(\.\d{1,6})?$"}, {"type": "integer", "minimum": 1}],
                "description": "USD, the enforced upper bound of what will be spent",
                "examples": ["0.06"],
            }
        ),
    ]


# --- answers


class ApprovalAnswer(View):
    """The CFO's answer. `token` is what a spender shows."""

    request_id: str
    decision: Decision
    approved: bool
    reason: str
    code: str
    amount: Money
    risk_score: float
    approval_signature: str | None
    token: dict[str, Any] | None
    budget_remaining: dict[str, str]
    conditions: list[str]
    expires_at: datetime | None
    execution_time_ms: int


class DecisionView(View):
    """A decision in the ledger, with where its money is."""

    request_id: str
    agent_id: str | None
    request_type: RequestType | None
    decision: Decision | None
    code: str
    reason: str
    justification: str
    amount: Money
    currency: str
    projected_roi: str | None
    risk_score: float | None
    made_by: str
    override_of: str | None
    seq: int
    expires_at: datetime | None
    created_at: datetime


class ApprovalDetail(DecisionView):
    """A decision, the state of its reservation, what it was settled at, a person's decision about it."""

    state: str = Field(description="RESERVED, SIGNED, DISPATCHED, SETTLED, RELEASED, EXPIRED, REJECTED or ESCALATED")
    settled: Money | None
    decided_by_person: DecisionView | None


class SpendDecided(View):
    """A person's decision about an escalated request. A run that waits asks the CFO itself."""

    request_id: str
    decision: Literal["approved", "rejected"]
    by: str
    review: ReviewView | None
    approval: ApprovalAnswer | None


class LedgerEntry(View):
    """A row of the ledger; hashes and signature in hex."""

    seq: int
    tx_id: str
    entry_type: EntryType
    request_id: str
    agent_id: str | None
    request_type: RequestType | None
    amount: Money
    currency: str
    decision: Decision | None
    code: str
    reason: str
    made_by: str
    settles: str | None
    override_of: str | None
    periods: dict[str, str]
    details: dict[str, Any]
    key_id: str
    prev_hash: str
    row_hash: str
    signature: str | None
    signed_by: str | None
    created_at: datetime


class Verified(View):
    """What recomputing the ledger found."""

    verified: bool
    entries: int
    problems: list[str]
    unsigned: int
    head: str
    signatures: int = Field(description="How many signatures were checked; the rest is covered by seals")
    seals: int
    sealed_through: int = Field(description="The last row under a good seal; 0 for none")


class ForecastView(View):
    """What a budget comes to at its period's end: expected, and a band that holds it about 4 times in 5."""

    expected: Money
    low: Money
    high: Money
    basis: Literal["pace", "pace and weekdays"]
    exceeds_limit: bool
    runs_out_at: datetime | None = Field(description="About when the limit is reached; null if not in this period")


class BudgetView(View):
    """A limit and what is left of it in the current period. `level`: 50, 80, 95 % used, or frozen."""

    period: Literal["daily", "weekly", "monthly"]
    category: str
    period_id: str
    period_start: datetime
    period_end: datetime
    limit: Money
    reserved: Money
    spent: Money
    remaining: Money
    used_percent: str
    level: Level
    frozen: bool
    forecast: ForecastView


class BudgetWarningView(View):
    """A budget that is not ok."""

    period: str
    period_id: str
    category: str
    level: Level
    used_percent: str


class FrozenView(View):
    """A category in which nothing is approved until a person unfreezes it."""

    category: str
    reason: str
    since: datetime


class OpenReservation(View):
    """An approval whose money is reserved and not yet settled, released or expired."""

    request_id: str
    agent_id: str
    category: str
    amount: Money
    state: Literal["RESERVED", "SIGNED", "DISPATCHED"]
    spender: str | None
    reserved_at: datetime
    dispatched_at: datetime | None
    expires_at: datetime
    age_seconds: int


class Budgets(View):
    """Every counter of the current periods, warnings, frozen categories, open reservations."""

    currency: Literal["USD"] = "USD"
    at: datetime
    items: list[BudgetView]
    warnings: list[BudgetWarningView]
    frozen: list[FrozenView]
    open_reservations: list[OpenReservation]


class CostLineView(View):
    """One call: what was drawn for its worst case before it, what it came to."""

    item: str
    category: RequestType
    quantity: str
    unit: str
    drawn: Money | None
    actual: Money
    call_id: str | None
    complete: bool


class CostStep(View):
    """A step of the production."""

    step: str
    estimated: Money | None
    drawn: Money | None
    actual: Money | None
    complete: bool
    lines: list[CostLineView]


class CostReport(View):
    """What a piece of content cost; null where there is nothing yet."""

    content_id: str
    run_id: str
    title: str
    currency: Literal["USD"]
    request_id: str | None
    decision: Decision | None
    state: str | None
    reserved: Money | None
    estimated: Money | None
    drawn: Money | None
    actual: Money
    settled: Money | None
    refunded: Money
    overrun: Money | None
    difference_percent: str | None
    complete: bool
    steps: list[CostStep]
