"""Budgets, refunds, refusals, export and costs over HTTP, as operators and their programs use them."""

from __future__ import annotations

import csv
import io
import json
import uuid
from hashlib import sha256
from typing import Any

import psycopg
import pytest

from chimera.adapters.postgres.tenancy import agent_id
from chimera.domain.models import CostLine
from chimera.errors import ChimeraError


def approved(api: Any, **changes: Any) -> dict[str, Any]:
    """An approval, as the CFO answered."""
    answer: dict[str, Any] = api("POST", "/v1/approvals", api.spend(**changes)).body
    assert answer["decision"] == "approved"
    return answer


def settled(api: Any, cost: str = "0.06", micros: int = 40_000, **changes: Any) -> str:
    """A request that was approved, used and settled; its id."""
    answer = approved(api, request_cost=cost, **changes)
    cfo = api.app.cfo(api.tenant)
    cfo.dispatch(answer["token"], "run-1")
    cfo.settle(
        answer["request_id"],
        [CostLine(step="render", item="vCPU", quantity="1", unit="second", amount_micros=micros)],
    )
    return str(answer["request_id"])


def item(body: dict[str, Any], period: str, category: str) -> dict[str, Any]:
    found: dict[str, Any] = next(i for i in body["items"] if (i["period"], i["category"]) == (period, category))
    return found


# --- budgets


def test_budgets_tell_forecast_level_and_what_is_open(api: Any) -> None:
    answer = approved(api, request_cost="600", projected_roi="3")
    body = api("GET", "/v1/budgets", role="viewer").body
    daily = item(body, "daily", "compute")
    assert (daily["used_percent"], daily["level"], daily["frozen"]) == ("60.0", "notice", False)
    assert (daily["forecast"]["expected"], daily["forecast"]["low"]) == ("600.00", "0.00")
    assert daily["forecast"]["exceeds_limit"] is False
    assert {(w["period"], w["category"], w["level"]) for w in body["warnings"]} == {
        ("daily", "compute", "notice"),
        ("daily", "total", "notice"),
    }
    [reservation] = body["open_reservations"]
    assert (reservation["request_id"], reservation["state"]) == (answer["request_id"], "SIGNED")
    assert (reservation["amount"], reservation["category"]) == ("600.00", "compute")
    assert reservation["agent_id"] == agent_id(api.tenant, "artist")
    assert reservation["age_seconds"] >= 0
    assert reservation["expires_at"].endswith("Z")


def test_what_was_settled_is_no_longer_open(api: Any) -> None:
    settled(api)
    body = api("GET", "/v1/budgets").body
    assert (body["open_reservations"], body["warnings"], body["frozen"]) == ([], [], [])
    assert item(body, "daily", "compute")["spent"] == "0.04"


def test_a_frozen_category_has_nothing_left_until_a_person_unfreezes_it(api: Any, new_tenant: Any) -> None:
    api.app.ledger(api.tenant).freeze(["compute"], "the counters do not match", "recovery")
    body = api("GET", "/v1/budgets", role="viewer").body
    [frozen] = body["frozen"]
    assert (frozen["category"], frozen["reason"]) == ("compute", "the counters do not match")
    daily = item(body, "daily", "compute")
    assert (daily["level"], daily["frozen"], daily["remaining"]) == ("frozen", True, "0.00")
    asked = api("POST", "/v1/approvals", api.spend()).body
    assert (asked["decision"], asked["code"]) == ("rejected", "BUDGET_EXCEEDED")
    assert "frozen" in asked["reason"]

    thaw = {"category": "compute", "reason": "counted by hand"}
    assert api("POST", "/v1/budgets/unfreeze", thaw, role="reviewer").code == "FORBIDDEN"
    assert api("POST", "/v1/budgets/unfreeze", {"category": "compute"}).code == "VALIDATION_FAILED"
    assert api("POST", "/v1/budgets/unfreeze", thaw, tenant=new_tenant()).code == "CONFLICT"
    thawed = api("POST", "/v1/budgets/unfreeze", thaw)
    assert (thawed.status, thawed.body["frozen"]) == (200, [])
    assert api("POST", "/v1/approvals", api.spend()).body["decision"] == "approved"
    [row] = api("GET", "/v1/ledger", entry_type="UNFREEZE").body["items"]
    assert (row["made_by"], row["reason"]) == ("ada", "counted by hand")
    again = api("POST", "/v1/budgets/unfreeze", thaw)
    assert (again.status, again.code) == (409, "CONFLICT")


