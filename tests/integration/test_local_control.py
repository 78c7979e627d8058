"""The Step Functions endpoint speaks AWS's wire protocol, and `HttpWorkflows` is the port over it."""

from __future__ import annotations

import http.client
import json
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chimera.adapters.local.workflows import HttpWorkflows
from chimera.errors import error_class
from chimera.ports import Workflows
from chimera_local.asl.model import HistoryEvent
from chimera_local.control import ControlServer
from tests.fakes.workflow_engine import TOKEN, FakeEngine

SECRET = "a secret of some length"


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def server(engine: FakeEngine) -> Iterator[ControlServer]:
    made = ControlServer(SECRET, engine)
    yield made
    made.close()


@pytest.fixture
def workflows(server: ControlServer) -> HttpWorkflows:
    return HttpWorkflows(server.endpoint, SECRET)


def raw(
    server: ControlServer, operation: str, body: bytes | str | dict[str, Any], secret: str = SECRET
) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("localhost", timeout=20)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.connect(server.endpoint.removeprefix("unix:"))
        connection.request(
            "POST",
            "/",
            body=json.dumps(body) if isinstance(body, dict) else body,
            headers={"X-Amz-Target": operation, "Authorization": f"Bearer {secret}"},
        )
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_starting_is_idempotent_and_another_input_is_a_conflict(workflows: HttpWorkflows) -> None:
    port: Workflows = workflows
    first = port.start("creation", "n1", {"topic": "ü\ud83d"})
    assert first == "arn:aws:states:us-east-1:000000000000:execution:creation:n1"
    assert port.start("creation", "n1", {"topic": "ü\ud83d"}) == first
    with pytest.raises(error_class("CONFLICT")):
        port.start("creation", "n1", {"topic": "other"})
    with pytest.raises(error_class("NOT_FOUND")):
        port.start("nothing", "n1", {})


def test_describe_by_arn_or_by_name(workflows: HttpWorkflows) -> None:
    arn = workflows.start("creation", "n1", {"a": 1})
    found = workflows.describe(arn)
    assert found == workflows.describe("creation:n1")
    assert (found["status"], found["input"], found["output"]) == ("SUCCEEDED", {"a": 1}, {"done": True})
    assert (found["error"], found["started_at"]) == (None, "1970-01-01T00:16:40.250Z")
    with pytest.raises(error_class("NOT_FOUND")):
        workflows.describe("creation:other")


def test_history_has_awss_shape(workflows: HttpWorkflows, engine: FakeEngine) -> None:
    workflows.start("creation", "n1", {})
    events = workflows.history("creation:n1")
    assert [e["type"] for e in events] == ["ExecutionStarted", "TaskStateEntered", "TaskFailed"]
    assert json.loads(events[0]["executionStartedEventDetails"]["input"]) == {"a": "é"}
    assert events[1]["stateEnteredEventDetails"] == {"name": "judge", "input": '{"a":1}'}
    assert events[2]["taskFailedEventDetails"] == {"error": "Oops", "cause": "text"}
    assert events[2]["timestamp"] == "1970-01-01T00:16:42.000Z"
    assert workflows.history("creation:n1", data=False)[1]["stateEnteredEventDetails"] == {"name": "judge"}


def test_a_long_history_comes_in_pages(workflows: HttpWorkflows, engine: FakeEngine) -> None:
    engine.events = [HistoryEvent(n, n - 1, "TaskStarted", "s", 1.0, {}) for n in range(1, 2502)]
    workflows.start("creation", "n1", {})
    assert [e["id"] for e in workflows.history("creation:n1")] == list(range(1, 2502))


def test_tokens_are_answered_once(workflows: HttpWorkflows, engine: FakeEngine) -> None:
    workflows.send_task_heartbeat(TOKEN)
    workflows.send_task_success(TOKEN, {"approved": True})
    assert (engine.beats, engine.answers) == (1, [{"approved": True}])
    with pytest.raises(error_class("CONFLICT")):
        workflows.send_task_failure(TOKEN, "E", "C")
    with pytest.raises(error_class("NOT_FOUND")):
        workflows.send_task_success("u" * 64, {})
    with pytest.raises(error_class("VALIDATION_FAILED")):
        workflows.send_task_success("short", {})


