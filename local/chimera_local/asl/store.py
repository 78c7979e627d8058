"""The durable World: one step of one scope is one transaction on Postgres."""

from __future__ import annotations

import hashlib
import json
import random
import secrets
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from chimera_local.asl.definition import Machine, stored_machine
from chimera_local.asl.durable import advance
from chimera_local.asl.execution import (
    Account,
    already_exists,
    execution_id,
    first_frame,
    nested_input,
    no_machine,
)
from chimera_local.asl.frame import Child, Frame, NestedState, Request, Signal, Stop, TokenState
from chimera_local.asl.interpreter import Step
from chimera_local.asl.model import JSON, Status
from chimera_local.asl.tables import Connections

PAYLOAD_BY_REFERENCE_BYTES = 16_384
"""A larger value in a history event is stored once, under its hash, and referred to."""

_FIELDS_BY_REFERENCE = ("input", "output", "parameters", "assignedVariables")


def dumps(value: JSON) -> str:
    """JSON text that any Postgres text column takes (ASCII, so that lone surrogates and NUL stay escaped)."""
    return json.dumps(value, separators=(",", ":"))


def token_hash(token: str) -> str:
    """Only the hash of a token is stored beside its state."""
    return hashlib.sha256(token.encode()).hexdigest()


def clean(text: str | None) -> str | None:
    """Postgres text holds no NUL."""
    return None if text is None else text.replace("\x00", "")


class Store:
    """Executions, scopes, tokens and history on Postgres."""

    def __init__(self, url: str, account: Account) -> None:
        self.connections = Connections(url)
        self.account = account
        self.machines: dict[str, Machine] = {}
        self._by_hash: dict[str, Machine] = {}
        self._owners: dict[str, str] = {}

    def pin(self, machines: Sequence[Machine]) -> None:
        """Keep the definitions; running executions go on with the one they started with."""
        with self.connections.transaction(durable=True) as connection:
            for machine in machines:
                self.machines[machine.name] = machine
                self._by_hash[machine.sha256] = machine
                connection.execute(
                    "INSERT INTO asl.definitions (sha256, machine, body) VALUES (%s, %s, %s) "
                    "ON CONFLICT (sha256) DO NOTHING",
                    [machine.sha256, machine.name, machine.text],
                )

    def machine(self, connection: psycopg.Connection[Any], frame: Frame) -> Machine:
        """The definition that a frame's execution was started with."""
        found = self._by_hash.get(frame.sha256)
        if found is None:
            row = connection.execute("SELECT body FROM asl.definitions WHERE sha256 = %s", [frame.sha256]).fetchone()
            assert row is not None, "executions refer to their definition"
            found = self._by_hash[frame.sha256] = stored_machine(frame.machine, row[0])
        return found

    def owner(self, connection: psycopg.Connection[Any], scope: str) -> str:
        """The execution that a scope belongs to."""
        if scope not in self._owners:
            if len(self._owners) > 100_000:
                self._owners.clear()
            row = connection.execute("SELECT execution_id FROM asl.scopes WHERE id = %s", [scope]).fetchone()
            assert row is not None, f"no scope {scope}"
            self._owners[scope] = row[0]
        return self._owners[scope]

    def peek(self, scope: str, number: int) -> tuple[Request | None, Frame, float | None, bool]:
        """Before a call: the request if step `number` is saved, the frame, the deadline, is it to stop."""
        with self.connections.reading() as connection:
            row = connection.execute(
                "SELECT s.step, s.request, s.frame, e.deadline, e.stop IS NOT NULL OR s.cancelled "
                "FROM asl.scopes s JOIN asl.executions e ON e.id = s.execution_id WHERE s.id = %s",
                [scope],
            ).fetchone()
            assert row is not None, f"no scope {scope}"
            saved = json.loads(row[1]) if row[0] >= number else None
            return saved, Frame.loads(row[2]), row[3], row[4]

    def step(self, scope: str, number: int, signal: Signal, committed: Callable[[PgWorld], None]) -> Request:
        """Advance a scope in one transaction. A step that was saved before answers what it answered then.

        Locks the execution's row, so that the scopes of one execution step one after the other and number
        their events without gaps.
        """
        with self.connections.transaction() as connection:
            owner = self.owner(connection, scope)
            execution = connection.execute(
                "SELECT stop, deadline, last_event FROM asl.executions WHERE id = %s FOR UPDATE", [owner]
            )
            saved = connection.execute("SELECT step, request, frame, cancelled FROM asl.scopes WHERE id = %s", [scope])
            found, state = execution.fetchone(), saved.fetchone()
            assert found is not None and state is not None, f"no scope {scope}"
            stop, deadline, last_event = found
            step, request, text, cancelled = state
            if step >= number:
                return json.loads(request)  # type: ignore[no-any-return]
            frame = Frame.loads(text)
            world = PgWorld(self, connection, frame, stop, deadline, last_event, cancelled)
            answer = advance(self.machine(connection, frame), frame, signal, world)
            world.flush(number, answer)
        committed(world)
        return answer

    def fail(self, scope: str, reason: str, committed: Callable[[PgWorld], None]) -> list[str]:
        """End a scope whose step cannot be saved; returns whom to ring."""
        with self.connections.transaction() as connection:
            owner = self.owner(connection, scope)
            execution = connection.execute(
                "SELECT last_event FROM asl.executions WHERE id = %s FOR UPDATE", [owner]
            ).fetchone()
            saved = connection.execute("SELECT step, frame FROM asl.scopes WHERE id = %s", [scope]).fetchone()
            assert execution is not None and saved is not None, f"no scope {scope}"
            frame = Frame.loads(saved[1])
            world = PgWorld(self, connection, frame, None, None, execution[0], False)
            answer = Step(self.machine(connection, frame), frame, world).broken(reason)
            world.flush(saved[0] + 1, answer)
        committed(world)
        return answer.get("ring", [])

    def insert_execution(
        self,
        connection: psycopg.Connection[Any],
        machine: Machine,
        name: str,
        frame: Frame,
        parent: str | None,
    ) -> bool:
        """The rows of a new execution. False if the id is taken."""
        now = time.time()
        limit = machine.definition.get("TimeoutSeconds") if frame.kind == "root" else None
        inserted = connection.execute(
            "INSERT INTO asl.executions (id, kind, machine, name, sha256, parent, input, started_at, "
            "deadline) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING RETURNING id",
            [
                frame.execution,
                frame.kind,
                machine.name,
                name,
                machine.sha256,
                parent,
                dumps(frame.input),
                now,
                None if limit is None else now + limit,
            ],
        ).fetchone()
        if inserted and frame.kind == "root":
            connection.execute(
                "INSERT INTO asl.scopes (id, execution_id, index, status, frame) VALUES (%s, %s, 0, 'RUNNING', %s)",
                [frame.scope, frame.execution, frame.dumps()],
            )
        return bool(inserted)


