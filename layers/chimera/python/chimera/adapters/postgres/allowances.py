"""Allowances in Postgres: the laptop's store. One short transaction for each operation.

Locks are taken in the order allowance -> draw -> control switch. The switch is locked FOR SHARE, so that a stop, once it
is set, is not overtaken by a draw that had read the switch before.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from psycopg import errors, sql

from chimera.adapters.postgres.database import Connection, Database, Row
from chimera.domain.allowance import (
    Allowance,
    CallItem,
    Control,
    Draw,
    check_call,
    check_correct,
    check_draw,
    check_give_back,
    check_open,
    check_reopened,
)
from chimera.domain.ids import is_uuid
from chimera.errors import ChimeraError

T = TypeVar("T")
_ATTEMPTS = 8
_RETRIED = (errors.UniqueViolation, errors.DeadlockDetected, errors.LockNotAvailable, errors.SerializationFailure)


def store_now(connection: Connection) -> datetime:
    """The database's clock, read now, not the transaction's start."""
    row = connection.execute("SELECT clock_timestamp() AS now").fetchone()
    assert row is not None
    now: datetime = row["now"]
    return now


class PostgresAllowances:
    """The allowances of one tenant. Not thread-safe, as its Database is not."""

    def __init__(self, db: Database, tenant_id: str, *, now: Callable[[Connection], datetime] = store_now) -> None:
        self._db = db
        self._tenant = tenant_id
        self._now = now

    @property
    def tenant_id(self) -> str:
        """Whose."""
        return self._tenant

    def open(self, request_id: str, amount_micros: int, epoch: int, expires_at: datetime) -> Allowance:
        """Open it, once; `CONFLICT` for another amount or epoch, `NOT_FOUND` without a reservation behind it."""
        check_open(request_id, amount_micros, epoch, expires_at)

        def run(c: Connection) -> Allowance:
            try:
                c.execute(
                    "INSERT INTO allowance (request_id, amount_micros, epoch, expires_at) VALUES (%s, %s, %s, %s)"
                    " ON CONFLICT DO NOTHING",
                    (request_id, amount_micros, epoch, expires_at),
                )
            except errors.ForeignKeyViolation as error:
                raise ChimeraError(
                    "NOT_FOUND", f"no approval is reserved for request {request_id}", {"request_id": request_id}
                ) from error
            known = _allowance(c, request_id)
            assert known is not None
            return check_reopened(known, amount_micros, epoch)

        return self._run(run)

    def draw(self, request_id: str, call_id: str, micros: int, item: CallItem) -> Draw:
        """Take a call's worst case before it is made; see the port."""
        check_call(call_id, micros, item)

        def run(c: Connection) -> Draw:
            allowance, known = _lock(c, request_id, call_id)
            now = self._now(c)
            there = check_draw(allowance, known, _control(c), request_id, micros, now)
            if there is not None:
                return there
            made = Draw(
                request_id=request_id,
                call_id=call_id,
                item=item,
                drawn_micros=micros,
                attempt=known.attempt + 1 if known else 1,
            )
            c.execute(
                "INSERT INTO allowance_draw (request_id, call_id, step, item, quantity, unit, category, drawn_micros)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (tenant_id, request_id, call_id) DO UPDATE SET"
                " step = excluded.step, item = excluded.item, quantity = excluded.quantity, unit = excluded.unit,"
                " category = excluded.category, drawn_micros = excluded.drawn_micros, state = 'OPEN',"
                " attempt = allowance_draw.attempt + 1",
                (request_id, call_id, item.step, item.item, item.quantity, item.unit, item.category, micros),
            )
            _use(c, request_id, micros)
            return made

        return self._run(run)

    def correct(self, request_id: str, call_id: str, actual_micros: int, quantity: str | None = None) -> Draw:
        """Book what the call really cost; see the port."""
        check_call(call_id, actual_micros)

        def run(c: Connection) -> Draw:
            allowance, known = _lock(c, request_id, call_id)
            if not check_correct(allowance, known, request_id, call_id, actual_micros):
                assert known is not None
                return replace(known, first=False)
            assert known is not None
            item = replace(known.item, quantity=quantity or known.item.quantity)
            over = max(0, actual_micros - known.drawn_micros)
            _use(c, request_id, actual_micros - known.drawn_micros, over)
            c.execute(
                "UPDATE allowance_draw SET state = 'CORRECTED', actual_micros = %s, quantity = %s"
                " WHERE request_id = %s AND call_id = %s",
                (actual_micros, item.quantity, request_id, call_id),
            )
            return replace(known, item=item, state="CORRECTED", actual_micros=actual_micros)

        return self._run(run)

    def give_back(self, request_id: str, call_id: str, attempt: int) -> Draw:
        """The call is known not to have been made; see the port."""

        def run(c: Connection) -> Draw:
            allowance, known = _lock(c, request_id, call_id)
            if not check_give_back(allowance, known, request_id, call_id, attempt):
                assert known is not None
                return replace(known, first=False)
            assert known is not None
            _use(c, request_id, -known.drawn_micros)
            c.execute(
                "UPDATE allowance_draw SET state = 'RETURNED' WHERE request_id = %s AND call_id = %s",
                (request_id, call_id),
            )
            return replace(known, state="RETURNED")

        return self._run(run)

    def close(self, request_id: str) -> Allowance:
        """End it and give the sum used; again is the same."""

        def run(c: Connection) -> Allowance:
            known = _allowance(c, request_id, lock=True)
            if known is None:
                raise _missing(request_id)
            c.execute("UPDATE allowance SET closed = true WHERE request_id = %s AND NOT closed", (request_id,))
            return replace(known, closed=True)

        return self._run(run)

    def get(self, request_id: str) -> Allowance:
        """Where it stands; `NOT_FOUND`."""
        known = self._run(lambda c: _allowance(c, request_id))
        if known is None:
            raise _missing(request_id)
        return known

    def draws(self, request_id: str) -> list[Draw]:
        """Every draw, by call id."""
        if not is_uuid(request_id):
            return []
        select = "SELECT * FROM allowance_draw WHERE request_id = %s ORDER BY call_id"
        return self._run(lambda c: [_draw(row) for row in c.execute(select, (request_id,)).fetchall()])

    def _run(self, work: Callable[[Connection], T]) -> T:
        """One transaction; again when a racing one won, and once more on a new connection when this one was cut."""
        for attempt in range(_ATTEMPTS):
            try:
                with self._db.transaction(self._tenant) as c:
                    c.execute("SET LOCAL lock_timeout = '5s'")
                    return work(c)
            except _RETRIED as error:
                if attempt == _ATTEMPTS - 1:
                    raise ChimeraError("DATABASE_WAKING", "others keep winning this allowance") from error
                time.sleep(secrets.randbelow(20 * (attempt + 1)) / 1000)
            except ChimeraError as error:
                # a step computes for minutes between two operations: its connection may be gone by then
                if error.code != "DATABASE_WAKING" or attempt >= 1:
                    raise
        raise AssertionError("unreachable")


