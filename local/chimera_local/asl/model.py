"""The values that pass between the runner and the rest of the laptop: executions, history, the task port."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

JSON: TypeAlias = Any
"""Any JSON value: None, bool, int, float, str, list[JSON] or dict[str, JSON]."""

Status: TypeAlias = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]


@dataclass(frozen=True, slots=True)
class ExecutionDescription:
    """What DescribeExecution tells. Times are Unix seconds; `parent` is the execution that started it."""

    id: str
    machine: str
    status: Status
    input: JSON
    output: JSON
    error: str | None
    cause: str | None
    started_at: float
    stopped_at: float | None
    parent: str | None


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One event of an execution, named as AWS names it. `timestamp` is Unix seconds."""

    id: int
    previous_id: int
    type: str
    state: str | None
    timestamp: float
    details: dict[str, JSON]


class TaskRunner(Protocol):
    """What actually runs a task. Calls block, come from several threads, and raise TaskFailure.

    A call has to end soon after `timeout_seconds` have passed (TaskFailure("States.Timeout")) or `cancel` is
    set. A call may be repeated after a crash between its effect and its record, so it has to be idempotent.
    """

    def invoke_function(
        self, name: str, payload: JSON, *, timeout_seconds: float | None, cancel: threading.Event
    ) -> JSON:
        """Run a function by its name with the event `payload`; its return value is the task's Payload."""
        ...

    def run_job(self, job_key: str, arguments: JSON, *, timeout_seconds: float | None, cancel: threading.Event) -> JSON:
        """Run a container job to its end. `job_key` is the same when the call is repeated after a crash."""
        ...
