"""The CFO's rules, pure: periods of an instant, what counts against what, the order of the rules, the risk
score."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from hashlib import sha256
from typing import Annotated, Any, Literal

import rfc8785
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from chimera.domain.ids import is_uuid
from chimera.domain.models import Decision, Model, RequestType
from chimera.domain.money import MICROS, to_micros, usd
from chimera.errors import ChimeraError

Kind = Literal["D", "W", "M"]
CounterKey = tuple[str, str, str]
"""(scope, kind, period id): one row of the budget; tuples sort in the order in which rows are locked."""

KINDS: tuple[Kind, ...] = ("D", "W", "M")
PERIOD_NAMES: dict[str, str] = {"D": "daily", "W": "weekly", "M": "monthly"}
SCOPES = ("total", "api_call", "compute", "storage")
SPENDING_STATES = frozenset({"RUN", "PAUSE_PUBLISH"})
RISK_VERSION = "risk-1"


# --- periods


def periods_of(instant: datetime) -> dict[str, str]:
    """UTC day, ISO week and month of an aware instant: `{"D": "2026-11-21", "W": "2026-W47", "M":
    "2026-11"}`.

    The ISO week-year is not always the calendar year: 2027-01-01 is in 2026-W53.
    """
    if instant.tzinfo is None:
        raise ValueError(f"expected an aware datetime, got {instant!r}")
    day = instant.astimezone(UTC).date()
    week = day.isocalendar()
    return {
        "D": day.isoformat(),
        "W": f"{week.year:04d}-W{week.week:02d}",
        "M": f"{day.year:04d}-{day.month:02d}",
    }


def period_bounds(kind: str, period_id: str) -> tuple[datetime, datetime]:
    """First instant of a period and the first one after it, UTC."""
    if kind == "D":
        start = date.fromisoformat(period_id)
        end = start + timedelta(days=1)
    elif kind == "W":
        year, week = period_id.split("-W")
        start = date.fromisocalendar(int(year), int(week), 1)
        end = start + timedelta(days=7)
    elif kind == "M":
        year, month = period_id.split("-")
        start = date(int(year), int(month), 1)
        end = (start + timedelta(days=31)).replace(day=1)
    else:
        raise ValueError(f"kind is one of D, W, M; got {kind!r}")
    return (
        datetime(start.year, start.month, start.day, tzinfo=UTC),
        datetime(end.year, end.month, end.day, tzinfo=UTC),
    )


def scopes_of(request_type: str) -> tuple[str, ...]:
    """What a request counts against: its category and the total; `blockchain` only the total."""
    return ("total",) if request_type == "blockchain" else (request_type, "total")


def counters(request_type: str, periods: Mapping[str, str]) -> list[CounterKey]:
    """The budget rows that a request needs, sorted: everyone locks them in this order."""
    return sorted((scope, kind, periods[kind]) for scope in scopes_of(request_type) for kind in KINDS)


# --- requests


def _money(value: Any) -> Decimal:
    return Decimal(to_micros(value, "request_cost")) / MICROS


def _ratio(value: Any) -> Decimal:
    """ROI, rounded down to 6 places: rounding never lifts a request over the hurdle."""
    try:
        if isinstance(value, bool) or (isinstance(value, str) and len(value) > 32):
            raise ValueError
        number = Decimal(str(value)) if isinstance(value, int | float | str | Decimal) else Decimal("NaN")
        if not number.is_finite() or abs(number) > 1_000_000:
            raise ValueError
    except (InvalidOperation, ValueError):
        raise ValueError(f"got {str(value)[:80]!r}, expected a finite ratio between -1000000 and 1000000") from None
    return number.quantize(Decimal("0.000001"), rounding=ROUND_FLOOR)


def _uuid(value: str) -> str:
    if not is_uuid(value):
        raise ValueError(f"got {value[:80]!r}, expected a UUID")
    return value.lower()


def _text(value: str) -> str:
    try:
        if "\0" in value:
            raise ValueError("text has a NUL character, expected none")
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("text has half a surrogate pair, expected Unicode text") from None
    return value


Uuid = Annotated[str, AfterValidator(_uuid)]


class ApprovalRequest(Model):
    """cfo.approve's input. `request_cost` in USD is the enforced upper bound of what will be spent."""

    request_id: Uuid
    agent_id: Uuid
    request_type: RequestType
    request_cost: Annotated[Decimal, BeforeValidator(_money)]
    projected_roi: Annotated[Decimal, BeforeValidator(_ratio)]
    justification: Annotated[str, AfterValidator(_text)] = Field(default="", max_length=2000)
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")

    @property
    def amount_micros(self) -> int:
        """`request_cost` in micros."""
        return int(self.request_cost * MICROS)

    def sha256(self, **more: str) -> bytes:
        """Hash of the request's meaning (RFC 8785): `1.5` and `1.50` are the same cost, another word is
        another request."""
        return sha256(rfc8785.dumps({**request_fields(self), **more})).digest()


