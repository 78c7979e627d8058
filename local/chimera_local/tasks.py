"""Gives the ASL runner its tasks: functions from the pool, container jobs from the job runner; a full disk is waited out."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from chimera.errors import from_cause
from chimera_local.asl.errors import TaskFailure
from chimera_local.functions import FunctionError, LambdaPool
from chimera_local.jobs import JobError, JobRunner

JSON: TypeAlias = Any
ROOM_SECONDS = 3600.0
"""How long a call without a time limit is made again on a full disk before it counts as failed."""
PAUSE_SECONDS = 10.0
_FULL = (errno.ENOSPC, errno.EDQUOT)
_SAID = ("No space left on device", "Disk quota exceeded")


class LocalTasks:
    """The runner's TaskRunner on this machine; calls block and may come from many threads.

    A failure for lack of room is no answer: a run that fails closes its books, and then there is nothing to go on with. The
    call is made again every `pause_seconds` until it ends otherwise, is cancelled, or its time is over.
    """

    def __init__(self, functions: LambdaPool, jobs: JobRunner, *, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._functions = functions
        self._jobs = jobs
        self._pause_seconds = pause_seconds
        self._waiting: set[int] = set()

    @property
    def without_room(self) -> bool:
        """Whether a call waits for room on the disk at this moment."""
        return bool(self._waiting)

    def invoke_function(
        self, name: str, payload: JSON, *, timeout_seconds: float | None, cancel: threading.Event
    ) -> JSON:
        """Call the function; raises TaskFailure with Lambda's error name and cause."""

        def call(seconds: float | None) -> JSON:
            try:
                return self._functions.invoke(name, payload, timeout_seconds=seconds, cancel=cancel)
            except FunctionError as error:
                raise TaskFailure(error.error_type, error.cause) from error

        return self._with_room(call, timeout_seconds, cancel)

    def run_job(self, job_key: str, arguments: JSON, *, timeout_seconds: float | None, cancel: threading.Event) -> JSON:
        """Run the job, or find it finished; raises TaskFailure as Batch's integration does."""

        def call(seconds: float | None) -> JSON:
            try:
                return self._jobs.run(job_key, arguments, timeout_seconds=seconds, cancel=cancel)
            except JobError as error:
                raise TaskFailure(error.error, error.cause) from error

        return self._with_room(call, timeout_seconds, cancel)

    def _with_room(
        self, call: Callable[[float | None], JSON], timeout_seconds: float | None, cancel: threading.Event
    ) -> JSON:
        until = time.monotonic() + (ROOM_SECONDS if timeout_seconds is None else timeout_seconds)
        left = timeout_seconds
        while True:
            try:
                return call(left)
            except (TaskFailure, OSError) as failure:
                if not _disk_full(failure) or time.monotonic() + self._pause_seconds >= until:
                    raise
                self._waiting.add(threading.get_ident())
                try:
                    if cancel.wait(self._pause_seconds):
                        raise
                finally:
                    self._waiting.discard(threading.get_ident())
            left = None if timeout_seconds is None else max(until - time.monotonic(), 0.0)


def _disk_full(failure: TaskFailure | OSError) -> bool:
    if isinstance(failure, OSError):
        return failure.errno in _FULL
    cause = failure.cause or ""
    known = from_cause(cause)
    if known is not None:
        return bool(known.details.get("reason") == "disk_full")
    return any(words in cause for words in _SAID)