def _lock(c: Connection, request_id: str, call_id: str) -> tuple[Allowance | None, Draw | None]:
    allowance = _allowance(c, request_id, lock=True)
    if allowance is None:
        return None, None
    row = c.execute(
        "SELECT * FROM allowance_draw WHERE request_id = %s AND call_id = %s", (request_id, call_id)
    ).fetchone()
    return allowance, _draw(row) if row else None


def _use(c: Connection, request_id: str, micros: int, over: int = 0) -> None:
    c.execute(
        "UPDATE allowance SET used_micros = used_micros + %s, overrun_micros = overrun_micros + %s WHERE request_id = %s",
        (micros, over, request_id),
    )


def _control(c: Connection) -> Control:
    row = c.execute("SELECT state, epoch FROM controls FOR SHARE").fetchone()
    return (row["state"], row["epoch"]) if row else None


def _allowance(c: Connection, request_id: str, *, lock: bool = False) -> Allowance | None:
    if not is_uuid(request_id):
        return None
    query = sql.SQL("SELECT * FROM allowance WHERE request_id = %s {}").format(sql.SQL("FOR UPDATE" if lock else ""))
    row = c.execute(query, (request_id,)).fetchone()
    if row is None:
        return None
    return Allowance(
        request_id=str(row["request_id"]),
        amount_micros=row["amount_micros"],
        used_micros=row["used_micros"],
        epoch=row["epoch"],
        expires_at=row["expires_at"],
        closed=row["closed"],
        overrun_micros=row["overrun_micros"],
    )


def _draw(row: Row) -> Draw:
    return Draw(
        request_id=str(row["request_id"]),
        call_id=row["call_id"],
        item=CallItem(**{name: row[name] for name in ("step", "item", "quantity", "unit", "category")}),
        drawn_micros=row["drawn_micros"],
        state=row["state"],
        actual_micros=row["actual_micros"],
        attempt=row["attempt"],
    )


def _missing(request_id: str) -> ChimeraError:
    return ChimeraError("NOT_FOUND", f"no allowance for request {request_id[:80]}", {"request_id": request_id[:80]})
