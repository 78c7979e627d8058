"""The laptop's Step Functions: runs the JSONata dialect of the Amazon States Language durably on Postgres."""

from __future__ import annotations

from chimera_local.asl.definition import Machine, load_machine
from chimera_local.asl.errors import (
    ExecutionAlreadyExists,
    ExecutionDoesNotExist,
    InvalidDefinition,
    InvalidExecutionInput,
    InvalidToken,
    TaskDoesNotExist,
    TaskFailure,
    TaskTimedOut,
    UnsupportedDefinition,
)
from chimera_local.asl.model import JSON, ExecutionDescription, HistoryEvent, TaskRunner

__all__ = [
    "JSON",
    "ExecutionAlreadyExists",
    "ExecutionDescription",
    "ExecutionDoesNotExist",
    "HistoryEvent",
    "InvalidDefinition",
    "InvalidExecutionInput",
    "InvalidToken",
    "Machine",
    "TaskDoesNotExist",
    "TaskFailure",
    "TaskRunner",
    "TaskTimedOut",
    "UnsupportedDefinition",
    "load_machine",
]
