"""Small things that every reader and writer of the money tables shares."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from chimera.domain.cfo import CounterKey

Conn = psycopg.Connection[Any]
ROWS_BY_SEQ = (
    "SELECT e.* FROM unnest(%s::bigint[]) q (seq)"
    " CROSS JOIN LATERAL (SELECT * FROM ledger_entries l WHERE l.seq = q.seq LIMIT 1) e"
)
"""Ledger rows by sequence number: each is a look-up in a unique index, whatever the planner knows of the tables."""


def database_now(connection: Conn) -> datetime:
    """The database's clock, read now (not the transaction's start): the only clock that decides about
    money."""
    row = connection.cursor(row_factory=dict_row).execute("SELECT clock_timestamp() AS now").fetchone()
    assert row is not None
    now: datetime = row["now"]
    return now


def key_columns(keys: Sequence[CounterKey]) -> tuple[list[str], list[str], list[str]]:
    """Budget rows as the three arrays that the queries unnest."""
    return [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys]