# --- refusals


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 422),
        ("[]", 422),
        ('{"request_cost": "1", "request_cost": "2"}', 422),
        ('{"request_cost": NaN}', 422),
        ('{"justification": "' + "x" * 70_000 + '"}', 413),
    ],
)
def test_what_cannot_be_read_is_written_down_with_its_hash(api: Any, body: str, status: int) -> None:
    refused = api("POST", "/v1/approvals", body)
    assert refused.status == status
    [row] = api("GET", "/v1/ledger", entry_type="REFUSAL").body["items"]
    assert row["details"]["received_sha256"] == sha256(body.encode()).hexdigest()
    assert (row["code"], row["details"]["subject"]) == (refused.code, "ada")
    assert row["details"]["shown"] == body[:200]
    again = api("POST", "/v1/approvals", body)
    assert again.code == refused.code
    assert len(api("GET", "/v1/ledger", entry_type="REFUSAL").body["items"]) == 1


def test_a_float_in_json_is_refused_and_says_what_to_send(api: Any) -> None:
    text = json.dumps(api.spend()).replace('"0.06"', "0.1")
    refused = api("POST", "/v1/approvals", text)
    assert (refused.status, refused.code) == (422, "VALIDATION_FAILED")
    assert '"0.1"' in refused.body["error"]["message"]
    assert api("GET", "/v1/budgets").body["open_reservations"] == []


def test_the_refusal_of_a_known_request_names_it(api: Any) -> None:
    request = api.spend(projected_roi="much")
    api("POST", "/v1/approvals", request)
    [row] = api("GET", "/v1/ledger", request_id=request["request_id"]).body["items"]
    assert row["entry_type"] == "REFUSAL"
    assert api("POST", "/v1/approvals", {**request, "projected_roi": "2"}).body["decision"] == "approved"


def test_a_program_asks_for_its_own_agents_only(api: Any) -> None:
    mine, other = agent_id(api.tenant, "artist"), agent_id(api.tenant, "director")
    for named in ([mine], f"[{mine}]"):  # API Gateway makes text of a list
        claims = {"sub": "artist-1", "role": "operator", "tenant": api.tenant, "agents": named}
        assert api("POST", "/v1/approvals", api.spend(), claims=claims).status == 200
        forged = api("POST", "/v1/approvals", api.spend(agent_id=other), claims=claims)
        assert (forged.status, forged.code) == (403, "FORBIDDEN")
    rows = api("GET", "/v1/ledger", entry_type="REFUSAL").body["items"]
    assert {(row["code"], row["made_by"], row["agent_id"]) for row in rows} == {("FORBIDDEN", "artist-1", None)}
    nobody = {"sub": "artist-1", "role": "operator", "tenant": api.tenant, "agents": "all of them"}
    assert api("POST", "/v1/approvals", api.spend(), claims=nobody).status == 403


def test_an_agent_that_is_not_the_tenants_is_a_refusal(api: Any) -> None:
    refused = api("POST", "/v1/approvals", api.spend(agent_id=str(uuid.uuid4())))
    assert (refused.status, refused.code) == (403, "FORBIDDEN")
    assert api("GET", "/v1/ledger", entry_type="REFUSAL").body["items"][0]["code"] == "FORBIDDEN"


def test_who_is_not_authenticated_or_may_not_ask_leaves_no_row(api: Any) -> None:
    before = api("GET", "/v1/ledger").body["items"]
    assert api("POST", "/v1/approvals", "{", role=None).status == 401
    assert api("POST", "/v1/approvals", "{", role="viewer").status == 403
    assert api("GET", "/v1/ledger").body["items"] == before


def test_a_conflict_leaves_the_ledger_as_it_is(api: Any) -> None:
    request = api.spend()
    api("POST", "/v1/approvals", request)
    before = api("GET", "/v1/ledger").body["items"]
    assert api("POST", "/v1/approvals", {**request, "request_cost": "0.07"}).code == "CONFLICT"
    assert api("GET", "/v1/ledger").body["items"] == before


