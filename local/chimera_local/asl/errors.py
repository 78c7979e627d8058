"""What can go wrong in the runner: AWS's error names inside an execution, typed errors outside of one."""

from __future__ import annotations

import json
from typing import Any

from chimera.errors import ChimeraError

ALL = "States.ALL"
DATA_LIMIT = "States.DataLimitExceeded"
HEARTBEAT_TIMEOUT = "States.HeartbeatTimeout"
NO_CHOICE = "States.NoChoiceMatched"
QUERY_EVALUATION = "States.QueryEvaluationError"
RUNTIME = "States.Runtime"
TASK_FAILED = "States.TaskFailed"
THRESHOLD = "States.ExceedToleratedFailureThreshold"
TIMEOUT = "States.Timeout"

MAX_PAYLOAD_BYTES = 262_144
"""256 KiB: the service's limit for the input or output of a state, task or execution, as UTF-8 JSON."""


def exceeds_limit(value: Any) -> bool:
    """Whether a JSON value is larger than the 256 KiB that a state may hand on."""
    return (
        len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
        > MAX_PAYLOAD_BYTES
    )


class StatesError(Exception):
    """A failure inside an execution: what Retry and Catch match on.

    `aliases` are further names it answers to: a missed heartbeat is reported as States.Timeout and still
    matches States.HeartbeatTimeout. `caught_cause` is what a Catch sees when there is no cause to record.
    """

    def __init__(
        self,
        error: str | None,
        cause: str | None = None,
        *,
        aliases: tuple[str, ...] = (),
        caught_cause: str | None = None,
    ) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause
        self.aliases = aliases
        self.caught_cause = caught_cause if cause is None else cause

    def output(self) -> dict[str, Any]:
        """The value of `$states.errorOutput`."""
        return {"Error": self.error, "Cause": self.caught_cause}


class EvaluationError(StatesError):
    """A JSONata expression gave nothing, threw, or gave the wrong type (States.QueryEvaluationError)."""

    def __init__(self, problem: str, location: str | None = None) -> None:
        super().__init__(QUERY_EVALUATION, problem)
        self.problem = problem
        self.location = location


class DataLimitExceeded(StatesError):  # noqa: N818 - AWS names it so
    """A state or task answered with more than 256 KiB."""

    def __init__(self, name: str) -> None:
        super().__init__(
            DATA_LIMIT,
            f"The state/task '{name}' returned a result with a size exceeding the maximum number of bytes "
            "service limit.",
        )


class TaskFailure(Exception):  # noqa: N818 - a task fails; it is not a defect of the runner
    """Raised by a TaskRunner: the error name that Retry and Catch see, and its cause (text or JSON text)."""

    def __init__(self, error: str | None, cause: str | None = None) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


class _DefinitionError(ChimeraError):
    def __init__(self, state: str, reason: str) -> None:
        self.state = state
        self.reason = reason
        where = f"state '{state}': " if state else ""
        super().__init__("VALIDATION_FAILED", f"{where}{reason}", {"state": state, "reason": reason})


class InvalidDefinition(_DefinitionError):  # noqa: N818 - AWS names it so
    """The machine is not valid States Language: the state's name (empty: the machine itself) and why."""


class UnsupportedDefinition(_DefinitionError):  # noqa: N818 - AWS names it so
    """Valid States Language outside the dialect: the state's name and what is not supported."""


class ExecutionAlreadyExists(ChimeraError):  # noqa: N818 - AWS names it so
    """An execution of this name exists with another input or has another definition."""

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            "CONFLICT",
            f"Execution Already Exists: '{execution_id}' was started with another input",
            {"execution_id": execution_id},
        )


class ExecutionDoesNotExist(ChimeraError):  # noqa: N818 - AWS names it so
    """No execution has this id."""

    def __init__(self, execution_id: str) -> None:
        super().__init__("NOT_FOUND", f"Execution Does Not Exist: '{execution_id}'", {"id": execution_id})


class StateMachineDoesNotExist(ChimeraError):  # noqa: N818 - AWS names it so
    """No machine of this name was loaded into the engine."""

    def __init__(self, machine: str, known: list[str]) -> None:
        super().__init__(
            "NOT_FOUND",
            f"State Machine Does Not Exist: '{machine}'; expected one of {', '.join(known) or '(none)'}",
            {"machine": machine},
        )


class EngineAlreadyRunning(ChimeraError):  # noqa: N818 - a state of affairs
    """Another process runs executions on this database."""

    def __init__(self) -> None:
        super().__init__("CONFLICT", "another process runs executions on this database; use it, or stop it first")


class InvalidExecutionInput(ChimeraError):  # noqa: N818 - AWS names it so
    """The input or the output handed in is not JSON, or is larger than 256 KiB."""

    def __init__(self, reason: str) -> None:
        super().__init__("VALIDATION_FAILED", f"Invalid execution input: {reason}", {"reason": reason})


class InvalidName(ChimeraError):  # noqa: N818 - AWS names it so
    """The execution name breaks AWS's rule (1-80 characters, none of space < > { } [ ] ? * " # % ...)."""

    def __init__(self, name: str) -> None:
        super().__init__("VALIDATION_FAILED", f"Invalid Name: '{name[:100]}'", {"name": name[:100]})


class InvalidToken(ChimeraError):  # noqa: N818 - AWS names it so
    """The text is not a task token at all."""

    def __init__(self) -> None:
        super().__init__("VALIDATION_FAILED", "Invalid Token: 'Invalid token'")


class TaskDoesNotExist(ChimeraError):  # noqa: N818 - AWS names it so
    """A well-formed token that this engine never gave out."""

    def __init__(self) -> None:
        super().__init__("NOT_FOUND", "Task does not exist: no task waits under this token")


class TaskTimedOut(ChimeraError):  # noqa: N818 - AWS names it so
    """The task behind the token was answered already, timed out, or its execution has ended."""

    def __init__(self) -> None:
        super().__init__("CONFLICT", "Task Timed Out: 'Provided task does not exist anymore'")
