"""The smoke script by itself: what it refuses, what it waits for, how it gets a token. The whole of it: tests/e2e."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto import mock_aws

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("smoke_tool", ROOT / "tools/smoke.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Api:
    """An API that answers from a list for each path; the last answer stays."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, Any]]] = {}
        self.asked: list[tuple[str, str, Any, dict[str, str]]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def _any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                api.asked.append((self.command, self.path, body, dict(self.headers)))
                queue = api.answers[f"{self.command} {self.path}"]
                status, value = queue.pop(0) if len(queue) > 1 else queue[0]
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = _any  # noqa: N815
            do_POST = _any  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on stderr."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    run = {
        "run_id": "r", "status": "published", "content_id": "c", "cost": {"actual": "0.02"},
        "approvals": [{"request_id": "q", "decision": "approved", "state": "SETTLED", "amount": "0.10"}],
        "publications": [{"status": "published", "url": "https://example.org/p", "post_id": "p"}],
    }  # fmt: skip
    made.answers = {
        "GET /health": [(200, {"status": "healthy"})],
        "POST /v1/runs": [(202, {"run_id": "r", "status": "running"})],
        "GET /v1/runs/r": [(200, run)],
        "GET /v1/runs/r/timeline": [(200, {"events": [{"type": "ExecutionStarted"}]})],
        "GET /v1/content/c/costs": [(200, {"steps": [{"step": "render"}]})],
        "GET /v1/ledger/verify": [(200, {"verified": True, "entries": 7})],
    }
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join(5)


def drive(tool: ModuleType, api: Api) -> list[str]:
    said: list[str] = []
    tool.smoke(tool.Api(api.url, "t0ken", pause=lambda _: None), said.append, pause=lambda _: None)
    return said


def test_a_run_that_is_well_is_well(tool: ModuleType, api: Api) -> None:
    said = drive(tool, api)
    assert said[-1] == "health: healthy" and "published: https://example.org/p" in said
    starts = [headers for method, path, _, headers in api.asked if (method, path) == ("POST", "/v1/runs")]
    assert len(starts) == 2 and len({h["Idempotency-Key"] for h in starts}) == 1
    assert all(h.get("Authorization") == "Bearer t0ken" for h in starts)
    assert all("Authorization" not in h for _, path, _, h in api.asked if path == "/health")


def test_a_waking_database_is_waited_for_and_a_refusal_is_not(tool: ModuleType, api: Api) -> None:
    api.answers["GET /health"][:0] = [(503, {"error": {"code": "DATABASE_WAKING"}})] * 3
    assert drive(tool, api)
    api.answers["POST /v1/runs"] = [(403, {"error": {"code": "FORBIDDEN"}})]
    with pytest.raises(tool.Wrong, match=r"403 .*FORBIDDEN"):
        drive(tool, api)


def test_only_this_run_s_review_is_approved_with_the_hash_that_was_seen(tool: ModuleType, api: Api) -> None:
    done = api.answers["GET /v1/runs/r"][0][1]
    waiting = {**done, "status": "waiting_review"}
    api.answers["GET /v1/runs/r"] = [(200, {**done, "status": "running"}), (200, waiting), (200, done)]
    reviews = [
        {"review_id": "other", "content_id": "x", "request_id": None, "kind": "content", "reason": ""},
        {"review_id": "mine", "content_id": "c", "request_id": None, "kind": "content", "reason": "claims"},
    ]
    api.answers["GET /v1/reviews?status=pending"] = [(200, {"items": reviews})]
    api.answers["GET /v1/reviews/mine"] = [(200, {"subject_hash": "abc"})]
    api.answers["POST /v1/reviews/mine/approve"] = [(200, {"status": "approved"})]
    assert any("approved review mine" in line for line in drive(tool, api))
    (decided,) = [body for method, path, body, _ in api.asked if path.endswith("/approve")]
    assert decided == {"content_hash": "abc", "note": "smoke test"}


