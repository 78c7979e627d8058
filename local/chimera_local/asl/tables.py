"""The runner's own tables, in a schema of their own, and the small pool of connections that steps use."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from chimera_local.asl.errors import EngineAlreadyRunning

_LOCK = 0x0A51_C41E
_CLAIM = 0x0A51_C41F
_CLAIM_SECONDS = 5.0
_LOCK_POLL_SECONDS = 0.05

DDL = """
CREATE SCHEMA IF NOT EXISTS asl;
CREATE TABLE IF NOT EXISTS asl.definitions (
    sha256 text PRIMARY KEY,
    machine text NOT NULL,
    body text NOT NULL
);
CREATE TABLE IF NOT EXISTS asl.executions (
    id text PRIMARY KEY,
    kind text NOT NULL,
    machine text NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL REFERENCES asl.definitions,
    parent text,
    input text NOT NULL,
    status text NOT NULL DEFAULT 'RUNNING',
    output text,
    error text,
    cause text,
    started_at double precision NOT NULL,
    stopped_at double precision,
    deadline double precision,
    last_event integer NOT NULL DEFAULT 0,
    stop text
);
CREATE INDEX IF NOT EXISTS executions_by_start ON asl.executions (started_at DESC);
CREATE INDEX IF NOT EXISTS executions_by_parent ON asl.executions (parent) WHERE parent IS NOT NULL;
CREATE TABLE IF NOT EXISTS asl.scopes (
    id text PRIMARY KEY,
    execution_id text NOT NULL REFERENCES asl.executions,
    group_id text,
    index integer NOT NULL,
    status text NOT NULL,
    output text,
    error text,
    cause text,
    finished_at double precision NOT NULL DEFAULT 0,
    cancelled boolean NOT NULL DEFAULT false,
    step integer NOT NULL DEFAULT 0,
    frame text NOT NULL,
    request text
);
CREATE INDEX IF NOT EXISTS scopes_by_group ON asl.scopes (group_id, index) WHERE group_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS scopes_live ON asl.scopes (execution_id) WHERE status IN ('PENDING', 'RUNNING');
CREATE TABLE IF NOT EXISTS asl.tokens (
    hash text PRIMARY KEY,
    scope_id text NOT NULL,
    status text NOT NULL DEFAULT 'OPEN',
    heartbeat_at double precision NOT NULL,
    output text,
    error text,
    cause text
);
CREATE INDEX IF NOT EXISTS tokens_open ON asl.tokens (scope_id) WHERE status = 'OPEN';
CREATE TABLE IF NOT EXISTS asl.history (
    execution_id text NOT NULL,
    id integer NOT NULL,
    previous_id integer NOT NULL,
    type text NOT NULL,
    state text,
    at double precision NOT NULL,
    details json NOT NULL,
    payloads json,
    PRIMARY KEY (execution_id, id)
);
CREATE TABLE IF NOT EXISTS asl.payloads (
    sha256 text PRIMARY KEY,
    body text NOT NULL
);
"""


class Connections:
    """As many connections as threads ask for at the same time; given back ones are used again.

    Steps commit without waiting for the disk: DBOS's own commit of the same step comes after and, because the
    write-ahead log is one sequence, carries them. Callers that need durability at once say so.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[psycopg.Connection[Any]] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def reading(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection of its own where each statement stands alone."""
        connection = self._take()
        try:
            yield connection
        finally:
            self._give(connection)

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[psycopg.Connection[Any]]:
        """A transaction on a connection of its own; statements are sent ahead of their results."""
        with self.reading() as connection, connection.pipeline(), connection.transaction():
            if durable:
                connection.execute("SET LOCAL synchronous_commit = on")
            yield connection

    def _take(self) -> psycopg.Connection[Any]:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return psycopg.connect(
            self._url, autocommit=True, application_name="chimera-asl", options="-c synchronous_commit=off"
        )

    def _give(self, connection: psycopg.Connection[Any]) -> None:
        with self._lock:
            if not self._closed and not connection.closed:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close the idle connections, and the others as they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def create_tables(url: str) -> None:
    """Create what is missing. Several processes may do so at once: one does, the others wait."""
    with psycopg.connect(url, autocommit=True) as connection:
        while not _scalar(connection, "SELECT pg_try_advisory_lock(%s)", _LOCK):
            time.sleep(_LOCK_POLL_SECONDS)
        try:
            connection.execute("SET client_min_messages = warning")
            connection.execute(DDL)
        finally:
            connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def claim_database(url: str) -> psycopg.Connection[Any]:
    """Hold the right to run executions of this database until the connection is closed or its process dies.

    Two engines would run the same executions twice. Raises EngineAlreadyRunning.
    """
    connection = psycopg.connect(url, autocommit=True, application_name="chimera-asl-claim")
    deadline = time.monotonic() + _CLAIM_SECONDS
    while not _scalar(connection, "SELECT pg_try_advisory_lock(%s)", _CLAIM):
        # The server needs a moment to notice that the process before was killed.
        if time.monotonic() > deadline:
            connection.close()
            raise EngineAlreadyRunning
        time.sleep(_LOCK_POLL_SECONDS)
    return connection


def _scalar(connection: psycopg.Connection[Any], query: str, *values: Any) -> Any:
    row = connection.execute(query, values).fetchone()
    return row[0] if row else None
