"""Trends, runs and content over HTTP: what is there, starting once, following."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from chimera.errors import ChimeraError


def _event(n: int, kind: str, details_name: str = "", **details: Any) -> dict[str, Any]:
    event: dict[str, Any] = {"id": n, "type": kind, "timestamp": f"2026-11-21T10:00:{n:02d}.000Z"}
    return {**event, details_name: details} if details_name else event


# --- trends


def test_trends_are_paged_newest_first_and_filtered(api: Any) -> None:
    ids = [api.person_made_trend(f"Roof {n}", velocity=n) for n in range(5)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(3):
        page = api("GET", "/v1/trends", role="viewer", limit=2, **cursor).body
        seen += [trend["trend_id"] for trend in page["items"]]
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else {}
    assert not cursor
    assert seen == ids[::-1]
    fast = api("GET", "/v1/trends", min_velocity="3.5").body["items"]
    assert [trend["title"] for trend in fast] == ["Roof 4"]
    named = api("GET", "/v1/trends", keyword="roof 2").body["items"]
    assert [trend["rising_velocity"] for trend in named] == [2.0]
    assert named[0]["timestamp"].endswith("Z")


def test_another_tenant_sees_no_trend(api: Any, new_tenant: Any) -> None:
    api.person_made_trend()
    assert api("GET", "/v1/trends", tenant=new_tenant()).body == {"items": [], "next_cursor": None}


def test_a_trend_filter_out_of_range_is_refused(api: Any) -> None:
    assert api("GET", "/v1/trends", min_velocity=11).code == "VALIDATION_FAILED"
    assert api("GET", "/v1/trends", keyword="x" * 201).code == "VALIDATION_FAILED"


def test_a_scan_starts_the_research_machine_once_and_plans_nothing(api: Any) -> None:
    key = {"Idempotency-Key": "scan-1"}
    body = {"sources": ["sample"], "keywords": ["roofs"], "min_velocity": 0.5}
    first, second = (api("POST", "/v1/trends/scan", body, headers=key) for _ in range(2))
    assert (first.status, first.body) == (202, second.body)
    assert list(api.workflows.started) == [first.body["execution_id"]]
    given = api.workflows.started[first.body["execution_id"]]
    assert given["tenant_id"] == api.tenant
    assert given["options"] | {"max_tasks": 0, "sources": ["sample"], "min_velocity": 0.5} == given["options"]
    other = api("POST", "/v1/trends/scan", {"sources": ["sample"]}, headers=key)
    assert (other.status, other.code) == (409, "CONFLICT")


def test_a_scan_of_a_file_or_of_nonsense_is_refused(api: Any) -> None:
    assert api("POST", "/v1/trends/scan", {"sources": ["file:/etc/passwd"]}).code == "FORBIDDEN"
    assert api("POST", "/v1/trends/scan", {"max_results": 0}).code == "VALIDATION_FAILED"
    assert api("POST", "/v1/trends/scan").status == 202
    assert "hackernews" in next(iter(api.workflows.started.values()))["options"]["sources"]


# --- runs


def test_a_run_is_started_and_in_the_books(api: Any) -> None:
    started = api("POST", "/v1/runs", {"topic": "roofs", "sources": ["sample"], "duration_seconds": 30})
    assert started.status == 202
    run_id = started.body["run_id"]
    assert started.body == {"run_id": run_id, "execution_id": f"supervisor:{run_id}", "status": "running"}
    event = api.workflows.started[f"supervisor:{run_id}"]
    assert (event["tenant_id"], event["run_id"]) == (api.tenant, run_id)
    assert event["options"]["duration_seconds"] == 30
    listed = api("GET", "/v1/runs", role="viewer").body["items"]
    assert [run["run_id"] for run in listed] == [run_id]
    assert listed[0]["options"]["topic"] == "roofs"


def test_the_same_key_and_body_start_one_run_another_body_is_a_conflict(api: Any, new_tenant: Any) -> None:
    key = {"Idempotency-Key": "monday"}
    first, second = (api("POST", "/v1/runs", {"topic": "roofs"}, headers=key) for _ in range(2))
    assert first.body["run_id"] == second.body["run_id"]
    assert len(api.workflows.started) == 1
    other = api("POST", "/v1/runs", {"topic": "cats"}, headers={"idempotency-key": "monday"})
    assert (other.status, other.code) == (409, "CONFLICT")
    elsewhere = api("POST", "/v1/runs", {"topic": "roofs"}, headers=key, tenant=new_tenant())
    assert elsewhere.body["run_id"] != first.body["run_id"]
    assert api("POST", "/v1/runs", {}).body["run_id"] != api("POST", "/v1/runs", {}).body["run_id"]


@pytest.mark.parametrize("key", ["", "x" * 201, "a b", "é"])
def test_a_key_of_another_form_is_refused(api: Any, key: str) -> None:
    refused = api("POST", "/v1/runs", {}, headers={"Idempotency-Key": key})
    assert (refused.status, refused.code) == (422, "VALIDATION_FAILED")
    assert not api.workflows.started


def test_a_run_whose_engine_was_away_is_started_by_asking_again(api: Any) -> None:
    api.workflows.away = True
    refused = api("POST", "/v1/runs", {}, headers={"Idempotency-Key": "k"})
    assert (refused.status, refused.code) == (503, "AGENT_OFFLINE")
    assert "secret-path" not in json.dumps(refused.raw)
    api.workflows.away = False
    assert api("POST", "/v1/runs", {}, headers={"Idempotency-Key": "k"}).status == 202
    assert len(api.workflows.started) == 1


def test_files_of_the_machine_cannot_be_named_over_http(api: Any) -> None:
    for source in ("file:/etc/passwd", " FILE:x"):
        refused = api("POST", "/v1/runs", {"sources": ["sample", source]})
        assert (refused.status, refused.code) == (403, "FORBIDDEN")
    for named in ({"music": "file:/etc/passwd"}, {"assets": ["file:/etc"]}):
        refused = api("POST", "/v1/runs", named)
        assert (refused.status, refused.code) == (403, "FORBIDDEN")
    assert not api.workflows.started


def test_what_would_fail_at_the_brief_is_refused_before_the_run_begins(api: Any) -> None:
    for given, said in (
        ({"template": "quoet"}, "did you mean 'quote'?"),
        ({"template": "listicle", "parameters": {"order": "sideways"}}, "expected one of up, down"),
        ({"assets": ["key:uploads/none.jpg"]}, "is not there"),
    ):
        refused = api("POST", "/v1/runs", given)
        assert (refused.status, refused.code) == (422, "VALIDATION_FAILED")
        assert said in refused.body["error"]["message"]
    assert not api.workflows.started and not api("GET", "/v1/runs").body["items"]


def test_approving_in_advance_is_recorded_under_the_tokens_name(api: Any) -> None:
    started = api("POST", "/v1/runs", {"auto_approve": True}).body
    options = api.workflows.started[started["execution_id"]]["options"]
    assert options["auto_approve"] is True
    assert options["approved_by"].startswith("ada")
    refused = api("POST", "/v1/runs", {"auto_approve": True, "approved_by": "the boss"})
    assert (refused.status, refused.code) == (403, "FORBIDDEN")


def test_an_unknown_persona_is_not_found_before_anything_starts(api: Any) -> None:
    for wrong in ("nonsense", str(uuid.uuid4())):
        assert api("POST", "/v1/runs", {"persona_id": wrong}).code == "NOT_FOUND"
    assert not api.workflows.started


def test_a_run_is_told_as_the_command_line_tells_it(api: Any) -> None:
    run_id = api.run()
    row = api.content(run_id)
    api.workflows.histories[f"research:{run_id}"] = [
        _event(1, "TaskStateEntered", "stateEnteredEventDetails", name="rank_trends"),
        _event(3, "TaskStateExited", "stateExitedEventDetails", name="rank_trends"),
    ]
    told = api("GET", f"/v1/runs/{run_id}", role="viewer")
    assert told.status == 200
    assert told.body["content_id"] == str(row["id"])
    assert told.body["status"] == "running"
    assert told.body["stages"] == [{"name": "rank", "status": "done", "seconds": 2.0}]
    assert told.body["judge"]["verdict"] == "review"
    assert told.body["ledger"]["verified"] is True
    assert told.body["elapsed_seconds"] >= 0


def test_a_run_is_told_without_stages_while_the_engine_is_away(api: Any) -> None:
    run_id = api.run()
    api.workflows.away = True
    told = api("GET", f"/v1/runs/{run_id}")
    assert (told.status, told.body["stages"]) == (200, [])
    assert api("GET", f"/v1/runs/{run_id}/timeline").code == "AGENT_OFFLINE"


def test_another_tenants_run_is_not_there(api: Any, new_tenant: Any) -> None:
    run_id, other = api.run(), new_tenant()
    for path in (f"/v1/runs/{run_id}", f"/v1/runs/{run_id}/timeline"):
        assert api("GET", path, tenant=other).code == "NOT_FOUND"
    assert api("GET", "/v1/runs", tenant=other).body["items"] == []


def test_a_timeline_holds_all_executions_in_order_and_no_payload(api: Any) -> None:
    run_id = api.run()
    row = api.content(run_id)
    api.workflows.histories = {
        f"supervisor:{run_id}": [
            _event(1, "ExecutionStarted", "executionStartedEventDetails", input='{"task_token": "s3cret"}'),
            _event(9, "TaskStateExited", "stateExitedEventDetails", name="begin_run", output="s3cret"),
        ],
        f"creation:{row['task_id']}": [
            _event(4, "TaskScheduled", "taskScheduledEventDetails", parameters='{"task_token": "s3cret"}'),
            _event(5, "TaskStateEntered", "stateEnteredEventDetails", name="judge", input="s3cret"),
            _event(
                6,
                "TaskFailed",
                "taskFailedEventDetails",
                error="QualityFailed",
                cause=str(ChimeraError("QUALITY_FAILED", "too dark", {})),
            ),
            _event(7, "TaskFailed", "taskFailedEventDetails", error="KeyError", cause="Traceback s3cret"),
        ],
    }
    told = api("GET", f"/v1/runs/{run_id}/timeline", role="viewer")
    assert told.status == 200
    assert "s3cret" not in json.dumps(told.raw)
    assert told.body["executions"] == [f"supervisor:{run_id}", f"creation:{row['task_id']}"]
    assert [event["event_id"] for event in told.body["events"]] == [1, 4, 5, 6, 7, 9]
    judged, failed, unknown = told.body["events"][2:5]
    assert (judged["state"], judged["stage"]) == ("judge", "judge")
    assert (failed["error"], failed["cause"]) == ("QualityFailed", "too dark")
    assert (unknown["error"], unknown["cause"]) == ("KeyError", None)
    own = api("GET", f"/v1/content/{row['id']}/timeline").body
    assert own["executions"] == [f"creation:{row['task_id']}"]


# --- content


def test_content_is_listed_and_filtered_by_stage(api: Any) -> None:
    draft = api.content(made=False)
    made = api.content()
    listed = api("GET", "/v1/content", role="viewer").body["items"]
    assert [item["content_id"] for item in listed] == [str(made["id"]), str(draft["id"])]
    assert listed[0]["estimated_cost"] == "0.06"
    only = api("GET", "/v1/content", stage="draft").body["items"]
    assert [item["content_id"] for item in only] == [str(draft["id"])]
    assert api("GET", "/v1/content", stage="nonsense").code == "VALIDATION_FAILED"


def test_a_piece_of_content_has_script_report_and_links(api: Any) -> None:
    row = api.content()
    told = api("GET", f"/v1/content/{row['id']}", role="viewer").body
    assert told["script"] == "Roofs make power."
    assert told["report"]["verdict"] == "review"
    assert told["report"]["checks"][0]["passed"] is None
    assert told["links"].pop("images") == [] and all(told["links"].values())
    assert told["publications"] == []
    bare = api("GET", f"/v1/content/{api.content(made=False)['id']}").body
    assert (bare["links"]["video"], bare["report"], bare["video"]) == (None, None, None)


def test_another_tenants_content_is_not_there(api: Any, new_tenant: Any) -> None:
    row, other = api.content(), new_tenant()
    for path in (f"/v1/content/{row['id']}", f"/v1/content/{row['id']}/timeline"):
        assert api("GET", path, tenant=other).code == "NOT_FOUND"
    assert api("GET", "/v1/content", tenant=other).body["items"] == []
