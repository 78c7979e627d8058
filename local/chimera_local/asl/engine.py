"""The durable engine: executions are DBOS workflows on Postgres and go on where they were after a crash."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import psycopg
from dbos import DBOS, DBOSConfig, SetWorkflowID
from dbos._error import DBOSException, DBOSNonExistentWorkflowError

from chimera_local.asl.definition import Machine
from chimera_local.asl.durable import drive, perform
from chimera_local.asl.errors import (
    MAX_PAYLOAD_BYTES,
    ExecutionAlreadyExists,
    ExecutionDoesNotExist,
    InvalidExecutionInput,
    InvalidToken,
    StateMachineDoesNotExist,
    TaskDoesNotExist,
    TaskTimedOut,
    exceeds_limit,
)
from chimera_local.asl.execution import Account, checked_input, first_frame, plain_id
from chimera_local.asl.frame import Request, Signal, Stop
from chimera_local.asl.model import JSON, ExecutionDescription, HistoryEvent, Status, TaskRunner
from chimera_local.asl.store import PgWorld, Store, clean, dumps, request_stop, token_hash
from chimera_local.asl.tables import claim_database, create_tables

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
_BELL = "bell"
_LONGEST_WAIT = 86_400.0
_CLOSE_GRACE_SECONDS = 5.0
_WAIT_POLL_SECONDS = 0.5
_DATABASE_GRACE_SECONDS = 60.0
_DATABASE_PAUSE_SECONDS = 0.25
_TOKEN = re.compile(r"^[A-Za-z0-9_-]{64}$")
_COLUMNS = "id, machine, status, input, output, error, cause, started_at, stopped_at, parent"

_engine: Engine | None = None


@DBOS.workflow(name="asl.scope", max_recovery_attempts=None)
async def _scope_workflow(scope: str) -> None:
    """Every execution, branch and item is one of these; its workflow id is the scope's id."""
    assert _engine is not None, "DBOS runs workflows only while an engine is launched"
    durable = _DbosDurable(_engine, scope)
    try:
        await drive(durable)
    except DBOSException:
        raise
    except Exception as error:  # noqa: BLE001 - made into the execution's own failure
        # A defect must not leave the execution, and whoever waits for it, hanging.
        _log.exception("the step of %s could not be saved", scope)
        reason = f"{type(error).__name__}: {error}"
        for parent in await DBOS.run_step_async({"name": "asl.fail"}, _engine.fail_step, scope, reason):
            await durable.ring(parent)


class _DbosDurable:
    """The seam on DBOS: steps, messages and child starts are recorded; a recovered workflow repeats none."""

    def __init__(self, engine: Engine, scope: str) -> None:
        self._engine = engine
        self._scope = scope

    async def step(self, number: int, answered: Request | None) -> Request:
        engine = self._engine
        if answered is not None and answered["kind"] == "call":
            async with engine.slots:
                return await DBOS.run_step_async({"name": "asl.call"}, engine.call_step, self._scope, number)
        return await DBOS.run_step_async({"name": "asl.step"}, engine.plain_step, self._scope, number)

    async def wait(self, seconds: float | None) -> None:
        left = _LONGEST_WAIT if seconds is None else min(seconds, _LONGEST_WAIT)
        if left > 0:
            await DBOS.recv_async(_BELL, timeout_seconds=left)

    async def ring(self, scope: str) -> None:
        try:
            await DBOS.send_async(scope, "ring", _BELL)
        except DBOSNonExistentWorkflowError:
            return  # never started: nobody to wake

    async def spawn(self, scope: str) -> None:
        with SetWorkflowID(scope):
            await DBOS.start_workflow_async(_scope_workflow, scope)