class PgWorld:
    """The World of one step; everything it writes commits together."""

    def __init__(
        self,
        store: Store,
        connection: psycopg.Connection[Any],
        frame: Frame,
        stop: str | None,
        deadline: float | None,
        last_event: int,
        cancelled: bool,
    ) -> None:
        self._store = store
        self._connection = connection
        self._frame = frame
        self._stop = stop
        self._deadline = deadline
        self._last_event = last_event
        self._cancelled = cancelled
        self._events: list[tuple[int, int, str, str | None, float, str, str | None]] = []
        self._payloads: dict[str, str] = {}
        self._finish: tuple[Status, JSON, str | None, str | None] | None = None
        self.interrupted: list[str] = []
        self.ended = False

    def now(self) -> float:
        return time.time()

    def random(self) -> float:
        return random.random()  # noqa: S311 - jitter

    def uuid(self) -> str:
        return str(uuid.uuid4())

    def emit(self, event_type: str, state: str | None, details: dict[str, JSON]) -> int:
        self._last_event += 1
        references: dict[str, str] = {}
        kept = dict(details)
        for key in _FIELDS_BY_REFERENCE:
            if key in kept:
                text = dumps(kept[key])
                if len(text) > PAYLOAD_BY_REFERENCE_BYTES:
                    digest = hashlib.sha256(text.encode()).hexdigest()
                    self._payloads[digest] = text
                    references[key] = digest
                    del kept[key]
        self._events.append(
            (
                self._last_event,
                self._frame.last_event,
                event_type,
                state,
                time.time(),
                dumps(kept),
                dumps(references) if references else None,
            )
        )
        self._frame.last_event = self._last_event
        return self._last_event

    def stop(self) -> Stop | None:
        if self._stop is not None:
            return Stop(**json.loads(self._stop))
        if self._deadline is not None and time.time() >= self._deadline:
            return Stop("TIMED_OUT")
        return Stop("ABORTED") if self._cancelled else None

    def deadline(self) -> float | None:
        return self._deadline

    def execution_input(self) -> JSON:
        row = self._connection.execute(
            "SELECT input FROM asl.executions WHERE id = %s", [self._frame.execution]
        ).fetchone()
        return json.loads(row[0]) if row else None

    def finish(self, status: Status, output: JSON = None, error: str | None = None, cause: str | None = None) -> None:
        self._finish = (status, output, clean(error), clean(cause))

    def open_token(self) -> str:
        token = secrets.token_urlsafe(48)
        self._connection.execute(
            "INSERT INTO asl.tokens (hash, scope_id, heartbeat_at) VALUES (%s, %s, %s)",
            [token_hash(token), self._frame.scope, time.time()],
        )
        return token

    def token(self, token: str) -> TokenState:
        row = self._connection.execute(
            "SELECT status, heartbeat_at, output, error, cause FROM asl.tokens WHERE hash = %s FOR UPDATE",
            [token_hash(token)],
        ).fetchone()
        assert row is not None, "a token lives as long as its execution"
        output = None if row[2] is None else json.loads(row[2])
        return TokenState(row[0], row[1], output, row[3], row[4])

    def close_token(self, token: str) -> None:
        self._connection.execute(
            "UPDATE asl.tokens SET status = 'CLOSED' WHERE hash = %s AND status = 'OPEN'", [token_hash(token)]
        )

    def open_children(self, group: str, frames: Sequence[Frame]) -> None:
        for frame in frames:
            if frame.kind == "child":
                machine = self._store.machine(self._connection, frame)
                self._store.insert_execution(self._connection, machine, frame.scope, frame, self._frame.execution)
            self._connection.execute(
                "INSERT INTO asl.scopes (id, execution_id, group_id, index, status, frame) "
                "VALUES (%s, %s, %s, %s, 'PENDING', %s)",
                [frame.scope, frame.execution, group, frame.index, frame.dumps()],
            )

    def children(self, group: str) -> list[Child]:
        rows = self._connection.execute(
            "SELECT id, index, status, error, cause, finished_at FROM asl.scopes WHERE group_id = %s ORDER BY index",
            [group],
        ).fetchall()
        return [Child(*row) for row in rows]

    def child_outputs(self, group: str) -> list[JSON]:
        rows = self._connection.execute(
            "SELECT status, output, error, cause FROM asl.scopes WHERE group_id = %s ORDER BY index", [group]
        ).fetchall()
        return [
            json.loads(output) if status == "SUCCEEDED" else {"Error": error, "Cause": cause}
            for status, output, error, cause in rows
        ]

    def mark_running(self, scopes: Sequence[str]) -> None:
        if scopes:
            self._connection.execute("UPDATE asl.scopes SET status = 'RUNNING' WHERE id = ANY(%s)", [list(scopes)])

    def cancel_children(self, group: str) -> list[str]:
        self._connection.execute(
            "UPDATE asl.scopes SET status = 'ABORTED' WHERE group_id = %s AND status = 'PENDING'", [group]
        )
        rows = self._connection.execute(
            "UPDATE asl.scopes SET cancelled = true WHERE group_id = %s AND status = 'RUNNING' "
            "AND NOT cancelled RETURNING id",
            [group],
        ).fetchall()
        cancelled = [row[0] for row in rows]
        self.interrupted += cancelled
        return cancelled

    def start_nested(self, machine: str, name: str, value: JSON, parent: Frame) -> NestedState:
        store = self._store
        value = nested_input(value)
        if machine not in store.machines:
            raise no_machine(machine)
        target = store.machines[machine]
        identifier = execution_id(machine, name)
        frame = first_frame(
            target,
            name,
            value,
            account=store.account,
            started_at=time.time(),
            parent_scope=parent.scope,
        )
        if not store.insert_execution(self._connection, target, name, frame, parent.execution):
            raise already_exists(store.account.arn("execution", identifier))
        return self.nested(identifier)

    def nested(self, execution: str) -> NestedState:
        row = self._connection.execute(
            "SELECT id, machine, name, status, input, output, error, cause, started_at, stopped_at "
            "FROM asl.executions WHERE id = %s",
            [execution],
        ).fetchone()
        assert row is not None, f"no execution {execution}"
        account = self._store.account
        return NestedState(
            row[0],
            row[1],
            row[2],
            row[3],
            json.loads(row[4]),
            None if row[5] is None else json.loads(row[5]),
            row[6],
            row[7],
            row[8],
            row[9],
            account.arn("execution", row[0]),
            account.arn("stateMachine", row[1]),
        )

    def stop_nested(self, execution: str) -> None:
        self.interrupted += request_stop(self._connection, execution, Stop("ABORTED"))

    def flush(self, number: int, answer: Request) -> None:
        """Write the history, the frame and what the step answered."""
        connection, frame = self._connection, self._frame
        for digest, body in self._payloads.items():
            connection.execute(
                "INSERT INTO asl.payloads (sha256, body) VALUES (%s, %s) ON CONFLICT (sha256) DO NOTHING",
                [digest, body],
            )
        if self._events:
            ids, previous, types, states, times, details, payloads = map(list, zip(*self._events, strict=True))
            connection.execute(
                "INSERT INTO asl.history (execution_id, id, previous_id, type, state, at, details, payloads) "
                "SELECT %s, i, p, t, s, a, d::json, r::json FROM unnest(%s::int[], %s::int[], %s::text[], "
                "%s::text[], %s::float8[], %s::text[], %s::text[]) AS e(i, p, t, s, a, d, r)",
                [frame.execution, ids, previous, types, states, times, details, payloads],
            )
        if self._finish is None:
            connection.execute(
                "UPDATE asl.executions SET last_event = %s WHERE id = %s", [self._last_event, frame.execution]
            )
            connection.execute(
                "UPDATE asl.scopes SET step = %s, frame = %s, request = %s WHERE id = %s",
                [number, frame.dumps(), dumps(answer), frame.scope],
            )
            return
        self._flush_end(number, answer, *self._finish)

    def _flush_end(
        self, number: int, answer: Request, status: Status, output: JSON, error: str | None, cause: str | None
    ) -> None:
        connection, frame = self._connection, self._frame
        now = time.time()
        text = dumps(output) if status == "SUCCEEDED" else None
        connection.execute(
            "UPDATE asl.scopes SET step = %s, frame = %s, request = %s, status = %s, output = %s, "
            "error = %s, cause = %s, finished_at = %s WHERE id = %s",
            [
                number,
                frame.dumps(),
                dumps(answer),
                "ABORTED" if status == "TIMED_OUT" else status,
                text,
                error,
                cause,
                now,
                frame.scope,
            ],
        )
        if frame.kind in ("root", "child"):
            self.ended = True
            connection.execute(
                "UPDATE asl.executions SET last_event = %s, status = %s, output = %s, error = %s, "
                "cause = %s, stopped_at = %s WHERE id = %s",
                [self._last_event, status, text, error, cause, now, frame.execution],
            )
        else:
            connection.execute(
                "UPDATE asl.executions SET last_event = %s WHERE id = %s", [self._last_event, frame.execution]
            )


def request_stop(connection: psycopg.Connection[Any], execution: str, stop: Stop) -> list[str]:
    """Ask a running execution to end: the scopes to interrupt and ring. Empty if it has ended already."""
    row = connection.execute(
        "UPDATE asl.executions SET stop = %s WHERE id = %s AND status = 'RUNNING' AND stop IS NULL RETURNING id",
        [
            dumps({"status": stop.status, "error": clean(stop.error), "cause": clean(stop.cause)}),
            execution,
        ],
    ).fetchone()
    if row is None:
        return []
    rows = connection.execute(
        "SELECT id FROM asl.scopes WHERE execution_id = %s AND status = 'RUNNING'", [execution]
    ).fetchall()
    return [found[0] for found in rows]
