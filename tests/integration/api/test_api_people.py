"""Reviews, publications, personas, the switch, health and metrics over HTTP."""

from __future__ import annotations

import re
import uuid
from typing import Any

from tests.integration.api.conftest import CONTENT_HASH

# --- reviews


def test_pending_reviews_come_first_through_all_pages(api: Any) -> None:
    rows = [api.review(token=f"t{n}") for n in range(5)]
    for row in rows[1], rows[4]:
        api("POST", f"/v1/reviews/{row['id']}/approve", {"content_hash": CONTENT_HASH})
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = api("GET", "/v1/reviews", role="viewer", limit=2, **cursor).body
        seen += [item["review_id"] for item in page["items"]]
        if not page["next_cursor"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == [str(rows[n]["id"]) for n in (3, 2, 0, 4, 1)]
    done = api("GET", "/v1/reviews", status="approved", limit=1).body
    assert [item["review_id"] for item in done["items"]] == [str(rows[4]["id"])]
    rest = api("GET", "/v1/reviews", status="approved", limit=1, cursor=done["next_cursor"]).body
    assert [item["review_id"] for item in rest["items"]] == [str(rows[1]["id"])]
    assert api("GET", "/v1/reviews", status="maybe").code == "VALIDATION_FAILED"


def test_a_review_has_all_there_is_to_look_at_but_the_token(api: Any, new_tenant: Any) -> None:
    row = api.review(token="s3cret-token")
    told = api("GET", f"/v1/reviews/{row['id']}", role="viewer")
    assert "s3cret-token" not in told.raw["body"]
    assert told.body["subject_hash"] == CONTENT_HASH
    assert (told.body["title"], told.body["script"]) == ("Solar roofs", "Roofs make power.")
    assert told.body["report"]["checks"][0]["evidence"] == "no source"
    assert set(told.body["links"]) == {"video", "thumbnail", "srt", "vtt", "images"}
    assert told.body["links"]["video"].startswith(("file:", "http"))
    assert api("GET", f"/v1/reviews/{row['id']}", tenant=new_tenant()).code == "NOT_FOUND"


def test_an_approval_is_kept_and_told_to_the_run_once(api: Any) -> None:
    row = api.review()
    body = {"content_hash": CONTENT_HASH, "note": "fine"}
    first = api("POST", f"/v1/reviews/{row['id']}/approve", body, role="reviewer")
    assert (first.status, first.body["status"], first.body["decided_by"]) == (200, "approved", "ada")
    assert first.body["delivered_at"]
    again = api("POST", f"/v1/reviews/{row['id']}/approve", body, role="reviewer")
    assert again.body == first.body
    assert [(token, output["decision"]) for token, output in api.workflows.told] == [("token-1", "approved")]
    other = api("POST", f"/v1/reviews/{row['id']}/reject", body, role="reviewer")
    assert (other.status, other.code) == (409, "CONFLICT")


def test_a_rejection_is_kept_while_the_engine_is_away(api: Any) -> None:
    row = api.review()
    api.workflows.away = True
    body = {"content_hash": CONTENT_HASH, "note": "no"}
    decided = api("POST", f"/v1/reviews/{row['id']}/reject", body, role="reviewer")
    assert (decided.status, decided.body["status"], decided.body["delivered_at"]) == (200, "rejected", None)
    api.workflows.away = False
    again = api("POST", f"/v1/reviews/{row['id']}/reject", body, role="reviewer")
    assert again.body["delivered_at"]


def test_another_version_than_the_one_seen_is_a_conflict(api: Any, new_tenant: Any) -> None:
    row = api.review()
    refused = api("POST", f"/v1/reviews/{row['id']}/approve", {"content_hash": "b" * 64})
    assert (refused.status, refused.code) == (409, "CONFLICT")
    assert not api.workflows.told
    missing = api("POST", f"/v1/reviews/{row['id']}/approve", {})
    assert (missing.status, set(missing.body["error"]["details"])) == (422, {"content_hash"})
    own = {"content_hash": CONTENT_HASH}
    assert api("POST", f"/v1/reviews/{row['id']}/approve", own, tenant=new_tenant()).code == "NOT_FOUND"
    assert api("GET", f"/v1/reviews/{row['id']}").body["status"] == "pending"


def test_a_spend_is_decided_by_an_operator_only(api: Any) -> None:
    reviews = api.app.reviews(api.tenant)
    row = reviews.request("spend", str(uuid.uuid4()), "h" * 64, "risky", "token-2")
    body = {"content_hash": "h" * 64}
    refused = api("POST", f"/v1/reviews/{row['id']}/approve", body, role="reviewer")
    assert (refused.status, refused.code) == (403, "FORBIDDEN")
    assert api("POST", f"/v1/reviews/{row['id']}/approve", body, role="operator").status == 200
    told = api("GET", f"/v1/reviews/{row['id']}").body
    assert (told["kind"], told["content_id"], told["links"]["video"]) == ("spend", None, None)


# --- publications, personas


def test_publications_are_listed_filtered_and_told(api: Any, new_tenant: Any) -> None:
    rows = [api.publication() for _ in range(3)]
    first = api("GET", "/v1/publications", role="viewer", limit=2).body
    second = api("GET", "/v1/publications", limit=2, cursor=first["next_cursor"]).body
    ids = [item["publication_id"] for item in first["items"] + second["items"]]
    assert ids == [str(row["id"]) for row in reversed(rows)]
    assert first["items"][0]["status"] == "scheduled"
    assert api("GET", "/v1/publications", status="published").body["items"] == []
    assert len(api("GET", "/v1/publications", platform="local").body["items"]) == 3
    assert api("GET", "/v1/publications", status="maybe").code == "VALIDATION_FAILED"
    told = api("GET", f"/v1/publications/{ids[0]}", role="viewer").body
    assert (told["channel_id"], told["attempts"], told["post_id"]) == ("local", 0, None)
    assert api("GET", f"/v1/publications/{ids[0]}", tenant=new_tenant()).code == "NOT_FOUND"


def test_personas_are_listed(api: Any) -> None:
    [persona] = api("GET", "/v1/personas", role="viewer").body["items"]
    assert (persona["name"], persona["channels"]) == ("Chimera Daily", ["local"])


# --- the switch


def test_an_operator_pauses_stops_and_resumes(api: Any, new_tenant: Any) -> None:
    assert api("GET", "/v1/operations", role="viewer").body["state"] == "RUN"
    paused = api("POST", "/v1/operations/pause-publishing", {"reason": "backlog"}).body
    assert (paused["state"], paused["publishing"], paused["spending"]) == ("PAUSE_PUBLISH", False, True)
    assert (paused["changed_by"], paused["reason"]) == ("ada", "backlog")
    stopped = api("POST", "/v1/operations/stop").body
    assert (stopped["state"], stopped["publishing"], stopped["spending"]) == ("STOP", False, False)
    weaker = api("POST", "/v1/operations/pause-publishing")
    assert (weaker.status, weaker.code) == (409, "CONFLICT")
    assert api("GET", "/v1/operations", tenant=new_tenant()).body["state"] == "RUN"
    assert api("POST", "/v1/operations/resume", {"reason": "over"}).body["state"] == "RUN"
    assert api("POST", "/v1/operations/resume", {"why": "x"}).code == "VALIDATION_FAILED"
    with api.app.db.transaction(api.tenant) as tx:
        rows = tx.execute("SELECT agent_id, output_data FROM audit_logs WHERE action = 'control.set'").fetchall()
    assert sorted(row["output_data"]["state"] for row in rows) == ["PAUSE_PUBLISH", "RUN", "STOP"]


def test_a_stop_makes_open_approvals_worthless_a_pause_of_publishing_does_not(api: Any) -> None:
    controls = api.app.controls(api.tenant)
    before = controls.get()["epoch"]
    api("POST", "/v1/operations/pause-publishing")
    api("POST", "/v1/operations/resume")
    assert controls.get()["epoch"] == before
    api("POST", "/v1/operations/stop")
    api("POST", "/v1/operations/stop")
    api("POST", "/v1/operations/resume")
    assert controls.get()["epoch"] == before + 2


# --- health, metrics


def test_health_is_open_and_names_every_part(api: Any) -> None:
    well = api("GET", "/health", role=None)
    assert (well.status, well.body["status"]) == (200, "healthy")
    parts = well.body["components"]
    assert set(parts) == {"database", "budget_store", "ledger", "media_store", "workflows", "mcp_layer", "agents"}
    assert parts["agents"]["scout"] == 1
    assert well.body["timestamp"].endswith("Z")
    api.workflows.away = True
    worse = api("GET", "/health", role=None)
    assert (worse.status, worse.body["status"]) == (200, "degraded")
    assert worse.body["components"]["workflows"] == "unhealthy"


def test_metrics_are_prometheus_text_of_the_callers_tenant(api: Any, new_tenant: Any) -> None:
    api.review()
    api("POST", "/v1/approvals", api.spend())
    found = api("GET", "/metrics", role="viewer")
    assert found.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = found.body.splitlines()
    assert 'chimera_reviews{status="pending"} 1' in lines
    assert 'chimera_decisions{decision="approved"} 1' in lines
    assert "chimera_trends 1" in lines
    assert 'chimera_budget_remaining_usd{period="daily",category="total"} 999.940000' in lines
    sample = re.compile(r'^[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? \d+(\.\d+)?$')
    assert all(sample.match(line) or re.match(r"^# (HELP|TYPE) chimera_", line) for line in lines)
    assert found.body.endswith("\n")
    assert "chimera_trends 0" in api("GET", "/metrics", tenant=new_tenant()).body
