"""One Postgres connection per invocation; every transaction belongs to one tenant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import dict_row

from chimera.errors import ChimeraError

Row = dict[str, Any]
Connection = psycopg.Connection[Row]


class Database:
    """Opens a connection when first asked and keeps it until `close()`, so that Aurora can pause after an
    invocation.

    The role in the URL is not a superuser and does not own the tables: row-level security applies to it.
    Not thread-safe: one Database per thread.
    """

    def __init__(self, url: str, *, password: Callable[[], str] | None = None) -> None:
        """`password` gives one that lives only for minutes (IAM), asked for at each new connection."""
        self._url = url
        self._password = password
        self._connection: Connection | None = None

    @property
    def url(self) -> str | None:
        """All that another process needs to connect as well; None where a password lives only for minutes."""
        return None if self._password else self._url

    def _connect(self) -> Connection:
        if self._connection is None or self._connection.closed:
            try:
                # prepare_threshold=None: works behind RDS Proxy, where prepared statements pin a connection
                self._connection = psycopg.connect(
                    self._url,
                    row_factory=dict_row,
                    prepare_threshold=None,
                    connect_timeout=10,
                    password=self._password() if self._password else None,
                )
            except psycopg.OperationalError as error:
                raise ChimeraError(
                    "DATABASE_WAKING", "the database does not answer yet", {"reason": str(error)[:200]}
                ) from error
        return self._connection

    @contextmanager
    def transaction(self, tenant_id: str, *, pipelined: bool = False) -> Iterator[Connection]:
        """A READ COMMITTED transaction that sees and writes only this tenant's rows.

        `pipelined`: statements whose answer nobody fetches travel with the next one, or with the commit.
        """
        connection = self._connect()
        try:
            with connection.pipeline() if pipelined else nullcontext(), connection.transaction():
                connection.execute("SELECT set_config('app.tenant', %s, true)", (tenant_id,))
                yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            if _sound(connection):
                raise  # a lock, a deadlock, a time-out
            self.close()
            # whether a commit that was under way took effect is unknown; every step may be asked again
            raise ChimeraError("DATABASE_WAKING", "the database went away", {"reason": str(error)[:200]}) from error

    def close(self) -> None:
        """Give the connection back; the next transaction opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _sound(connection: Connection) -> bool:
    """Whether the next transaction can begin on it. libpq may not have noticed yet that the server is gone: then the pipeline
    could not be left, and the connection would refuse everything for ever."""
    info = connection.info
    return (
        not (connection.closed or connection.broken)
        and info.transaction_status is TransactionStatus.IDLE
        and info.pipeline_status is PipelineStatus.OFF
    )
