"""Rows at the end of the hash chain, and the limits that only such a row may change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import psycopg
import rfc8785
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from chimera.domain.cfo import CounterKey, periods_of
from chimera.domain.ids import new_id
from chimera.domain.ledger import FIELDS, GENESIS, Entry, LimitChange, body_fields, row_hash

Conn = psycopg.Connection[Any]
_INSERT = f"INSERT INTO ledger ({', '.join(FIELDS)}) VALUES ({', '.join(f'%({name})s' for name in FIELDS)})"  # noqa: S608


def database_now(connection: Conn) -> datetime:
    """The database's clock, read now (not the transaction's start): the only clock that decides about
    money."""
    row = connection.cursor(row_factory=dict_row).execute("SELECT clock_timestamp() AS now").fetchone()
    assert row is not None
    now: datetime = row["now"]
    return now


def append(
    connection: Conn,
    tenant_id: str,
    at: datetime,
    *,
    entry_type: str,
    request_id: str,
    amount_micros: int,
    made_by: str,
    req_sha256: bytes,
    tx_id: str | None = None,
    agent_id: str | None = None,
    request_type: str | None = None,
    currency: str = "USD",
    projected_roi: Decimal | None = None,
    risk_score: Decimal | None = None,
    decision: str | None = None,
    code: str = "",
    reason: str = "",
    justification: str = "",
    cfo_agent_id: str | None = None,
    override_of: str | None = None,
    settles: str | None = None,
    periods: Mapping[str, str] | None = None,
    control_epoch: int | None = None,
    expires_at: datetime | None = None,
    details: Mapping[str, Any] | None = None,
    key_id: str = "",
) -> Entry:
    """Write one row under the chain head's lock, which is always the last lock taken. Numbers in `details`
    are strings."""
    cursor = connection.cursor(row_factory=dict_row)
    head = cursor.execute("SELECT seq, hash FROM chain_head WHERE shard = 0 FOR UPDATE").fetchone()
    if head is None:
        cursor.execute("INSERT INTO chain_head (shard, hash) VALUES (0, %s) ON CONFLICT DO NOTHING", (GENESIS,))
        head = cursor.execute("SELECT seq, hash FROM chain_head WHERE shard = 0 FOR UPDATE").fetchone()
        assert head is not None
    entry = Entry(
        tenant_id=tenant_id,
        seq=head["seq"] + 1,
        tx_id=tx_id or new_id(),
        entry_type=entry_type,
        request_id=request_id,
        agent_id=agent_id,
        request_type=request_type,
        amount_micros=amount_micros,
        currency=currency,
        projected_roi=projected_roi,
        risk_score=risk_score,
        decision=decision,
        code=code,
        reason=reason,
        justification=justification,
        cfo_agent_id=cfo_agent_id,
        made_by=made_by,
        override_of=override_of,
        settles=settles,
        periods=dict(periods or {}),
        control_epoch=control_epoch,
        expires_at=expires_at,
        details=dict(details or {}),
        req_sha256=req_sha256,
        prev_hash=head["hash"],
        key_id=key_id,
        created_at=at,
    )
    body = rfc8785.dumps(body_fields(entry))
    entry = replace(entry, body=body, row_hash=row_hash(entry.prev_hash, body))
    values = {name: getattr(entry, name) for name in FIELDS}
    cursor.execute(_INSERT, {**values, "periods": Jsonb(entry.periods), "details": Jsonb(entry.details)})
    cursor.execute("UPDATE chain_head SET seq = %s, hash = %s WHERE shard = 0", (entry.seq, entry.row_hash))
    return entry


def change_limits(
    connection: Conn,
    tenant_id: str,
    wanted: Mapping[tuple[str, str], int],
    *,
    made_by: str,
    reason: str,
    now: datetime | None = None,
    configured: bool = False,
) -> Entry | None:
    """Set limits (micros by scope and kind) from the current period on, as one LIMIT_CHANGE row; None if
    nothing changes.

    A limit below what is reserved and spent already freezes the period: nothing is left, and nothing goes
    negative.
    `configured` notes the values as those of the settings, so that the next start-up sees whether they were
    edited.
    """
    cursor = connection.cursor(row_factory=dict_row)
    cursor.execute("SELECT 1 FROM tenants WHERE tenant_id = %s FOR NO KEY UPDATE", (tenant_id,))
    rows = cursor.execute("SELECT scope, kind, limit_micros FROM budget_limits ORDER BY scope, kind FOR UPDATE")
    before: dict[tuple[str, str], int] = {(row["scope"], row["kind"]): row["limit_micros"] for row in rows}
    at = now or database_now(connection)
    current = periods_of(at)
    changes = [
        LimitChange(scope, kind, before.get((scope, kind)), micros)
        for (scope, kind), micros in sorted(wanted.items())
        if before.get((scope, kind)) != micros
    ]
    if configured:
        for (scope, kind), micros in wanted.items():
            cursor.execute(
                "UPDATE budget_limits SET configured_micros = %s WHERE scope = %s AND kind = %s"
                " AND configured_micros <> %s",
                (micros, scope, kind, micros),
            )
    for change in changes:
        cursor.execute(
            "INSERT INTO budget_limits (scope, kind, limit_micros, configured_micros) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (tenant_id, scope, kind) DO UPDATE SET limit_micros = excluded.limit_micros",
            (change.scope, change.kind, change.after, change.after),
        )
    # one statement per row in the order in which everybody locks them
    for change in changes:
        cursor.execute(
            "UPDATE budget_tracking SET target_limit_micros = %s,"
            " limit_micros = greatest(%s, reserved_micros + spent_micros), ver = ver + 1"
            " WHERE scope = %s AND kind = %s AND period_id >= %s",
            (change.after, change.after, change.scope, change.kind, current[change.kind]),
        )
    if not changes:
        return None
    details = {"changes": [change.as_json() for change in changes]}
    return append(
        connection,
        tenant_id,
        at,
        entry_type="LIMIT_CHANGE",
        request_id=new_id(),
        amount_micros=0,
        made_by=made_by,
        reason=reason[:200],
        periods=current,
        details=details,
        req_sha256=sha256(rfc8785.dumps(details)).digest(),
    )


def key_columns(keys: Sequence[CounterKey]) -> tuple[list[str], list[str], list[str]]:
    """Budget rows as the three arrays that the queries unnest."""
    return [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys]
