"""The Step Functions endpoint of this machine: AWS's wire protocol (JSON 1.0) on a socket of our own.

Functions and other `chimera` commands start executions and answer tokens here exactly as they do on AWS. It is a
Unix socket, which only this user can open: it works where there is no network at all, not even a loopback one.
"""

from __future__ import annotations

import hmac
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any, Protocol, TypeAlias, cast

from chimera.errors import ChimeraError
from chimera_local.asl.execution import Account
from chimera_local.asl.model import ExecutionDescription, HistoryEvent, Status
from chimera_local.postgres import SOCKET_BYTES

JSON: TypeAlias = Any
CONTENT_TYPE = "application/x-amz-json-1.0"
PREFIX = "AWSStepFunctions."
MAX_BODY_BYTES = 4 * 1024 * 1024
STATUSES = ("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")
_TEXT_FIELDS = ("input", "output", "parameters")


class Engine(Protocol):
    """What the endpoint needs of the engine; `chimera_local.asl.engine.Engine` documents each."""

    def start_execution(self, machine: str, input: JSON, name: str | None = None) -> str: ...
    def describe(self, execution_id: str) -> ExecutionDescription: ...
    def list_executions(
        self, machine: str | None = None, status: Status | None = None, limit: int = 100
    ) -> list[ExecutionDescription]: ...
    def history(self, execution_id: str) -> list[HistoryEvent]: ...
    def stop_execution(self, execution_id: str, error: str | None = None, cause: str | None = None) -> None: ...
    def send_task_success(self, token: str, output: JSON) -> None: ...
    def send_task_failure(self, token: str, error: str | None = None, cause: str | None = None) -> None: ...
    def send_task_heartbeat(self, token: str) -> None: ...


class ServiceError(Exception):
    """An answer with AWS's error shape: `{"__type": name, "message": text}`."""

    def __init__(self, name: str, message: str, status: int = 400) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message
        self.status = status


