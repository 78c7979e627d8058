"""Many requests in one transaction are the same as one after the other, each as exact as alone."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.ledger import PostgresLedger
from chimera.adapters.postgres.tenancy import agent_id
from chimera.domain.cfo import ApprovalRequest, CfoPolicy, RiskWeights, parse_request
from chimera.domain.ids import stable_id
from chimera.domain.ledger import Entry
from chimera.errors import ChimeraError
from chimera.usecases.cfo import Asker, Cfo

MakeCfo = Callable[..., Cfo]
NO_RISK = CfoPolicy(weights=RiskWeights(*[Decimal(0)] * 5))
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # to shrink over a database takes minutes
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def body(tenant: str, cost: str = "1", **changes: Any) -> dict[str, Any]:
    return {
        "request_id": str(uuid.uuid4()),
        "agent_id": agent_id(tenant, "artist"),
        "request_type": "compute",
        "request_cost": cost,
        "projected_roi": "2.0",
        **changes,
    }


def outcome(answer: Entry | ChimeraError) -> tuple[Any, ...]:
    """All of a decision that does not depend on its tenant or its chain."""
    if isinstance(answer, ChimeraError):
        return (answer.code, answer.message)
    return (
        answer.seq,
        answer.request_id,
        answer.decision,
        answer.code,
        answer.reason,
        answer.risk_score,
        answer.details,
        answer.periods,
        answer.expires_at,
        answer.control_epoch,
    )


class Twins:
    """Two tenants with the same history; one is asked one by one, the other in one transaction."""

    def __init__(self, db: Database, one: str, many: str) -> None:
        self.db, self.tenants = db, (one, many)
        self.clock = NOON
        self.ledgers = [PostgresLedger(db, tenant, now=lambda _: self.clock) for tenant in self.tenants]

    def requests(self, tenant: str, asks: list[dict[str, Any]]) -> list[ApprovalRequest]:
        found = []
        for ask in asks:
            agent = str(uuid.UUID(int=7)) if ask["role"] == "nobody" else agent_id(tenant, ask["role"])
            found.append(parse_request({**{k: v for k, v in ask.items() if k != "role"}, "agent_id": agent}))
        return found

    def ask(self, asks: list[dict[str, Any]]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        alone: list[tuple[Any, ...]] = []
        for request in self.requests(self.tenants[0], asks):
            try:
                alone.append(outcome(self.ledgers[0].decide(request, CfoPolicy(), key_id="k")))
            except ChimeraError as error:
                alone.append(outcome(error))
        together = self.ledgers[1].decide_many(self.requests(self.tenants[1], asks), CfoPolicy(), "k")
        return alone, [outcome(each) for each in together]

    def counters(self, tenant: str) -> list[tuple[Any, ...]]:
        with self.db.transaction(tenant) as c:
            rows = c.execute("SELECT * FROM budget_tracking ORDER BY scope, kind, period_id").fetchall()
        # a batch makes all its counters, also those that in the end nothing was reserved in
        return [
            (r["scope"], r["kind"], r["period_id"], r["reserved_micros"], r["spent_micros"])
            for r in rows
            if r["reserved_micros"] or r["spent_micros"]
        ]


ASKS = st.lists(
    st.fixed_dictionaries(
        {
            "request_id": st.sampled_from([stable_id("batch", str(n)) for n in range(12)]),
            "role": st.sampled_from(["artist", "artist", "scout", "nobody"]),
            "request_type": st.sampled_from(["api_call", "compute", "storage", "blockchain"]),
            "request_cost": st.sampled_from(["0.000001", "1", "2.5", "4", "5", "5.000001", "10000.01"]),
            "projected_roi": st.sampled_from(["1.5", "1.49", "2", "3.1"]),
            "currency": st.sampled_from(["USD", "USD", "USD", "EUR"]),
        }
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=20, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(ASKS, min_size=1, max_size=3))
def test_many_at_once_are_the_same_as_one_after_the_other(
    db: Database, new_tenant: Callable[..., str], batches: list[list[dict[str, Any]]]
) -> None:
    limits = {
        "daily_budget_limit": Decimal(10),
        "weekly_budget_limit": Decimal(13),
        "monthly_budget_limit": Decimal(20),
    }
    twins = Twins(db, new_tenant(**limits), new_tenant(**limits))
    for asks in batches:
        alone, together = twins.ask(asks)
        assert together == alone
        twins.clock += timedelta(minutes=7)
    assert twins.counters(twins.tenants[0]) == twins.counters(twins.tenants[1])


def test_a_bad_request_does_not_hurt_the_others(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo = make_cfo(tenant)
    known = body(tenant)
    first = cfo.approve(known)
    requests: list[Any] = [
        body(tenant),
        {**known, "request_cost": "2"},
        known,
        body(tenant, "-1"),
        "not an object",
        body(tenant, agent_id=str(uuid.uuid4())),
        body(tenant, "2000"),
        body(tenant),
    ]
    answers = cfo.approve_many(requests, asker=Asker("ada"))
    told = [answer.code if isinstance(answer, ChimeraError) else answer["decision"] for answer in answers]
    assert told == [
        "approved",
        "CONFLICT",
        "approved",
        "VALIDATION_FAILED",
        "VALIDATION_FAILED",
        "FORBIDDEN",
        "rejected",
        "approved",
    ]
    assert isinstance(answers[2], dict)
    assert answers[2]["approval_signature"] == first["approval_signature"]
    assert isinstance(answers[7], dict)
    assert cfo.dispatch(answers[7]["token"], "run-1")["first"] is True
    refusals = PostgresLedger(db, tenant).entries(entry_type="REFUSAL").entries
    assert sorted(row.code for row in refusals) == ["FORBIDDEN", "VALIDATION_FAILED", "VALIDATION_FAILED"]
    cfo.sweep()
    assert PostgresLedger(db, tenant).verify(cfo._verifier).problems == []


def test_a_request_twice_in_one_batch_is_one_row(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo = make_cfo(tenant)
    request = body(tenant)
    one, two, other = cfo.approve_many([request, request, {**request, "request_cost": "9"}])
    assert isinstance(one, dict)
    assert isinstance(two, dict)
    assert {**one, "execution_time_ms": 0} == {**two, "execution_time_ms": 0}
    assert isinstance(other, ChimeraError)
    assert other.code == "CONFLICT"
    assert len(PostgresLedger(db, tenant).entries(entry_type="DECISION").entries) == 1


def test_the_limit_falls_inside_a_batch(make_cfo: MakeCfo, new_tenant: Callable[..., str], db: Database) -> None:
    tenant = new_tenant(daily_budget_limit=Decimal("70.5"))
    cfo = make_cfo(tenant, policy=NO_RISK)
    answers = cfo.approve_many([body(tenant) for _ in range(120)])  # three transactions
    approved = [isinstance(answer, dict) and answer["approved"] for answer in answers]
    assert approved == [True] * 70 + [False] * 50
    remaining = [a["budget_remaining"]["daily"] for a in answers[:70] if isinstance(a, dict)]
    assert remaining == [f"{69 - n}.50" for n in range(70)]
    cfo.sweep()
    assert PostgresLedger(db, tenant).verify(cfo._verifier).problems == []


def test_at_most_fifty_at_once_and_none_is_nothing(db: Database, tenant: str) -> None:
    ledger = PostgresLedger(db, tenant)
    assert ledger.decide_many([], NO_RISK, "k") == []
    many = [parse_request(body(tenant)) for _ in range(51)]
    with pytest.raises(ChimeraError) as caught:
        ledger.decide_many(many, NO_RISK, "k")
    assert caught.value.code == "VALIDATION_FAILED"
    assert len(ledger.entries().entries) == 1


def test_a_stopped_switch_answers_every_request(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo = make_cfo(tenant)
    known = body(tenant)
    cfo.approve(known)
    with db.transaction(tenant) as c:
        c.execute("UPDATE controls SET state = 'STOP'")
    answers = cfo.approve_many([body(tenant), known, body(tenant)])
    codes = [answer.code if isinstance(answer, ChimeraError) else answer["decision"] for answer in answers]
    assert codes == ["SYSTEM_STOPPED", "approved", "SYSTEM_STOPPED"]


def test_batches_that_race_with_single_requests_keep_the_limit(
    make_cfo: MakeCfo, new_tenant: Callable[..., str], db: Database
) -> None:
    tenant = new_tenant(daily_budget_limit=Decimal(60))
    shared = [body(tenant) for _ in range(20)]
    cfos = [make_cfo(tenant, policy=NO_RISK) for _ in range(6)]

    def work(number: int) -> list[Any]:
        own = [body(tenant, request_type=("compute", "storage", "blockchain")[number % 3]) for _ in range(10)]
        if number % 2:
            return cfos[number].approve_many(own + shared)
        return [cfos[number].approve(each) for each in shared + own]

    with ThreadPoolExecutor(6) as pool:
        answers = [answer for part in pool.map(work, range(6)) for answer in part]
    approved = {answer["request_id"] for answer in answers if answer["approved"]}
    assert len(approved) == 60
    by_request: dict[str, set[str]] = {}
    for answer in answers:
        by_request.setdefault(answer["request_id"], set()).add(f"{answer['decision']} {answer['approval_signature']}")
    assert all(len(told) == 1 for told in by_request.values())
    cfos[0].sweep()
    assert PostgresLedger(db, tenant).verify(cfos[0]._verifier).problems == []