def request_fields(request: ApprovalRequest) -> dict[str, str]:
    """The fields that a request's hash covers."""
    return {
        "request_id": request.request_id,
        "agent_id": request.agent_id,
        "request_type": request.request_type,
        "amount_micros": str(request.amount_micros),
        "projected_roi": f"{request.projected_roi:.6f}",
        "justification": request.justification,
        "currency": request.currency,
    }


def parse_request(value: ApprovalRequest | Mapping[str, Any]) -> ApprovalRequest:
    """A valid request, or `VALIDATION_FAILED` naming each wrong field, what came and why it is wrong."""
    if isinstance(value, ApprovalRequest):
        return value
    if not isinstance(value, Mapping):
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"approval request: got {type(value).__name__}, expected an object",
            {"request": {"got": repr(value)[:80], "expected": "an object"}},
        )
    try:
        return ApprovalRequest.model_validate(dict(value))
    except ValidationError as error:
        details = {
            ".".join(map(str, e["loc"])) or "request": {"got": repr(e["input"])[:80], "expected": e["msg"]}
            for e in error.errors()
        }
        raise ChimeraError(
            "VALIDATION_FAILED", f"approval request: {', '.join(sorted(details))} not valid", details
        ) from None


# --- rules


@dataclass(frozen=True)
class RiskWeights:
    """How much each feature adds, 0–1 each; the score is their weighted sum, at most 1."""

    pressure: Decimal = Decimal("0.35")
    margin: Decimal = Decimal("0.15")
    history: Decimal = Decimal("0.25")
    novelty: Decimal = Decimal("0.10")
    timing: Decimal = Decimal("0.15")


@dataclass(frozen=True)
class RiskFeatures:
    """What the risk score looks at. Nothing in it is text that came from outside."""

    cost_micros: int
    remaining_micros: int
    """The tightest of the counters, before this request."""
    roi: Decimal
    hurdle: Decimal
    agent_decisions: int = 0
    """The agent's decisions so far, the last 100 at most."""
    agent_rejections: int = 0
    largest_before_micros: int = 0
    """Largest amount of this type approved for this agent among those decisions."""
    recent_decisions: int = 0
    """The agent's decisions of the last 10 minutes, the last 100 at most."""


def risk_score(features: RiskFeatures, weights: RiskWeights | None = None) -> Decimal:
    """risk-1: the weighted sum of five features, each 0–1, rounded up to 4 places; 0 is no risk, 1 all of it.

    - pressure: cost / tightest remaining budget; 1 when nothing is left
    - margin: 1 at the hurdle, 0 from twice the hurdle on, linear in ROI between
    - history: (rejections + 1) / (decisions + 5) of the agent, so a new agent is at 0.2
    - novelty: how far the cost is above the largest approved before: 1 − largest/cost, 1 without one
    - timing: decisions of this agent in the last 10 minutes / 60
    """
    w = weights or RiskWeights()
    f = features
    cost = Decimal(f.cost_micros)
    pressure = _unit(cost / f.remaining_micros) if f.remaining_micros > 0 else Decimal(1)
    margin = 1 - _unit((f.roi - f.hurdle) / f.hurdle) if f.hurdle > 0 else Decimal(0)
    history = _unit(Decimal(f.agent_rejections + 1) / (f.agent_decisions + 5))
    novelty = _unit(1 - Decimal(f.largest_before_micros) / cost)
    timing = _unit(Decimal(f.recent_decisions) / 60)
    score = w.pressure * pressure + w.margin * margin + w.history * history + w.novelty * novelty + w.timing * timing
    return _unit(score).quantize(Decimal("0.0001"), rounding=ROUND_CEILING)


