"""Approvals, ledger and budgets over HTTP."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

# --- approvals


def test_the_decision_is_the_answer(api: Any) -> None:
    request = api.spend()
    asked = api("POST", "/v1/approvals", request)
    assert (asked.status, asked.body["decision"]) == (200, "approved")
    assert asked.body["amount"] == "0.06"
    assert asked.body["approval_signature"]
    assert set(asked.body["budget_remaining"]) == {"daily", "weekly", "monthly"}
    again = api("POST", "/v1/approvals", request)
    assert again.body["approval_signature"] == asked.body["approval_signature"]
    other = api("POST", "/v1/approvals", {**request, "request_cost": "0.07"})
    assert (other.status, other.code) == (409, "CONFLICT")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"request_cost": "1000.01"}, "BUDGET_EXCEEDED"),
        ({"projected_roi": "1.49"}, "ROI_TOO_LOW"),
        ({"request_cost": "10000.01"}, "TRANSACTION_TOO_LARGE"),
    ],
)
def test_a_rejection_is_a_decision_too(api: Any, changes: dict[str, str], code: str) -> None:
    asked = api("POST", "/v1/approvals", api.spend(**changes))
    assert (asked.status, asked.body["decision"], asked.body["code"]) == (200, "rejected", code)
    assert asked.body["token"] is None


def test_a_whole_number_of_dollars_is_a_cost_and_a_ratio_may_be_a_number(api: Any) -> None:
    asked = api("POST", "/v1/approvals", api.spend(request_cost=2, projected_roi=2.5))
    assert (asked.status, asked.body["amount"]) == (200, "2.00")


@pytest.mark.parametrize(
    "changes",
    [
        {"request_cost": "-1"},
        {"request_cost": "NaN"},
        {"request_cost": "1e3"},
        {"request_cost": 0},
        {"request_cost": 0.1},
        {"request_cost": 1e30},
        {"request_cost": None},
        {"request_cost": "0.0000001"},
        {"request_type": "lottery"},
        {"agent_id": "me"},
        {"request_id": "1"},
        {"currency": "usd"},
        {"justification": "x" * 2001},
        {"projected_roi": "much"},
        {"extra": True},
    ],
)
def test_a_request_that_is_not_sound_reserves_nothing_and_is_written_down(api: Any, changes: dict[str, Any]) -> None:
    before = api("GET", "/v1/budgets").body["items"]
    refused = api("POST", "/v1/approvals", api.spend(**changes))
    assert (refused.status, refused.code) == (422, "VALIDATION_FAILED")
    assert set(changes) <= set(refused.body["error"]["details"])
    newest = api("GET", "/v1/ledger").body["items"][0]
    assert (newest["entry_type"], newest["code"], newest["amount"]) == ("REFUSAL", "VALIDATION_FAILED", "0.00")
    assert newest["made_by"] == "ada"
    amounts = [[item[k] for k in ("reserved", "spent", "remaining")] for item in before]
    after = api("GET", "/v1/budgets").body["items"]
    assert [[item[k] for k in ("reserved", "spent", "remaining")] for item in after] == amounts


def test_an_agent_of_another_tenant_is_refused(api: Any, new_tenant: Any) -> None:
    asked = api("POST", "/v1/approvals", api.spend(), tenant=new_tenant())
    assert (asked.status, asked.code) == (403, "FORBIDDEN")


def test_nothing_is_decided_while_spending_is_stopped(api: Any) -> None:
    assert api("POST", "/v1/operations/stop", {"reason": "drill"}).body["spending"] is False
    asked = api("POST", "/v1/approvals", api.spend())
    assert (asked.status, asked.code) == (503, "SYSTEM_STOPPED")


def test_decisions_are_listed_and_told_with_where_their_money_is(api: Any, new_tenant: Any) -> None:
    requests = [api.spend() for _ in range(3)]
    for request in requests:
        api("POST", "/v1/approvals", request)
    low = api.spend(projected_roi="1")
    api("POST", "/v1/approvals", low)
    first = api("GET", "/v1/approvals", role="viewer", limit=2).body
    second = api("GET", "/v1/approvals", limit=2, cursor=first["next_cursor"]).body
    ids = [item["request_id"] for item in first["items"] + second["items"]]
    assert ids == [low["request_id"], *(request["request_id"] for request in reversed(requests))]
    assert second["next_cursor"] is None
    rejected = api("GET", "/v1/approvals", decision="rejected").body["items"]
    assert [item["request_id"] for item in rejected] == [low["request_id"]]
    told = api("GET", f"/v1/approvals/{requests[0]['request_id']}", role="viewer").body
    assert (told["state"], told["settled"], told["projected_roi"]) == ("SIGNED", None, "2.5")
    assert api("GET", f"/v1/approvals/{requests[0]['request_id']}", tenant=new_tenant()).code == "NOT_FOUND"


def test_an_escalated_request_waits_for_a_person_who_may_waive_the_risk(api: Any) -> None:
    request = api.escalated()
    asked = api("POST", "/v1/approvals", request)
    assert (asked.status, asked.body["decision"]) == (202, "escalated")
    path = f"/v1/approvals/{request['request_id']}"
    decided = api("POST", f"{path}/decide", {"decision": "approved", "note": "worth it"})
    assert (decided.status, decided.body["by"]) == (200, "ada")
    assert decided.body["approval"]["decision"] == "approved"
    assert decided.body["review"] is None
    again = api("POST", f"{path}/decide", {"decision": "approved", "note": "worth it"})
    assert again.body["approval"]["request_id"] == decided.body["approval"]["request_id"]
    other = api("POST", f"{path}/decide", {"decision": "rejected"})
    assert (other.status, other.code) == (409, "CONFLICT")
    told = api("GET", path).body
    assert (told["state"], told["decided_by_person"]["made_by"]) == ("ESCALATED", "ada")
    assert api("GET", "/v1/ledger/verify").body["verified"] is True


def test_a_persons_no_is_in_the_ledger(api: Any) -> None:
    request = api.escalated()
    api("POST", "/v1/approvals", request)
    decided = api("POST", f"/v1/approvals/{request['request_id']}/decide", {"decision": "rejected"}).body
    assert decided["approval"]["decision"] == "rejected"
    newest = api("GET", "/v1/ledger", limit=1).body["items"][0]
    assert (newest["decision"], newest["made_by"]) == ("rejected", "ada")


def test_where_a_run_waits_the_decision_goes_to_the_run(api: Any) -> None:
    request = api.escalated()
    api("POST", "/v1/approvals", request)
    reviews = api.app.reviews(api.tenant)
    reviews.request("spend", request["request_id"], "h" * 64, "risky", "token-9")
    decided = api("POST", f"/v1/approvals/{request['request_id']}/decide", {"decision": "approved"}).body
    assert decided["approval"] is None
    assert (decided["review"]["status"], decided["review"]["decided_by"]) == ("approved", "ada")
    assert decided["review"]["delivered_at"]
    [(token, output)] = api.workflows.told
    assert (token, output["decision"], output["by"]) == ("token-9", "approved", "ada")


def test_only_an_escalated_request_can_be_decided(api: Any, new_tenant: Any) -> None:
    request = api.spend()
    api("POST", "/v1/approvals", request)
    path = f"/v1/approvals/{request['request_id']}/decide"
    assert api("POST", path, {"decision": "approved"}).code == "CONFLICT"
    assert api("POST", path, {"decision": "approved"}, tenant=new_tenant()).code == "NOT_FOUND"
    assert api("POST", path, {"decision": "maybe"}).code == "VALIDATION_FAILED"
    assert api("POST", path, {}).code == "VALIDATION_FAILED"


# --- ledger


def test_the_ledger_is_paged_told_row_by_row_and_verified(api: Any, new_tenant: Any) -> None:
    for _ in range(3):
        api("POST", "/v1/approvals", api.spend())
    seen: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = api("GET", "/v1/ledger", role="viewer", limit=2, **cursor).body
        seen += [row["seq"] for row in page["items"]]
        if not page["next_cursor"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == [5, 4, 3, 2, 1]  # the limits, the key that signs, three decisions
    row = api("GET", "/v1/ledger/5", role="viewer").body
    assert row == api("GET", f"/v1/ledger/{row['tx_id']}").body
    assert row["prev_hash"] == api("GET", "/v1/ledger/4").body["row_hash"]
    assert len(bytes.fromhex(row["signature"])) == 64
    found = api("GET", "/v1/ledger/verify", role="viewer").body
    assert (found["verified"], found["entries"], found["problems"]) == (True, 5, [])
    assert found["head"] == row["row_hash"]
    other = new_tenant()
    assert api("GET", f"/v1/ledger/{row['tx_id']}", tenant=other).code == "NOT_FOUND"
    assert api("GET", "/v1/ledger/5", tenant=other).code == "NOT_FOUND"


def test_the_ledger_is_filtered(api: Any) -> None:
    request = api.spend(request_type="storage")
    api("POST", "/v1/approvals", request)
    for query in ({"request_type": "storage"}, {"agent_id": request["agent_id"]}, {"decision": "approved"}):
        rows = api("GET", "/v1/ledger", **query).body["items"]
        assert [row["request_id"] for row in rows] == [request["request_id"]]
    assert api("GET", "/v1/ledger", agent_id=str(uuid.uuid4())).body["items"] == []
    assert api("GET", "/v1/ledger", decision="maybe").code == "VALIDATION_FAILED"


# --- budgets


def _line(body: dict[str, Any], period: str, category: str) -> dict[str, Any]:
    return next(i for i in body["items"] if (i["period"], i["category"]) == (period, category))


def test_budgets_say_what_is_left(api: Any) -> None:
    api("POST", "/v1/approvals", api.spend())
    body = api("GET", "/v1/budgets", role="viewer").body
    assert body["currency"] == "USD"
    daily = _line(body, "daily", "compute")
    assert (daily["limit"], daily["reserved"], daily["remaining"]) == ("1000.00", "0.06", "999.94")
    assert _line(body, "monthly", "storage")["remaining"] == "20000.00"


@pytest.mark.parametrize("limit", ["5", "5.00", 5])
def test_a_limit_is_set_at_once_and_is_a_row_of_the_ledger(api: Any, limit: Any) -> None:
    body = {"period": "daily", "category": "total", "limit": limit, "reason": "careful"}
    changed = api("PUT", "/v1/budgets", body)
    assert (changed.status, _line(changed.body, "daily", "total")["limit"]) == (200, "5.00")
    asked = api("POST", "/v1/approvals", api.spend(request_cost="5.01"))
    assert asked.body["code"] == "BUDGET_EXCEEDED"
    newest = api("GET", "/v1/ledger", entry_type="LIMIT_CHANGE").body["items"][0]
    assert (newest["made_by"], newest["reason"]) == ("ada", "careful")


@pytest.mark.parametrize(
    "changes",
    [
        {"limit": "0"},
        {"limit": "-5"},
        {"limit": "1e9"},
        {"limit": True},
        {"limit": "99999999999"},
        {"limit": None},
        {"period": "hourly"},
        {"category": "blockchain"},
        {"extra": 1},
    ],
)
def test_a_limit_that_is_not_sound_changes_nothing(api: Any, changes: dict[str, Any]) -> None:
    before = [item["limit"] for item in api("GET", "/v1/budgets").body["items"]]
    body = {"period": "daily", "category": "total", "limit": "5", **changes}
    refused = api("PUT", "/v1/budgets", body)
    assert (refused.status, refused.code) == (422, "VALIDATION_FAILED")
    assert set(changes) <= set(refused.body["error"]["details"])
    assert [item["limit"] for item in api("GET", "/v1/budgets").body["items"]] == before