# --- refunds


def test_a_refund_comes_off_what_was_spent_once(api: Any) -> None:
    request = settled(api)
    path, body = f"/v1/ledger/{request}/refund", {"amount": "0.03", "reason": "vendor credit"}
    first = api("POST", path, body)
    assert (first.status, first.body["entry_type"], first.body["amount"]) == (200, "REFUND", "0.03")
    assert (first.body["made_by"], len(first.body["signature"])) == ("ada", 128)
    assert api("POST", path, body).body["tx_id"] == first.body["tx_id"]
    assert item(api("GET", "/v1/budgets").body, "daily", "compute")["spent"] == "0.01"
    keyed = api("POST", path, {**body, "amount": "0.01"}, headers={"Idempotency-Key": "credit-7"})
    assert (keyed.status, keyed.body["seq"]) == (200, first.body["seq"] + 1)
    other = api("POST", path, body, headers={"Idempotency-Key": "credit-7"})
    assert (other.status, other.code) == (409, "CONFLICT")
    assert item(api("GET", "/v1/budgets").body, "daily", "compute")["spent"] == "0.00"


def test_no_more_comes_back_than_was_spent_and_only_of_what_was_settled(api: Any, new_tenant: Any) -> None:
    request = settled(api)
    assert api("POST", f"/v1/ledger/{request}/refund", {"amount": "0.05", "reason": "x"}).code == "CONFLICT"
    waiting = approved(api)["request_id"]
    assert api("POST", f"/v1/ledger/{waiting}/refund", {"amount": "0.01", "reason": "x"}).code == "CONFLICT"
    missing = api("POST", f"/v1/ledger/{uuid.uuid4()}/refund", {"amount": "0.01", "reason": "x"})
    assert (missing.status, missing.code) == (404, "NOT_FOUND")
    assert (
        api("POST", f"/v1/ledger/{request}/refund", {"amount": "0.01", "reason": "x"}, tenant=new_tenant()).status
        == 404
    )
    assert api("POST", f"/v1/ledger/{request}/refund", {"amount": "0.01", "reason": "x"}, role="reviewer").status == 403


@pytest.mark.parametrize(
    "changes", [{"amount": "0"}, {"amount": "-1"}, {"amount": 0.01}, {"amount": "0.0000001"}, {"reason": ""}, {"x": 1}]
)
def test_a_refund_that_is_not_sound_is_refused(api: Any, changes: dict[str, Any]) -> None:
    request = settled(api)
    refused = api("POST", f"/v1/ledger/{request}/refund", {"amount": "0.01", "reason": "x", **changes})
    assert (refused.status, refused.code) == (422, "VALIDATION_FAILED")
    assert set(changes) <= set(refused.body["error"]["details"])


# --- filters and export


def test_rows_are_found_by_type_request_and_time(api: Any) -> None:
    request = settled(api)
    rows = api("GET", "/v1/ledger", request_id=request).body["items"]
    assert [row["entry_type"] for row in rows] == ["SETTLE", "DECISION"]
    assert [r["request_id"] for r in api("GET", "/v1/ledger", entry_type="SETTLE").body["items"]] == [request]
    assert len(api("GET", "/v1/ledger", since="1h", entry_type="SETTLE").body["items"]) == 1
    assert api("GET", "/v1/ledger", since="2020-01-01", until="2020-01-31").body["items"] == []
    at = rows[0]["created_at"]
    assert api("GET", "/v1/ledger", since=at, entry_type="SETTLE").body["items"][0]["seq"] == rows[0]["seq"]
    assert api("GET", "/v1/ledger", until=at, entry_type="SETTLE").body["items"] == []
    for wrong in ({"since": "yesterday"}, {"entry_type": "GIFT"}, {"request_id": "1"}, {"since": "1d", "until": "2d"}):
        assert api("GET", "/v1/ledger", **wrong).code == "VALIDATION_FAILED"


