"""The money tables in Postgres behind `chimera.money_ports`: locks, reads and writes; every rule is the engine's."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.rows import dict_row

from chimera.adapters.postgres.chain import ROWS_BY_SEQ, database_now, key_columns
from chimera.adapters.postgres.database import Connection, Database, Row
from chimera.domain.cfo import CounterKey
from chimera.domain.ledger import FIELDS, Entry, Reservation, entry_from_row
from chimera.errors import ChimeraError
from chimera.money_ports import Counter, DecisionView, MoneyTransaction, PastDecision, Raced, Write

T = TypeVar("T")
_ATTEMPTS = 8
_RETRIED = (
    Raced,
    errors.UniqueViolation,
    errors.DeadlockDetected,
    errors.LockNotAvailable,
    errors.SerializationFailure,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UUIDS = "%s::uuid[], %s::uuid[], "
_KEYS = "%s::text[], %s::text[], %s::text[]"


class PostgresMoney:
    """The money tables of one tenant; `now` stands in for the database's clock. Not thread-safe, as Database is not."""

    def __init__(
        self, db: Database, tenant_id: str, *, now: Callable[[psycopg.Connection[Any]], datetime] = database_now
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    @property
    def tenant_id(self) -> str:
        """Whose."""
        return self._tenant_id

    def run(self, work: Callable[[MoneyTransaction], T]) -> T:
        """One READ COMMITTED transaction; again if a racing one won (unique key, deadlock, lock time-out of 5 s).

        `DATABASE_WAKING` if Postgres is away: whether a commit under way took effect is unknown, asking again tells.
        """
        for attempt in range(_ATTEMPTS):
            try:
                with self._pipelined() as connection:
                    return work(PostgresTransaction(connection, self._tenant_id, now=self._now))
            except _RETRIED as error:
                if attempt == _ATTEMPTS - 1:
                    code = "CONFLICT" if isinstance(error, errors.UniqueViolation) else "DATABASE_WAKING"
                    raise ChimeraError(code, "others keep winning this row", {"reason": str(error)[:200]}) from error
                time.sleep(secrets.randbelow(20 * (attempt + 1)) / 1000)
            except psycopg.OperationalError as error:
                raise ChimeraError("DATABASE_WAKING", "the database went away", {"reason": str(error)[:200]}) from error
        raise AssertionError("unreachable")

    @contextmanager
    def _pipelined(self) -> Iterator[Connection]:
        """Statements without an answer wait for the next one with an answer, or for the commit: fewer round trips."""
        with self._db.transaction(self._tenant_id, pipelined=True) as connection:
            connection.execute("SELECT set_config('lock_timeout', '5s', true)")
            yield connection


class PostgresTransaction:
    """A transaction that is open already, on a connection whose `app.tenant` is this tenant."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        tenant_id: str,
        *,
        now: Callable[[psycopg.Connection[Any]], datetime] = database_now,
    ) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._clock = now

    def now(self) -> datetime:
        """The database's clock, read now, or what stands in for it."""
        return self._clock(self._connection)

    # --- reads

    def decision(self, request_id: str) -> Entry | None:
        """The DECISION row of a request."""
        return self._entry("request_id = %s AND entry_type = 'DECISION'", request_id)

    def resolution(self, request_id: str) -> Entry | None:
        """Its SETTLE, RELEASE or EXPIRE row."""
        return self._entry("request_id = %s AND entry_type IN ('SETTLE', 'RELEASE', 'EXPIRE')", request_id)

    def entry(self, tx_id: str) -> Entry | None:
        """A row by its transaction id."""
        return self._entry("tx_id = %s", tx_id)

    def entry_at(self, seq: int) -> Entry | None:
        """A row by its sequence number."""
        return self._entry("seq = %s", seq)

    def entries_at(self, seqs: Sequence[int]) -> list[Entry]:
        """Rows by their sequence numbers, in the order asked for."""
        found = self._known(list(seqs))
        return [found[seq] for seq in seqs if seq in found]

    def control(self) -> tuple[str, int] | None:
        """State and epoch of the control switch."""
        # FOR SHARE: a stop waits for this transaction, or this one sees it; none that was acknowledged is slipped past
        row = self._one("SELECT state, epoch FROM controls FOR SHARE")
        return (row["state"], row["epoch"]) if row else None

    def agent_known(self, agent_id: str) -> bool:
        """Whether it is an agent of the tenant."""
        return self._one("SELECT 1 AS one FROM agents WHERE id = %s", agent_id) is not None

    def refunded(self, decision_tx: str) -> int:
        """Micros of all refunds of an approval."""
        row = self._one(
            "SELECT coalesce(sum(amount_micros), 0)::bigint AS micros FROM ledger"
            " WHERE settles = %s AND entry_type = 'REFUND'",
            decision_tx,
        )
        return int(row["micros"]) if row else 0

    def frozen(self) -> dict[str, str]:
        """Frozen scopes, each with the row that froze it."""
        return {row["scope"]: str(row["entry_tx"]) for row in self._all("SELECT scope, entry_tx FROM budget_freeze")}

    def key(self, purpose: str) -> str:
        """The key in use for this purpose; empty before the first."""
        row = self._one("SELECT kid FROM ledger_key WHERE purpose = %s", purpose)
        return str(row["kid"]) if row else ""

    # --- locks

    def view(self, request_id: str, agent_id: str, keys: Sequence[CounterKey]) -> DecisionView:
        """Everything a decision rests on, in one round trip: see money_view in 0005_money_engine.sql."""
        return self.view_many([(request_id, agent_id)], keys)[0]

    def view_many(self, asked: Sequence[tuple[str, str]], keys: Sequence[CounterKey]) -> list[DecisionView]:
        """The same for several requests, under the same locks."""
        agents = sorted({agent for _, agent in asked})
        row = self._one(
            f"SELECT * FROM money_view({_UUIDS}{_KEYS})",  # noqa: S608
            [request for request, _ in asked],
            agents,
            *key_columns(keys),
        )
        assert row is not None
        counters = _counters(row["counters"], row["freezes"])
        histories = {
            agent: (known, _history(text))
            for agent, known, text in zip(agents, row["agents_known"], row["histories"], strict=True)
        }
        known_entries = self._known([seq for seq in row["known"] if seq])
        now = row["now"] if self._clock is database_now else self.now()
        control = None if row["control_state"] is None else (row["control_state"], row["control_epoch"])
        return [
            DecisionView(
                now=now,
                known=known_entries.get(seq),
                agent_known=histories[agent][0],
                control=control,
                counters=counters,
                history=histories[agent][1],
                head_seq=row["head_seq"],
                head_hash=row["head_hash"],
                key_id=row["key_id"] or "",
            )
            for (_, agent), seq in zip(asked, row["known"], strict=True)
        ]

    def lock_counters(self, keys: Sequence[CounterKey]) -> dict[CounterKey, Counter]:
        """Lock existing counters, sorted, and the chain head after them."""
        row = self._one(f"SELECT money_lock({_KEYS}) AS counters", *key_columns(keys))
        self.head()
        frozen = self._one("SELECT jsonb_object_agg(scope, jsonb_build_array(created_at, reason)) f FROM budget_freeze")
        return _counters(row["counters"] if row else None, frozen["f"] if frozen else None)

    def lock_limits(self) -> dict[tuple[str, str], int]:
        """Lock and give the limits in force; the tenant's row too, so that two cannot make the first ones at once."""
        self._connection.execute("SELECT 1 FROM tenants WHERE tenant_id = %s FOR NO KEY UPDATE", (self._tenant_id,))
        rows = self._all("SELECT scope, kind, limit_micros FROM budget_limits ORDER BY scope, kind FOR UPDATE")
        return {(row["scope"], row["kind"]): row["limit_micros"] for row in rows}

    def head(self) -> tuple[int, bytes]:
        """Lock the chain's head."""
        row = self._one("SELECT * FROM money_head()")
        assert row is not None
        return row["seq"], row["hash"]

    def lock_reservation(self, request_id: str) -> Reservation | None:
        """Lock a reservation and give it."""
        row = self._one("SELECT * FROM reservation WHERE request_id = %s FOR UPDATE", request_id)
        return reservation_from_row(row) if row else None

    def due_reservation(self, before: datetime) -> Reservation | None:
        """Lock the oldest unused one that expired before this; those that others lock are skipped."""
        row = self._one(
            "SELECT * FROM reservation WHERE state IN ('RESERVED', 'SIGNED') AND expires_at < %s"
            " ORDER BY expires_at, request_id LIMIT 1 FOR UPDATE SKIP LOCKED",
            before,
        )
        return reservation_from_row(row) if row else None

    # --- writes

    def write(self, writes: Sequence[Write]) -> None:
        """Append rows with their effects and move the head."""
        first, last = writes[0].entry, writes[-1].entry
        for write in writes:
            self._limits(write)
        moves: dict[CounterKey, list[int]] = {}
        for move in (write.move for write in writes if write.move):
            for key in move.keys:
                sums = moves.setdefault(key, [0, 0])
                sums[0] += move.reserved_micros
                sums[1] += move.spent_micros
        self._connection.execute(
            "SELECT money_write(%s::jsonb)",
            (
                json.dumps(
                    {
                        "moves": [
                            {"scope": scope, "kind": kind, "period_id": period, "reserved": reserved, "spent": spent}
                            for (scope, kind, period), (reserved, spent) in sorted(moves.items())
                        ],
                        "rows": [_row(write.entry) for write in writes],
                        "reserves": [_reserve(write.reserve, write.entry) for write in writes if write.reserve],
                        "prev_seq": first.seq - 1,
                        "prev_hash": _hex(first.prev_hash),
                        "last_seq": last.seq,
                        "last_hash": _hex(last.row_hash),
                    }
                ),
            ),
        )
        for write in writes:
            self._effects(write)

    def _limits(self, write: Write) -> None:
        for (scope, kind), micros in sorted(write.limits.items()):
            self._connection.execute(
                "INSERT INTO budget_limits (scope, kind, limit_micros, configured_micros) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT (tenant_id, scope, kind) DO UPDATE SET limit_micros = excluded.limit_micros",
                (scope, kind, micros, micros),
            )
        # one statement per row in the order in which everybody locks them
        for (scope, kind), micros in sorted(write.limits.items()):
            self._connection.execute(
                "UPDATE budget_tracking SET target_limit_micros = %s,"
                " limit_micros = greatest(%s, reserved_micros + spent_micros), ver = ver + 1"
                " WHERE scope = %s AND kind = %s AND period_id >= %s",
                (micros, micros, scope, kind, write.entry.periods[kind]),
            )

    def _effects(self, write: Write) -> None:
        """The rarer ones: resolutions, freezes, keys."""
        execute, entry = self._connection.execute, write.entry
        if write.resolve:
            request_id, state = write.resolve
            execute(
                "UPDATE reservation SET state = %s, state_version = state_version + 1 WHERE request_id = %s",
                (state, request_id),
            )
            # an approval that ends before it was signed never will be
            execute(
                "DELETE FROM ledger_unsigned WHERE seq = (SELECT seq FROM ledger WHERE tx_id = %s)", (entry.settles,)
            )
        for scope in write.freeze:
            execute(
                "INSERT INTO budget_freeze (scope, entry_tx, reason, created_at) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                (scope, entry.tx_id, str(entry.details.get("why", "")), entry.created_at),
            )
        for scope in write.unfreeze:
            execute("DELETE FROM budget_freeze WHERE scope = %s", (scope,))
        if write.key:
            execute(
                "INSERT INTO ledger_key (purpose, kid, entry_tx) VALUES (%s, %s, %s)"
                " ON CONFLICT (tenant_id, purpose) DO UPDATE SET kid = excluded.kid, entry_tx = excluded.entry_tx",
                (*write.key, entry.tx_id),
            )

    def sign(self, seq: int, kid: str, signature: bytes) -> None:
        """Keep a row's first signature; an approval's reservation goes RESERVED -> SIGNED."""
        self._connection.execute("SELECT money_sign(%s, %s, %s)", (seq, kid, signature))

    def dispatch(self, request_id: str, version: int, spender: str) -> bool:
        """SIGNED -> DISPATCHED, if nothing changed and it is unexpired by the database's clock at this moment."""
        at = None if self._clock is database_now else self.now()
        row = self._one(
            "UPDATE reservation SET state = 'DISPATCHED', state_version = state_version + 1, spender = %s,"
            " dispatched_at = coalesce(%s::timestamptz, clock_timestamp())"
            " WHERE request_id = %s AND state = 'SIGNED' AND state_version = %s"
            " AND expires_at > coalesce(%s::timestamptz, clock_timestamp()) RETURNING 1 AS done",
            spender,
            at,
            request_id,
            version,
            at,
        )
        return row is not None

    # --- inside

    def _one(self, query: str, *values: Any) -> Row | None:
        cursor = self._connection.cursor(row_factory=dict_row)
        return cursor.execute(query, values).fetchone()

    def _all(self, query: str, *values: Any) -> list[Row]:
        cursor = self._connection.cursor(row_factory=dict_row)
        return cursor.execute(query, values).fetchall()

    def _entry(self, condition: str, value: object) -> Entry | None:
        row = self._one(f"SELECT * FROM ledger_entries WHERE {condition}", value)  # noqa: S608
        return entry_from_row(row) if row else None

    def _known(self, seqs: list[int]) -> dict[int, Entry]:
        if not seqs:
            return {}
        rows = self._all(ROWS_BY_SEQ, seqs)
        return {row["seq"]: entry_from_row(row) for row in rows}


def reservation_from_row(row: Row) -> Reservation:
    """A row of `reservation`."""
    return Reservation(
        request_id=str(row["request_id"]),
        state=row["state"],
        amount_micros=row["amount_micros"],
        category=row["category"],
        periods=row["periods"],
        expires_at=row["expires_at"],
        control_epoch=row["control_epoch"],
        spender=row["spender"],
        decision_tx=str(row["decision_tx"]),
        state_version=row["state_version"],
        dispatched_at=row["dispatched_at"],
    )


def _counters(text: str | None, freezes: dict[str, list[str]] | None) -> dict[CounterKey, Counter]:
    frozen = freezes or {}
    counters: dict[CounterKey, Counter] = {}
    for part in text.split(";") if text else []:
        scope, kind, period_id, limit, target, reserved, spent = part.split("|")
        at, why = frozen.get(scope, (None, ""))
        counters[scope, kind, period_id] = Counter(
            limit_micros=int(limit),
            target_micros=int(target),
            reserved_micros=int(reserved),
            spent_micros=int(spent),
            frozen=scope in frozen,
            frozen_at=datetime.fromisoformat(at) if at else None,
            frozen_why=why,
        )
    return counters


def _history(text: str | None) -> list[PastDecision]:
    history = []
    for part in text.split(";") if text else []:
        decision, request_type, amount, micros = part.split("|")
        at = _EPOCH + timedelta(microseconds=int(micros))
        history.append(PastDecision(decision, request_type, int(amount), at))
    return history


def _row(entry: Entry) -> dict[str, Any]:
    return {name: _json(getattr(entry, name)) for name in FIELDS}


def _reserve(held: Reservation, entry: Entry) -> dict[str, Any]:
    return {
        "request_id": held.request_id,
        "decision_tx": held.decision_tx,
        "category": held.category,
        "amount_micros": held.amount_micros,
        "periods": held.periods,
        "control_epoch": held.control_epoch,
        "expires_at": held.expires_at.isoformat(),
        "created_at": entry.created_at.isoformat(),
    }


def _json(value: Any) -> Any:
    if isinstance(value, bytes):
        return _hex(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _hex(value: bytes) -> str:
    return "\\x" + value.hex()
