"""The port `Workflows` over AWS Step Functions."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chimera.adapters.aws.clients import code_of, refuse
from chimera.errors import ChimeraError

_CODES = {
    "ExecutionAlreadyExists": "CONFLICT",
    "TaskTimedOut": "CONFLICT",
    "ExecutionDoesNotExist": "NOT_FOUND",
    "StateMachineDoesNotExist": "NOT_FOUND",
    "TaskDoesNotExist": "NOT_FOUND",
    "InvalidToken": "VALIDATION_FAILED",
    "InvalidArn": "VALIDATION_FAILED",
    "InvalidName": "VALIDATION_FAILED",
    "InvalidExecutionInput": "VALIDATION_FAILED",
    "InvalidOutput": "VALIDATION_FAILED",
    "ValidationException": "VALIDATION_FAILED",
}


class StepFunctions:
    """`prefix` is the ARN of a state machine up to its name: `arn:aws:states:eu-west-1:1234:stateMachine:chimera-`.

    An execution is named by its ARN or, as everywhere in Chimera, by `machine:name`. The role needs `states:StartExecution`
    on the machines it starts, `states:DescribeExecution`, `states:GetExecutionHistory`, `states:StopExecution` on their
    executions, and `states:SendTask*` where it answers waiting tasks.
    """

    def __init__(self, client: Any, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def start(self, machine: str, name: str, input: dict[str, Any]) -> str:
        """Start a machine; the same name and input again is the same execution, other input is a `CONFLICT`.

        AWS itself remembers a name while the execution runs; of one that has ended the input is compared here.
        """
        text = _text(input)
        try:
            answer = self._client.start_execution(stateMachineArn=f"{self._prefix}{machine}", name=name, input=text)
        except ClientError as error:
            if code_of(error) != "ExecutionAlreadyExists":
                raise _ours(error, f"starting {machine}") from error
            execution = self._execution(f"{machine}:{name}")
            if self.describe(execution)["input"] != json.loads(text):
                raise _ours(error, f"starting {machine}") from error
            return execution
        except BotoCoreError as error:
            refuse(error, f"starting {machine}")
        return str(answer["executionArn"])

    def describe(self, execution_id: str) -> dict[str, Any]:
        """`{id, machine, status, input, output, error, cause, started_at, stopped_at}`, times as ISO 8601 UTC."""
        found = self._call("describe_execution", executionArn=self._execution(execution_id))
        return {
            "id": found["executionArn"],
            "machine": found["stateMachineArn"].rsplit(":", 1)[-1].removeprefix(self._prefix.rsplit(":", 1)[-1]),
            "status": found["status"],
            "input": json.loads(found["input"]),
            "output": json.loads(found["output"]) if found.get("output") else None,
            "error": found.get("error"),
            "cause": found.get("cause"),
            "started_at": _time(found["startDate"]),
            "stopped_at": _time(found["stopDate"]) if found.get("stopDate") else None,
        }

    def history(self, execution_id: str, *, data: bool = True) -> list[dict[str, Any]]:
        """Every event in AWS's shape, oldest first, timestamps as ISO 8601 UTC; without payloads if not `data`."""
        events: list[dict[str, Any]] = []
        request: dict[str, Any] = {
            "executionArn": self._execution(execution_id),
            "maxResults": 1000,
            "includeExecutionData": data,
        }
        while True:
            answer = self._call("get_execution_history", **request)
            events += [{**event, "timestamp": _time(event["timestamp"])} for event in answer["events"]]
            if not answer.get("nextToken"):
                return events
            request["nextToken"] = answer["nextToken"]

    def send_task_success(self, token: str, output: dict[str, Any]) -> None:
        """Answer a waiting task; `CONFLICT` if it was answered or timed out, `NOT_FOUND` if there is none."""
        self._call("send_task_success", taskToken=token, output=_text(output))

    def send_task_failure(self, token: str, error: str, cause: str) -> None:
        """Fail a waiting task; errors as `send_task_success`. AWS takes 256 characters of error, 32,768 of cause."""
        self._call("send_task_failure", taskToken=token, error=error[:256], cause=cause[:32_768])

    def send_task_heartbeat(self, token: str) -> None:
        """Say that the work behind a token goes on; errors as `send_task_success`."""
        self._call("send_task_heartbeat", taskToken=token)

    def stop(self, execution_id: str, cause: str) -> None:
        """Abort an execution and its children (Step Functions stops a `.sync` child with its parent)."""
        self._call("stop_execution", executionArn=self._execution(execution_id), cause=cause[:32_768])

    def redrive(self, execution_id: str) -> None:
        """Go on with a failed execution at the state that failed, within 14 days of its end."""
        self._call("redrive_execution", executionArn=self._execution(execution_id))

    def _execution(self, given: str) -> str:
        """The ARN of an execution that is named by its ARN or by `machine:name`."""
        if given.startswith("arn:"):
            return given
        machine, _, name = given.partition(":")
        return f"{self._prefix.replace(':stateMachine:', ':execution:')}{machine}:{name}"

    def _call(self, operation: str, **request: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**request)
        except ClientError as error:
            raise _ours(error, operation) from error
        except BotoCoreError as error:
            refuse(error, operation)
        return answer


def _ours(error: ClientError, doing: str) -> ChimeraError:
    name = code_of(error)
    if name not in _CODES:
        refuse(error, doing)
    message = str(error.response.get("Error", {}).get("Message", name))
    return ChimeraError(_CODES[name], message, {"operation": doing, "error": name})


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
