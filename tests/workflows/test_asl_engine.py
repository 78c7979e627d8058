"""The durable engine on a real Postgres: executions, tokens, children, limits, stopping, restarting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from chimera_local.asl import (
    JSON,
    ExecutionAlreadyExists,
    ExecutionDoesNotExist,
    InvalidExecutionInput,
    InvalidToken,
    Machine,
    TaskDoesNotExist,
    TaskFailure,
    TaskTimedOut,
    load_machine,
    store,
    tables,
)
from chimera_local.asl.engine import Engine
from chimera_local.asl.errors import EngineAlreadyRunning, InvalidName, StateMachineDoesNotExist
from chimera_local.asl.frame import Frame, Request
from chimera_local.asl.interpreter import Step

WAIT = 60.0
INVOKE = "arn:aws:states:::lambda:invoke"


class Tasks:
    """Functions by name; `calls` is what was called, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, JSON]] = []
        self.tokens: list[str] = []
        self.arrived = threading.Event()
        self.cancelled = threading.Event()
        self.jobs: list[str] = []

    def invoke_function(
        self, name: str, payload: JSON, *, timeout_seconds: float | None, cancel: threading.Event
    ) -> JSON:
        self.calls.append((name, payload))
        if name == "ask":
            self.tokens.append(payload["token"])
            self.arrived.set()
            return None
        if name == "break":
            raise TaskFailure("Broken", "as asked")
        if name == "block":
            self.arrived.set()
            if cancel.wait(timeout_seconds if timeout_seconds is not None else WAIT):
                self.cancelled.set()
                raise TaskFailure("Cancelled")
            raise TaskFailure("States.Timeout")
        if name == "large":
            return "a" * 300_000
        return payload

    def run_job(self, job_key: str, arguments: JSON, *, timeout_seconds: float | None, cancel: threading.Event) -> JSON:
        self.jobs.append(job_key)
        return {"JobName": arguments["JobName"], "Status": "SUCCEEDED"}


def call(name: str, payload: JSON = "{% $states.input %}", **fields: JSON) -> dict[str, JSON]:
    state = {
        "Type": "Task",
        "Resource": INVOKE,
        "Arguments": {"FunctionName": name, "Payload": payload},
        "Output": "{% $states.result.Payload %}",
        **fields,
    }
    return state if "Next" in state else {**state, "End": True}


def ask(**fields: JSON) -> dict[str, JSON]:
    state = {
        "Type": "Task",
        "Resource": f"{INVOKE}.waitForTaskToken",
        "Arguments": {"FunctionName": "ask", "Payload": {"token": "{% $states.context.Task.Token %}"}},
        **fields,
    }
    return state if "Next" in state else {**state, "End": True}


def nest(machine: str, value: JSON, **fields: JSON) -> dict[str, JSON]:
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Arguments": {"StateMachineArn": machine, "Input": value},
        **fields,
    }
    return state if "Next" in state else {**state, "End": True}


def machine(**states: Any) -> dict[str, JSON]:
    return {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}


NAP: dict[str, JSON] = {"Type": "Wait", "Seconds": 3600, "End": True}
DONE: dict[str, JSON] = {"Type": "Pass", "End": True}

Start = Callable[..., Engine]


@pytest.fixture
def tasks() -> Tasks:
    return Tasks()


@pytest.fixture
def start(asl_database: str, tasks: Tasks) -> Iterator[Start]:
    """Launch an engine with machines; the one before it is closed first, as a restart does."""
    running: list[Engine] = []

    def launch(**machines: dict[str, JSON]) -> Engine:
        while running:
            running.pop().close()
        loaded = {name: load_machine(name, definition) for name, definition in machines.items()}
        engine = Engine(database_url=asl_database, machines=loaded, tasks=tasks)
        running.append(engine)
        engine.launch()
        return engine

    yield launch
    while running:
        running.pop().close()


def types(engine: Engine, execution: str) -> list[str]:
    return [event.type for event in engine.history(execution)]


