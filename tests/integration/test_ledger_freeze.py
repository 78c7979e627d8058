"""Freezes, and the edges of the protocol: what is equal to a limit, what is over, what is older than the switch."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
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


def body(tenant: str, cost: str = "12.50", kind: str = "compute", **changes: Any) -> dict[str, Any]:
    return {
        "request_id": str(uuid.uuid4()),
        "agent_id": agent_id(tenant, "artist"),
        "request_type": kind,
        "request_cost": cost,
        "projected_roi": "2.0",
        **changes,
    }


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ChimeraError) as caught:
        call()
    return caught.value.code


def problems(cfo: Cfo, db: Database, tenant: str) -> list[str]:
    return PostgresLedger(db, tenant).verify(cfo._verifier).problems


def test_nothing_is_approved_in_a_frozen_scope_until_a_person_unfreezes(
    make_cfo: MakeCfo, db: Database, tenant: str
) -> None:
    cfo, ledger = make_cfo(tenant), PostgresLedger(db, tenant)
    before = cfo.approve(body(tenant))
    row = ledger.freeze(["compute"], "the counters do not fit", "recovery")
    assert (row.entry_type, row.details["scopes"], row.amount_micros) == ("FREEZE", ["compute"], 0)
    refused = cfo.approve(body(tenant, "0.000001"))
    assert refused["code"] == "BUDGET_EXCEEDED"
    assert refused["reason"].startswith("the compute budget is frozen since 20")
    assert refused["reason"].endswith("Z: the counters do not fit")
    assert cfo.approve(body(tenant, kind="storage"))["approved"]
    # what was approved before may be spent and settled
    cfo.dispatch(before["token"], "run-1")
    cfo.settle(before["request_id"], [])
    thawed = ledger.unfreeze(["compute", "storage"], "recounted", "ada")
    assert (thawed.entry_type, thawed.details["scopes"], thawed.made_by) == ("UNFREEZE", ["compute"], "ada")
    assert cfo.approve(body(tenant))["approved"]
    cfo.sweep()
    assert problems(cfo, db, tenant) == []


def test_a_frozen_total_stops_every_category(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo = make_cfo(tenant)
    PostgresLedger(db, tenant).freeze(["total"], "mismatch", "recovery")
    for kind in ("api_call", "compute", "storage", "blockchain"):
        answer = cfo.approve(body(tenant, kind=kind))
        assert (answer["code"], answer["budget_remaining"]["daily"]) == ("BUDGET_EXCEEDED", "0.00")


def test_freezing_again_adds_no_row_and_thawing_again_is_a_conflict(db: Database, tenant: str) -> None:
    ledger = PostgresLedger(db, tenant)
    first = ledger.freeze(["compute"], "mismatch", "recovery")
    assert ledger.freeze(["compute"], "mismatch", "recovery") == first
    assert ledger.freeze(["compute", "total"], "more", "recovery").details["scopes"] == ["total"]
    ledger.unfreeze(["compute", "total"], "fine", "ada")
    assert code_of(lambda: ledger.unfreeze(["compute"], "fine", "ada")) == "CONFLICT"
    bad: list[tuple[list[str], str, str]] = [(["gambling"], "x", "ada"), ([], "x", "ada")]
    bad += [(["total"], "", "ada"), (["total"], "x", "")]
    for scopes, reason, by in bad:
        assert code_of(partial(ledger.freeze, scopes, reason, by)) == "VALIDATION_FAILED"


def test_a_person_may_not_waive_a_freeze(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo = make_cfo(tenant, policy=CfoPolicy(risk_threshold=Decimal(0)))
    request = body(tenant)
    assert cfo.approve(request)["decision"] == "escalated"
    PostgresLedger(db, tenant).freeze(["compute"], "mismatch", "recovery")
    assert cfo.approve_override(request, "ada")["code"] == "BUDGET_EXCEEDED"


@pytest.mark.parametrize("kind", ["D", "W", "M"])
@pytest.mark.parametrize("scope", ["total", "compute"])
def test_a_cost_equal_to_each_limit_is_approved_and_one_micro_more_is_not(
    make_cfo: MakeCfo, db: Database, tenant: str, scope: str, kind: str
) -> None:
    cfo = make_cfo(tenant, policy=NO_RISK)
    PostgresLedger(db, tenant).set_limit(scope, kind, 7_000_000, by="ada")
    assert cfo.approve(body(tenant, "7.000001"))["code"] == "BUDGET_EXCEEDED"
    assert cfo.approve(body(tenant, "7"))["approved"]
    assert cfo.approve(body(tenant, "0.000001"))["code"] == "BUDGET_EXCEEDED"


def test_equal_to_every_rule_is_approved(make_cfo: MakeCfo, new_tenant: Callable[..., str]) -> None:
    wide = Decimal(20_000)
    tenant = new_tenant(daily_budget_limit=wide, weekly_budget_limit=wide, monthly_budget_limit=wide)
    risk_at_threshold = CfoPolicy(weights=RiskWeights(*map(Decimal, ("0", "0.7", "0", "0", "0"))))
    answer = make_cfo(tenant, policy=risk_at_threshold).approve(body(tenant, "10000", projected_roi="1.5"))
    assert (answer["decision"], answer["risk_score"]) == ("approved", 0.7)


def test_blockchain_counts_in_the_total_alone_all_the_way(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo, ledger = make_cfo(tenant), PostgresLedger(db, tenant)
    answer = cfo.approve(body(tenant, kind="blockchain"))
    cfo.dispatch(answer["token"], "run-1")
    ledger.settle(answer["request_id"], 5_000_000)
    ledger.refund(answer["request_id"], 1_000_000, key="a", by="ada", reason="")
    with db.transaction(tenant) as c:
        rows = c.execute("SELECT scope, kind, reserved_micros, spent_micros FROM budget_tracking").fetchall()
    assert {row["scope"] for row in rows} == {"total"}
    assert {(row["reserved_micros"], row["spent_micros"]) for row in rows} == {(0, 4_000_000)}


@pytest.mark.parametrize("state", ["PAUSE_SPEND", "STOP"])
def test_an_approval_of_an_older_epoch_is_unusable_and_gives_its_money_back(
    make_cfo: MakeCfo, db: Database, tenant: str, state: str
) -> None:
    moment = [datetime(2026, 11, 21, 12, tzinfo=UTC)]
    cfo = make_cfo(tenant, policy=CfoPolicy(approval_ttl_seconds=60), now=lambda: moment[0])
    answer = cfo.approve(body(tenant))
    with db.transaction(tenant) as c:
        c.execute("UPDATE controls SET state = %s, epoch = epoch + 1", (state,))
    with db.transaction(tenant) as c:
        c.execute("UPDATE controls SET state = 'RUN', epoch = epoch + 1")
    assert code_of(lambda: cfo.dispatch(answer["token"], "run-1")) == "CONFLICT"
    moment[0] += timedelta(seconds=91)
    assert cfo.sweep()["expired"] == 1
    assert cfo.state(answer["request_id"]) == "EXPIRED"
    assert problems(cfo, db, tenant) == []


@pytest.mark.parametrize(("off", "usable"), [(-1, True), (0, False), (1, False)])
def test_an_approval_ends_at_its_last_microsecond(make_cfo: MakeCfo, tenant: str, off: int, usable: bool) -> None:
    moment = [datetime(2026, 11, 21, 12, tzinfo=UTC)]
    cfo = make_cfo(tenant, policy=CfoPolicy(approval_ttl_seconds=60), now=lambda: moment[0])
    answer = cfo.approve(body(tenant))
    moment[0] += timedelta(seconds=60, microseconds=off)
    if usable:
        assert cfo.dispatch(answer["token"], "run-1")["first"] is True
        moment[0] += timedelta(days=400)
        assert cfo.sweep()["expired"] == 0
        assert cfo.state(answer["request_id"]) == "DISPATCHED"
    else:
        assert code_of(lambda: cfo.dispatch(answer["token"], "run-1")) == "INVALID_SIGNATURE"
        moment[0] += timedelta(seconds=31)
        assert cfo.sweep()["expired"] == 1
        assert code_of(lambda: cfo.dispatch(answer["token"], "run-1")) == "INVALID_SIGNATURE"


def test_an_approval_that_ended_unsigned_never_gets_a_signature(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo, ledger = make_cfo(tenant), PostgresLedger(db, tenant)
    entry = ledger.decide(parse_request(body(tenant)), NO_RISK, key_id=cfo._signer.key_id)
    ledger.release(entry.request_id, "not needed")
    assert ledger.attach_signature(entry.seq, "k", bytes(64)).signature is None
    assert entry.seq not in {row.seq for row in ledger.unsigned()}
    assert cfo.answer(entry.request_id)["token"] is None
    cfo.sweep()
    assert problems(cfo, db, tenant) == []


def test_another_key_than_the_one_in_use_decides_nothing(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo, ledger = make_cfo(tenant), PostgresLedger(db, tenant)
    first = cfo.approve(body(tenant))
    decision = ledger.get(first["request_id"])[0]
    assert decision.key_id == cfo._signer.key_id
    before = len(ledger.entries().entries)
    with pytest.raises(ChimeraError) as caught:
        ledger.decide(parse_request(body(tenant)), NO_RISK, key_id="another")
    assert (caught.value.code, caught.value.retryable) == ("CONFLICT", True)
    assert ledger.use_key("another") is False
    assert ledger.use_key(decision.key_id) is True
    assert len(ledger.entries().entries) == before
    assert ledger.use_key("seal-1", "seal") is True
    assert [row.details["kid"] for row in ledger.entries(entry_type="KEY").entries] == ["seal-1", decision.key_id]
    assert {row.key_id for row in ledger.entries().entries if row.seq > 1} == {decision.key_id}


def test_rows_are_for_the_newest_key_and_the_unsigned_sweep_reads_no_ledger(
    make_cfo: MakeCfo, database_urls: Any, db: Database, tenant: str
) -> None:
    cfo = make_cfo(tenant)
    for _ in range(3):
        cfo.approve(body(tenant))
    cfo.sweep()
    with psycopg.connect(database_urls.super) as c:
        waiting = c.execute("SELECT count(*) FROM ledger_unsigned WHERE tenant_id = %s", (tenant,)).fetchone()
    assert waiting == (0,)
    assert PostgresLedger(db, tenant).unsigned() == []
