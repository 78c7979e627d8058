"""The database as its owner sees it: roles that log in, the schema's newest revision, the tenant's first rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql

from chimera.adapters.postgres.tenancy import seed_tenant
from chimera.domain.agents import DATABASE_ROLES
from chimera.errors import ChimeraError
from chimera.settings import Settings

WAKING_SECONDS = 90.0
"""A paused Aurora is back after about 15 s; a new cluster's name may take a minute to resolve."""
LOCK = 727_475
"""Two deployments at once make roles one after the other."""


class PostgresSchema:
    """Works as the owner of the database (`postgres` on Aurora), with a password of its own for each connection."""

    def __init__(
        self,
        url: str,
        settings: Settings,
        password: Callable[[], str] | None = None,
        *,
        patience: float = WAKING_SECONDS,
    ) -> None:
        self._url = url
        self._settings = settings
        self._password = password
        self._patience = patience

    def prepare(self) -> str:
        """Make the roles and the extension, migrate, seed the tenant; gives the revision. Safe to run again."""
        from chimera.migrations import upgrade

        with self._connect() as connection:
            self._roles(connection)
        revision = upgrade(self._url, self._password() if self._password else None)
        with self._connect() as connection:
            seed_tenant(connection, self._settings.tenant_id, self._settings)
        return revision

    def _connect(self) -> psycopg.Connection[Any]:
        """A connection, waiting for a database that wakes up; `DATABASE_WAKING` when it does not in time."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return psycopg.connect(
                    self._url, connect_timeout=10, password=self._password() if self._password else None
                )
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise ChimeraError(
                        "DATABASE_WAKING", "the database does not answer", {"reason": str(error)[:200]}
                    ) from error
                time.sleep(1.0)

    def _roles(self, connection: psycopg.Connection[Any]) -> None:
        """LOGIN roles without passwords; on Aurora they log in by IAM alone."""
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            there = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
            database = sql.Identifier(connection.info.dbname)
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
            for name in DATABASE_ROLES:
                role = sql.Identifier(name)
                if name not in there:
                    connection.execute(sql.SQL("CREATE ROLE {} LOGIN NOCREATEDB NOCREATEROLE NOBYPASSRLS").format(role))
                connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, role))
                if "rds_iam" in there:
                    connection.execute(sql.SQL("GRANT rds_iam TO {}").format(role))
