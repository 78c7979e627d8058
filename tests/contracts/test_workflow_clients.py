"""One suite for both clients of Step Functions, ours and boto3's, against our own endpoint over a real socket.

boto3 cannot speak to a Unix socket, so a small relay listens on loopback. Moto is no oracle for Step Functions (it
forgets executions and knows no JSONata); what it cannot show is left to `make smoke` on a live account.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from moto import mock_aws

from chimera.adapters.aws.clients import client
from chimera.adapters.aws.workflows import StepFunctions
from chimera.adapters.local.workflows import HttpWorkflows
from chimera.errors import ChimeraError, error_class
from chimera.ports import Workflows
from chimera_local.asl.model import HistoryEvent
from chimera_local.control import ControlServer
from tests.fakes.workflow_engine import TOKEN, FakeEngine

SECRET = "a secret of some length"
PREFIX = "arn:aws:states:us-east-1:000000000000:stateMachine:"


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture(params=["ours", "boto3"])
def workflows(request: pytest.FixtureRequest, engine: FakeEngine) -> Iterator[Workflows]:
    server = ControlServer(SECRET, engine)
    try:
        if request.param == "ours":
            yield HttpWorkflows(server.endpoint, SECRET)
        else:
            with mock_aws(), relay(server.endpoint.removeprefix("unix:")) as port:
                yield StepFunctions(boto(port), PREFIX)
    finally:
        server.close()


def boto(port: int) -> Any:
    """As the product makes it; the endpoint's own secret takes the place of the SigV4 header."""
    make: Any = client
    made = make.__wrapped__("stepfunctions", "us-east-1", f"http://127.0.0.1:{port}")

    def ours(request: Any, **_: Any) -> None:
        request.headers["Authorization"] = f"Bearer {SECRET}"

    made.meta.events.register("before-send.stepfunctions.*", ours)
    return made


class relay:  # noqa: N801 - used as a function
    """Carries TCP connections on loopback to a Unix socket."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> int:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return int(self._listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            there = socket.socket(socket.AF_UNIX)
            there.connect(self._path)
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=_carry, args=(one, other), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        sink.close()


def code(call: Callable[[], object]) -> str:
    with pytest.raises(ChimeraError) as caught:
        call()
    return caught.value.code


def test_starting_is_idempotent_and_another_input_is_a_conflict(workflows: Workflows) -> None:
    first = workflows.start("creation", "n1", {"topic": "ü🙂"})
    assert first == "arn:aws:states:us-east-1:000000000000:execution:creation:n1"
    assert workflows.start("creation", "n1", {"topic": "ü🙂"}) == first
    assert code(lambda: workflows.start("creation", "n1", {"topic": "other"})) == "CONFLICT"
    assert code(lambda: workflows.start("nothing", "n1", {})) == "NOT_FOUND"


def test_an_execution_is_described_by_its_arn_or_its_short_name(workflows: Workflows) -> None:
    arn = workflows.start("creation", "n1", {"a": 1})
    for name in (arn, "creation:n1"):
        found = workflows.describe(name)
        assert found["id"] == arn
        assert found["machine"] == "creation"
        assert found["status"] == "SUCCEEDED"
        assert found["input"] == {"a": 1}
        assert found["output"] == {"done": True}
        assert found["error"] is None
        assert found["started_at"] == "1970-01-01T00:16:40.250Z"
        assert found["stopped_at"] == "1970-01-01T00:16:50.000Z"
    assert code(lambda: workflows.describe("creation:none")) == "NOT_FOUND"


def test_a_long_history_comes_whole_and_in_order(workflows: Workflows, engine: FakeEngine) -> None:
    engine.events = [
        HistoryEvent(n, n - 1, "TaskStateEntered", "judge", 1000.0 + n, {"name": "judge", "input": {"n": n}})
        for n in range(1, 1501)
    ]
    workflows.start("creation", "n1", {})
    events = workflows.history("creation:n1")
    assert [event["id"] for event in events] == list(range(1, 1501))
    assert events[0]["type"] == "TaskStateEntered"
    assert events[0]["timestamp"] == "1970-01-01T00:16:41.000Z"


def test_a_waiting_task_is_answered_once(workflows: Workflows, engine: FakeEngine) -> None:
    workflows.send_task_success(TOKEN, {"decision": "approved", "by": "Zoë"})
    assert engine.answers == [{"decision": "approved", "by": "Zoë"}]
    assert code(lambda: workflows.send_task_success(TOKEN, {})) == "CONFLICT"
    assert code(lambda: workflows.send_task_failure("x" * 64, "E", "c")) == "NOT_FOUND"
    with pytest.raises(error_class("VALIDATION_FAILED")):
        workflows.send_task_success("short", {})


def test_an_execution_is_stopped(workflows: Workflows, engine: FakeEngine) -> None:
    workflows.start("creation", "n1", {})
    workflows.stop("creation:n1", "no longer wanted")
    assert [execution for execution, _, _ in engine.stopped] == ["creation:n1"]


def test_an_ended_execution_started_again_with_the_same_input_is_the_same() -> None:
    """AWS answers `ExecutionAlreadyExists` for a name whose execution has ended, whatever the input."""
    from botocore.stub import Stubber

    with mock_aws():
        make: Any = client
        made = make.__wrapped__("stepfunctions", "us-east-1")
        found = {
            "executionArn": f"{PREFIX.replace('stateMachine', 'execution')}creation:n1",
            "stateMachineArn": f"{PREFIX}creation",
            "status": "SUCCEEDED",
            "startDate": datetime(2026, 11, 21, tzinfo=UTC),
            "input": '{"a": 1}',
        }
        with Stubber(made) as stub:
            for _ in range(2):
                stub.add_client_error("start_execution", "ExecutionAlreadyExists", http_status_code=400)
                stub.add_response("describe_execution", found)
            workflows = StepFunctions(made, PREFIX)
            assert workflows.start("creation", "n1", {"a": 1}) == found["executionArn"]
            assert code(lambda: workflows.start("creation", "n1", {"a": 2})) == "CONFLICT"
