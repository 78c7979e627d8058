"""A warm worker of one function: what AWS Lambda's runtime does inside its sandbox."""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from chimera_local import frames


@dataclass(frozen=True)
class LambdaContext:
    """The context object that a handler gets; names and meanings are AWS Lambda's."""

    function_name: str
    function_version: str
    invoked_function_arn: str
    memory_limit_in_mb: int
    aws_request_id: str
    log_group_name: str
    log_stream_name: str
    deadline: float
    """Unix seconds at which the worker is killed."""
    identity: Any = None
    client_context: Any = None

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the deadline, never negative."""
        return max(0, int((self.deadline - time.time()) * 1000))

    def log(self, message: str) -> None:
        """Write to the function's log."""
        sys.stdout.write(message)


def _end_with_the_engine(channel: socket.socket) -> None:
    """End this process and all it started as soon as the engine's end of the channel closes, even by kill
    -9."""
    poll = select.poll()
    poll.register(channel, 0)  # only POLLHUP, which needs no asking for
    while not poll.poll():
        pass
    os.killpg(0, signal.SIGKILL)


def _failure(error: BaseException, request_id: str, error_type: str | None = None) -> dict[str, Any]:
    frames_seen = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
    return {
        "errorMessage": str(error),
        "errorType": error_type or type(error).__name__,
        "requestId": request_id,
        "stackTrace": traceback.format_list(frames_seen),
    }


def _load(module: str) -> Callable[[Any, Any], Any]:
    handler: Callable[[Any, Any], Any] = importlib.import_module(module).handler
    return handler


def serve(channel: socket.socket, module: str, arn: str, memory_mb: int, log_group: str, log_stream: str) -> None:
    """Answer invocations one after the other until the engine closes the channel."""
    threading.Thread(target=_end_with_the_engine, args=(channel,), daemon=True, name="lifeline").start()
    handler: Callable[[Any, Any], Any] | None = None
    broken: dict[str, Any] | None = None
    try:
        handler = _load(module)
    except (ImportError, SyntaxError) as error:
        broken = _failure(error, "", "Runtime.ImportModuleError")
        broken["errorMessage"] = f"Unable to import module '{module}': {error}"
    except AttributeError as error:
        broken = _failure(error, "", "Runtime.HandlerNotFound")
    except Exception as error:  # noqa: BLE001 - the runtime reports whatever a module raises while it loads
        broken = _failure(error, "")
    while (request := frames.receive(channel)) is not None:
        request_id = str(request["request_id"])
        started = time.perf_counter()
        if handler is None:
            frames.send(channel, {"error": {**(broken or {}), "requestId": request_id}})
            return
        context = LambdaContext(
            function_name=module.rsplit(".", 2)[-2],
            function_version="$LATEST",
            invoked_function_arn=arn,
            memory_limit_in_mb=memory_mb,
            aws_request_id=request_id,
            log_group_name=log_group,
            log_stream_name=log_stream,
            deadline=float(request["deadline"]),
            identity=SimpleNamespace(cognito_identity_id=None, cognito_identity_pool_id=None),
        )
        answer = _answer(handler, request["payload"], context)
        sys.stdout.flush()
        milliseconds = (time.perf_counter() - started) * 1000
        sys.stderr.write(f"REPORT RequestId: {request_id} Duration: {milliseconds:.2f} ms\n")
        sys.stderr.flush()
        frames.send(channel, answer)


def _answer(handler: Callable[[Any, Any], Any], payload: str, context: LambdaContext) -> dict[str, Any]:
    try:
        result = handler(json.loads(payload), context)
    except Exception as error:  # noqa: BLE001 - the runtime reports whatever a handler raises
        return {"error": _failure(error, context.aws_request_id)}
    try:
        return {"payload": json.dumps(result, ensure_ascii=False, separators=(",", ":"), allow_nan=False)}
    except (TypeError, ValueError, RecursionError) as error:
        failure = _failure(error, context.aws_request_id, "Runtime.MarshalError")
        failure["errorMessage"] = f"Unable to marshal response: {error}"
        return {"error": {**failure, "stackTrace": []}}