def test_an_execution_runs_is_described_and_leaves_its_history(start: Start, tasks: Tasks) -> None:
    engine = start(
        m=machine(A=call("echo", Next="B"), B={"Type": "Pass", "Output": "{% $states.input %}", "End": True})
    )
    execution = engine.start_execution("m", {"n": 1}, "first")
    described = engine.wait(execution, WAIT)
    assert execution == "m:first"
    assert (described.status, described.output, described.error) == ("SUCCEEDED", {"n": 1}, None)
    assert described.started_at <= (described.stopped_at or 0)
    history = engine.history(execution)
    assert [event.id for event in history] == list(range(1, len(history) + 1))
    assert [event.type for event in history] == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSucceeded",
        "TaskStateExited",
        "PassStateEntered",
        "PassStateExited",
        "ExecutionSucceeded",
    ]
    assert history[2].details["parameters"] == {"FunctionName": "echo", "Payload": {"n": 1}}
    assert [d.id for d in engine.list_executions("m", "SUCCEEDED")] == [execution]
    assert engine.list_executions("m", "RUNNING") == []
    assert tasks.calls == [("echo", {"n": 1})]


def test_the_same_name_is_the_same_execution_unless_the_input_differs(start: Start) -> None:
    engine = start(m=machine(A=DONE))
    assert engine.start_execution("m", {"a": 1, "b": 2}, "x") == engine.start_execution("m", {"b": 2, "a": 1}, "x")
    with pytest.raises(ExecutionAlreadyExists):
        engine.start_execution("m", {"a": 2}, "x")


def test_bad_requests_are_refused(start: Start) -> None:
    engine = start(m=machine(A=DONE))
    with pytest.raises(StateMachineDoesNotExist, match="expected one of m"):
        engine.start_execution("other", {})
    with pytest.raises(InvalidName):
        engine.start_execution("m", {}, "a b")
    with pytest.raises(InvalidExecutionInput, match="not JSON"):
        engine.start_execution("m", {"x": object()})
    with pytest.raises(InvalidExecutionInput, match="262144"):
        engine.start_execution("m", "a" * 300_000)
    with pytest.raises(ExecutionDoesNotExist):
        engine.describe("m:nobody")


def test_large_payloads_are_in_the_history_and_too_large_ones_fail(start: Start) -> None:
    engine = start(m=machine(A=call("echo")), big=machine(A=call("large")))
    text = "x" * 100_000
    execution = engine.start_execution("m", {"text": text})
    assert engine.wait(execution, WAIT).output == {"text": text}
    assert engine.history(execution)[-1].details["output"] == {"text": text}
    failed = engine.wait(engine.start_execution("big", {}), WAIT)
    assert (failed.status, failed.error) == ("FAILED", "States.DataLimitExceeded")
    assert failed.cause is not None and "'lambda'" in failed.cause


def test_strange_text_survives_the_store(start: Start) -> None:
    value = {"nul": "a\u0000b", "half": "\ud800", "rtl": "שלום 🎬", "empty": ""}
    engine = start(
        m=machine(
            A=call("echo", Assign={"kept": "{% $states.input %}"}, Next="B"),
            B={"Type": "Pass", "Output": "{% $kept %}", "End": True},
        )
    )
    assert engine.wait(engine.start_execution("m", value), WAIT).output == value


def test_a_token_is_answered_once_and_only_by_its_own_text(start: Start, tasks: Tasks) -> None:
    engine = start(m=machine(A=ask()))
    execution = engine.start_execution("m", {})
    assert tasks.arrived.wait(WAIT)
    (token,) = tasks.tokens
    with pytest.raises(InvalidToken):
        engine.send_task_success("forged", {})
    with pytest.raises(TaskDoesNotExist):
        engine.send_task_success("A" * 64, {})
    with pytest.raises(InvalidExecutionInput):
        engine.send_task_success(token, "a" * 300_000)
    engine.send_task_heartbeat(token)
    engine.send_task_success(token, {"ok": True})
    assert engine.wait(execution, WAIT).output == {"ok": True}
    for answer in (
        lambda: engine.send_task_success(token, {}),
        lambda: engine.send_task_failure(token, "E", "c"),
        lambda: engine.send_task_heartbeat(token),
    ):
        with pytest.raises(TaskTimedOut):
            answer()


