"""Calls functions as AWS Lambda does: warm workers, JSON in and out, deadlines, Lambda's error names."""

from __future__ import annotations

import importlib.util
import json
import re
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from chimera.domain.agents import database_role
from chimera.settings import Settings, child_environment
from chimera_local import frames
from chimera_local.postgres import as_role

JSON: TypeAlias = Any
REGION = "us-east-1"
ACCOUNT = "000000000000"
STATE_BYTES = 262_144
"""256 KiB: what a Step Functions task may send and get, as UTF-8 JSON."""
SYNCHRONOUS_BYTES = 6 * 1024 * 1024
"""What Lambda takes and gives in a synchronous call, as API Gateway makes."""


@dataclass(frozen=True, kw_only=True)
class FunctionLimits:
    """Timeout in seconds, invocations at once (more are answered `Lambda.TooManyRequestsException`), memory
    in MB."""

    timeout_seconds: float = 60.0
    concurrency: int = 8
    memory_mb: int = 1024


DEFAULT_LIMITS = FunctionLimits()
LIMITS: dict[str, FunctionLimits] = {
    "api": FunctionLimits(timeout_seconds=29, concurrency=16),
    "write_brief": FunctionLimits(timeout_seconds=120),
    "voice": FunctionLimits(timeout_seconds=600, concurrency=4),
    "pictures": FunctionLimits(timeout_seconds=600, concurrency=4),
    "judge": FunctionLimits(timeout_seconds=120, concurrency=4),
    "publish": FunctionLimits(timeout_seconds=300),
    "find_post": FunctionLimits(timeout_seconds=120),
    "fetch_upload": FunctionLimits(timeout_seconds=900, concurrency=4),
    "probe_upload": FunctionLimits(timeout_seconds=900, concurrency=4),
}
"""What differs from the default; a state's own TimeoutSeconds may end a call sooner, never later."""


class FunctionError(Exception):
    """A call that failed: the error name that Retry and Catch see, with Lambda's message and stack trace."""

    def __init__(
        self, error_type: str, error_message: str, stack_trace: Sequence[str] = (), request_id: str = ""
    ) -> None:
        super().__init__(f"{error_type}: {error_message}")
        self.error_type = error_type
        self.error_message = error_message
        self.stack_trace = list(stack_trace)
        self.request_id = request_id

    @property
    def cause(self) -> str | None:
        """The cause as Step Functions records it: the runtime's report as JSON, a service's text as it is."""
        if self.error_type == "States.Timeout":
            return None
        if self.error_type.startswith(("Lambda.", "States.")):
            return self.error_message
        report: dict[str, JSON] = {"errorMessage": self.error_message, "errorType": self.error_type}
        if not self.error_type.startswith(("Sandbox.", "Runtime.ExitError")):
            report |= {"requestId": self.request_id, "stackTrace": self.stack_trace}
        return json.dumps(report, ensure_ascii=False, separators=(",", ":"))


@dataclass
class _Worker:
    pid: int
    channel: socket.socket
    idle_since: float = field(default_factory=time.monotonic)


