"""A workflow engine for the Step Functions endpoint's tests: executions in a dict, one open token."""

from __future__ import annotations

from typing import Any

from chimera_local.asl.errors import (
    ExecutionAlreadyExists,
    ExecutionDoesNotExist,
    InvalidToken,
    StateMachineDoesNotExist,
    TaskDoesNotExist,
    TaskTimedOut,
)
from chimera_local.asl.execution import plain_id
from chimera_local.asl.model import ExecutionDescription, HistoryEvent

TOKEN = "t" * 64


class FakeEngine:
    """Executions in a dict, one open token."""

    def __init__(self) -> None:
        self.executions: dict[str, Any] = {}
        self.stopped: list[tuple[str, str | None, str | None]] = []
        self.answers: list[Any] = []
        self.beats = 0
        self.events = [
            HistoryEvent(1, 0, "ExecutionStarted", None, 1000.5, {"input": {"a": "é"}}),
            HistoryEvent(2, 0, "TaskStateEntered", "judge", 1001.0, {"name": "judge", "input": {"a": 1}}),
            HistoryEvent(3, 2, "TaskFailed", "judge", 1002.0, {"error": "Oops", "cause": "text"}),
        ]

    def start_execution(self, machine: str, input: Any, name: str | None = None) -> str:
        if machine != "creation":
            raise StateMachineDoesNotExist(machine, ["creation"])
        key = f"{machine}:{name or 'generated'}"
        if self.executions.setdefault(key, input) != input:
            raise ExecutionAlreadyExists(key)
        return key

    def describe(self, execution_id: str) -> ExecutionDescription:
        key = plain_id(execution_id)
        if key not in self.executions:
            raise ExecutionDoesNotExist(execution_id)
        value = self.executions[key]
        return ExecutionDescription(
            key, "creation", "SUCCEEDED", value, {"done": True}, None, None, 1000.25, 1010.0, None
        )

    def list_executions(
        self, machine: str | None = None, status: str | None = None, limit: int = 100
    ) -> list[ExecutionDescription]:
        return [self.describe(key) for key in self.executions][:limit]

    def history(self, execution_id: str) -> list[HistoryEvent]:
        self.describe(execution_id)
        return self.events

    def stop_execution(self, execution_id: str, error: str | None = None, cause: str | None = None) -> None:
        self.stopped.append((plain_id(execution_id), error, cause))

    def send_task_success(self, token: str, output: Any) -> None:
        self._check(token)
        self.answers.append(output)

    def send_task_failure(self, token: str, error: str | None = None, cause: str | None = None) -> None:
        self._check(token)
        self.answers.append((error, cause))

    def send_task_heartbeat(self, token: str) -> None:
        if token == "broken":
            raise RuntimeError("a defect")
        self._check(token, closes=False)
        self.beats += 1

    def _check(self, token: str, closes: bool = True) -> None:
        if len(token) != 64:
            raise InvalidToken
        if token != TOKEN:
            raise TaskDoesNotExist
        if closes and self.answers:
            raise TaskTimedOut