@pytest.mark.parametrize(
    ("path", "change", "named"),
    [
        ("GET /v1/runs/r", {"status": "failed"}, "run's status"),
        ("GET /v1/runs/r", {"cost": {"actual": "0.11"}}, "cost: got 0.11"),
        ("GET /v1/runs/r", {"cost": {"actual": "0"}}, "cost: got 0"),
        ("GET /v1/runs/r", {"publications": []}, "publications"),
        ("GET /v1/runs/r", {"publications": [{"status": "unknown"}]}, "publication"),
        ("GET /v1/runs/r", {"publications": [{"status": "published", "url": "", "post_id": ""}]}, "receipt"),
        ("GET /v1/ledger/verify", {"verified": False}, "ledger"),
        ("GET /v1/content/c/costs", {"steps": []}, "costs"),
        ("GET /v1/runs/r/timeline", {"events": []}, "timeline"),
        ("GET /health", {"status": "unhealthy"}, "health"),
    ],
)
def test_each_check_can_fail(tool: ModuleType, api: Api, path: str, change: dict[str, Any], named: str) -> None:
    status, value = api.answers[path][0]
    api.answers[path] = [(status, {**value, **change})]
    with pytest.raises(tool.Wrong, match=named):
        drive(tool, api)


def test_an_unsettled_approval_is_found(tool: ModuleType, api: Api) -> None:
    api.answers["GET /v1/runs/r"][0][1]["approvals"][0]["state"] = "DISPATCHED"
    with pytest.raises(tool.Wrong, match="SETTLED"):
        drive(tool, api)


def test_a_token_is_not_sent_in_the_clear(tool: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(tool.Wrong, match="https"):
        tool.Api("http://studio.example.org", "t0ken")
    assert tool.main(["https://studio.example.org"]) == 1
    assert "--token-file" in capsys.readouterr().err
    assert tool.main(["https://studio.example.org", "--token-file", str(tmp_path / "none")]) == 1


def test_cognito_gives_a_token_to_a_person_with_a_password(tool: ModuleType) -> None:
    with mock_aws():
        make: Any = boto3.client
        client = make("cognito-idp", region_name="us-east-1")
        pool = client.create_user_pool(PoolName="chimera")["UserPool"]["Id"]
        app = client.create_user_pool_client(
            UserPoolId=pool, ClientName="c", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
        )["UserPoolClient"]["ClientId"]
        client.admin_create_user(UserPoolId=pool, Username="ana")
        client.admin_set_user_password(
            UserPoolId=pool, Username="ana", Password="Correct-horse-7-battery", Permanent=True
        )
        assert tool.cognito_token(client, pool, app, "ana", "Correct-horse-7-battery", "").count(".") == 2


class Challenging:
    """Cognito as it answers where a second factor is required."""

    def __init__(self, challenge: str) -> None:
        self.challenge, self.given = challenge, {}  # type: ignore[var-annotated]

    def admin_initiate_auth(self, **_: Any) -> dict[str, Any]:
        return {"ChallengeName": self.challenge, "Session": "s"}

    def admin_respond_to_auth_challenge(self, **given: Any) -> dict[str, Any]:
        self.given = given
        return {"AuthenticationResult": {"AccessToken": "a.b.c"}}


def test_a_second_factor_is_answered_with_the_code(tool: ModuleType) -> None:
    client = Challenging("SOFTWARE_TOKEN_MFA")
    assert tool.cognito_token(client, "p", "c", "ana", "pw", "123456") == "a.b.c"
    assert client.given["ChallengeResponses"] == {"USERNAME": "ana", "SOFTWARE_TOKEN_MFA_CODE": "123456"}
    with pytest.raises(tool.Wrong, match="--code"):
        tool.cognito_token(client, "p", "c", "ana", "pw", "")
    with pytest.raises(tool.Wrong, match="NEW_PASSWORD_REQUIRED"):
        tool.cognito_token(Challenging("NEW_PASSWORD_REQUIRED"), "p", "c", "ana", "pw", "123456")
    assert sys.modules.get("smoke_tool") is None
