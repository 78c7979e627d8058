"""Who may ask, what a body may be, and that every failure has the contract's body."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from chimera.bootstrap import App
from functions.api import handler as api_handler
from functions.api import service

READS = [
    "/metrics", "/v1/trends", "/v1/runs", "/v1/content", "/v1/approvals", "/v1/reviews", "/v1/ledger",
    "/v1/ledger/verify", "/v1/budgets", "/v1/publications", "/v1/personas", "/v1/operations",
]  # fmt: skip
WRITES = [
    ("POST", "/v1/trends/scan"), ("POST", "/v1/runs"), ("POST", "/v1/approvals"), ("PUT", "/v1/budgets"),
    ("POST", "/v1/approvals/x/decide"), ("POST", "/v1/operations/stop"), ("POST", "/v1/operations/resume"),
    ("POST", "/v1/operations/pause-publishing"),
]  # fmt: skip
PAGED = ["/v1/trends", "/v1/runs", "/v1/content", "/v1/approvals", "/v1/reviews", "/v1/ledger", "/v1/publications"]
ONE = [
    "/v1/runs/{}", "/v1/runs/{}/timeline", "/v1/content/{}", "/v1/content/{}/timeline", "/v1/approvals/{}",
    "/v1/reviews/{}", "/v1/publications/{}", "/v1/ledger/{}",
]  # fmt: skip


@pytest.mark.parametrize("path", READS)
def test_a_viewer_reads_and_nobody_else_without_a_token(api: Any, path: str) -> None:
    assert api("GET", path, role="viewer").status == 200
    refused = api("GET", path, role=None)
    assert (refused.status, refused.code) == (401, "UNAUTHENTICATED")
    assert refused.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_changes_need_an_operator(api: Any, method: str, path: str) -> None:
    for role in ("viewer", "reviewer"):
        refused = api(method, path, {}, role=role)
        assert (refused.status, refused.code) == (403, "FORBIDDEN")
    assert api(method, path, {}, role="admin").status != 403


@pytest.mark.parametrize("path", ["/v1/reviews/x/approve", "/v1/reviews/x/reject"])
def test_review_decisions_need_a_reviewer(api: Any, path: str) -> None:
    body = {"content_hash": "h"}
    assert api("POST", path, body, role="viewer").status == 403
    assert api("POST", path, body, role="reviewer").status == 404


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"sub": "ada", "role": "admin"},
        {"sub": "ada", "role": "admin", "tenant": "not-a-uuid"},
        {"sub": "ada", "role": "root", "tenant": "00000000-0000-7000-8000-000000000001"},
        {"sub": "", "role": "admin", "tenant": "00000000-0000-7000-8000-000000000001"},
        {"role": "admin", "tenant": "00000000-0000-7000-8000-000000000001"},
        {"sub": 7, "role": ["admin"], "tenant": 7},
    ],
)
def test_claims_that_name_no_person_tenant_and_role_are_no_login(api: Any, claims: dict[str, Any]) -> None:
    refused = api("GET", "/v1/runs", claims=claims)
    assert (refused.status, refused.code) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("roles", ["[viewer operator]", ["viewer", "operator"], "operator"])
def test_of_several_roles_the_highest_counts(api: Any, roles: Any) -> None:
    claims = {"sub": "ada", "roles": roles, "tenant": api.tenant}
    assert api("POST", "/v1/runs", {}, claims=claims).status == 202


def test_a_tenant_or_role_in_a_body_query_or_header_changes_nothing(api: Any, new_tenant: Any) -> None:
    other = new_tenant()
    run_id = api.run()
    seen = api("GET", f"/v1/runs/{run_id}", tenant=other, headers={"x-tenant": api.tenant}, tenant_id=api.tenant)
    assert seen.status == 404
    assert api("POST", "/v1/runs", {"tenant_id": other}).code == "VALIDATION_FAILED"


@pytest.mark.parametrize("path", ONE)
def test_an_id_that_is_not_there_is_not_found_whatever_its_form(api: Any, path: str) -> None:
    for wrong in ("00000000-0000-4000-8000-000000000000", "nonsense", "1e9", "-1", "%00", "0" * 300):
        missing = api("GET", path.format(wrong))
        assert (missing.status, missing.code) == (404, "NOT_FOUND"), wrong


@pytest.mark.parametrize("path", PAGED)
def test_a_bad_cursor_or_limit_is_refused(api: Any, path: str) -> None:
    shapes: list[Any] = [
        [],
        ["x", "y"],
        ["2026-01-01T00:00:00+00:00", "no"],
        [1, 2],
        {"a": 1},
        ["2026-01-01", "x", "y"],
    ]
    made = [base64.urlsafe_b64encode(json.dumps(shape).encode()).decode().rstrip("=") for shape in shapes]
    for cursor in ["garbage!", "", "é", "W" * 400, *made]:
        refused = api("GET", path, cursor=cursor)
        assert (refused.status, refused.code) == (422, "VALIDATION_FAILED"), cursor
        assert "cursor" in refused.body["error"]["details"]
    for limit in (0, 101, "many", -1):
        refused = api("GET", path, limit=limit)
        assert (refused.status, refused.code) == (422, "VALIDATION_FAILED")
        assert "limit" in refused.body["error"]["details"]


def test_unknown_routes_and_methods_have_the_contracts_body(api: Any) -> None:
    for role in ("viewer", None):
        missing = api("GET", "/v1/nothing", role=role)
        assert (missing.status, missing.code) == (404, "NOT_FOUND")
        wrong = api("DELETE", "/v1/runs", role=role)
        assert (wrong.status, wrong.code) == (405, "NOT_FOUND")
        assert wrong.headers["Allow"] == "GET, POST"
    assert api("GET", "/v1/runs/").status == 200


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "expected a JSON object"),
        ('[{"topic": "x"}]', "expected a JSON object"),
        ("null", "expected a JSON object"),
        ('"text"', "expected a JSON object"),
        ('{"topic": "a", "topic": "b"}', "comes twice"),
        ('{"min_velocity": NaN}', "NaN"),
        ('{"min_velocity": Infinity}', "Infinity"),
        ('{"topic": "a\\u0000b"}', "NUL"),
        ('{"topic": "\\ud800"}', "surrogate"),
        ('{"a":' * 11 + "1" + "}" * 11, "nested deeper"),
        ("[" * 60_000, "nested deeper"),
        ('{"seed": ' + "9" * 5000 + "}", "not JSON"),
    ],
)
def test_a_body_that_is_no_sound_object_is_refused(api: Any, text: str, said: str) -> None:
    refused = api("POST", "/v1/runs", text)
    assert (refused.status, refused.code) == (422, "VALIDATION_FAILED")
    assert said in refused.body["error"]["message"]


def test_each_wrong_field_is_named_with_what_came_and_what_was_expected(api: Any) -> None:
    refused = api("POST", "/v1/runs", {"duration_seconds": 5, "aspect": "4:3", "nonsense": 1})
    assert refused.status == 422
    details = refused.body["error"]["details"]
    assert set(details) == {"duration_seconds", "aspect", "nonsense"}
    assert details["duration_seconds"]["got"] == "5"
    assert "15" in details["duration_seconds"]["expected"]
    assert refused.body["error"]["retryable"] is False


def test_a_body_above_64_kb_is_413(api: Any) -> None:
    for encoded in (False, True):
        text = json.dumps({"topic": "x" * 70_000})
        body = base64.b64encode(text.encode()).decode() if encoded else text
        refused = api("POST", "/v1/runs", body, encoded=encoded)
        assert (refused.status, refused.code) == (413, "FILE_TOO_LARGE")


def test_bodies_in_base64_are_read_and_other_types_refused(api: Any) -> None:
    body = base64.b64encode(b'{"topic": "roofs"}').decode()
    assert api("POST", "/v1/runs", body, encoded=True).status == 202
    assert api("POST", "/v1/runs", "!!", encoded=True).code == "VALIDATION_FAILED"
    not_text = base64.b64encode(b"\xff\xfe{}").decode()
    assert api("POST", "/v1/runs", not_text, encoded=True).code == "VALIDATION_FAILED"
    form = api("POST", "/v1/runs", "topic=x", headers={"content-type": "application/x-www-form-urlencoded"})
    assert (form.status, form.code) == (422, "VALIDATION_FAILED")
    assert "content-type" in form.body["error"]["details"]


def test_what_breaks_inside_stays_inside(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: App, tenant_id: str) -> Any:
        raise RuntimeError("password=hunter2 at /srv/secret.py")

    monkeypatch.setattr(App, "runs", broken)
    refused = api("GET", "/v1/runs")
    assert (refused.status, refused.code) == (500, "INTERNAL")
    assert "hunter2" not in json.dumps(refused.raw)
    assert "secret.py" not in json.dumps(refused.raw)


def test_an_answer_that_does_not_fit_its_model_is_our_fault(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from functions.api import routes_runs

    api.run()
    monkeypatch.setattr(routes_runs, "run_view", lambda row: {"nonsense": True})
    refused = api("GET", "/v1/runs")
    assert (refused.status, refused.code) == (500, "INTERNAL")


def test_a_database_that_is_away_is_a_retryable_503(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = api.app.settings.model_copy(update={"database_url": "postgresql://no@127.0.0.1:1/none"})
    monkeypatch.setattr(api_handler, "app_factory", lambda: App(settings, workflows=api.workflows))
    refused = api("GET", "/v1/runs")
    assert (refused.status, refused.code) == (503, "DATABASE_WAKING")
    assert refused.body["error"]["retryable"] is True
    assert refused.body["error"]["details"] == {}
    sick = api("GET", "/health", role=None)
    assert (sick.status, sick.body["status"]) == (503, "unhealthy")


@pytest.mark.parametrize("event", [None, {}, [], {"requestContext": {}}, {"requestContext": {"http": {}}}, "x"])
def test_an_event_that_is_no_http_request_is_answered_too(api: Any, event: Any) -> None:
    answer = api_handler.handler(event, None)
    assert answer["statusCode"] == 422
    assert json.loads(answer["body"])["error"]["code"] == "VALIDATION_FAILED"


def test_every_answer_has_its_request_id_and_is_not_cached(api: Any) -> None:
    for path in ("/v1/runs", "/nothing"):
        answer = api("GET", path)
        assert answer.headers["X-Request-Id"] == "request-1"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_text_with_a_nul_in_a_query_is_the_askers_mistake(api: Any) -> None:
    answer = api("GET", "/v1/publications", platform="a\0b")
    assert (answer.status, answer.code) == (422, "VALIDATION_FAILED")


def test_routes_read_with_a_viewer_and_write_with_more(api: Any) -> None:
    for route in (*service.resolver._static_routes, *service.resolver._dynamic_routes):
        needed = service.needed_role(route.method, route.openapi_path)
        if needed is None:
            assert route.path in ("/health", "/openapi.json", "/docs")
        else:
            assert needed == "viewer" if route.method == "GET" else needed in ("reviewer", "operator")
