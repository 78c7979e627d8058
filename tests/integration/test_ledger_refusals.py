"""What an authenticated caller asks and nobody can decide is in the ledger, once, and reserves nothing."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest

from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.ledger import PostgresLedger
from chimera.adapters.postgres.tenancy import agent_id
from chimera.domain.ledger import Entry
from chimera.errors import ChimeraError
from chimera.usecases.cfo import Asker, Cfo

MakeCfo = Callable[..., Cfo]


def body(tenant: str, **changes: Any) -> dict[str, Any]:
    return {
        "request_id": str(uuid.uuid4()),
        "agent_id": agent_id(tenant, "artist"),
        "request_type": "compute",
        "request_cost": "12.50",
        "projected_roi": "2.0",
        **changes,
    }


def artist(tenant: str) -> Asker:
    return Asker("artist", frozenset({agent_id(tenant, "artist")}))


def refusals(db: Database, tenant: str) -> list[Entry]:
    return PostgresLedger(db, tenant).entries(entry_type="REFUSAL").entries


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ChimeraError) as caught:
        call()
    return caught.value.code


@pytest.mark.parametrize(
    "changes",
    [
        {"request_cost": "-1"},
        {"request_cost": "0"},
        {"request_cost": 0},
        {"request_cost": "NaN"},
        {"request_cost": float("nan")},
        {"request_cost": "Infinity"},
        {"request_cost": "1e30"},
        {"request_cost": Decimal("1e30")},
        {"request_cost": "0.0000001"},
        {"request_cost": 12.5},
        {"request_cost": True},
        {"request_cost": None},
        {"request_cost": ["12"]},
        {"currency": "usd"},
        {"currency": "EURO"},
        {"request_type": "lottery"},
        {"request_id": "1"},
        {"agent_id": "me"},
        {"projected_roi": "much"},
        {"justification": "\0"},
        {"justification": "\ud800"},
        {"extra\x07": {"nested": ["\x00"]}},
    ],
    ids=lambda changes: ",".join(f"{key!a}={value!a}"[:40] for key, value in changes.items()),
)
def test_a_request_that_is_not_sound_is_one_refusal(
    make_cfo: MakeCfo, db: Database, tenant: str, changes: dict[str, Any]
) -> None:
    cfo, request = make_cfo(tenant), body(tenant, **changes)
    for _ in range(2):
        assert code_of(lambda: cfo.approve(request, asker=artist(tenant))) == "VALIDATION_FAILED"
    (row,) = refusals(db, tenant)
    assert (row.code, row.made_by, row.agent_id) == ("VALIDATION_FAILED", "artist", agent_id(tenant, "artist"))
    assert (row.amount_micros, row.decision, row.details["subject"]) == (0, None, "artist")
    assert row.signature is not None
    assert len(row.details["shown"]) <= 200
    assert row.details["shown"].isprintable()
    assert row.req_sha256.hex() == row.details["received_sha256"]
    lines = PostgresLedger(db, tenant).budgets()
    assert not any(each.reserved_micros or each.spent_micros for each in lines)
    cfo.sweep()
    assert PostgresLedger(db, tenant).verify(cfo._verifier).problems == []


@pytest.mark.parametrize("raw", [None, 7, "text", ["list"], {}, {1: 2}, b"bytes"])
def test_the_wrong_shape_is_a_refusal_too(make_cfo: MakeCfo, db: Database, tenant: str, raw: Any) -> None:
    assert code_of(lambda: make_cfo(tenant).approve(raw, asker=Asker("ada"))) == "VALIDATION_FAILED"
    assert [row.made_by for row in refusals(db, tenant)] == ["ada"]


def test_another_currency_is_a_rejection_in_the_ledger(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    answer = make_cfo(tenant).approve(body(tenant, currency="EUR"), asker=artist(tenant))
    assert (answer["decision"], answer["code"]) == ("rejected", "VALIDATION_FAILED")
    assert refusals(db, tenant) == []


def test_an_agent_asks_in_its_own_name_alone(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo = make_cfo(tenant)
    forged = body(tenant, agent_id=agent_id(tenant, "director"))
    assert code_of(lambda: cfo.approve(forged, asker=artist(tenant))) == "FORBIDDEN"
    (row,) = refusals(db, tenant)
    assert (row.code, row.request_id, row.agent_id) == ("FORBIDDEN", forged["request_id"], agent_id(tenant, "artist"))
    assert json.loads(row.body)["code"] == "FORBIDDEN"
    assert agent_id(tenant, "director") in row.reason
    unnamed = body(tenant)
    del unnamed["agent_id"]
    assert cfo.approve(unnamed, asker=artist(tenant))["approved"]
    assert PostgresLedger(db, tenant).get(unnamed["request_id"])[0].agent_id == agent_id(tenant, "artist")
    assert cfo.approve(body(tenant, agent_id=agent_id(tenant, "director")), asker=Asker("ada"))["approved"]


def test_an_agent_of_another_tenant_is_a_refusal(
    make_cfo: MakeCfo, new_tenant: Callable[..., str], db: Database
) -> None:
    tenant, other = new_tenant(), new_tenant()
    stranger = Asker("thief", frozenset({agent_id(other, "artist")}))
    request = body(tenant, agent_id=agent_id(other, "artist"))
    assert code_of(lambda: make_cfo(tenant).approve(request, asker=stranger)) == "FORBIDDEN"
    (row,) = refusals(db, tenant)
    assert (row.agent_id, row.details["subject"]) == (None, "thief")  # the row names no agent that is not the tenant's
    assert refusals(db, other) == []


def test_without_an_authenticated_asker_nothing_is_written(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    assert code_of(lambda: make_cfo(tenant).approve(body(tenant, request_cost="-1"))) == "VALIDATION_FAILED"
    assert len(PostgresLedger(db, tenant).entries().entries) == 1


def test_answers_about_the_moment_are_no_refusals(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo, request = make_cfo(tenant), body(tenant)
    cfo.approve(request, asker=artist(tenant))
    assert code_of(lambda: cfo.approve({**request, "request_cost": "1"}, asker=artist(tenant))) == "CONFLICT"
    with db.transaction(tenant) as c:
        c.execute("UPDATE controls SET state = 'STOP'")
    assert code_of(lambda: cfo.approve(body(tenant), asker=artist(tenant))) == "SYSTEM_STOPPED"
    assert refusals(db, tenant) == []


def test_an_altered_and_a_replayed_token_are_refusals(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo = make_cfo(tenant)
    answer = cfo.approve(body(tenant))
    altered = {**answer["token"], "claims": {**answer["token"]["claims"], "amount_micros": "999000000"}}
    for _ in range(2):
        assert code_of(lambda: cfo.dispatch(altered, "run-1", request_id=answer["request_id"])) == "INVALID_SIGNATURE"
    cfo.dispatch(answer["token"], "run-1")
    assert code_of(lambda: cfo.dispatch(answer["token"], "run-2")) == "CONFLICT"
    assert cfo.dispatch(answer["token"], "run-1")["first"] is False  # the same work after a crash is no replay
    replayed, forged = refusals(db, tenant)
    assert (forged.code, forged.made_by, forged.request_id) == ("INVALID_SIGNATURE", "run-1", answer["request_id"])
    assert (replayed.code, replayed.made_by) == ("CONFLICT", "run-2")
    assert PostgresLedger(db, tenant).budgets()[0].reserved_micros == 12_500_000
    cfo.sweep()
    assert PostgresLedger(db, tenant).verify(cfo._verifier).problems == []


def test_a_refusal_keeps_a_hash_of_all_and_shows_little(db: Database, tenant: str) -> None:
    ledger = PostgresLedger(db, tenant)
    raw = b"\x00\x1b[31m" + "ü".encode() * 5000
    row = ledger.refuse("ada\x07", "VALIDATION_FAILED", "bad\x00 \ud800 " + "m" * 900, raw)
    assert row.details["received_sha256"] == sha256(raw).hexdigest()
    assert row.details["shown"] == "\ufffd\ufffd[31m" + "ü" * 194
    assert (row.made_by, len(row.reason), row.reason[:7]) == ("ada\ufffd", 500, "bad\ufffd \ufffd ")
    assert ledger.refuse("ada\x07", "VALIDATION_FAILED", "other words", raw) == row
    assert ledger.refuse("bob", "VALIDATION_FAILED", "bad", raw).tx_id != row.tx_id
    assert ledger.refuse("ada\x07", "FORBIDDEN", "bad", raw).tx_id != row.tx_id
    deep: list[Any] = []
    deep.append(deep)
    assert ledger.refuse("ada", "VALIDATION_FAILED", "contains itself", deep).details["shown"] == "[[...]]"
