"""The interpreter without a database: virtual time, one thread. For conformance cases and unit tests only."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import secrets
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from chimera_local.asl.definition import Machine
from chimera_local.asl.durable import advance, drive, perform
from chimera_local.asl.errors import ExecutionAlreadyExists, InvalidToken, TaskTimedOut
from chimera_local.asl.execution import (
    Account,
    already_exists,
    checked_input,
    execution_id,
    first_frame,
    nested_input,
    no_machine,
)
from chimera_local.asl.frame import Child, Frame, NestedState, Request, Signal, Stop, TokenState
from chimera_local.asl.model import JSON, ExecutionDescription, HistoryEvent, Status, TaskRunner

_EPOCH = 1_767_225_600.0  # 2026-01-01: where virtual time begins

NestedStub = Callable[[NestedState], NestedState]
"""Ends a nested execution whose machine is not known: from its start to how it came out."""


@dataclass
class _Execution:
    id: str
    machine: Machine
    name: str
    input: JSON
    parent: str | None
    started_at: float
    deadline: float | None
    status: Status = "RUNNING"
    output: JSON = None
    error: str | None = None
    cause: str | None = None
    stopped_at: float | None = None
    stop: Stop | None = None
    history: list[HistoryEvent] = field(default_factory=list)


@dataclass
class _Scope:
    frame: Frame
    group: str | None = None
    status: str = "PENDING"
    output: JSON = None
    error: str | None = None
    cause: str | None = None
    order: float = 0.0
    cancelled: bool = False
    bells: int = 0


class MemoryEngine:
    """Runs executions in this thread. `between` is called when every scope waits: it may answer a token.

    `clock` is virtual: waits, retries and timeouts take no time, and happen in the right order.
    """

    def __init__(
        self,
        machines: Mapping[str, Machine],
        tasks: TaskRunner,
        *,
        account: Account | None = None,
        between: Callable[[MemoryEngine], bool] | None = None,
        nested_stub: NestedStub | None = None,
    ) -> None:
        self.machines = dict(machines)
        self.tasks = tasks
        self.account = account or Account()
        self.between = between
        self.nested_stub = nested_stub
        self.clock = _EPOCH
        self.executions: dict[str, _Execution] = {}
        self.scopes: dict[str, _Scope] = {}
        self.stubbed: dict[str, NestedState] = {}
        self.tokens: dict[str, TokenState] = {}
        self.token_scopes: dict[str, str] = {}
        self.counter = itertools.count(1)
        self.running = 0
        self.sleepers: list[tuple[float, int, asyncio.Event]] = []
        self.waiting: dict[str, asyncio.Event] = {}
        self._background: set[asyncio.Task[None]] = set()

    def run(self, machine: str, value: JSON, name: str | None = None) -> ExecutionDescription:
        """Start an execution, run it to its end, and describe it."""
        identifier = self.open(self.machines[machine], name or str(uuid.uuid4()), checked_input(value), None)
        asyncio.run(self._main(identifier))
        return self.describe(identifier)

    def open(self, machine: Machine, name: str, value: JSON, parent: Frame | None) -> str:
        """Make the rows of an execution; it does not run yet."""
        identifier = execution_id(machine.name, name)
        if identifier in self.executions:
            raise ExecutionAlreadyExists(identifier)
        frame = first_frame(
            machine,
            name,
            value,
            account=self.account,
            started_at=self.clock,
            parent_scope=parent.scope if parent else None,
        )
        self.add_execution(frame, machine, name, parent.execution if parent else None)
        self.scopes[identifier] = _Scope(frame)
        return identifier

    def add_execution(self, frame: Frame, machine: Machine, name: str, parent: str | None) -> None:
        """The execution's own row."""
        limit = machine.definition.get("TimeoutSeconds") if frame.kind == "root" else None
        self.executions[frame.execution] = _Execution(
            frame.execution,
            machine,
            name,
            frame.input,
            parent,
            self.clock,
            None if limit is None else self.clock + limit,
        )

    async def _main(self, identifier: str) -> None:
        await self.spawn(identifier)
        while self._background:
            done, _ = await asyncio.wait(self._background, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self._background.discard(task)
                task.result()

    async def spawn(self, scope: str) -> None:
        """Run a scope beside the others; a stubbed nested execution has ended already."""
        if scope in self.stubbed:
            parent = next(n for n, s in self.scopes.items() if (s.frame.phase or {}).get("id") == scope)
            self.ring(parent)
            return
        self.running += 1
        self._background.add(asyncio.create_task(self._drive(scope)))

    async def _drive(self, scope: str) -> None:
        try:
            await drive(_MemoryDurable(self, scope))
        finally:
            self.running -= 1
            self.pass_time()

    def pass_time(self) -> None:
        """When nobody runs, let somebody outside act, else move the clock to the next sleeper."""
        while self.running == 0:
            if self.between is not None and self.between(self):
                continue
            if not self.sleepers:
                return
            at, _, event = heapq.heappop(self.sleepers)
            if not event.is_set():
                self.clock = max(self.clock, at)
                self.running += 1
                event.set()

    def ring(self, scope: str) -> None:
        """Wake a scope now, or let its next wait return at once."""
        event = self.waiting.get(scope)
        if event is not None and not event.is_set():
            self.running += 1
            event.set()
        elif scope in self.scopes:
            self.scopes[scope].bells += 1

    def answer(self, token: str, output: JSON = None, *, failure: tuple[str | None, str | None] | None = None) -> None:
        """SendTaskSuccess, or with `failure` SendTaskFailure."""
        self._open_token(token)
        self.tokens[token] = (
            TokenState("SUCCEEDED", self.clock, output)
            if failure is None
            else TokenState("FAILED", self.clock, None, *failure)
        )
        self.ring(self.token_scopes[token])

    def heartbeat(self, token: str) -> None:
        """SendTaskHeartbeat."""
        self._open_token(token)
        self.tokens[token] = TokenState("OPEN", self.clock)

    def _open_token(self, token: str) -> None:
        if token not in self.tokens:
            raise InvalidToken
        if self.tokens[token].status != "OPEN":
            raise TaskTimedOut

    def stop(self, execution: str, error: str | None = None, cause: str | None = None) -> None:
        """StopExecution."""
        found = self.executions[execution]
        if found.status == "RUNNING" and found.stop is None:
            found.stop = Stop("ABORTED", error, cause)
            for name, scope in list(self.scopes.items()):
                if scope.frame.execution == execution:
                    self.ring(name)

    def describe(self, execution: str) -> ExecutionDescription:
        """The execution as it stands."""
        found = self.executions[execution]
        return ExecutionDescription(
            found.id,
            found.machine.name,
            found.status,
            found.input,
            found.output,
            found.error,
            found.cause,
            found.started_at,
            found.stopped_at,
            found.parent,
        )

    def history(self, execution: str) -> list[HistoryEvent]:
        """Its events so far."""
        return list(self.executions[execution].history)


class _MemoryDurable:
    def __init__(self, engine: MemoryEngine, scope: str) -> None:
        self._engine = engine
        self._scope = scope

    async def step(self, number: int, answered: Request | None) -> Request:
        engine = self._engine
        scope = engine.scopes[self._scope]
        scope.status = "RUNNING"
        execution = engine.executions[scope.frame.execution]
        signal: Signal = {"kind": "start" if answered is None else "wake"}
        if answered is not None and answered["kind"] == "call":
            # Virtual time: siblings that started at the same moment get their turn before this call's effect.
            await asyncio.sleep(0)
            signal = perform(
                engine.tasks,
                scope.frame,
                now=engine.clock,
                deadline=execution.deadline,
                cancel=threading.Event(),
            )
        return advance(execution.machine, scope.frame, signal, MemoryWorld(engine, scope))

    async def wait(self, seconds: float | None) -> None:
        engine = self._engine
        scope = engine.scopes[self._scope]
        if scope.bells:
            scope.bells = 0
            return
        event = asyncio.Event()
        engine.waiting[self._scope] = event
        if seconds is not None:
            heapq.heappush(engine.sleepers, (engine.clock + seconds, next(engine.counter), event))
        engine.running -= 1
        engine.pass_time()
        if engine.running == 0 and not event.is_set():
            raise RuntimeError(f"{self._scope} waits for something that never happens")
        await event.wait()
        engine.waiting.pop(self._scope, None)

    async def ring(self, scope: str) -> None:
        self._engine.ring(scope)

    async def spawn(self, scope: str) -> None:
        await self._engine.spawn(scope)


class MemoryWorld:
    def __init__(self, engine: MemoryEngine, scope: _Scope) -> None:
        self._engine = engine
        self._scope = scope
        self._execution = engine.executions[scope.frame.execution]

    def now(self) -> float:
        return self._engine.clock

    def random(self) -> float:
        return random.random()  # noqa: S311 - jitter

    def uuid(self) -> str:
        return str(uuid.uuid4())

    def emit(self, event_type: str, state: str | None, details: dict[str, JSON]) -> int:
        history = self._execution.history
        number = len(history) + 1
        frame = self._scope.frame
        history.append(HistoryEvent(number, frame.last_event, event_type, state, self._engine.clock, details))
        frame.last_event = number
        return number

    def stop(self) -> Stop | None:
        execution = self._execution
        if execution.stop is not None:
            return execution.stop
        if execution.deadline is not None and self._engine.clock >= execution.deadline:
            return Stop("TIMED_OUT")
        return Stop("ABORTED") if self._scope.cancelled else None

    def deadline(self) -> float | None:
        return self._execution.deadline

    def execution_input(self) -> JSON:
        return self._execution.input

    def finish(self, status: Status, output: JSON = None, error: str | None = None, cause: str | None = None) -> None:
        scope, execution = self._scope, self._execution
        scope.status = "ABORTED" if status == "TIMED_OUT" else status
        scope.output, scope.error, scope.cause = output, error, cause
        scope.order = float(next(self._engine.counter))
        if scope.frame.kind in ("root", "child"):
            execution.status, execution.output, execution.error, execution.cause = (
                status,
                output,
                error,
                cause,
            )
            execution.stopped_at = self._engine.clock

    def open_token(self) -> str:
        token = secrets.token_urlsafe(48)
        self._engine.tokens[token] = TokenState("OPEN", self._engine.clock)
        self._engine.token_scopes[token] = self._scope.frame.scope
        return token

    def token(self, token: str) -> TokenState:
        return self._engine.tokens[token]

    def close_token(self, token: str) -> None:
        self._engine.tokens[token] = TokenState("CLOSED", self._engine.clock)

    def open_children(self, group: str, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self._engine.scopes[frame.scope] = _Scope(frame, group)
            if frame.kind == "child":
                self._engine.add_execution(
                    frame, self._execution.machine, frame.scope.rsplit(":", 1)[-1], self._execution.id
                )

    def _group(self, group: str) -> list[_Scope]:
        return [scope for scope in self._engine.scopes.values() if scope.group == group]

    def children(self, group: str) -> list[Child]:
        return [
            Child(s.frame.scope, s.frame.index, s.status, s.error, s.cause, s.order)  # type: ignore[arg-type]
            for s in self._group(group)
        ]

    def child_outputs(self, group: str) -> list[JSON]:
        return [
            s.output if s.status == "SUCCEEDED" else {"Error": s.error, "Cause": s.cause} for s in self._group(group)
        ]

    def mark_running(self, scopes: Sequence[str]) -> None:
        for scope in scopes:
            self._engine.scopes[scope].status = "RUNNING"

    def cancel_children(self, group: str) -> list[str]:
        rung = []
        for scope in self._group(group):
            if scope.status == "PENDING":
                scope.status = "ABORTED"
            elif scope.status == "RUNNING" and not scope.cancelled:
                scope.cancelled = True
                rung.append(scope.frame.scope)
        return rung

    def start_nested(self, machine: str, name: str, value: JSON, parent: Frame) -> NestedState:
        engine = self._engine
        value = nested_input(value)
        if machine not in engine.machines:
            if engine.nested_stub is None:
                raise no_machine(machine)
            identifier = execution_id(machine, name)
            started = NestedState(
                identifier,
                machine,
                name,
                "RUNNING",
                value,
                None,
                None,
                None,
                engine.clock,
                None,
                engine.account.arn("execution", identifier),
                engine.account.arn("stateMachine", machine),
            )
            engine.stubbed[identifier] = engine.nested_stub(started)
            return started
        identifier = execution_id(machine, name)
        if identifier in engine.executions:
            raise already_exists(engine.account.arn("execution", identifier))
        engine.open(engine.machines[machine], name, value, parent)
        return self.nested(identifier)

    def nested(self, execution: str) -> NestedState:
        engine = self._engine
        if execution in engine.stubbed:
            return engine.stubbed[execution]
        found = engine.executions[execution]
        return NestedState(
            found.id,
            found.machine.name,
            found.name,
            found.status,
            found.input,
            found.output,
            found.error,
            found.cause,
            found.started_at,
            found.stopped_at,
            engine.account.arn("execution", found.id),
            engine.account.arn("stateMachine", found.machine.name),
        )

    def stop_nested(self, execution: str) -> None:
        self._engine.stop(execution)
