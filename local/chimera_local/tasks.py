"""Gives the ASL runner its tasks: functions from the pool, container jobs from the job runner."""

from __future__ import annotations

import threading
from typing import Any, TypeAlias

from chimera_local.asl.errors import TaskFailure
from chimera_local.functions import FunctionError, LambdaPool
from chimera_local.jobs import JobError, JobRunner

JSON: TypeAlias = Any


class LocalTasks:
    """The runner's TaskRunner on this machine; calls block and may come from many threads."""

    def __init__(self, functions: LambdaPool, jobs: JobRunner) -> None:
        self._functions = functions
        self._jobs = jobs

    def invoke_function(
        self, name: str, payload: JSON, *, timeout_seconds: float | None, cancel: threading.Event
    ) -> JSON:
        """Call the function; raises TaskFailure with Lambda's error name and cause."""
        try:
            return self._functions.invoke(name, payload, timeout_seconds=timeout_seconds, cancel=cancel)
        except FunctionError as error:
            raise TaskFailure(error.error_type, error.cause) from error

    def run_job(self, job_key: str, arguments: JSON, *, timeout_seconds: float | None, cancel: threading.Event) -> JSON:
        """Run the job, or find it finished; raises TaskFailure as Batch's integration does."""
        try:
            return self._jobs.run(job_key, arguments, timeout_seconds=timeout_seconds, cancel=cancel)
        except JobError as error:
            raise TaskFailure(error.error, error.cause) from error
