"""Deciding on a real Postgres: exactly once, exactly within the limits, whoever races."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.ledger import PostgresLedger
from chimera.adapters.postgres.tenancy import agent_id
from chimera.domain.cfo import CfoPolicy, RiskWeights, parse_request
from chimera.errors import ChimeraError
from chimera.usecases.cfo import Cfo

MakeCfo = Callable[..., Cfo]
NO_RISK = CfoPolicy(weights=RiskWeights(*[Decimal(0)] * 5))
ALL_PRESSURE = CfoPolicy(weights=RiskWeights(*map(Decimal, ("1", "0", "0", "0", "0"))))


def body(tenant: str, **changes: Any) -> dict[str, Any]:
    return {
        "request_id": str(uuid.uuid4()),
        "agent_id": agent_id(tenant, "artist"),
        "request_type": "compute",
        "request_cost": "12.50",
        "projected_roi": "2.0",
        "justification": "a video",
        "currency": "USD",
        **changes,
    }


def counters(db: Database, tenant: str) -> dict[tuple[str, str], tuple[int, int, int]]:
    return {
        (line.category, line.period): (line.limit_micros, line.reserved_micros, line.spent_micros)
        for line in PostgresLedger(db, tenant).budgets()
    }


def test_an_approval_reserves_in_six_counters_and_is_signed(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    answer = make_cfo(tenant).approve(body(tenant))
    assert answer["decision"] == "approved"
    assert answer["approved"] is True
    assert answer["code"] == ""
    assert answer["budget_remaining"] == {"daily": "987.50", "weekly": "4987.50", "monthly": "19987.50"}
    assert answer["token"]["sig"] == answer["approval_signature"]
    reserved = {key for key, (_, reserved, _) in counters(db, tenant).items() if reserved == 12_500_000}
    assert reserved == set(itertools.product(("total", "compute"), ("daily", "weekly", "monthly")))
    decision, resolution, reservation = PostgresLedger(db, tenant).get(answer["request_id"])
    assert (decision.seq, decision.justification, resolution) == (3, "a video", None)
    assert reservation is not None
    assert reservation.state == "SIGNED"


def test_blockchain_is_reserved_in_total_only(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    make_cfo(tenant).approve(body(tenant, request_type="blockchain"))
    used = {key[0] for key, (_, reserved, _) in counters(db, tenant).items() if reserved}
    assert used == {"total"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"request_cost": "1000.01"}, "BUDGET_EXCEEDED"),
        ({"request_cost": "10000.01"}, "TRANSACTION_TOO_LARGE"),
        ({"projected_roi": "1.49"}, "ROI_TOO_LOW"),
        ({"currency": "EUR"}, "VALIDATION_FAILED"),
    ],
)
def test_a_rejection_is_in_the_ledger_and_reserves_nothing(
    make_cfo: MakeCfo, db: Database, tenant: str, changes: dict[str, Any], code: str
) -> None:
    answer = make_cfo(tenant).approve(body(tenant, **changes))
    assert (answer["decision"], answer["approved"], answer["code"]) == ("rejected", False, code)
    assert answer["token"] is None
    assert answer["approval_signature"] is None
    assert not any(reserved for _, reserved, _ in counters(db, tenant).values())
    decision, _, reservation = PostgresLedger(db, tenant).get(answer["request_id"])
    assert (decision.decision, decision.code, reservation) == ("rejected", code, None)
    assert decision.signature is not None


def test_all_that_is_left_may_be_asked_for(make_cfo: MakeCfo, new_tenant: Callable[..., str]) -> None:
    tenant = new_tenant(daily_budget_limit=Decimal("0.01"))
    cfo = make_cfo(tenant)
    assert cfo.approve(body(tenant, request_cost="0.010001"))["code"] == "BUDGET_EXCEEDED"
    answer = cfo.approve(body(tenant, request_cost="0.01"))
    assert (answer["decision"], answer["budget_remaining"]["daily"]) == ("approved", "0.00")
    assert cfo.approve(body(tenant, request_cost="0.000001"))["code"] == "BUDGET_EXCEEDED"


def test_the_same_request_again_is_the_same_answer(make_cfo: MakeCfo, tenant: str) -> None:
    request = body(tenant)
    first = make_cfo(tenant).approve(request)
    again = make_cfo(tenant).approve({**request, "request_cost": "12.500000"})
    assert {**again, "execution_time_ms": 0} == {**first, "execution_time_ms": 0}
    with pytest.raises(ChimeraError) as caught:
        make_cfo(tenant).approve({**request, "request_cost": "12.51"})
    assert caught.value.code == "CONFLICT"


def test_an_agent_of_nobody_or_of_another_tenant_is_refused(
    make_cfo: MakeCfo, new_tenant: Callable[..., str], db: Database
) -> None:
    tenant, other = new_tenant(), new_tenant()
    for stranger in (str(uuid.uuid4()), agent_id(other, "artist")):
        with pytest.raises(ChimeraError) as caught:
            make_cfo(tenant).approve(body(tenant, agent_id=stranger))
        assert caught.value.code == "FORBIDDEN"
    assert len(PostgresLedger(db, tenant).entries().entries) == 1


def test_tenants_do_not_see_each_other(make_cfo: MakeCfo, new_tenant: Callable[..., str], db: Database) -> None:
    tenant, other = new_tenant(), new_tenant()
    answer = make_cfo(tenant).approve(body(tenant))
    with pytest.raises(ChimeraError) as caught:
        PostgresLedger(db, other).get(answer["request_id"])
    assert caught.value.code == "NOT_FOUND"
    with pytest.raises(ChimeraError) as refused:
        make_cfo(other).dispatch(answer["token"], "thief")
    assert refused.value.code == "INVALID_SIGNATURE"
    with db.transaction(other) as c:
        for table in (
            "ledger",
            "reservation",
            "budget_tracking",
            "budget_limits",
            "chain_head",
            "ledger_signature",
        ):
            rows = c.execute(f"SELECT tenant_id FROM {table}").fetchall()  # type: ignore[arg-type]
            assert {str(row["tenant_id"]) for row in rows} <= {other}
    assert make_cfo(other).approve(body(other, request_id=answer["request_id"]))["decision"] == "approved"


@pytest.mark.parametrize("state", ["STOP", "PAUSE_SPEND", None])
def test_the_switch_stops_decisions(
    make_cfo: MakeCfo, db: Database, database_urls: Any, tenant: str, state: str
) -> None:
    _set_control(database_urls.super, tenant, state)
    with pytest.raises(ChimeraError) as caught:
        make_cfo(tenant).approve(body(tenant))
    assert caught.value.code == "SYSTEM_STOPPED"
    assert len(PostgresLedger(db, tenant).entries().entries) == 1


def _set_control(url: str, tenant: str, state: str | None) -> None:
    with psycopg.connect(url) as connection:
        if state is None:
            connection.execute("DELETE FROM controls WHERE tenant_id = %s", (tenant,))
        else:
            connection.execute("UPDATE controls SET state = %s WHERE tenant_id = %s", (state, tenant))


def test_16_threads_approve_exactly_what_fits(make_cfo: MakeCfo, new_tenant: Callable[..., str], db: Database) -> None:
    tenant = new_tenant(daily_budget_limit=Decimal("100.001249"))
    cfos = [make_cfo(tenant, policy=NO_RISK) for _ in range(16)]
    types = ("api_call", "compute", "storage", "blockchain")
    requests = [body(tenant, request_cost="1.25", request_type=types[i % 4]) for i in range(160)]
    barrier = threading.Barrier(16)

    def work(worker: int) -> list[dict[str, Any]]:
        barrier.wait()
        return [cfos[worker].approve(request) for request in requests[worker::16]]

    with ThreadPoolExecutor(16) as pool:
        answers = list(itertools.chain.from_iterable(pool.map(work, range(16))))
    assert sum(answer["approved"] for answer in answers) == 80  # floor(100.001249 / 1.25)
    assert {answer["code"] for answer in answers if not answer["approved"]} == {"BUDGET_EXCEEDED"}
    assert counters(db, tenant)["total", "daily"] == (100_001_249, 100_000_000, 0)
    assert cfos[0].sweep() == {"signed": 2, "expired": 0}  # the rows of the first limits and the key
    report = PostgresLedger(db, tenant).verify(cfos[0]._verifier)
    assert report.problems == []
    assert (report.verified, report.entries, report.unsigned) == (True, 162, 0)
    # in the order of the ledger each answer's remainder follows from the one before (linearizable)
    entries = sorted((PostgresLedger(db, tenant).get(a["request_id"])[0].seq, a) for a in answers if a["approved"])
    totals = [Decimal("100.001249") - Decimal("1.25") * n for n in range(1, 81)]
    assert [Decimal(answer["budget_remaining"]["daily"]) for _, answer in entries] == totals


def test_racing_duplicates_get_one_answer(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfos = [make_cfo(tenant) for _ in range(8)]
    for _ in range(5):
        request = body(tenant)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda cfo, r=request: cfo.approve(r), cfos))
        assert len({(a["approval_signature"], str(a["budget_remaining"])) for a in answers}) == 1
    assert counters(db, tenant)["total", "daily"][1] == 5 * 12_500_000


def test_racing_twins_with_different_bodies_leave_one(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfos = [make_cfo(tenant) for _ in range(8)]
    request = body(tenant)

    def ask(number: int) -> str:
        try:
            return str(cfos[number].approve({**request, "request_cost": f"{number + 1}.00"})["decision"])
        except ChimeraError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(ask, range(8)))
    assert answers == ["CONFLICT"] * 7 + ["approved"]
    assert len(PostgresLedger(db, tenant).entries(entry_type="DECISION").entries) == 1


def test_at_midnight_a_new_day_begins_and_the_week_goes_on(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    moment = [datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)]
    cfo = make_cfo(tenant, policy=NO_RISK, now=lambda: moment[0])
    first = cfo.approve(body(tenant, request_cost="1000"))
    assert cfo.approve(body(tenant))["code"] == "BUDGET_EXCEEDED"
    moment[0] = datetime(2027, 1, 1, tzinfo=UTC)  # a new day, month and year in the same ISO week
    answer = cfo.approve(body(tenant, request_cost="1000"))
    assert answer["budget_remaining"] == {"daily": "0.00", "weekly": "3000.00", "monthly": "19000.00"}
    # what was reserved yesterday is settled yesterday
    cfo.dispatch(first["token"], "worker")
    cfo.release(first["request_id"], "nothing spent")
    assert cfo.approve(body(tenant))["code"] == "BUDGET_EXCEEDED"
    assert PostgresLedger(db, tenant).verify(cfo._verifier).problems == []


def test_a_day_that_ends_while_waiting_for_the_lock_is_read_again(db: Database, tenant: str) -> None:
    before, after = datetime(2027, 1, 3, 23, 59, 59, 999_999, tzinfo=UTC), datetime(2027, 1, 4, tzinfo=UTC)
    times = iter([before, after])
    ledger = PostgresLedger(db, tenant, now=lambda _: next(times, after))
    entry = ledger.decide(parse_request(body(tenant)), NO_RISK, key_id="k")
    assert entry.created_at == after
    assert entry.periods == {"D": "2027-01-04", "W": "2027-W01", "M": "2027-01"}


def test_risk_is_for_a_person_who_may_waive_it_but_not_the_budget(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo = make_cfo(tenant, policy=ALL_PRESSURE)
    request = body(tenant, request_cost="800")
    answer = cfo.approve(request)
    assert (answer["decision"], answer["code"], answer["token"]) == ("escalated", "APPROVAL_REQUIRED", None)
    assert not any(reserved for _, reserved, _ in counters(db, tenant).values())
    with pytest.raises(ChimeraError) as caught:
        cfo.approve_override({**request, "request_cost": "900"}, "ada")
    assert caught.value.code == "CONFLICT"
    yes = cfo.approve_override(request, "ada", note="launch day")
    assert yes["decision"] == "approved"
    assert yes["request_id"] != request["request_id"]
    assert cfo.approve_override(request, "ada", note="launch day")["approval_signature"] == yes["approval_signature"]
    with pytest.raises(ChimeraError) as changed:
        cfo.approve_override(request, "bob", approve=False)
    assert changed.value.code == "CONFLICT"
    decision, _, _ = PostgresLedger(db, tenant).get(yes["request_id"])
    first, _, _ = PostgresLedger(db, tenant).get(request["request_id"])
    assert (decision.override_of, decision.made_by) == (first.tx_id, "ada")
    cfo.dispatch(yes["token"], "worker")

    second = body(tenant, request_cost="190")
    assert cfo.approve(second)["decision"] == "escalated"
    assert make_cfo(tenant, policy=NO_RISK).approve(body(tenant, request_cost="100"))["approved"]
    assert cfo.approve_override(second, "ada")["code"] == "BUDGET_EXCEEDED"
    third = body(tenant, request_cost="99")
    assert cfo.approve(third)["decision"] == "escalated"
    no = cfo.approve_override(third, "ada", approve=False)
    assert (no["decision"], no["code"]) == ("rejected", "FORBIDDEN")
    assert PostgresLedger(db, tenant).verify(cfo._verifier).problems == []


def test_only_an_escalated_request_waits_for_a_person(make_cfo: MakeCfo, tenant: str) -> None:
    request = body(tenant)
    cfo = make_cfo(tenant)
    with pytest.raises(ChimeraError) as unknown:
        cfo.approve_override(request, "ada")
    assert unknown.value.code == "NOT_FOUND"
    cfo.approve(request)
    with pytest.raises(ChimeraError) as caught:
        cfo.approve_override(request, "ada")
    assert caught.value.code == "CONFLICT"