class Engine:
    """Step Functions on a laptop. One launched engine a process and a database; all methods are thread-safe.

    `machines` are what `start_execution` and nested executions may start; executions that are already running
    keep the definition they started with. `max_workers` is how many task calls run at a time: executions
    that wait (for time, a token, a child) hold no thread. `app_version` has to stay the same over upgrades of
    the code, or DBOS would not recover what an older version began.
    """

    def __init__(
        self,
        *,
        database_url: str,
        machines: Mapping[str, Machine],
        tasks: TaskRunner,
        app_version: str = "chimera-asl-1",
        executor_id: str = "local",
        max_workers: int = 8,
        account: Account | None = None,
    ) -> None:
        self._url = database_url
        self._machines = dict(machines)
        self._tasks = tasks
        self._app_version = app_version
        self._executor_id = executor_id
        self._max_workers = max_workers
        self._store = Store(database_url, account or Account())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended = threading.Condition()
        self._calls: dict[str, threading.Event] = {}
        self._calls_lock = threading.Lock()
        self._closing = False
        self._claim: psycopg.Connection[Any] | None = None
        self.slots = asyncio.Semaphore(max_workers)

    # -- life --------------------------------------------------------------------------------------------

    def launch(self) -> None:
        """Create what is missing in the database and recover every execution at the step it had reached.

        Raises EngineAlreadyRunning if another process's engine runs on this database.
        """
        global _engine
        if _engine is not None:
            raise RuntimeError("another engine is launched in this process; close it first")
        create_tables(self._url)
        self._claim = claim_database(self._url)
        _engine = self
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="asl-loop", daemon=True)
        self._thread.start()
        config: DBOSConfig = {
            "name": "chimera-asl",
            "system_database_url": self._url,
            "application_version": self._app_version,
            "executor_id": self._executor_id,
            "sys_db_pool_size": self._max_workers + 4,
            "max_executor_threads": self._max_workers + 8,
            "log_level": "CRITICAL",
            "enable_otlp": False,
        }
        try:
            self._store.pin(list(self._machines.values()))
            DBOS(config=config)
            # Launched on our loop, DBOS adopts it: its workflows are tasks there and hold no thread.
            self._on_loop(_call(DBOS.launch))
            self._reconcile()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Take no further steps; whatever is running goes on at the next launch. Task calls are cancelled."""
        global _engine
        self._closing = True
        with self._calls_lock:
            calls = list(self._calls.values())
        for cancel in calls:
            cancel.set()
        deadline = time.monotonic() + _CLOSE_GRACE_SECONDS
        while self._calls and time.monotonic() < deadline:
            time.sleep(0.01)
        if self._thread is not None and self._loop is not None:
            self._on_loop(_cancel_others())
            DBOS.destroy()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._thread = self._loop = None
        self._store.connections.close()
        if self._claim is not None:
            self._claim.close()
            self._claim = None
        if _engine is self:
            _engine = None

    def _on_loop(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        if self._loop is None:
            coroutine.close()
            raise RuntimeError("the engine is not launched")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _reconcile(self) -> None:
        """Mend what a crash left between our tables and DBOS: workflows never started, bells never rung."""
        with self._store.connections.reading() as connection:
            roots = connection.execute(
                "SELECT e.id FROM asl.executions e JOIN asl.scopes s ON s.id = e.id "
                "WHERE e.status = 'RUNNING' AND s.step = 0 AND e.parent IS NULL"
            ).fetchall()
            rung = connection.execute(
                "SELECT t.scope_id FROM asl.tokens t JOIN asl.scopes s ON s.id = t.scope_id "
                "WHERE t.status IN ('SUCCEEDED', 'FAILED') AND s.status = 'RUNNING' "
                "UNION SELECT s.id FROM asl.scopes s JOIN asl.executions e ON e.id = s.execution_id "
                "WHERE s.status = 'RUNNING' AND (e.stop IS NOT NULL OR s.cancelled)"
            ).fetchall()
        for (scope,) in roots:
            if DBOS.get_workflow_status(scope) is None:
                self._on_loop(self._start(scope))
        for (scope,) in rung:
            self._ring(scope)

    async def _start(self, scope: str) -> None:
        with SetWorkflowID(scope):
            await DBOS.start_workflow_async(_scope_workflow, scope)

    def _ring(self, scope: str) -> None:
        try:
            DBOS.send(scope, "ring", _BELL)
        except DBOSNonExistentWorkflowError:
            return  # not started yet: its first step will look by itself

    # -- steps (called by DBOS in its threads) -----------------------------------------------------------

    def plain_step(self, scope: str, number: int) -> Request:
        """A step without a task call."""
        return self._persistent(
            lambda: self._store.step(scope, number, {"kind": "start" if number == 1 else "wake"}, self._committed)
        )

    def call_step(self, scope: str, number: int) -> Request:
        """Call the task that the frame asks for, then take its result in."""
        cancel = threading.Event()
        with self._calls_lock:
            # Registered before looking: a stop that comes later finds the event, an earlier one is seen.
            self._calls[scope] = cancel
        try:
            saved, frame, deadline, stopped = self._persistent(lambda: self._store.peek(scope, number))
            if saved is not None:
                return saved
            signal: Signal = {"kind": "wake"}
            if not stopped and not self._closing:
                signal = perform(self._tasks, frame, now=time.time(), deadline=deadline, cancel=cancel)
        finally:
            with self._calls_lock:
                self._calls.pop(scope, None)
        if self._closing and signal["kind"] != "result":
            # Not a failure of the task: leave the step without a record, the next launch repeats it.
            raise asyncio.CancelledError
        return self._persistent(lambda: self._store.step(scope, number, signal, self._committed))

    def fail_step(self, scope: str, reason: str) -> list[str]:
        """End a scope as States.Runtime; returns whom to ring."""
        return self._persistent(lambda: self._store.fail(scope, reason, self._committed))

    def _persistent(self, action: Callable[[], _T]) -> _T:
        """Try again while the database is away; if it stays away, leave the step to the next launch."""
        deadline = time.monotonic() + _DATABASE_GRACE_SECONDS
        while True:
            try:
                return action()
            except psycopg.OperationalError as error:
                if self._closing or time.monotonic() > deadline:
                    raise asyncio.CancelledError from error
                _log.warning("the database does not answer, trying again: %s", error)
                time.sleep(_DATABASE_PAUSE_SECONDS)

    def _committed(self, world: PgWorld) -> None:
        self._interrupt(world.interrupted)
        if world.ended:
            with self._ended:
                self._ended.notify_all()

    def _interrupt(self, scopes: list[str]) -> None:
        with self._calls_lock:
            for scope in scopes:
                if scope in self._calls:
                    self._calls[scope].set()

    # -- executions --------------------------------------------------------------------------------------

    def start_execution(self, machine: str, input: JSON, name: str | None = None) -> str:
        """Start a machine; returns the execution's id, `MACHINE:NAME` (NAME a UUID if not given).

        Starting again under the same name with the same input is the same execution; with another input it
        raises ExecutionAlreadyExists. Raises StateMachineDoesNotExist, InvalidExecutionInput, InvalidName.
        """
        if machine not in self._store.machines:
            raise StateMachineDoesNotExist(machine, sorted(self._store.machines))
        if self._closing or self._loop is None:
            raise RuntimeError("the engine is not launched")
        value = checked_input(input)
        name = name or str(uuid.uuid4())
        target = self._store.machines[machine]
        frame = first_frame(target, name, value, account=self._store.account, started_at=time.time())
        with self._store.connections.transaction(durable=True) as connection:
            if not self._store.insert_execution(connection, target, name, frame, None):
                row = connection.execute("SELECT input FROM asl.executions WHERE id = %s", [frame.execution]).fetchone()
                if row is None or json.loads(row[0]) != value:
                    raise ExecutionAlreadyExists(frame.execution)
                return frame.execution
        self._on_loop(self._start(frame.scope))
        return frame.execution

    def describe(self, execution_id: str) -> ExecutionDescription:
        """The execution as it stands. Raises ExecutionDoesNotExist."""
        with self._store.connections.reading() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM asl.executions WHERE id = %s",  # noqa: S608 - constant columns
                [plain_id(execution_id)],
            ).fetchone()
        if row is None:
            raise ExecutionDoesNotExist(execution_id)
        return _described(row)

    def list_executions(
        self, machine: str | None = None, status: Status | None = None, limit: int = 100
    ) -> list[ExecutionDescription]:
        """The newest executions first; items of a distributed Map are not listed."""
        with self._store.connections.reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM asl.executions WHERE kind = 'root' "  # noqa: S608
                "AND (%s::text IS NULL OR machine = %s) AND (%s::text IS NULL OR status = %s) "
                "ORDER BY started_at DESC, id LIMIT %s",
                [machine, machine, status, status, limit],
            ).fetchall()
        return [_described(row) for row in rows]

    def history(self, execution_id: str) -> list[HistoryEvent]:
        """Every event so far, oldest first, large payloads included. Raises ExecutionDoesNotExist."""
        execution = self.describe(execution_id).id
        with self._store.connections.reading() as connection:
            rows = connection.execute(
                "SELECT id, previous_id, type, state, at, details, payloads FROM asl.history "
                "WHERE execution_id = %s ORDER BY id",
                [execution],
            ).fetchall()
            digests = {digest for row in rows for digest in (row[6] or {}).values()}
            bodies = dict(
                connection.execute(
                    "SELECT sha256, body FROM asl.payloads WHERE sha256 = ANY(%s)", [list(digests)]
                ).fetchall()
            )
        return [
            HistoryEvent(
                row[0],
                row[1],
                row[2],
                row[3],
                row[4],
                {**row[5], **{key: json.loads(bodies[digest]) for key, digest in (row[6] or {}).items()}},
            )
            for row in rows
        ]

    def stop_execution(self, execution_id: str, error: str | None = None, cause: str | None = None) -> None:
        """End an execution and everything it started: ABORTED. One that has ended already stays as it is."""
        execution = self.describe(execution_id).id
        with self._store.connections.transaction(durable=True) as connection:
            scopes = request_stop(connection, execution, Stop("ABORTED", error, cause))
        self._interrupt(scopes)
        for scope in scopes:
            self._ring(scope)

    def wait(self, execution_id: str, timeout: float | None = None) -> ExecutionDescription:
        """Until the execution has ended, or `timeout` seconds have passed (then it may still be RUNNING)."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            described = self.describe(execution_id)
            left = _WAIT_POLL_SECONDS if deadline is None else deadline - time.monotonic()
            if described.status != "RUNNING" or left <= 0:
                return described
            with self._ended:
                self._ended.wait(min(left, _WAIT_POLL_SECONDS))

    # -- task tokens -------------------------------------------------------------------------------------

    def send_task_success(self, token: str, output: JSON) -> None:
        """Answer a task. Raises InvalidToken, TaskDoesNotExist, TaskTimedOut or InvalidExecutionInput."""
        try:
            text = dumps(json.loads(json.dumps(output, allow_nan=False)))
        except (TypeError, ValueError) as error:
            raise InvalidExecutionInput(f"not JSON: {error}") from error
        if exceeds_limit(output):
            raise InvalidExecutionInput(f"larger than {MAX_PAYLOAD_BYTES} bytes of JSON")
        self._answer(token, "SUCCEEDED", text, None, None)

    def send_task_failure(self, token: str, error: str | None = None, cause: str | None = None) -> None:
        """Fail a waiting task with an error that its Retry and Catch see. Raises as send_task_success."""
        self._answer(token, "FAILED", None, clean(error), clean(cause))

    def send_task_heartbeat(self, token: str) -> None:
        """Say that the task is alive. Raises InvalidToken, TaskDoesNotExist, TaskTimedOut."""
        with self._store.connections.transaction(durable=True) as connection:
            row = connection.execute(
                "UPDATE asl.tokens SET heartbeat_at = %s WHERE hash = %s AND status = 'OPEN' RETURNING scope_id",
                [time.time(), token_hash(_well_formed(token))],
            ).fetchone()
        if row is None:
            self._refuse(token)

    def _answer(self, token: str, status: str, output: str | None, error: str | None, cause: str | None) -> None:
        # The row decides who is first; the message only wakes the execution to look at it.
        with self._store.connections.transaction(durable=True) as connection:
            row = connection.execute(
                "UPDATE asl.tokens SET status = %s, output = %s, error = %s, cause = %s "
                "WHERE hash = %s AND status = 'OPEN' RETURNING scope_id",
                [status, output, error, cause, token_hash(_well_formed(token))],
            ).fetchone()
        if row is None:
            self._refuse(token)
        else:
            self._ring(row[0])

    def _refuse(self, token: str) -> None:
        with self._store.connections.reading() as connection:
            known = connection.execute("SELECT 1 FROM asl.tokens WHERE hash = %s", [token_hash(token)]).fetchone()
        raise TaskTimedOut if known else TaskDoesNotExist


def _well_formed(token: str) -> str:
    if not isinstance(token, str) or not _TOKEN.match(token):
        raise InvalidToken
    return token


def _described(row: tuple[Any, ...]) -> ExecutionDescription:
    value = json.loads(row[3])
    output = None if row[4] is None else json.loads(row[4])
    return ExecutionDescription(row[0], row[1], row[2], value, output, *row[5:])


async def _call(function: Any) -> None:
    function()


async def _cancel_others() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