def test_the_export_is_csv_or_json_as_it_is_asked_for(api: Any) -> None:
    settled(api)
    for form, accept in (("csv", ""), (None, "text/csv"), (None, "text/csv;q=0.9, application/json;q=0.5")):
        query = {"format": form} if form else {}
        found = api("GET", "/v1/ledger/export", role="viewer", headers={"Accept": accept}, **query)
        assert found.status == 200
        assert found.headers["Content-Type"].startswith("text/csv")
        assert "X-Next-Cursor" not in found.headers
        rows = list(csv.DictReader(io.StringIO(found.body, newline="")))
        assert [row["seq"] for row in rows] == [str(n + 1) for n in range(len(rows))]
        assert rows[-1]["amount"] == "0.04"
        assert found.body.count("\r\n") >= len(rows)
    for form, accept in (("json", "text/csv"), (None, "*/*"), (None, ""), (None, "text/csv;q=0.1, application/json")):
        query = {"format": form} if form else {}
        found = api("GET", "/v1/ledger/export", headers={"Accept": accept}, **query)
        assert isinstance(found.body, list)
        assert (found.body[-1]["entry_type"], found.body[-1]["amount"]) == ("SETTLE", "0.04")


def test_the_export_goes_on_where_a_page_ended(api: Any) -> None:
    for _ in range(3):
        settled(api)
    whole = api("GET", "/v1/ledger/export", format="json").body
    seen: list[Any] = []
    query: dict[str, str] = {}
    while True:
        page = api("GET", "/v1/ledger/export", format="json", limit=2, **query)
        seen += page.body
        if "X-Next-Cursor" not in page.headers:
            break
        query = {"cursor": page.headers["X-Next-Cursor"]}
    assert seen == whole
    assert api("GET", "/v1/ledger/export", limit=0).code == "VALIDATION_FAILED"
    assert api("GET", "/v1/ledger/export", cursor="x").code == "VALIDATION_FAILED"


def test_a_formula_from_outside_is_harmless_in_a_spreadsheet(api: Any) -> None:
    attacks = ['=HYPERLINK("http://evil")', "+1", "-1", "@SUM(A1)", "\t=1", "  =1", '=1,"quoted"\r\nnext']
    for attack in attacks:
        approved(api, justification=attack)
    found = api("GET", "/v1/ledger/export", format="csv", entry_type="DECISION").body
    rows = list(csv.DictReader(io.StringIO(found, newline="")))
    assert [row["justification"] for row in rows] == [f"'{attack}" for attack in attacks]
    as_json = api("GET", "/v1/ledger/export", format="json", entry_type="DECISION").body
    assert [row["justification"] for row in as_json] == attacks


# --- costs


def test_the_cost_of_a_video_is_told_call_by_call(api: Any, new_tenant: Any) -> None:
    row = api.content()
    prefix = f"tenants/{api.tenant}/content/{row['id']}"
    for step, micros, drawn in (("render", 30_000, 50_000), ("voice", 10_000, None)):
        line = CostLine(
            step=step,
            item="vCPU",
            quantity="1.5",
            unit="second",
            amount_micros=micros,
            drawn_micros=drawn,
            call_id=step,
        )
        api.app.media.put_bytes(f"{prefix}/costs/{step}.json", line.model_dump_json().encode())
    breakdown = {"render": "0.035", "voice": "0.005"}
    brief = {"estimated_cost": "0.04", "cost_breakdown": breakdown}
    api.app.media.put_bytes(f"{prefix}/brief/brief.json", json.dumps(brief).encode())
    request = approved(api)["request_id"]
    api.app.content(api.tenant).advance(str(row["id"]), ("review",), approval_request_id=request)

    found = api("GET", f"/v1/content/{row['id']}/costs", role="viewer")
    assert found.status == 200
    body = found.body
    assert (body["estimated"], body["actual"], body["difference_percent"]) == ("0.04", "0.04", "+0.0")
    assert (body["reserved"], body["settled"], body["state"], body["drawn"]) == ("0.06", None, "SIGNED", "0.05")
    voice, render = body["steps"]
    assert (voice["step"], voice["estimated"], voice["actual"], voice["drawn"]) == ("voice", "0.005", "0.01", None)
    assert (render["estimated"], render["actual"], render["drawn"]) == ("0.035", "0.03", "0.05")
    assert render["lines"] == [
        {
            "item": "vCPU",
            "category": "compute",
            "quantity": "1.5",
            "unit": "second",
            "drawn": "0.05",
            "actual": "0.03",
            "call_id": "render",
            "complete": True,
        }
    ]
    assert api("GET", f"/v1/content/{row['id']}/costs", tenant=new_tenant()).code == "NOT_FOUND"