def test_a_failed_token_reaches_catch(start: Start, tasks: Tasks) -> None:
    caught = [{"ErrorEquals": ["Refused"], "Next": "B", "Output": "{% $states.errorOutput %}"}]
    engine = start(m=machine(A=ask(Catch=caught, Next="B"), B=DONE))
    execution = engine.start_execution("m", {})
    assert tasks.arrived.wait(WAIT)
    engine.send_task_failure(tasks.tokens[0], "Refused", "not today")
    assert engine.wait(execution, WAIT).output == {"Error": "Refused", "Cause": "not today"}


def test_a_waiting_token_survives_a_restart_and_an_upgrade_of_its_machine(start: Start, tasks: Tasks) -> None:
    first = start(m=machine(A=ask(Next="B"), B={"Type": "Pass", "Output": ["old", "{% $states.input %}"], "End": True}))
    execution = first.start_execution("m", {})
    assert tasks.arrived.wait(WAIT)
    while "TaskSubmitted" not in types(first, execution):
        pass
    second = start(m=machine(A=DONE))
    assert second.describe(execution).status == "RUNNING"
    second.send_task_success(tasks.tokens[0], "yes")
    assert second.wait(execution, WAIT).output == ["old", "yes"]
    assert [name for name, _ in tasks.calls] == ["ask"]
    assert second.wait(second.start_execution("m", "new"), WAIT).output == "new"