def test_stop_hands_the_cause_on(workflows: HttpWorkflows, engine: FakeEngine) -> None:
    workflows.start("creation", "n1", {})
    workflows.stop("creation:n1", "a person stopped it")
    assert engine.stopped == [("creation:n1", None, "a person stopped it")]


def test_the_wire_carries_awss_error_shapes(server: ControlServer) -> None:
    prefix = "AWSStepFunctions."
    arn = "arn:aws:states:x:0:stateMachine:creation"
    status, answer = raw(server, prefix + "StartExecution", {"stateMachineArn": arn, "name": "n", "input": "{}"})
    assert status == 200
    assert answer["startDate"] == 1000.25
    assert raw(server, prefix + "ListExecutions", {})[1]["executions"][0]["name"] == "n"
    for operation, body, wanted in [
        (
            "StartExecution",
            {"stateMachineArn": arn, "name": "n", "input": '{"b":1}'},
            "ExecutionAlreadyExists",
        ),
        ("StartExecution", {"stateMachineArn": arn, "input": "{"}, "InvalidExecutionInput"),
        ("StartExecution", {"stateMachineArn": "x", "input": "{}"}, "StateMachineDoesNotExist"),
        ("StartExecution", {}, "ValidationException"),
        ("DescribeExecution", {"executionArn": 5}, "ValidationException"),
        ("ListExecutions", {"statusFilter": "HAPPY"}, "ValidationException"),
        ("ListExecutions", {"maxResults": 5000}, "ValidationException"),
        ("SendTaskSuccess", {"taskToken": TOKEN, "output": "{"}, "InvalidOutput"),
        ("SendTaskHeartbeat", {"taskToken": "x"}, "InvalidToken"),
        ("DeleteEverything", {}, "UnknownOperationException"),
        ("StartExecution", b"\xff", "SerializationException"),
        ("StartExecution", "[]", "SerializationException"),
    ]:
        status, answer = raw(server, prefix + operation, body)
        assert (status, answer["__type"]) == (400, wanted), (operation, body)
        assert answer["message"]
    assert raw(server, "", {})[1]["__type"] == "UnknownOperationException"
    status, answer = raw(server, prefix + "SendTaskHeartbeat", {"taskToken": "broken"})
    assert (status, answer["__type"]) == (500, "InternalFailure")


def test_without_the_secret_nothing_is_done(server: ControlServer, engine: FakeEngine) -> None:
    body = {"stateMachineArn": "creation", "name": "n", "input": "{}"}
    for secret in ("", "wrong", SECRET + "x", "é"):
        status, answer = raw(server, "AWSStepFunctions.StartExecution", body, secret.encode().decode("latin-1"))
        assert (status, answer["__type"]) == (403, "MissingAuthenticationTokenException")
    assert engine.executions == {}
    with pytest.raises(error_class("UNAUTHENTICATED")):
        HttpWorkflows(server.endpoint, "wrong").start("creation", "n", {})


def test_only_this_user_can_open_the_socket_and_it_goes_with_the_server(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 120)
    for home in (tmp_path, long):
        home.mkdir(exist_ok=True)
        (home / "control.sock").touch()  # what a killed engine left
        server = ControlServer(SECRET, FakeEngine(), home=home)
        path = Path(server.endpoint.removeprefix("unix:"))
        assert (path.parent == home) is (home != long)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        HttpWorkflows(server.endpoint, SECRET).start("creation", "n", {})
        server.close()
        assert not path.exists()


def test_an_engine_that_starts_or_is_gone_is_offline(server: ControlServer) -> None:
    server.engine = None
    with pytest.raises(error_class("AGENT_OFFLINE")):
        HttpWorkflows(server.endpoint, SECRET).describe("creation:n")
    with pytest.raises(error_class("AGENT_OFFLINE")):
        HttpWorkflows("http://127.0.0.1:9", SECRET).describe("creation:n")
    with pytest.raises(error_class("AGENT_OFFLINE")):
        HttpWorkflows("unix:/nowhere/control.sock", SECRET).describe("creation:n")
    with pytest.raises(error_class("AGENT_OFFLINE")):
        HttpWorkflows("", SECRET).describe("creation:n")
