"""The port `Workflows` over this machine's Step Functions endpoint; speaks AWS's wire protocol (JSON 1.0)."""

from __future__ import annotations

import http.client
import json
import socket
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from chimera.errors import ChimeraError

ARN = "arn:aws:states:us-east-1:000000000000:"
TIMEOUT_SECONDS = 30.0
_CODES = {
    "ExecutionAlreadyExists": "CONFLICT",
    "TaskTimedOut": "CONFLICT",
    "ExecutionDoesNotExist": "NOT_FOUND",
    "StateMachineDoesNotExist": "NOT_FOUND",
    "TaskDoesNotExist": "NOT_FOUND",
    "MissingAuthenticationTokenException": "UNAUTHENTICATED",
    "ServiceUnavailable": "AGENT_OFFLINE",
    "InternalFailure": "INTERNAL",
}
"""AWS's error name -> ours; every other name is a bad request of ours: VALIDATION_FAILED."""


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Open the socket instead of a TCP connection."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(TIMEOUT_SECONDS)
            self.sock.connect(self._path)
        except OSError:
            self.sock.close()
            raise


class HttpWorkflows:
    """A client for `unix:PATH` or `http://HOST:PORT`; thread-safe, one connection a call, no proxy."""

    def __init__(self, endpoint: str, secret: str) -> None:
        self._endpoint = endpoint
        self._secret = secret

    def start(self, machine: str, name: str, input: dict[str, Any]) -> str:
        """Start a machine; the same name and input again is the same execution, other input is a
        `CONFLICT`."""
        answer = self._call(
            "StartExecution",
            {"stateMachineArn": f"{ARN}stateMachine:{machine}", "name": name, "input": _text(input)},
        )
        return str(answer["executionArn"])

    def describe(self, execution_id: str) -> dict[str, Any]:
        """`{id, machine, status, input, output, error, cause, started_at, stopped_at}`, times as ISO 8601
        UTC."""
        found = self._call("DescribeExecution", {"executionArn": execution_id})
        return {
            "id": found["executionArn"],
            "machine": found["stateMachineArn"].rsplit(":", 1)[-1],
            "status": found["status"],
            "input": json.loads(found["input"]),
            "output": json.loads(found["output"]) if "output" in found else None,
            "error": found.get("error"),
            "cause": found.get("cause"),
            "started_at": _time(found["startDate"]),
            "stopped_at": _time(found["stopDate"]) if "stopDate" in found else None,
        }

    def history(self, execution_id: str, *, data: bool = True) -> list[dict[str, Any]]:
        """Every event in AWS's shape, oldest first, timestamps as ISO 8601 UTC; without payloads if not
        `data`."""
        events: list[dict[str, Any]] = []
        request = {"executionArn": execution_id, "maxResults": 1000, "includeExecutionData": data}
        while True:
            answer = self._call("GetExecutionHistory", request)
            events += [{**event, "timestamp": _time(event["timestamp"])} for event in answer["events"]]
            if "nextToken" not in answer:
                return events
            request["nextToken"] = answer["nextToken"]

    def send_task_success(self, token: str, output: dict[str, Any]) -> None:
        """Answer a waiting task; `CONFLICT` if it was answered or timed out, `NOT_FOUND` if there is none."""
        self._call("SendTaskSuccess", {"taskToken": token, "output": _text(output)})

    def send_task_failure(self, token: str, error: str, cause: str) -> None:
        """Fail a waiting task; errors as `send_task_success`."""
        self._call("SendTaskFailure", {"taskToken": token, "error": error, "cause": cause})

    def send_task_heartbeat(self, token: str) -> None:
        """Say that the work behind a token goes on; errors as `send_task_success`."""
        self._call("SendTaskHeartbeat", {"taskToken": token})

    def stop(self, execution_id: str, cause: str) -> None:
        """Abort an execution and its children; one that has ended stays as it is."""
        self._call("StopExecution", {"executionArn": execution_id, "cause": cause})

    def _connection(self) -> http.client.HTTPConnection:
        address = urlsplit(self._endpoint)
        if address.scheme == "unix" and address.path:
            return _UnixConnection(self._endpoint.removeprefix("unix:"))
        if address.scheme == "http" and address.hostname:
            return http.client.HTTPConnection(address.hostname, address.port, timeout=TIMEOUT_SECONDS)
        raise ChimeraError(
            "AGENT_OFFLINE",
            f"no workflow engine is set (endpoint {self._endpoint!r}); start one with `chimera up`",
            {},
        )

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        connection = self._connection()
        try:
            connection.request(
                "POST",
                "/",
                body=json.dumps(request).encode(),
                headers={
                    "Content-Type": "application/x-amz-json-1.0",
                    "X-Amz-Target": f"AWSStepFunctions.{operation}",
                    "Authorization": f"Bearer {self._secret}",
                },
            )
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ChimeraError(
                "AGENT_OFFLINE",
                f"the workflow engine at {self._endpoint} does not answer; start it with `chimera up`",
                {"operation": operation, "reason": str(error)[:200]},
            ) from error
        finally:
            connection.close()
        if response.status != 200:
            name = str(answer.get("__type", "")).rsplit("#", 1)[-1]
            raise ChimeraError(
                _CODES.get(name, "VALIDATION_FAILED"),
                str(answer.get("message", "")),
                {"operation": operation, "error": name},
            )
        return dict(answer)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
