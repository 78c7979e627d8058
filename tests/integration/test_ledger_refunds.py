"""What comes back after a settlement, and what was billed beyond a reservation; rows of a settled approval."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.ledger import PostgresLedger
from chimera.adapters.postgres.tenancy import agent_id
from chimera.domain.ledger import Entry
from chimera.domain.models import CostLine
from chimera.errors import ChimeraError
from chimera.usecases.cfo import Cfo

MakeCfo = Callable[..., Cfo]


def line(micros: int) -> CostLine:
    return CostLine(step="render", item="vCPU and memory", quantity="1", unit="vCPU second", amount_micros=micros)


def settled(cfo: Cfo, tenant: str, micros: int, *, kind: str = "compute", cost: str = "12.50") -> str:
    """An approval that was used and settled; its request id."""
    request = {
        "request_id": str(uuid.uuid4()),
        "agent_id": agent_id(tenant, "artist"),
        "request_type": kind,
        "request_cost": cost,
        "projected_roi": "2.0",
    }
    answer = cfo.approve(request)
    assert answer["approved"], answer
    cfo.dispatch(answer["token"], "run-1")
    cfo.settle(request["request_id"], [line(micros)])
    return request["request_id"]


def spent(db: Database, tenant: str, now: datetime | None = None) -> dict[tuple[str, str], int]:
    ledger = PostgresLedger(db, tenant, now=lambda _: now) if now else PostgresLedger(db, tenant)
    return {(b.category, b.period): b.spent_micros for b in ledger.budgets()}


def rows(db: Database, tenant: str, entry_type: str) -> list[Entry]:
    return PostgresLedger(db, tenant).entries(entry_type=entry_type).entries


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ChimeraError) as caught:
        call()
    return caught.value.code


def problems(cfo: Cfo, db: Database, tenant: str) -> list[str]:
    return PostgresLedger(db, tenant).verify(cfo._verifier).problems


def test_a_refund_is_a_row_that_lowers_what_was_spent(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo = make_cfo(tenant)
    request_id = settled(cfo, tenant, 10_000_000)
    told = cfo.refund(request_id, "4.25", key="credit-1", by="ada", reason="half of it failed")
    assert (told["amount"], told["refunded"], told["settled"]) == ("4.25", "4.25", "10.00")
    left = spent(db, tenant)
    assert {key for key, micros in left.items() if micros == 5_750_000} == {
        (scope, period) for scope in ("total", "compute") for period in ("daily", "weekly", "monthly")
    }
    (row,) = rows(db, tenant, "REFUND")
    decision, settlement, _ = PostgresLedger(db, tenant).get(request_id)
    assert (row.settles, row.periods, row.made_by) == (decision.tx_id, decision.periods, "ada")
    assert settlement is not None
    assert settlement.amount_micros == 10_000_000  # never an update
    assert row.signature is not None
    assert problems(cfo, db, tenant) == []


def test_the_same_refund_again_is_the_same_row(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo = make_cfo(tenant)
    request_id = settled(cfo, tenant, 10_000_000)
    cfos = [make_cfo(tenant) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda each: each.refund(request_id, "4", key="credit-1", by="ada")["tx_id"], cfos))
    assert len(set(told)) == 1
    assert spent(db, tenant)["total", "daily"] == 6_000_000
    assert code_of(lambda: cfo.refund(request_id, "5", key="credit-1", by="ada")) == "CONFLICT"
    assert problems(cfo, db, tenant) == []


def test_no_more_comes_back_than_was_settled(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo = make_cfo(tenant)
    request_id = settled(cfo, tenant, 10_000_000)
    cfo.refund(request_id, "6", key="a", by="ada")
    assert code_of(lambda: cfo.refund(request_id, "4.000001", key="b", by="ada")) == "CONFLICT"
    cfo.refund(request_id, "4", key="b", by="ada")
    assert code_of(lambda: cfo.refund(request_id, "0.000001", key="c", by="ada")) == "CONFLICT"
    assert set(spent(db, tenant).values()) == {0}
    assert problems(cfo, db, tenant) == []


def test_racing_refunds_never_exceed_what_was_settled(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    request_id = settled(make_cfo(tenant), tenant, 10_000_000)
    cfos = [make_cfo(tenant) for _ in range(8)]

    def give_back(number: int) -> str:
        try:
            return str(cfos[number].refund(request_id, "3", key=f"credit-{number}", by="ada")["amount"])
        except ChimeraError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(give_back, range(8)))
    assert outcomes == ["3.00"] * 3 + ["CONFLICT"] * 5
    assert spent(db, tenant)["total", "daily"] == 1_000_000


def test_a_refund_belongs_to_the_day_of_the_decision(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    moment = [datetime(2026, 12, 31, 23, 59, tzinfo=UTC)]
    cfo = make_cfo(tenant, now=lambda: moment[0])
    request_id = settled(cfo, tenant, 10_000_000)
    moment[0] = datetime(2027, 1, 1, 9, tzinfo=UTC)  # another day and month, the same ISO week
    settled(cfo, tenant, 1_000_000)
    cfo.refund(request_id, "4", key="credit-1", by="ada")
    before, after = spent(db, tenant, datetime(2026, 12, 31, 12, tzinfo=UTC)), spent(db, tenant, moment[0])
    assert (before["total", "daily"], before["total", "monthly"]) == (6_000_000, 6_000_000)
    assert (after["total", "daily"], after["total", "monthly"]) == (1_000_000, 1_000_000)
    assert after["total", "weekly"] == 7_000_000
    assert problems(cfo, db, tenant) == []


def test_only_what_was_settled_is_refunded(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo = make_cfo(tenant)
    request_id = settled(cfo, tenant, 0)
    assert code_of(lambda: cfo.refund(request_id, "0.01", key="a", by="ada")) == "CONFLICT"  # settled at nothing
    assert code_of(lambda: cfo.refund(str(uuid.uuid4()), "1", key="a", by="ada")) == "NOT_FOUND"
    amounts: list[Any] = ["0", "-1", "NaN", "1e30", "0.0000001", 1.5]
    for amount in amounts:
        assert code_of(partial(cfo.refund, request_id, amount, key="a", by="ada")) == "VALIDATION_FAILED"
    assert code_of(lambda: cfo.refund(request_id, "1", key="", by="ada")) == "VALIDATION_FAILED"
    assert rows(db, tenant, "REFUND") == []


def test_what_a_refund_gives_back_may_be_spent_again(make_cfo: MakeCfo, new_tenant: Callable[..., str]) -> None:
    tenant = new_tenant(daily_budget_limit=10)
    cfo = make_cfo(tenant)
    request_id = settled(cfo, tenant, 6_000_000, cost="6")
    ask = {
        "request_id": str(uuid.uuid4()),
        "agent_id": agent_id(tenant, "artist"),
        "request_type": "compute",
        "request_cost": "5",
        "projected_roi": "2.0",
    }
    assert cfo.approve(ask)["code"] == "BUDGET_EXCEEDED"
    cfo.refund(request_id, "1", key="a", by="ada")
    assert cfo.approve({**ask, "request_id": str(uuid.uuid4())})["approved"]  # 5 of the 5 that are left
    assert cfo.approve(ask)["code"] == "BUDGET_EXCEEDED"  # the first answer, for ever


@pytest.mark.parametrize(("kind", "frozen", "free"), [("compute", "compute", "storage"), ("blockchain", "total", "")])
def test_an_overrun_charges_the_reservation_says_so_and_freezes(
    make_cfo: MakeCfo, db: Database, tenant: str, kind: str, frozen: str, free: str
) -> None:
    cfo = make_cfo(tenant)
    request_id = settled(cfo, tenant, 13_000_000, kind=kind)
    (row,) = rows(db, tenant, "OVERRUN")
    settlement = PostgresLedger(db, tenant).get(request_id)[1]
    assert settlement is not None
    assert (row.seq, row.amount_micros, row.settles) == (settlement.seq + 1, 500_000, settlement.settles)
    assert row.details["freeze"] == [frozen]
    assert (row.details["measured_micros"], row.details["reserved_micros"]) == ("13000000", "12500000")
    assert spent(db, tenant)["total", "daily"] == 12_500_000  # the excess is in no counter: the limit was held
    assert cfo.settle(request_id, [line(13_000_000)])["overrun"] == "0.50"
    assert code_of(lambda: cfo.settle(request_id, [line(12_500_000)])) == "CONFLICT"
    assert len(rows(db, tenant, "OVERRUN")) == 1

    def ask(request_type: str) -> dict[str, Any]:
        return cfo.approve(
            {
                "request_id": str(uuid.uuid4()),
                "agent_id": agent_id(tenant, "artist"),
                "request_type": request_type,
                "request_cost": "1",
                "projected_roi": "2.0",
            }
        )

    refused = ask(kind)
    assert refused["code"] == "BUDGET_EXCEEDED"
    assert f"the {frozen} budget is frozen since" in refused["reason"]
    assert "above the 12.50 reserved" in refused["reason"]
    assert not free or ask(free)["approved"]
    PostgresLedger(db, tenant).unfreeze([frozen], "the invoice was credited", "ada")
    assert ask(kind)["approved"]
    cfo.sweep()
    assert problems(cfo, db, tenant) == []