def arn(name: str) -> str:
    """A function's ARN as this machine names it."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


class LambdaPool:
    """Runs `<prefix>.<name>.handler.handler(event, context)` in worker processes; safe to call from many
    threads.

    Workers are kept for `idle_seconds` and are `max_workers` in all. They end with this process, however it
    ends.
    `python_path`: further folders to import functions from.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        prefix: str = "functions",
        python_path: Sequence[Path] = (),
        limits: Mapping[str, FunctionLimits] | None = None,
        idle_seconds: float = 120.0,
        max_workers: int = 48,
    ) -> None:
        self._settings = settings
        self._prefix = prefix
        self._python_path = [str(path) for path in python_path]
        self._limits = LIMITS if limits is None else limits
        self._idle_seconds = idle_seconds
        self._max_workers = max_workers
        self._lock = threading.Lock()
        self._idle: dict[str, list[_Worker]] = {}
        self._busy: dict[str, int] = {}
        self._closed = False
        self._host_lock = threading.Lock()
        self._host: tuple[subprocess.Popen[bytes], socket.socket] | None = None
        with self._host_lock:
            self._host = self._start_host()  # its libraries load while the engine does

    # -- public

    def invoke(
        self,
        name: str,
        payload: JSON,
        *,
        timeout_seconds: float | None = None,
        cancel: threading.Event | None = None,
        max_bytes: int = STATE_BYTES,
    ) -> JSON:
        """Call a function and give what it returned.

        Raises `FunctionError`, named as Lambda and Step Functions name it: the exception's class name,
        `Sandbox.Timedout` (the function's own limit), `States.Timeout` (`timeout_seconds`, if that is
        sooner),
        `Runtime.ExitError`, `Runtime.ImportModuleError`, `Runtime.MarshalError`,
        `Lambda.ResourceNotFoundException`, `Lambda.TooManyRequestsException`, `States.DataLimitExceeded`.
        """
        request_id = str(uuid.uuid4())
        limits = self._limits.get(name, DEFAULT_LIMITS)
        if not self._known(name):
            raise FunctionError(
                "Lambda.ResourceNotFoundException",
                f"Function not found: {arn(name)}:$LATEST (Service: AWSLambda; Status Code: 404; "
                f"Error Code: ResourceNotFoundException; Request ID: {request_id}; Proxy: null)",
                request_id=request_id,
            )
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        _check_size(text, max_bytes, request_id)
        with self._lock:
            if self._busy.get(name, 0) >= limits.concurrency:
                raise FunctionError(
                    "Lambda.TooManyRequestsException",
                    "Rate Exceeded. (Service: AWSLambda; Status Code: 429; "
                    f"Error Code: TooManyRequestsException; Request ID: {request_id}; Proxy: null)",
                    request_id=request_id,
                )
            self._busy[name] = self._busy.get(name, 0) + 1
        try:
            answer = self._call(name, text, limits, timeout_seconds, cancel, request_id)
        finally:
            with self._lock:
                self._busy[name] -= 1
        if "error" in answer:
            error = answer["error"]
            raise FunctionError(error["errorType"], error["errorMessage"], error["stackTrace"], request_id)
        _check_size(answer["payload"], max_bytes, request_id)
        return json.loads(answer["payload"])

    def close(self) -> None:
        """End every worker. Calls that still run fail with `Runtime.ExitError`, so stop who calls first."""
        with self._lock:
            self._closed = True
            idle = [worker for workers in self._idle.values() for worker in workers]
            self._idle.clear()
        for worker in idle:
            worker.channel.close()
        with self._host_lock:
            if self._host is not None:
                process, orders = self._host
                orders.close()  # the host ends its workers, then itself
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                self._host = None

    def __enter__(self) -> LambdaPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def worker_pids(self) -> list[int]:
        """The pids of the workers that are idle now."""
        with self._lock:
            return [worker.pid for workers in self._idle.values() for worker in workers]

    # -- one call

    def _call(
        self,
        name: str,
        text: str,
        limits: FunctionLimits,
        timeout_seconds: float | None,
        cancel: threading.Event | None,
        request_id: str,
    ) -> dict[str, Any]:
        seconds = limits.timeout_seconds if timeout_seconds is None else min(limits.timeout_seconds, timeout_seconds)
        worker = self._take(name, limits)
        deadline = time.monotonic() + seconds
        try:
            frames.send(worker.channel, {"payload": text, "request_id": request_id, "deadline": time.time() + seconds})
            while not frames.readable(worker.channel, min(max(deadline - time.monotonic(), 0), 0.1 if cancel else 60)):
                if cancel is not None and cancel.is_set():
                    self._end(worker, grace=0)
                    raise FunctionError("States.Timeout", "cancelled", request_id=request_id)
                if time.monotonic() >= deadline:
                    self._end(worker, grace=0)
                    if timeout_seconds is not None and timeout_seconds < limits.timeout_seconds:
                        raise FunctionError("States.Timeout", "", request_id=request_id)
                    raise FunctionError(
                        "Sandbox.Timedout",
                        f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds",
                        request_id=request_id,
                    )
            answer: dict[str, Any] | None = frames.receive(worker.channel)
        except OSError:
            answer = None
        except BaseException:
            self._end(worker, grace=0)
            raise
        if answer is None:
            status = self._end(worker, grace=1.0)
            raise FunctionError(
                "Runtime.ExitError",
                f"RequestId: {request_id} Error: Runtime exited with error: {status}",
                request_id=request_id,
            )
        if str(answer.get("error", {}).get("errorType")) in (
            "Runtime.ImportModuleError",
            "Runtime.HandlerNotFound",
        ):
            self._end(worker, grace=0)
        else:
            self._give_back(name, worker)
        return answer

    def _known(self, name: str) -> bool:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
            return False
        roots = [Path(path) / self._prefix.replace(".", "/") for path in self._python_path]
        spec = importlib.util.find_spec(self._prefix) if not self._python_path else None
        roots += [Path(found) for found in (spec.submodule_search_locations or [])] if spec else []
        return any((root / name / "handler.py").is_file() for root in roots)

    # -- workers

    def _take(self, name: str, limits: FunctionLimits) -> _Worker:
        while True:
            with self._lock:
                ended = self._expired()
                idle = self._idle.get(name)
                worker = idle.pop() if idle else None
            for old in ended:
                self._end(old, grace=0)
            if worker is None:
                return self._spawn(name, limits)
            if not frames.readable(worker.channel, 0):  # an idle worker says nothing, unless it is gone
                return worker
            self._end(worker, grace=0)

    def _expired(self) -> list[_Worker]:
        """Under the lock: idle workers that are too old or too many, taken out."""
        everyone = sorted(
            ((worker, name) for name, workers in self._idle.items() for worker in workers),
            key=lambda pair: pair[0].idle_since,
        )
        too_many = len(everyone) + sum(self._busy.values()) - self._max_workers
        oldest = time.monotonic() - self._idle_seconds
        gone = [pair for number, pair in enumerate(everyone) if number < too_many or pair[0].idle_since < oldest]
        for worker, name in gone:
            self._idle[name].remove(worker)
        return [worker for worker, _ in gone]

    def _give_back(self, name: str, worker: _Worker) -> None:
        worker.idle_since = time.monotonic()
        with self._lock:
            if not self._closed:
                self._idle.setdefault(name, []).append(worker)
                return
        self._end(worker, grace=0)

    def _spawn(self, name: str, limits: FunctionLimits) -> _Worker:
        ours, theirs = socket.socketpair()
        stream = f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}"
        group = f"/aws/lambda/{name}"
        environment = child_environment(
            self._settings,
            AWS_LAMBDA_FUNCTION_NAME=name,
            AWS_LAMBDA_FUNCTION_VERSION="$LATEST",
            AWS_LAMBDA_FUNCTION_MEMORY_SIZE=str(limits.memory_mb),
            AWS_LAMBDA_LOG_GROUP_NAME=group,
            AWS_LAMBDA_LOG_STREAM_NAME=stream,
            AWS_LAMBDA_INITIALIZATION_TYPE="on-demand",
            AWS_REGION=REGION,
            AWS_DEFAULT_REGION=REGION,
            AWS_EC2_METADATA_DISABLED="true",
            CHIMERA_DATABASE_URL=as_role(self._settings.database_url, database_role(name)),
            POWERTOOLS_SERVICE_NAME=name,
            TZ=":UTC",
            _HANDLER=f"{self._prefix}.{name}.handler.handler",
        )
        order = {
            "op": "spawn",
            "environment": environment,
            "log": str(self._settings.home_path / "logs" / f"{name}.log"),
            "serve": [f"{self._prefix}.{name}.handler", arn(name), limits.memory_mb, group, stream],
        }
        try:
            answer = self._order(order, theirs)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return _Worker(int(answer["pid"]), ours)

    def _end(self, worker: _Worker, *, grace: float) -> str:
        """Kill a worker and all it started; says how it ended. `grace`: seconds to end by itself."""
        try:
            return str(self._order({"op": "end", "pid": worker.pid, "grace": grace}, None)["status"])
        except FunctionError:
            return "unknown"
        finally:
            worker.channel.close()

    # -- the host

    def _start_host(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, theirs = socket.socketpair()
        extra = {"PYTHONPATH": ":".join(self._python_path)} if self._python_path else {}
        logs = self._settings.home_path / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with theirs, (logs / "functions.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "chimera_local.function_host", str(theirs.fileno())],
                env=child_environment(self._settings, **extra),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return process, ours

    def _order(self, order: dict[str, Any], handed: socket.socket | None) -> dict[str, Any]:
        message = json.dumps(order, separators=(",", ":")).encode() + b"\n"
        with self._host_lock:
            for attempt in (1, 2):
                if self._closed:
                    break
                if self._host is None:
                    self._host = self._start_host()
                process, orders = self._host
                try:
                    if handed is not None:
                        sent = socket.send_fds(orders, [message], [handed.fileno()])
                    else:
                        sent = orders.send(message)
                    orders.sendall(message[sent:])
                    answer: dict[str, Any] | None = frames.receive(orders)
                except OSError:
                    answer = None
                if answer is not None:
                    return answer
                # the host was killed: its workers died with it, so only a spawn is worth another try
                orders.close()
                process.kill()
                process.wait()
                self._host = None
                if order["op"] != "spawn" or attempt == 2:
                    break
        raise FunctionError(
            "Lambda.ServiceException",
            f"no worker can be started; see {self._settings.home_path}/logs/functions.log",
        )


def _check_size(text: str, max_bytes: int, request_id: str) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size <= max_bytes:
        return
    if max_bytes == STATE_BYTES:
        raise FunctionError(
            "States.DataLimitExceeded",
            "The state/task 'lambda' returned a result with a size exceeding the maximum number of bytes "
            "service limit.",
            request_id=request_id,
        )
    raise FunctionError(
        "Function.ResponseSizeTooLarge",
        f"payload size {size} exceeded maximum allowed payload size ({max_bytes} bytes).",
        request_id=request_id,
    )
