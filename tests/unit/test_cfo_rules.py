"""The order of the CFO's rules, their edges, the risk score, and what a request must look like."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera.domain.cfo import (
    ApprovalRequest,
    CfoPolicy,
    RiskFeatures,
    RiskWeights,
    check_control,
    counters,
    parse_request,
    parse_weights,
    risk_score,
    rule,
)
from chimera.domain.money import MICROS, to_micros, usd
from chimera.errors import ChimeraError

PERIODS = {"D": "2026-11-21", "W": "2026-W47", "M": "2026-11"}
POLICY = CfoPolicy()
CALM = RiskFeatures(cost_micros=1, remaining_micros=10**12, roi=Decimal(3), hurdle=Decimal("1.5"))


def body(**changes: Any) -> dict[str, Any]:
    return {
        "request_id": str(uuid.UUID(int=7)),
        "agent_id": str(uuid.UUID(int=8)),
        "request_type": "compute",
        "request_cost": "12.50",
        "projected_roi": "2.0",
        "justification": "a video",
        "currency": "USD",
        **changes,
    }


def left(request: ApprovalRequest, micros: int) -> dict[tuple[str, str, str], int]:
    return dict.fromkeys(counters(request.request_type, PERIODS), micros)


def decide(request: ApprovalRequest, micros: int, features: RiskFeatures = CALM, **more: Any) -> tuple[str, str]:
    ruling = rule(request, left(request, micros), features, POLICY, **more)
    return ruling.decision, ruling.code


def test_equalities_approve() -> None:
    request = parse_request(body(request_cost="10000", projected_roi="1.5"))
    assert decide(request, 10_000 * MICROS) == ("approved", "")


@pytest.mark.parametrize(
    ("changes", "micros", "expected"),
    [
        ({"request_cost": "10000.000001"}, 10**12, "TRANSACTION_TOO_LARGE"),
        ({"projected_roi": "1.499999"}, 10**12, "ROI_TOO_LOW"),
        ({"projected_roi": "1.4999999999"}, 10**12, "ROI_TOO_LOW"),
        ({"projected_roi": -1}, 10**12, "ROI_TOO_LOW"),
        ({"request_cost": "12.500001"}, 12_500_000, "BUDGET_EXCEEDED"),
        ({"currency": "EUR"}, 10**12, "VALIDATION_FAILED"),
        # the first rule that matches speaks
        ({"currency": "EUR", "request_cost": "20000", "projected_roi": 0}, 0, "VALIDATION_FAILED"),
        ({"request_cost": "20000", "projected_roi": 0}, 0, "TRANSACTION_TOO_LARGE"),
        ({"projected_roi": 0}, 0, "ROI_TOO_LOW"),
    ],
)
def test_rules_reject_with_their_code(changes: dict[str, Any], micros: int, expected: str) -> None:
    assert decide(parse_request(body(**changes)), micros) == ("rejected", expected)


def test_any_one_of_the_counters_is_enough_to_reject() -> None:
    request = parse_request(body())
    for key in counters("compute", PERIODS):
        remaining = {**left(request, 10**12), key: request.amount_micros - 1}
        ruling = rule(request, remaining, CALM, POLICY)
        assert ruling.code == "BUDGET_EXCEEDED"
        assert key[0] in ruling.reason
        assert key[2] in ruling.reason


def test_risk_escalates_only_above_the_threshold_and_only_after_the_budget() -> None:
    request = parse_request(body())
    all_of_it = RiskWeights(*map(Decimal, ("1", "0", "0", "0", "0")))
    policy = CfoPolicy(weights=all_of_it)
    at = RiskFeatures(cost_micros=7, remaining_micros=10, roi=Decimal(3), hurdle=Decimal("1.5"))
    above = RiskFeatures(cost_micros=7001, remaining_micros=10_000, roi=Decimal(3), hurdle=Decimal("1.5"))
    assert rule(request, left(request, 10**12), at, policy).decision == "approved"
    assert rule(request, left(request, 10**12), above, policy).code == "APPROVAL_REQUIRED"
    assert rule(request, left(request, 10**12), above, policy, waive_risk=True).decision == "approved"
    assert rule(request, left(request, 1), above, policy, waive_risk=True).code == "BUDGET_EXCEEDED"


def test_blockchain_counts_in_total_only() -> None:
    assert [key[0] for key in counters("blockchain", PERIODS)] == ["total"] * 3
    assert sorted({key[0] for key in counters("storage", PERIODS)}) == ["storage", "total"]
    assert counters("compute", PERIODS) == sorted(counters("compute", PERIODS))


@given(
    cost=st.integers(1, 10**10),
    remaining=st.integers(-(10**6), 10**11),
    roi=st.decimals(-5, 50, places=6),
    decisions=st.integers(0, 100),
    data=st.data(),
)
def test_risk_is_between_0_and_1_and_grows_with_the_cost(
    cost: int, remaining: int, roi: Decimal, decisions: int, data: st.DataObject
) -> None:
    rejections = data.draw(st.integers(0, decisions))
    largest, recent = data.draw(st.integers(0, 10**10)), data.draw(st.integers(0, 100))

    def score(amount: int) -> Decimal:
        return risk_score(RiskFeatures(amount, remaining, roi, Decimal("1.5"), decisions, rejections, largest, recent))

    assert 0 <= score(cost) <= 1
    assert score(cost) <= score(cost * 2)


@given(
    amount=st.integers(1, 2 * 10**10),
    remaining=st.lists(st.integers(0, 2 * 10**10), min_size=6, max_size=6),
    roi=st.decimals(0, 4, places=6),
)
def test_an_approval_never_breaks_a_rule(amount: int, remaining: list[int], roi: Decimal) -> None:
    request = parse_request(body(request_cost=usd(amount), projected_roi=roi))
    budget = dict(zip(counters("compute", PERIODS), remaining, strict=True))
    features = RiskFeatures(amount, min(remaining), roi, POLICY.hurdle)
    ruling = rule(request, budget, features, POLICY)
    fits = amount <= min(remaining) and amount <= 10_000 * MICROS and roi >= Decimal("1.5")
    assert (ruling.decision != "rejected") == fits
    assert (ruling.decision == "approved") == (fits and ruling.risk <= Decimal("0.7"))
    assert bool(ruling.code) == (ruling.decision != "approved")


@pytest.mark.parametrize("state", [None, "STOP", "PAUSE_SPEND", "", "run"])
def test_a_switch_that_is_not_on_stops_spending(state: str | None) -> None:
    with pytest.raises(ChimeraError) as caught:
        check_control(state)
    assert caught.value.code == "SYSTEM_STOPPED"


@pytest.mark.parametrize("state", ["RUN", "PAUSE_PUBLISH"])
def test_a_switch_that_lets_money_be_spent(state: str) -> None:
    check_control(state)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("request_cost", "-1"),
        ("request_cost", "0"),
        ("request_cost", 12.5),
        ("request_cost", "NaN"),
        ("request_cost", "1e30"),
        ("request_cost", "0.0000001"),
        ("request_cost", True),
        ("request_cost", None),
        ("request_cost", "Infinity"),
        ("request_cost", "1_000"),
        ("projected_roi", float("nan")),
        ("projected_roi", "inf"),
        ("projected_roi", True),
        ("projected_roi", "abc"),
        ("projected_roi", 10**9),
        ("request_id", "not-a-uuid"),
        ("agent_id", ""),
        ("request_type", "gambling"),
        ("currency", "usd"),
        ("justification", "x" * 2001),
        ("justification", "a\0b"),
        ("justification", "\ud800"),
        ("more", 1),
    ],
)
def test_a_bad_request_is_one_error_that_names_the_field(field: str, value: Any) -> None:
    with pytest.raises(ChimeraError) as caught:
        parse_request(body(**{field: value}))
    assert caught.value.code == "VALIDATION_FAILED"
    assert field in str(caught.value.details)


def test_the_request_hash_is_of_the_meaning() -> None:
    first = parse_request(body(request_cost="1.5", projected_roi=2))
    assert first.sha256() == parse_request(body(request_cost="1.500000", projected_roi="2.0")).sha256()
    assert first.sha256() != parse_request(body(request_cost="1.51", projected_roi=2)).sha256()
    assert first.sha256() != parse_request(body(request_cost="1.5", projected_roi=2, justification="x")).sha256()


@given(st.integers(1, 10**15))
def test_money_survives_text(micros: int) -> None:
    assert to_micros(usd(micros)) == micros


def test_weights_from_text() -> None:
    assert parse_weights("") == RiskWeights()
    assert parse_weights("pressure=0.5, timing=0").pressure == Decimal("0.5")
    for bad in ("pressure=2", "size=0.1", "pressure", "timing=x"):
        with pytest.raises(ChimeraError):
            parse_weights(bad)