def test_an_answer_that_was_stored_but_never_rung_is_found_at_launch(
    start: Start, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start(m=machine(A=ask()))
    execution = engine.start_execution("m", {})
    assert tasks.arrived.wait(WAIT)
    with monkeypatch.context() as silent:
        silent.setattr(engine, "_ring", lambda scope: None)
        engine.send_task_success(tasks.tokens[0], 1)
    again = start(m=machine(A=ask()))
    assert again.wait(execution, WAIT).output == 1


def test_missed_timeouts_of_task_and_token(start: Start, tasks: Tasks) -> None:
    engine = start(slow=machine(A=call("block", TimeoutSeconds=1)), token=machine(A=ask(TimeoutSeconds=1)))
    slow = engine.start_execution("slow", {})
    token = engine.start_execution("token", {})
    for execution in (slow, token):
        described = engine.wait(execution, WAIT)
        assert (described.status, described.error, described.cause) == ("FAILED", "States.Timeout", None)
        assert "TaskTimedOut" in types(engine, execution)
    with pytest.raises(TaskTimedOut):
        engine.send_task_success(tasks.tokens[0], {})


def test_the_machines_own_timeout_ends_everything_below(start: Start, tasks: Tasks) -> None:
    parallel = {"Type": "Parallel", "Branches": [machine(B1=NAP), machine(B2=nest("inner", {}))], "End": True}
    for branch in parallel["Branches"]:  # type: ignore[union-attr]
        del branch["QueryLanguage"]
    engine = start(m={**machine(A=parallel), "TimeoutSeconds": 2}, inner=machine(N=NAP))
    execution = engine.start_execution("m", {})
    described = engine.wait(execution, WAIT)
    assert (described.status, described.error) == ("TIMED_OUT", None)
    assert types(engine, execution)[-1] == "ExecutionTimedOut"
    (inner,) = engine.list_executions("inner")
    assert inner.parent == execution
    assert engine.wait(inner.id, WAIT).status == "ABORTED"


def test_stopping_cancels_a_running_call_and_nested_executions(start: Start, tasks: Tasks) -> None:
    engine = start(outer=machine(A=nest("inner", {})), inner=machine(B=call("block")))
    execution = engine.start_execution("outer", {})
    assert tasks.arrived.wait(WAIT)
    engine.stop_execution(execution, "Operator", "enough")
    described = engine.wait(execution, WAIT)
    assert (described.status, described.error, described.cause) == ("ABORTED", "Operator", "enough")
    assert tasks.cancelled.wait(WAIT)
    (inner,) = engine.list_executions("inner")
    assert engine.wait(inner.id, WAIT).status == "ABORTED"
    engine.stop_execution(execution)  # already ended: nothing changes
    assert engine.describe(execution) == described


def test_retry_catch_nested_failure_and_variables_together(start: Start, tasks: Tasks) -> None:
    outer = machine(
        Set={"Type": "Pass", "Assign": {"topic": "lamps"}, "Next": "Run"},
        Run=nest(
            "inner",
            {"n": 1},
            Retry=[{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "MaxAttempts": 1}],
            Catch=[
                {
                    "ErrorEquals": ["States.ALL"],
                    "Next": "Show",
                    "Output": {
                        "error": "{% $parse($states.errorOutput.Cause).Error %}",
                        "topic": "{% $topic %}",
                    },
                }
            ],
            Next="Show",
        ),
        Show=DONE,
    )
    engine = start(outer=outer, inner=machine(B=call("break")))
    execution = engine.start_execution("outer", {})
    assert engine.wait(execution, WAIT).output == {"error": "Broken", "topic": "lamps"}
    assert [name for name, _ in tasks.calls] == ["break", "break"]
    assert {inner.status for inner in engine.list_executions("inner")} == {"FAILED"}


def test_map_runs_so_many_at_a_time_and_keeps_order(start: Start) -> None:
    each: dict[str, JSON] = {
        "Type": "Map",
        "Items": "{% [1..12] %}",
        "MaxConcurrency": 3,
        "ItemProcessor": {"StartAt": "I", "States": {"I": call("echo")}},
        "End": True,
    }
    engine = start(
        m=machine(A=each),
        spread=machine(
            A={
                **each,
                "ItemProcessor": {
                    **each["ItemProcessor"],
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                },
            }
        ),
    )
    execution = engine.start_execution("m", {})
    assert engine.wait(execution, WAIT).output == list(range(1, 13))
    open_now = most = 0
    for event in engine.history(execution):
        open_now += event.type == "MapIterationStarted"
        open_now -= event.type == "MapIterationSucceeded"
        most = max(most, open_now)
    assert most <= 3
    spread = engine.start_execution("spread", {})
    assert engine.wait(spread, WAIT).output == list(range(1, 13))
    assert "MapRunSucceeded" in types(engine, spread)
    assert [d.id for d in engine.list_executions("spread")] == [spread]


def test_first_failure_of_a_branch_cancels_the_call_of_the_other(start: Start, tasks: Tasks) -> None:
    both = {
        "Type": "Parallel",
        "Branches": [
            {"StartAt": "L", "States": {"L": call("block")}},
            {
                "StartAt": "W",
                "States": {"W": {"Type": "Wait", "Seconds": 1, "Next": "R"}, "R": call("break")},
            },
        ],
        "End": True,
    }
    engine = start(m=machine(A=both))
    execution = engine.start_execution("m", {})
    described = engine.wait(execution, WAIT)
    assert (described.status, described.error, described.cause) == ("FAILED", "Broken", "as asked")
    assert tasks.cancelled.is_set()
    assert types(engine, execution)[-2:] == ["ParallelStateFailed", "ExecutionFailed"]


def test_jobs_get_a_key_of_their_own(start: Start, tasks: Tasks) -> None:
    job = {
        "Type": "Task",
        "Resource": "arn:aws:states:::batch:submitJob.sync",
        "Arguments": {"JobName": "render", "JobQueue": "cpu", "JobDefinition": "render:1"},
        "Next": "Again",
    }
    again = {key: value for key, value in job.items() if key != "Next"}
    engine = start(m=machine(A=job, Again={**again, "End": True}))
    execution = engine.start_execution("m", {}, "run")
    assert engine.wait(execution, WAIT).output == {"JobName": "render", "Status": "SUCCEEDED"}
    assert tasks.jobs == ["m:run:1", "m:run:2"]


def test_a_hundred_waiting_executions_hold_no_thread(start: Start) -> None:
    engine = start(m=machine(A={"Type": "Wait", "Seconds": "{% $states.input %}", "End": True}))
    before = threading.active_count()
    executions = [engine.start_execution("m", 3600) for _ in range(100)]
    assert threading.active_count() - before < 30
    for execution in executions:
        engine.stop_execution(execution)
    assert {engine.wait(execution, WAIT).status for execution in executions} == {"ABORTED"}


def test_closing_leaves_a_running_call_to_the_next_launch(start: Start, tasks: Tasks) -> None:
    engine = start(m=machine(A=call("block", Retry=[{"ErrorEquals": ["States.ALL"], "MaxAttempts": 5}])))
    execution = engine.start_execution("m", {})
    assert tasks.arrived.wait(WAIT)
    tasks.arrived.clear()
    again = start(m=machine(A=DONE))
    assert tasks.arrived.wait(WAIT), "the call is made again after the restart"
    assert types(again, execution).count("TaskScheduled") == 1
    assert "TaskFailed" not in types(again, execution)
    again.stop_execution(execution)
    assert again.wait(execution, WAIT).status == "ABORTED"


def test_two_engines_in_one_process_are_refused(start: Start, asl_database: str, tasks: Tasks) -> None:
    start(m=machine(A=DONE))
    with pytest.raises(RuntimeError, match="another engine"):
        Engine(database_url=asl_database, machines={}, tasks=tasks).launch()


def test_a_second_process_on_the_same_database_is_refused(
    start: Start, asl_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(m=machine(A=DONE))
    monkeypatch.setattr(tables, "_CLAIM_SECONDS", 0.1)
    with pytest.raises(EngineAlreadyRunning):
        tables.claim_database(asl_database)


def test_a_defect_of_the_runner_ends_the_execution_and_its_parent(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = store.advance

    def defective(machine: Machine, frame: Frame, *rest: Any) -> Request:
        if machine.name == "bad":
            raise psycopg.DataError("no such number")
        if machine.name == "worse" and frame.state is None:
            monkeypatch.setattr(Step, "_scope_started", lambda self: {}["missing"])
        return whole(machine, frame, *rest)

    monkeypatch.setattr(store, "advance", defective)
    engine = start(outer=machine(A=nest("bad", {})), bad=machine(B=DONE), worse=machine(C=DONE))
    outer = engine.start_execution("outer", {})
    assert engine.wait(outer, WAIT).error == "States.TaskFailed"
    (bad,) = engine.list_executions("bad")
    assert (bad.status, bad.error) == ("FAILED", "States.Runtime")
    assert bad.cause is not None and "no such number" in bad.cause
    worse = engine.wait(engine.start_execution("worse", {}), WAIT)
    assert (worse.status, worse.error, worse.cause) == (
        "FAILED",
        "States.Runtime",
        "Internal error: KeyError: 'missing'",
    )


def test_an_unexpected_exception_of_a_runner_is_the_tasks_failure(start: Start, tasks: Tasks) -> None:
    tasks.calls = None  # type: ignore[assignment]
    engine = start(m=machine(A=call("echo")))
    described = engine.wait(engine.start_execution("m", {}), WAIT)
    assert (described.status, described.error) == ("FAILED", "AttributeError")


def test_a_call_stopped_before_it_began_is_never_made(start: Start, tasks: Tasks) -> None:
    engine = start(m=machine(A=call("block")))
    first = [engine.start_execution("m", {"n": n}) for n in range(12)]  # more than there are workers
    assert tasks.arrived.wait(WAIT)
    for execution in reversed(first):
        engine.stop_execution(execution)
    assert {engine.wait(execution, WAIT).status for execution in first} == {"ABORTED"}
    assert len(tasks.calls) < 12
