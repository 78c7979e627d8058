"""The durable state of one running scope (an execution, a branch, an item) and what it may ask for next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NotRequired, Protocol, TypedDict

from chimera_local.asl.model import JSON, Status

ScopeKind = Literal["root", "branch", "iteration", "child"]
"""An execution, a Parallel branch, an inline Map's item, a distributed Map's item (its own execution)."""


@dataclass(slots=True)
class Frame:
    """Where a scope stands. Saved after every step; small, because payloads of other scopes are not in it."""

    scope: str
    execution: str
    kind: ScopeKind
    machine: str
    sha256: str
    path: list[str | int]
    context: dict[str, JSON]
    input: JSON
    parent: str | None = None
    index: int = 0
    outer: dict[str, JSON] = field(default_factory=dict)
    variables: dict[str, JSON] = field(default_factory=dict)
    state: str | None = None
    entered_event: int = 0
    entered_time: str = ""
    retries: dict[str, int] = field(default_factory=dict)
    retry_count: int = 0
    forks: int = 0
    calls: int = 0
    last_event: int = 0
    phase: dict[str, Any] | None = None

    def dumps(self) -> str:
        """JSON text for the store (ASCII: every Postgres text column takes it)."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__}, separators=(",", ":"))

    @classmethod
    def loads(cls, text: str) -> Frame:
        """The frame that `dumps` wrote."""
        return cls(**json.loads(text))


class Request(TypedDict):
    """What a scope needs before its next step.

    `call`: run a task (its details are in the frame). `wait`: until rung, at most `seconds` (None: no limit).
    `continue`: nothing. `done`: the scope has ended. First, `spawn` scopes start and `ring` scopes wake.
    """

    kind: Literal["call", "wait", "continue", "done"]
    seconds: NotRequired[float | None]
    spawn: NotRequired[list[str]]
    ring: NotRequired[list[str]]


class Signal(TypedDict):
    """Why a step runs: the scope starts, was woken, or its task call came back."""

    kind: Literal["start", "wake", "result", "failure"]
    output: NotRequired[JSON]
    error: NotRequired[str | None]
    cause: NotRequired[str | None]
    timed_out: NotRequired[bool]


@dataclass(frozen=True, slots=True)
class Stop:
    """A scope has to end: its execution was aborted or timed out, or its parent cancelled it."""

    status: Literal["ABORTED", "TIMED_OUT"]
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Child:
    """One branch or item as its parent sees it. `order` says which finished first."""

    scope: str
    index: int
    status: Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "ABORTED"]
    error: str | None
    cause: str | None
    order: float


@dataclass(frozen=True, slots=True)
class TokenState:
    """A task token's row: still open, or answered with an output or a failure."""

    status: Literal["OPEN", "SUCCEEDED", "FAILED", "CLOSED"]
    heartbeat_at: float
    output: JSON = None
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class NestedState:
    """A nested execution as its parent sees it."""

    id: str
    machine: str
    name: str
    status: Status
    input: JSON
    output: JSON
    error: str | None
    cause: str | None
    started_at: float
    stopped_at: float | None
    execution_arn: str
    machine_arn: str


class World(Protocol):
    """All that is shared or not deterministic, for one step of one scope; its changes are saved together."""

    def now(self) -> float: ...
    def random(self) -> float: ...
    def uuid(self) -> str: ...
    def emit(self, event_type: str, state: str | None, details: dict[str, JSON]) -> int: ...
    def stop(self) -> Stop | None: ...
    def deadline(self) -> float | None: ...
    def execution_input(self) -> JSON: ...
    def finish(
        self, status: Status, output: JSON = None, error: str | None = None, cause: str | None = None
    ) -> None: ...
    def open_token(self) -> str: ...
    def token(self, token: str) -> TokenState: ...
    def close_token(self, token: str) -> None: ...
    def open_children(self, group: str, frames: Sequence[Frame]) -> None: ...
    def children(self, group: str) -> list[Child]: ...
    def child_outputs(self, group: str) -> list[JSON]: ...
    def mark_running(self, scopes: Sequence[str]) -> None: ...
    def cancel_children(self, group: str) -> list[str]: ...
    def start_nested(self, machine: str, name: str, value: JSON, parent: Frame) -> NestedState: ...
    def nested(self, execution: str) -> NestedState: ...
    def stop_nested(self, execution: str) -> None: ...


def iso(timestamp: float) -> str:
    """Unix seconds as AWS writes times: UTC, milliseconds, Z."""
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