def _unit(value: Decimal) -> Decimal:
    return max(Decimal(0), min(Decimal(1), value))


@dataclass(frozen=True)
class CfoPolicy:
    """The rules' numbers; amounts in micros, times in seconds."""

    hurdle: Decimal = Decimal("1.5")
    max_transaction_micros: int = 10_000 * MICROS
    risk_threshold: Decimal = Decimal("0.7")
    weights: RiskWeights = field(default_factory=RiskWeights)
    approval_ttl_seconds: int = 86_400
    currency: str = "USD"


@dataclass(frozen=True)
class Ruling:
    """A decision with its documented code (empty when approved) and its reason as a sentence."""

    decision: Decision
    code: str
    reason: str
    risk: Decimal


def check_control(state: str | None) -> None:
    """`SYSTEM_STOPPED` unless the switch lets money be spent; a missing row is a STOP. Nothing is decided
    then."""
    if state not in SPENDING_STATES:
        raise ChimeraError(
            "SYSTEM_STOPPED",
            f"spending is stopped by the control switch ({state or 'no control row: read as STOP'})",
            {"control": state or "STOP", "expected": sorted(SPENDING_STATES)},
        )


def rule(
    request: ApprovalRequest,
    remaining: Mapping[CounterKey, int],
    features: RiskFeatures,
    policy: CfoPolicy,
    *,
    waive_risk: bool = False,
    frozen: Mapping[str, str] | None = None,
) -> Ruling:
    """The first rule that matches decides; equality always passes. `remaining` holds every counter of the
    request, in micros; `frozen` says by scope since when and why nothing of it is left.

    Order: currency, size, ROI, budget, risk. The control switch comes before all of them (`check_control`).
    """
    risk = risk_score(features, policy.weights)
    amount = request.amount_micros

    def rejected(code: str, reason: str) -> Ruling:
        return Ruling("rejected", code, reason, risk)

    if request.currency != policy.currency:
        return rejected("VALIDATION_FAILED", f"currency is {request.currency}, only {policy.currency} is budgeted")
    if amount > policy.max_transaction_micros:
        return rejected(
            "TRANSACTION_TOO_LARGE",
            f"{usd(amount)} is above the largest transaction, {usd(policy.max_transaction_micros)} {policy.currency}",
        )
    if request.projected_roi < policy.hurdle:
        return rejected("ROI_TOO_LOW", f"projected ROI {request.projected_roi.normalize():f} is below {policy.hurdle}")
    if frozen:
        scope, since = min(frozen.items())
        return rejected("BUDGET_EXCEEDED", f"the {scope} budget is frozen since {since}")
    short = [(left, key) for key, left in remaining.items() if left < amount]
    if short:
        left, (scope, kind, period_id) = min(short)
        return rejected(
            "BUDGET_EXCEEDED",
            f"{usd(amount)} is more than the {usd(left)} {policy.currency} left of the "
            f"{PERIOD_NAMES[kind]} {scope} budget ({period_id})",
        )
    if risk > policy.risk_threshold and not waive_risk:
        return Ruling(
            "escalated",
            "APPROVAL_REQUIRED",
            f"risk {risk} is above {policy.risk_threshold}: a person decides",
            risk,
        )
    return Ruling("approved", "", "within budget, ROI and risk limits", risk)


def parse_weights(text: str) -> RiskWeights:
    """`"pressure=0.35 timing=0.2"` -> weights; what is not named keeps its default. `VALIDATION_FAILED`
    otherwise."""
    known = RiskWeights()
    values: dict[str, Decimal] = {}
    for part in re.split(r"[\s,]+", text.strip()):
        if not part:
            continue
        name, _, number = part.partition("=")
        try:
            value = Decimal(number)
            if not hasattr(known, name) or not 0 <= value <= 1:
                raise ValueError
        except (InvalidOperation, ValueError):
            expected = "pressure, margin, history, novelty, timing = 0…1"
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"risk_weights: got {part[:40]!r}, expected {expected}",
                {"risk_weights": {"got": part[:40], "expected": expected}},
            ) from None
        values[name] = value
    return RiskWeights(**values)
