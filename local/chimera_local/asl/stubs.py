"""Stands in for the functions and services of a recorded case, by behaviour or by replaying its recording."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chimera_local.asl.errors import TASK_FAILED, TIMEOUT, TaskFailure
from chimera_local.asl.frame import NestedState
from chimera_local.asl.model import JSON
from chimera_local.asl.resources import last_part

if TYPE_CHECKING:
    from chimera_local.asl.memory import MemoryEngine

_LARGE = 257 * 1024


class Stubs:
    """A TaskRunner made from a case's `tasks` and `recorded_tasks`; also does its `external_actions`."""

    def __init__(self, case: dict[str, Any]) -> None:
        self._behaviours = {task["function_name"]: task for task in case.get("tasks") or () if "function_name" in task}
        self._recorded: list[dict[str, Any]] = list(case.get("recorded_tasks") or ())
        self._actions: list[tuple[str, dict[str, Any]]] = [
            (action[0], action[1] if len(action) > 1 else {}) for action in case.get("external_actions") or ()
        ]
        self._calls: dict[str, int] = {}

    # -- TaskRunner --------------------------------------------------------------------------------------

    def invoke_function(
        self, name: str, payload: JSON, *, timeout_seconds: float | None, cancel: threading.Event
    ) -> JSON:
        """Behave as the case says that the function did."""
        call = self._calls[name] = self._calls.get(name, 0) + 1
        task = self._behaviours.get(name)
        if task is None:
            return self._replay(name)
        script = task.get("script")
        if script:
            task = {**task, **script[min(call, len(script)) - 1]}
        return _behave(task, payload, timeout_seconds, self._replayed_output)

    def run_job(self, job_key: str, arguments: JSON, *, timeout_seconds: float | None, cancel: threading.Event) -> JSON:
        """Behave as the case says that the job (its JobDefinition) did."""
        name = last_part(str(arguments["JobDefinition"]))
        return self.invoke_function(name, arguments, timeout_seconds=timeout_seconds, cancel=cancel)

    def nested(self, started: NestedState) -> NestedState:
        """The recorded answer of a nested execution whose machine is not in the dialect."""
        outcome = (self._next("execution") or {}).get("outcome") or {}
        described = outcome.get("output") or outcome.get("cause") or {}
        if not isinstance(described, dict):
            described = {}
        output = described.get("Output")
        return replace(
            started,
            status="SUCCEEDED" if str(outcome.get("type", "")).endswith("Succeeded") else "FAILED",
            output=json.loads(output) if isinstance(output, str) else output,
            error=described.get("Error"),
            cause=described.get("Cause"),
            stopped_at=started.started_at,
            execution_arn=described.get("ExecutionArn", started.execution_arn),
            machine_arn=described.get("StateMachineArn", started.machine_arn),
        )

    # -- what happens outside ----------------------------------------------------------------------------

    def act_outside(self, engine: MemoryEngine) -> bool:
        """The next external action, once everything waits. False if there is none."""
        if not self._actions:
            return False
        name, arguments = self._actions[0]
        open_tokens = [token for token, state in engine.tokens.items() if state.status == "OPEN"]
        if name == "stop_execution":
            engine.stop(next(iter(engine.executions)), arguments.get("error"), arguments.get("cause"))
        elif not open_tokens:
            return False
        elif name == "send_task_success":
            engine.answer(open_tokens[0], arguments.get("output"))
        elif name == "send_task_failure":
            engine.answer(open_tokens[0], failure=(arguments.get("error"), arguments.get("cause")))
        elif name == "send_task_heartbeat":
            engine.clock += arguments.get("after_seconds", 0)
            engine.heartbeat(open_tokens[0])
        self._actions.pop(0)
        return True

    # -- replay ------------------------------------------------------------------------------------------

    def _next(self, kind: str) -> dict[str, Any] | None:
        for index, recorded in enumerate(self._recorded):
            if (recorded.get("resourceType") == "states") == (kind == "execution"):
                return self._recorded.pop(index)
        return None

    def _replayed_output(self) -> JSON:
        recorded = self._next("function") or {}
        outcome = recorded.get("outcome") or {}
        output = outcome.get("output")
        if recorded.get("resource") == "invoke" and isinstance(output, dict):
            return output.get("Payload")
        return output

    def _replay(self, name: str) -> JSON:
        recorded = self._next("function") or {}
        outcome = recorded.get("outcome") or {}
        kind = str(outcome.get("type", ""))
        if kind.endswith("Succeeded"):
            output = outcome.get("output")
            invoked = recorded.get("resource") == "invoke" and isinstance(output, dict)
            return output["Payload"] if invoked and isinstance(output, dict) else output
        if kind.endswith("TimedOut"):
            raise TaskFailure(TIMEOUT)
        if outcome.get("error"):
            cause = outcome.get("cause")
            raise TaskFailure(outcome["error"], cause if cause is None or isinstance(cause, str) else json.dumps(cause))
        arn = f"arn:aws:lambda:us-east-1:111111111111:function:{name}"
        raise TaskFailure(
            "Lambda.ResourceNotFoundException",
            f"Function not found: {arn}:$LATEST (Service: AWSLambda; Status Code: 404; Error Code: "
            "ResourceNotFoundException; Request ID: 00000000-0000-0000-0000-000000000000; Proxy: null)",
        )


def function_failure(error_type: str, message: str) -> TaskFailure:
    """A function's exception as Lambda hands it on: the cause is JSON text."""
    return TaskFailure(
        error_type,
        json.dumps(
            {
                "errorMessage": message,
                "errorType": error_type,
                "requestId": "00000000-0000-0000-0000-000000000000",
                "stackTrace": [],
            },
            separators=(",", ":"),
        ),
    )


def _behave(task: dict[str, Any], payload: JSON, timeout: float | None, replayed: Any) -> JSON:
    behaviour = task.get("behaviour", "echo")
    if behaviour == "raise":
        raise function_failure(task.get("errorType", "Exception"), task.get("errorMessage", ""))
    if behaviour == "fail":
        raise TaskFailure(task.get("errorType", TASK_FAILED), task.get("errorMessage"))
    if behaviour == "sleep":
        if timeout is not None and task.get("seconds", 0) >= timeout:
            raise TaskFailure(TIMEOUT)
        return payload
    if behaviour == "large":
        return "a" * int(task.get("bytes", _LARGE))
    if behaviour == "format":
        return f"input-event-{payload}"
    if behaviour == "const":
        return task["value"] if "value" in task else replayed()
    return payload
