"""Signing, dispatching, settling, releasing, expiring, and changing limits; with crashes between the
steps."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.ledger import PostgresLedger
from chimera.adapters.postgres.tenancy import agent_id
from chimera.domain.cfo import CfoPolicy, parse_request
from chimera.domain.models import CostLine
from chimera.errors import ChimeraError
from chimera.usecases.cfo import Cfo

MakeCfo = Callable[..., Cfo]
START = datetime(2026, 11, 21, 12, tzinfo=UTC)


def body(tenant: str, cost: str = "12.50") -> dict[str, Any]:
    return {
        "request_id": str(uuid.uuid4()),
        "agent_id": agent_id(tenant, "artist"),
        "request_type": "compute",
        "request_cost": cost,
        "projected_roi": "2.0",
    }


def line(micros: int) -> CostLine:
    return CostLine(step="render", item="vCPU and memory", quantity="1", unit="vCPU second", amount_micros=micros)


def total(db: Database, tenant: str) -> tuple[int, int, int]:
    """Daily total: limit, reserved, spent."""
    first = PostgresLedger(db, tenant).budgets()[0]
    assert (first.category, first.period) == ("total", "daily")
    return first.limit_micros, first.reserved_micros, first.spent_micros


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ChimeraError) as caught:
        call()
    return caught.value.code


def verified(cfo: Cfo, db: Database, tenant: str) -> bool:
    report = PostgresLedger(db, tenant).verify(cfo._verifier)
    assert report.problems == []
    return report.verified


def test_spent_is_what_it_really_cost(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo = make_cfo(tenant)
    answer = cfo.approve(body(tenant))
    assert cfo.state(answer["request_id"]) == "SIGNED"
    assert cfo.dispatch(answer["token"], "run-1")["first"] is True
    assert cfo.state(answer["request_id"]) == "DISPATCHED"
    settled = cfo.settle(answer["request_id"], [line(11_000_000), line(800_000)])
    assert (settled["actual"], settled["reserved"], settled["released"]) == ("11.80", "12.50", "0.70")
    assert settled["overrun"] == "0.00"
    assert cfo.settle(answer["request_id"], [line(11_000_000), line(800_000)]) == settled
    assert total(db, tenant) == (10**9, 0, 11_800_000)
    assert code_of(lambda: cfo.settle(answer["request_id"], [line(1)])) == "CONFLICT"
    assert code_of(lambda: cfo.release(answer["request_id"], "late")) == "CONFLICT"
    assert code_of(lambda: cfo.dispatch(answer["token"], "run-1")) == "CONFLICT"
    assert cfo.state(answer["request_id"]) == "SETTLED"
    _, resolution, _ = PostgresLedger(db, tenant).get(answer["request_id"])
    assert resolution is not None
    assert [each["amount_micros"] for each in resolution.details["lines"]] == ["11000000", "800000"]
    assert verified(cfo, db, tenant)


def test_settled_at_nothing_is_settled(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo = make_cfo(tenant)
    answer = cfo.approve(body(tenant))
    cfo.dispatch(answer["token"], "run-1")
    assert cfo.settle(answer["request_id"], [])["actual"] == "0.00"
    assert code_of(lambda: cfo.dispatch(answer["token"], "run-1")) == "CONFLICT"
    assert total(db, tenant) == (10**9, 0, 0)
    assert verified(cfo, db, tenant)


def test_a_cost_above_the_reservation_is_charged_as_far_as_it_goes_and_said(
    make_cfo: MakeCfo, db: Database, tenant: str
) -> None:
    cfo = make_cfo(tenant)
    answer = cfo.approve(body(tenant))
    cfo.dispatch(answer["token"], "run-1")
    assert code_of(lambda: PostgresLedger(db, tenant).settle(answer["request_id"], 12_500_001)) == "BUDGET_EXCEEDED"
    settled = cfo.settle(answer["request_id"], [line(13_000_000)])
    assert (settled["actual"], settled["overrun"]) == ("12.50", "0.50")
    assert verified(cfo, db, tenant)


def test_only_a_dispatched_approval_has_costs(make_cfo: MakeCfo, tenant: str) -> None:
    cfo = make_cfo(tenant)
    answer = cfo.approve(body(tenant))
    assert code_of(lambda: cfo.settle(answer["request_id"], [line(1)])) == "CONFLICT"
    assert code_of(lambda: cfo.settle(str(uuid.uuid4()), [line(1)])) == "NOT_FOUND"
    assert code_of(lambda: cfo.release("no-id", "x")) == "NOT_FOUND"


def test_an_approval_is_used_by_one_spender(make_cfo: MakeCfo, tenant: str) -> None:
    cfo = make_cfo(tenant)
    answer = cfo.approve(body(tenant))
    cfos = [make_cfo(tenant) for _ in range(8)]

    def use(number: int) -> str:
        try:
            return "first" if cfos[number].dispatch(answer["token"], f"run-{number}")["first"] else "again"
        except ChimeraError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(use, range(8)))
    assert sorted(outcomes) == ["CONFLICT"] * 7 + ["first"]
    winner = outcomes.index("first")
    assert cfo.dispatch(answer["token"], f"run-{winner}")["first"] is False  # again after a crash


def test_a_released_approval_gives_all_back_and_cannot_be_used(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo = make_cfo(tenant)
    answer = cfo.approve(body(tenant))
    released = cfo.release(answer["request_id"], "stopped at approval")
    assert cfo.release(answer["request_id"], "again") == released
    assert total(db, tenant) == (10**9, 0, 0)
    assert code_of(lambda: cfo.dispatch(answer["token"], "run-1")) == "CONFLICT"
    assert verified(cfo, db, tenant)


def test_what_is_not_used_in_time_expires_but_never_what_was_dispatched(
    make_cfo: MakeCfo, db: Database, tenant: str
) -> None:
    moment = [START]
    cfo = make_cfo(tenant, policy=CfoPolicy(approval_ttl_seconds=60), now=lambda: moment[0])
    unused, used = cfo.approve(body(tenant)), cfo.approve(body(tenant))
    cfo.dispatch(used["token"], "run-1")
    moment[0] = START + timedelta(seconds=61)
    assert code_of(lambda: cfo.dispatch(unused["token"], "run-2")) == "INVALID_SIGNATURE"
    assert cfo.dispatch(used["token"], "run-1")["first"] is False
    assert cfo.sweep() == {
        "signed": 2,
        "expired": 0,
    }  # the LIMIT_CHANGE of the seed and the KEY; spenders' clocks may be behind
    moment[0] = START + timedelta(seconds=91)
    assert cfo.sweep() == {"signed": 0, "expired": 1}
    assert cfo.sweep() == {"signed": 0, "expired": 0}
    assert (cfo.state(unused["request_id"]), cfo.state(used["request_id"])) == ("EXPIRED", "DISPATCHED")
    assert code_of(lambda: cfo.dispatch(unused["token"], "run-2")) == "INVALID_SIGNATURE"
    assert cfo.release(unused["request_id"], "x")["entry_type"] == "EXPIRE"
    assert cfo.settle(used["request_id"], [line(1)])["actual_micros"] == 1
    row = next(
        each for each in PostgresLedger(db, tenant, now=lambda _: moment[0]).budgets() if each.category == "total"
    )
    assert (row.reserved_micros, row.spent_micros) == (0, 1)
    assert verified(cfo, db, tenant)


def test_a_crash_between_commit_and_signature_is_made_good(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo = make_cfo(tenant)
    request, other = body(tenant), body(tenant)
    for each in (request, other):  # the process dies after the commit: there is a row and no signature
        dying = Database(db._url)
        PostgresLedger(dying, tenant).decide(parse_request(each), CfoPolicy(), key_id=cfo._signer.key_id)
        dying.close()
    assert [e.seq for e in PostgresLedger(db, tenant).unsigned()] == [1, 2, 3, 4]
    assert PostgresLedger(db, tenant).verify(cfo._verifier).verified  # nothing is wrong, only not yet usable
    answer = cfo.approve(request)
    assert answer["approved"] is True
    cfo.dispatch(answer["token"], "run-1")
    assert cfo.sweep() == {"signed": 3, "expired": 0}
    assert cfo.answer(other["request_id"])["approved"] is True
    assert total(db, tenant)[1] == 25_000_000
    assert verified(cfo, db, tenant)


def test_an_approval_nobody_signed_in_time_is_never_usable(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    moment = [START]
    cfo = make_cfo(tenant, now=lambda: moment[0])
    request = body(tenant)
    ledger = PostgresLedger(db, tenant, now=lambda _: moment[0])
    ledger.decide(parse_request(request), CfoPolicy(approval_ttl_seconds=60), key_id=cfo._signer.key_id)
    moment[0] += timedelta(seconds=30)
    answer = cfo.approve(request)
    assert (answer["decision"], answer["approved"], answer["token"]) == ("approved", False, None)
    moment[0] += timedelta(seconds=120)
    assert cfo.sweep()["expired"] == 1
    assert verified(cfo, db, tenant)


def test_two_signers_leave_one_signature(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfos = [make_cfo(tenant) for _ in range(8)]
    request = body(tenant)
    PostgresLedger(db, tenant).decide(parse_request(request), CfoPolicy(), key_id=cfos[0]._signer.key_id)
    with ThreadPoolExecutor(8) as pool:
        signatures = list(pool.map(lambda cfo: cfo.approve(request)["approval_signature"], cfos))
    assert len(set(signatures)) == 1


@pytest.mark.parametrize("state", ["STOP", "PAUSE_SPEND"])
def test_the_switch_stops_the_dispatch_and_ends_older_approvals(
    make_cfo: MakeCfo, db: Database, tenant: str, state: str
) -> None:
    cfo = make_cfo(tenant)
    answer = cfo.approve(body(tenant))

    def control(value: str) -> None:
        with db.transaction(tenant) as c:
            c.execute("UPDATE controls SET state = %s, epoch = epoch + 1", (value,))

    control(state)
    assert code_of(lambda: cfo.dispatch(answer["token"], "run-1")) == "SYSTEM_STOPPED"
    control("RUN")
    assert code_of(lambda: cfo.dispatch(answer["token"], "run-1")) == "CONFLICT"


def test_a_token_that_the_ledger_does_not_have_is_refused(make_cfo: MakeCfo, new_tenant: Callable[..., str]) -> None:
    tenant = new_tenant()
    cfo = make_cfo(tenant)
    answer = cfo.approve(body(tenant))
    forged = {**answer["token"], "claims": {**answer["token"]["claims"], "amount_micros": "999"}}
    for token in (None, {}, forged):
        assert code_of(lambda t=token: cfo.dispatch(t, "run-1")) == "INVALID_SIGNATURE"
    wrong_agent = agent_id(tenant, "director")
    assert code_of(lambda: cfo.dispatch(answer["token"], "run-1", agent_id=wrong_agent)) == "INVALID_SIGNATURE"
    assert code_of(lambda: cfo.dispatch(answer["token"], "run-1", amount_micros=10**8)) == "INVALID_SIGNATURE"
    assert code_of(lambda: cfo.dispatch(answer["token"], "")) == "VALIDATION_FAILED"


def test_a_cut_below_what_is_used_freezes_and_thaws(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo, ledger = make_cfo(tenant), PostgresLedger(db, tenant)
    first = cfo.approve(body(tenant, "300"))
    cfo.dispatch(first["token"], "run-1")
    entry = ledger.set_limit("total", "D", 100_000_000, by="ada", reason="slow down")
    assert entry is not None
    assert (entry.entry_type, entry.made_by) == ("LIMIT_CHANGE", "ada")
    assert ledger.set_limit("total", "D", 100_000_000, by="ada") is None
    assert total(db, tenant) == (300_000_000, 300_000_000, 0)  # frozen, not negative
    assert cfo.approve(body(tenant, "0.01"))["code"] == "BUDGET_EXCEEDED"
    cfo.settle(first["request_id"], [line(60_000_000)])
    assert total(db, tenant) == (100_000_000, 0, 60_000_000)
    assert cfo.approve(body(tenant, "40.01"))["code"] == "BUDGET_EXCEEDED"
    assert cfo.approve(body(tenant, "40"))["approved"]
    ledger.set_limit("total", "D", 2_000_000_000, by="ada")
    assert total(db, tenant) == (2_000_000_000, 40_000_000, 60_000_000)
    assert verified(cfo, db, tenant)


@pytest.mark.parametrize(("scope", "kind", "micros"), [("gambling", "D", 1), ("total", "Y", 1), ("total", "D", 0)])
def test_a_bad_limit_is_refused(db: Database, tenant: str, scope: str, kind: str, micros: int) -> None:
    assert code_of(lambda: PostgresLedger(db, tenant).set_limit(scope, kind, micros, by="ada")) == "VALIDATION_FAILED"


def test_limits_change_while_decisions_race(make_cfo: MakeCfo, database_urls: Any, tenant: str, db: Database) -> None:
    cfos = [make_cfo(tenant) for _ in range(4)]

    def decide(cfo: Cfo) -> None:
        for _ in range(10):
            cfo.approve(body(tenant, "5"))

    def limit(_: Cfo) -> None:
        own = Database(database_urls.app)
        for amount in range(10):
            PostgresLedger(own, tenant).set_limit("total", "D", 10_000_000 * (amount + 1), by="ada")
        own.close()

    with ThreadPoolExecutor(5) as pool:
        for future in [*(pool.submit(decide, cfo) for cfo in cfos), pool.submit(limit, cfos[0])]:
            future.result()
    limit_now, reserved, _ = total(db, tenant)
    assert reserved <= limit_now
    assert PostgresLedger(db, tenant).verify(cfos[0]._verifier).problems == []


def test_the_database_going_away_is_a_retryable_error_and_loses_nothing(
    make_cfo: MakeCfo, database_urls: Any, tenant: str, db: Database
) -> None:
    cfo = make_cfo(tenant)
    request = body(tenant)
    cfo.approve(body(tenant))
    connection = cfo._ledger._db._connection  # type: ignore[attr-defined]
    with psycopg.connect(database_urls.super, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
    with pytest.raises(ChimeraError) as caught:
        cfo.approve(request)
    assert (caught.value.code, caught.value.retryable) == ("DATABASE_WAKING", True)
    assert cfo.approve(request)["approved"] is True
    assert total(db, tenant)[1] == 25_000_000


def test_pages_of_entries_and_budget_lines(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo, ledger = make_cfo(tenant), PostgresLedger(db, tenant)
    for _ in range(4):
        cfo.approve(body(tenant))
    first = ledger.entries(limit=3)
    second = ledger.entries(limit=3, cursor=first.next_cursor)
    assert [e.seq for e in first.entries] == [6, 5, 4]
    assert ([e.seq for e in second.entries], second.next_cursor) == ([3, 2, 1], None)
    assert [e.seq for e in ledger.entries(decision="approved", limit=1).entries] == [6]
    assert ledger.entries(decision="rejected").entries == []
    for bad in ({"limit": 0}, {"limit": 501}, {"cursor": "abc"}, {"cursor": "-1"}):
        assert code_of(lambda b=bad: ledger.entries(**b)) == "VALIDATION_FAILED"
    lines = ledger.budgets()
    assert len(lines) == 12
    assert (lines[0].limit_micros, lines[0].remaining_micros) == (10**9, 950_000_000)
    assert lines[0].period_start <= datetime.now(UTC) < lines[0].period_end + timedelta(minutes=1)
    assert len(ledger.open_reservations()) == 4


def test_the_overview_has_the_documented_columns(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    make_cfo(tenant, now=lambda: datetime(2027, 1, 1, tzinfo=UTC)).approve(body(tenant))
    with db.transaction(tenant) as c:
        rows = c.execute("SELECT * FROM budget_overview WHERE category = 'total' ORDER BY period").fetchall()
    assert [row["period"] for row in rows] == ["daily", "monthly", "weekly"]
    assert [row["period_start"].date().isoformat() for row in rows] == [
        "2027-01-01",
        "2027-01-01",
        "2026-12-28",
    ]
    assert [row["period_end"].date().isoformat() for row in rows] == [
        "2027-01-02",
        "2027-02-01",
        "2027-01-04",
    ]
    assert rows[0]["limit_amount"] == Decimal(1000)
    assert rows[0]["reserved_amount"] == Decimal("12.5")
    assert rows[0]["remaining_amount"] == Decimal("987.5")
