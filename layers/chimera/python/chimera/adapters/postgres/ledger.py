"""The wired ledger of a tenant: the engine over Postgres, and what it tells."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import psycopg

from chimera.adapters.postgres.chain import database_now
from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.ledger_reads import LedgerReads
from chimera.adapters.postgres.money import PostgresMoney
from chimera.usecases.ledger import LedgerEngine


class PostgresLedger(LedgerEngine, LedgerReads):
    """The ledger of one tenant: the one place that can say "approved". Not thread-safe, as its Database is not.

    `now` stands in for the database's clock.
    """

    def __init__(
        self, db: Database, tenant_id: str, *, now: Callable[[psycopg.Connection[Any]], datetime] = database_now
    ) -> None:
        LedgerReads.__init__(self, db, tenant_id, now=now)
        LedgerEngine.__init__(self, PostgresMoney(db, tenant_id, now=now))