def test_once_settled_the_bill_in_the_ledger_counts(api: Any) -> None:
    row = api.content()
    stray = CostLine(step="render", item="vCPU", quantity="9", unit="second", amount_micros=90_000)
    api.app.media.put_bytes(
        f"tenants/{api.tenant}/content/{row['id']}/costs/render.json", stray.model_dump_json().encode()
    )
    answer, cfo = approved(api), api.app.cfo(api.tenant)
    cfo.dispatch(answer["token"], "run-1")
    bill = [
        CostLine(
            step="voice",
            item="characters",
            quantity="120",
            unit="character",
            amount_micros=m,
            drawn_micros=9_000,
            call_id=c,
        )
        for c, m in (("voice", 4_000), ("voice~2", 5_000))
    ]
    cfo.settle(answer["request_id"], bill)
    api.app.content(api.tenant).advance(str(row["id"]), ("review",), approval_request_id=answer["request_id"])
    body = api("GET", f"/v1/content/{row['id']}/costs").body
    [voice] = body["steps"]
    assert (voice["actual"], voice["drawn"]) == ("0.009", "0.018")
    assert [line["call_id"] for line in voice["lines"]] == ["voice", "voice~2"]
    assert (body["settled"], body["actual"]) == ("0.009", "0.009")


def test_content_that_cost_nothing_yet_says_so(api: Any) -> None:
    row = api.content(made=False)
    body = api("GET", f"/v1/content/{row['id']}/costs").body
    assert (body["actual"], body["estimated"], body["reserved"], body["steps"]) == ("0.00", None, None, [])
    assert body["complete"] is False


# --- the switch


def test_spending_is_paused_and_the_log_says_by_whom(api: Any) -> None:
    paused = api("POST", "/v1/operations/pause-spending", {"reason": "vendor outage"}).body
    assert (paused["state"], paused["spending"], paused["publishing"]) == ("PAUSE_SPEND", False, True)
    assert api("POST", "/v1/approvals", api.spend()).code == "SYSTEM_STOPPED"
    epoch = api("POST", "/v1/operations/resume", {"reason": "over"}).body["epoch"]
    assert epoch == paused["epoch"] + 1
    newest, first = api("GET", "/v1/operations/log", role="viewer").body["items"]
    assert (newest["before"], newest["after"], newest["reason"]) == ("PAUSE_SPEND", "RUN", "over")
    assert (first["by"], first["after"], first["reason"]) == ("ada", "PAUSE_SPEND", "vendor outage")
    assert api("POST", "/v1/operations/pause-spending", role="reviewer").code == "FORBIDDEN"


@pytest.mark.parametrize("state", ["STOP", "PAUSE_SPEND", "missing", "unreadable"])
def test_over_http_nothing_is_decided_unless_the_switch_says_so(api: Any, database_urls: Any, state: str) -> None:
    before = api("GET", "/v1/ledger").body["items"]
    with psycopg.connect(database_urls.super, autocommit=True) as admin:
        if state == "missing":
            admin.execute("DELETE FROM controls WHERE tenant_id = %s", (api.tenant,))
        elif state == "unreadable":
            admin.execute("REVOKE SELECT ON controls FROM chimera_app")
        else:
            admin.execute("UPDATE controls SET state = %s WHERE tenant_id = %s", (state, api.tenant))
        try:
            asked = api("POST", "/v1/approvals", api.spend())
        finally:
            admin.execute("GRANT SELECT ON controls TO chimera_app")
    assert (asked.status, asked.code) == ((500, "INTERNAL") if state == "unreadable" else (503, "SYSTEM_STOPPED"))
    assert api("GET", "/v1/ledger").body["items"] == before
    assert api("GET", "/v1/budgets").body["open_reservations"] == []


def test_over_http_an_approval_of_an_older_epoch_is_not_dispatched(api: Any) -> None:
    token = approved(api)["token"]
    api("POST", "/v1/operations/stop")
    api("POST", "/v1/operations/resume")
    with pytest.raises(ChimeraError) as caught:
        api.app.cfo(api.tenant).dispatch(token, "run-1")
    assert caught.value.code == "CONFLICT"