class ControlServer:
    """Listens from the start; answers 503 until `engine` is set.

    The socket is in `home` where its path is short enough, else in a folder of its own under the temporary one.
    """

    def __init__(
        self,
        secret: str,
        engine: Engine | None = None,
        *,
        home: Path | None = None,
        account: Account | None = None,
    ) -> None:
        if len(secret) < 16:
            raise ValueError(f"the control secret has {len(secret)} characters, expected at least 16")
        self.engine = engine
        self._secret = secret.encode()
        self._account = account or Account()
        self._actions: dict[str, Callable[[Engine, dict[str, JSON]], dict[str, JSON]]] = {
            "StartExecution": self._start,
            "DescribeExecution": self._describe,
            "ListExecutions": self._list,
            "GetExecutionHistory": self._history,
            "StopExecution": self._stop,
            "SendTaskSuccess": self._success,
            "SendTaskFailure": self._failure,
            "SendTaskHeartbeat": self._heartbeat,
        }
        control = self

        class Handler(_Handler):
            server_control = control

        self._folder: Path | None = None
        self._path = (home or Path("/")) / "control.sock"
        if home is None or len(os.fsencode(self._path)) > SOCKET_BYTES:
            self._folder = Path(tempfile.mkdtemp(prefix="chimera-control-"))
            self._path = self._folder / "control.sock"
        self._path.unlink(missing_ok=True)  # of an engine that was killed
        self._server = _Server(str(self._path), Handler)
        self._path.chmod(0o600)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True, name="control"
        )
        self._thread.start()

    @property
    def endpoint(self) -> str:
        """`unix:PATH` of the socket."""
        return f"unix:{self._path}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._path.unlink(missing_ok=True)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def allowed(self, authorization: str) -> bool:
        """Whether the header carries the secret."""
        return hmac.compare_digest(authorization.encode("utf-8", "replace"), b"Bearer " + self._secret)

    def call(self, target: str, body: bytes) -> dict[str, JSON]:
        """Do what the request asks; raises ServiceError."""
        action = self._actions.get(target.removeprefix(PREFIX)) if target.startswith(PREFIX) else None
        if action is None:
            raise ServiceError("UnknownOperationException", f"no operation {target[:100]!r}")
        try:
            request = json.loads(body or b"{}")
        except ValueError as error:
            raise ServiceError("SerializationException", f"the body is not JSON: {error}") from error
        if not isinstance(request, dict):
            raise ServiceError("SerializationException", "the body is not a JSON object")
        if self.engine is None:
            raise ServiceError("ServiceUnavailable", "the engine is starting", 503)
        try:
            return action(self.engine, request)
        except ChimeraError as error:
            raise ServiceError(_type_name(error), error.message) from error

    # -- operations

    def _start(self, engine: Engine, request: dict[str, JSON]) -> dict[str, JSON]:
        machine = _required(request, "stateMachineArn").rsplit(":", 1)[-1]
        text = _optional(request, "input") or "{}"
        try:
            value = json.loads(text)
        except ValueError as error:
            raise ServiceError("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{error}'") from error
        execution = engine.start_execution(machine, value, _optional(request, "name"))
        described = engine.describe(execution)
        return {"executionArn": self._arn(described), "startDate": described.started_at}

    def _describe(self, engine: Engine, request: dict[str, JSON]) -> dict[str, JSON]:
        found = engine.describe(_required(request, "executionArn"))
        answer = self._listed(found)
        answer |= {"input": _compact(found.input), "inputDetails": {"included": True}}
        if found.status == "SUCCEEDED":
            answer |= {"output": _compact(found.output), "outputDetails": {"included": True}}
        if found.error is not None:
            answer["error"] = found.error
        if found.cause is not None:
            answer["cause"] = found.cause
        return answer

    def _list(self, engine: Engine, request: dict[str, JSON]) -> dict[str, JSON]:
        machine = _optional(request, "stateMachineArn")
        status = _optional(request, "statusFilter")
        if status is not None and status not in STATUSES:
            raise ServiceError("ValidationException", f"statusFilter {status!r} is none of {', '.join(STATUSES)}")
        found = engine.list_executions(
            machine.rsplit(":", 1)[-1] if machine else None,
            cast(Status | None, status),
            _count(request, 100),
        )
        return {"executions": [self._listed(one) for one in found]}

    def _history(self, engine: Engine, request: dict[str, JSON]) -> dict[str, JSON]:
        events = engine.history(_required(request, "executionArn"))
        if request.get("reverseOrder"):
            events = events[::-1]
        token = _optional(request, "nextToken") or "0"
        if not token.isdigit():
            raise ServiceError("InvalidToken", f"Invalid Token: {token[:100]!r}")
        start, size = int(token), _count(request, 100)
        with_data = request.get("includeExecutionData", True) is not False
        answer: dict[str, JSON] = {"events": [_event(event, with_data) for event in events[start : start + size]]}
        if start + size < len(events):
            answer["nextToken"] = str(start + size)
        return answer

    def _stop(self, engine: Engine, request: dict[str, JSON]) -> dict[str, JSON]:
        execution = _required(request, "executionArn")
        engine.stop_execution(execution, _optional(request, "error"), _optional(request, "cause"))
        return {"stopDate": engine.describe(execution).stopped_at}

    def _success(self, engine: Engine, request: dict[str, JSON]) -> dict[str, JSON]:
        token = _required(request, "taskToken")
        try:
            output = json.loads(_required(request, "output"))
        except ValueError as error:
            raise ServiceError("InvalidOutput", f"Invalid Output: '{error}'") from error
        engine.send_task_success(token, output)
        return {}

    def _failure(self, engine: Engine, request: dict[str, JSON]) -> dict[str, JSON]:
        token = _required(request, "taskToken")
        engine.send_task_failure(token, _optional(request, "error"), _optional(request, "cause"))
        return {}

    def _heartbeat(self, engine: Engine, request: dict[str, JSON]) -> dict[str, JSON]:
        engine.send_task_heartbeat(_required(request, "taskToken"))
        return {}

    # -- shapes

    def _arn(self, found: ExecutionDescription) -> str:
        return self._account.arn("execution", found.id)

    def _listed(self, found: ExecutionDescription) -> dict[str, JSON]:
        answer: dict[str, JSON] = {
            "executionArn": self._arn(found),
            "stateMachineArn": self._account.arn("stateMachine", found.machine),
            "name": found.id.split(":", 1)[-1],
            "status": found.status,
            "startDate": found.started_at,
        }
        if found.stopped_at is not None:
            answer["stopDate"] = found.stopped_at
        return answer


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    block_on_close = False  # an idle connection is not waited for
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle is nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    server_control: ControlServer
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_POST(self) -> None:
        try:
            status, answer = 200, self._answer()
        except ServiceError as error:
            status, answer = error.status, {"__type": error.name, "message": error.message}
        except Exception as error:  # noqa: BLE001 - the caller gets an answer, whatever broke in the engine
            status, answer = (
                500,
                {"__type": "InternalFailure", "message": f"{type(error).__name__}: {error}"[:500]},
            )
        body = json.dumps(answer, separators=(",", ":")).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _answer(self) -> dict[str, JSON]:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            raise ServiceError("SerializationException", f"a body of at most {MAX_BODY_BYTES} bytes is expected", 413)
        body = self.rfile.read(int(length))
        if not self.server_control.allowed(self.headers.get("Authorization", "")):
            raise ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
        return self.server_control.call(self.headers.get("X-Amz-Target", ""), body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the engine keeps its own history."""


def _type_name(error: ChimeraError) -> str:
    """The runner's exception classes are named as AWS's errors are; anything else is a bad request."""
    name = type(error).__name__
    return name if type(error).__module__.startswith("chimera_local.asl") else "ValidationException"


def _required(request: dict[str, JSON], field: str) -> str:
    value = _optional(request, field)
    if not value:
        raise ServiceError("ValidationException", f"{field} must be a string that is not empty")
    return value


def _optional(request: dict[str, JSON], field: str) -> str | None:
    value = request.get(field)
    if value is not None and not isinstance(value, str):
        raise ServiceError("ValidationException", f"{field} must be a string, but was {json.dumps(value)[:100]}")
    return value


def _count(request: dict[str, JSON], default: int) -> int:
    value = request.get("maxResults") or default
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1000:
        raise ServiceError("ValidationException", f"maxResults must be from 1 to 1000, but was {value!r}"[:200])
    return value


def _compact(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _event(event: HistoryEvent, with_data: bool) -> dict[str, JSON]:
    """An event in AWS's shape: details under a key named for the type, values as JSON text."""
    if event.type.endswith("StateEntered"):
        key = "stateEnteredEventDetails"
    elif event.type.endswith("StateExited"):
        key = "stateExitedEventDetails"
    else:
        key = f"{event.type[0].lower()}{event.type[1:]}EventDetails"
    details = {
        name: _compact(value) if name in _TEXT_FIELDS else value
        for name, value in event.details.items()
        if with_data or name not in _TEXT_FIELDS
    }
    answer: dict[str, JSON] = {
        "id": event.id,
        "previousEventId": event.previous_id,
        "type": event.type,
        "timestamp": event.timestamp,
    }
    if details or key.startswith("state"):
        answer[key] = {"name": event.state, **details} if key.startswith("state") else details
    return answer
