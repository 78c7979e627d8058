"""A money store in memory with the transactions, locks and constraints of Postgres, and none of the protocol.

READ COMMITTED: a transaction sees what is committed and what it wrote itself; its writes become visible together at its
commit, or never. A row lock that another transaction has makes the caller wait (the scheduler goes on with somebody
else); a circle of waits is a deadlock and raises `Raced`, as Postgres picks a victim. Every call is a fault point before
and after (`Hooks.io`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from chimera.domain.cfo import CounterKey
from chimera.domain.ledger import RESOLUTIONS, Entry, Reservation
from chimera.errors import ChimeraError
from chimera.money_ports import Counter, DecisionView, Move, PastDecision, Raced, Write
from tests.money.sim_tables import Changes, Hooks, Row, Tables

T = TypeVar("T")
ATTEMPTS = 8
KEEPS_LOSING = "others keep winning this row"
OPEN = ("RESERVED", "SIGNED")
TYPES = frozenset({"DECISION", "SETTLE", "RELEASE", "EXPIRE", "LIMIT_CHANGE"}) | frozenset(
    {"REFUND", "OVERRUN", "FREEZE", "UNFREEZE", "REFUSAL", "KEY"}
)


class ConstraintViolation(Exception):  # noqa: N818
    """A CHECK or FOREIGN KEY refused a row: in production an unexpected database error, so the engine must never cause it."""


class SimStore:
    """One tenant's money tables in memory (a `MoneyStore`)."""

    def __init__(self, tenant_id: str, hooks: Hooks, agents: Sequence[str]) -> None:
        self._tenant = tenant_id
        self.hooks = hooks
        self.tables = Tables(agents=set(agents))
        self.owners: dict[Any, SimTransaction] = {}
        self.on_commit: list[Callable[[Changes], None]] = []
        self.tick = 0

    @property
    def tenant_id(self) -> str:
        """Whose."""
        return self._tenant

    def run(self, work: Callable[[Any], T]) -> T:
        """`work` in a transaction, again when a racing one won."""
        for _ in range(ATTEMPTS):
            self.hooks.io("begin", "before")
            transaction = SimTransaction(self)
            try:
                result = work(transaction)
                self.hooks.io("commit", "before", transaction.target)
                transaction.commit()
            except Raced:
                continue
            finally:
                transaction.close()
            self.hooks.io("commit", "after", transaction.target)
            return result
        raise ChimeraError("DATABASE_WAKING", KEEPS_LOSING, {})

    def set_control(self, state: str | None, *, new_epoch: bool) -> None:
        """Another part of the system moves the switch; None deletes its row."""
        before = self.tables.control
        epoch = (before[1] if before else 0) + int(new_epoch)
        self.tables.control = None if state is None else (state, epoch)
        self.tick += 1

    # --- reads outside of transactions (the reading half of the ledger)

    def signed_entry(self, seq: int) -> Entry:
        """A committed row, with its signature once there is one."""
        return self.tables.ledger[seq - 1]

    def find(self, table: dict[str, int], key: str) -> Entry | None:
        """A committed row by an index."""
        seq = table.get(key)
        return None if seq is None else self.tables.ledger[seq - 1]


class SimTransaction:
    """One transaction (a `MoneyTransaction`)."""

    def __init__(self, store: SimStore) -> None:
        self._store = store
        self._tables = store.tables
        self._hooks = store.hooks
        self._new: list[Entry] = []
        self._locks: list[Any] = []
        self._done = False
        self.waits_for: Any = None
        self.changes = Changes(began=store.tick)
        self.target: str | None = None

    # --- locks

    def _lock(self, resource: Any) -> None:
        owners = self._store.owners
        owner = owners.get(resource)
        if owner is self:
            return
        while owner is not None:
            self.waits_for = resource
            if self._in_circle():
                self.waits_for = None
                raise Raced("deadlock")
            self._hooks.wait(lambda: resource not in owners)
            owner = owners.get(resource)
        self.waits_for = None
        owners[resource] = self
        self._locks.append(resource)

    def _in_circle(self) -> bool:
        owners = self._store.owners
        seen = 0
        other = owners.get(self.waits_for)
        while other is not None and seen < 100:
            if other is self:
                return True
            other = owners.get(other.waits_for) if other.waits_for is not None else None
            seen += 1
        return False

    def close(self) -> None:
        """Give every lock back; what was not committed is gone."""
        self._done = True
        self.waits_for = None
        for resource in self._locks:
            if self._store.owners.get(resource) is self:
                del self._store.owners[resource]
        self._locks.clear()

    def commit(self) -> None:
        """Make every write visible at once."""
        tables, changes = self._tables, self.changes
        for entry in self._new:
            seq = entry.seq
            tables.ledger.append(entry)
            tables.tx_ids[entry.tx_id] = seq
            tables.unsigned[seq] = None
            if entry.entry_type == "DECISION":
                tables.decisions[entry.request_id] = seq
                past = PastDecision(
                    entry.decision or "", entry.request_type or "", entry.amount_micros, entry.created_at
                )
                tables.history.setdefault(entry.agent_id or "", []).append(past)
                if entry.override_of is not None:
                    tables.overridden[entry.override_of] = seq
            elif entry.entry_type in RESOLUTIONS:
                tables.resolutions[entry.request_id] = seq
            elif entry.entry_type == "REFUND":
                tables.refunds[entry.settles or ""] = tables.refunds.get(entry.settles or "", 0) + entry.amount_micros
        tables.counters.update(changes.counters)
        for request_id, row in changes.reservations.items():
            tables.reservations[request_id] = row
            tables.open.pop(request_id, None)
            tables.dispatched.pop(request_id, None)
            if row.state in OPEN:
                tables.open[request_id] = row
            elif row.state == "DISPATCHED":
                tables.dispatched[request_id] = row
        for seq, (kid, signature) in changes.signatures.items():
            tables.ledger[seq - 1] = replace(tables.ledger[seq - 1], signature=signature, signed_by=kid)
            tables.unsigned.pop(seq, None)
        tables.limits.update(changes.limits)
        tables.keys.update(changes.keys)
        for scope, cause in changes.frozen.items():
            if cause is None:
                tables.frozen.pop(scope, None)
            else:
                tables.frozen[scope] = cause
        if changes.head is not None:
            tables.head = changes.head
        self._store.tick += 1
        for callback in self._store.on_commit:
            callback(changes)
        self.close()

    # --- reads

    def now(self) -> datetime:
        """The clock, now."""
        self._hooks.io("now", "before")
        at = self._hooks.now()
        self.changes.clocks.append(at)
        if "head" in self._locks:
            self.changes.readings.append(at)
        self._hooks.io("now", "after")
        return at

    def decision(self, request_id: str) -> Entry | None:
        """The DECISION row of a request."""
        self.target = request_id
        self._hooks.io("decision", "before", request_id)
        found = self._decision(request_id)
        self._hooks.io("decision", "after", request_id)
        return found

    def _decision(self, request_id: str) -> Entry | None:
        for entry in self._new:
            if entry.entry_type == "DECISION" and entry.request_id == request_id:
                return entry
        return self._store.find(self._tables.decisions, request_id)

    def resolution(self, request_id: str) -> Entry | None:
        """Its SETTLE, RELEASE or EXPIRE row."""
        self.target = request_id
        self._hooks.io("resolution", "before", request_id)
        found = self._store.find(self._tables.resolutions, request_id)
        for entry in self._new:
            if entry.entry_type in RESOLUTIONS and entry.request_id == request_id:
                found = entry
        self._hooks.io("resolution", "after", request_id)
        return found

    def entry(self, tx_id: str) -> Entry | None:
        """A row by its transaction id."""
        self._hooks.io("entry", "before")
        found = self._store.find(self._tables.tx_ids, tx_id)
        for entry in self._new:
            if entry.tx_id == tx_id:
                found = entry
        self._hooks.io("entry", "after")
        return found

    def entry_at(self, seq: int) -> Entry | None:
        """A row by its sequence number."""
        self._hooks.io("entry_at", "before")
        found = None
        if 1 <= seq <= len(self._tables.ledger):
            found = self._tables.ledger[seq - 1]
            if seq in self.changes.signatures:
                kid, signature = self.changes.signatures[seq]
                found = replace(found, signature=signature, signed_by=kid)
        for entry in self._new:
            if entry.seq == seq:
                found = entry
        self._hooks.io("entry_at", "after")
        return found

    def entries_at(self, seqs: Sequence[int]) -> list[Entry]:
        """Rows by their sequence numbers, in the order asked for."""
        found = [self.entry_at(seq) for seq in seqs]
        return [entry for entry in found if entry is not None]

    def control(self) -> tuple[str, int] | None:
        """The switch."""
        self._hooks.io("control", "before")
        value = self._tables.control
        self._hooks.io("control", "after")
        return value

    def agent_known(self, agent_id: str) -> bool:
        """Whether it is an agent of the tenant."""
        self._hooks.io("agent_known", "before")
        known = agent_id in self._tables.agents
        self._hooks.io("agent_known", "after")
        return known

    def refunded(self, decision_tx: str) -> int:
        """Micros that came back on an approval."""
        self._hooks.io("refunded", "before", self.target)
        new = sum(e.amount_micros for e in self._new if e.entry_type == "REFUND" and e.settles == decision_tx)
        total = self._tables.refunds.get(decision_tx, 0) + new
        self._hooks.io("refunded", "after", self.target)
        return total

    def frozen(self) -> dict[str, str]:
        """Frozen scopes and the rows that froze them."""
        self._hooks.io("frozen", "before")
        found = {scope: entry.tx_id for scope, entry in self._frozen().items()}
        self._hooks.io("frozen", "after")
        return found

    def key(self, purpose: str) -> str:
        """The key in use."""
        self._hooks.io("key", "before")
        kid = self._key(purpose)
        self._hooks.io("key", "after")
        return kid

    def _key(self, purpose: str) -> str:
        return self.changes.keys.get(purpose) or self._tables.keys.get(purpose, "")

    def _frozen(self) -> dict[str, Entry]:
        both = {**self._tables.frozen, **self.changes.frozen}
        return {scope: entry for scope, entry in sorted(both.items()) if entry is not None}

    # --- locks and reads

    def view(self, request_id: str, agent_id: str, keys: Sequence[CounterKey]) -> DecisionView:
        """Make missing counters from the limits, lock counters and head, then read everything."""
        return self.view_many([(request_id, agent_id)], keys)[0]

    def view_many(self, asked: Sequence[tuple[str, str]], keys: Sequence[CounterKey]) -> list[DecisionView]:
        """`view` of several requests under the same locks and at one clock."""
        self.target = request_id = asked[0][0]
        self._hooks.io("view", "before", request_id)
        wanted = sorted(keys)
        if any(key not in self._tables.counters for key in wanted):
            self._lock("limits")
            for key in wanted:
                self._lock(("counter", key))
                if self._counter(key) is None and key[:2] in self._tables.limits:
                    limit = self._tables.limits[key[:2]]
                    self.changes.counters[key] = Row(limit, limit)
        for key in wanted:
            self._lock(("counter", key))
        self._lock("head")
        self._hooks.io("view", "locked", request_id)
        seq, digest = self._head()
        now, control, counters = self._hooks.now(), self._tables.control, self._counters(wanted)
        self.changes.readings.append(now)
        self.changes.clocks.append(now)
        views = [
            DecisionView(
                now=now,
                known=self._decision(request),
                agent_known=agent in self._tables.agents,
                control=control,
                counters=counters,
                history=self._tables.history.get(agent, [])[:-101:-1],
                head_seq=seq,
                head_hash=digest,
                key_id=self._key("cfo"),
            )
            for request, agent in asked
        ]
        self._hooks.io("view", "after", request_id)
        return views

    def lock_counters(self, keys: Sequence[CounterKey]) -> dict[CounterKey, Counter]:
        """Lock existing counters, sorted, then the head."""
        self._hooks.io("lock_counters", "before", self.target)
        wanted = sorted(keys)
        for key in wanted:
            if self._counter(key) is not None:
                self._lock(("counter", key))
        self._lock("head")
        found = self._counters(wanted)
        self._hooks.io("lock_counters", "after", self.target)
        return found

    def lock_limits(self) -> dict[tuple[str, str], int]:
        """Lock and give the limits."""
        self._hooks.io("lock_limits", "before")
        self._lock("limits")
        found = {**self._tables.limits, **self.changes.limits}
        self._hooks.io("lock_limits", "after")
        return found

    def head(self) -> tuple[int, bytes]:
        """Lock the chain's head and give it."""
        self._hooks.io("head", "before", self.target)
        self._lock("head")
        found = self._head()
        self._hooks.io("head", "after", self.target)
        return found

    def lock_reservation(self, request_id: str) -> Reservation | None:
        """Lock a reservation and give it."""
        self.target = request_id
        self._hooks.io("lock_reservation", "before", request_id)
        found = None
        if self._reservation(request_id) is not None:
            self._lock(("reservation", request_id))
            found = self._reservation(request_id)
        self._hooks.io("lock_reservation", "after", request_id)
        return found

    def due_reservation(self, before: datetime) -> Reservation | None:
        """The oldest open one that ended before this and that nobody has locked, locked."""
        self._hooks.io("due_reservation", "before")
        owners = self._store.owners
        due = [
            r
            for r in self._tables.open.values()
            if r.expires_at < before and owners.get(("reservation", r.request_id)) in (None, self)
        ]
        found = min(due, key=lambda r: (r.expires_at, r.request_id), default=None)
        if found is not None:
            self.target = found.request_id
            self._lock(("reservation", found.request_id))
        self._hooks.io("due_reservation", "after", self.target)
        return found

    def _counter(self, key: CounterKey) -> Row | None:
        return self.changes.counters.get(key) or self._tables.counters.get(key)

    def _counters(self, keys: Sequence[CounterKey]) -> dict[CounterKey, Counter]:
        rows = [(key, self._counter(key)) for key in keys]
        frozen = self._frozen() if self._tables.frozen or self.changes.frozen else {}
        found = {}
        for key, row in rows:
            if row is not None:
                cause = frozen.get(key[0])
                found[key] = Counter(
                    row.limit,
                    row.target,
                    row.reserved,
                    row.spent,
                    frozen=cause is not None,
                    frozen_at=cause.created_at if cause else None,
                    frozen_why=str(cause.details.get("why", "")) if cause else "",
                )
        return found

    def _head(self) -> tuple[int, bytes]:
        return self.changes.head or self._tables.head

    def _reservation(self, request_id: str) -> Reservation | None:
        return self.changes.reservations.get(request_id) or self._tables.reservations.get(request_id)

    # --- writes

    def write(self, writes: Sequence[Write]) -> None:
        """Append rows with their effects, under the unique keys and CHECKs of the tables."""
        self._hooks.io("write", "before", self.target)
        self._lock("head")
        for write in writes:
            self._insert(write.entry)
            if write.move is not None:
                self._move(write.move)
            if write.reserve is not None:
                if self._reservation(write.reserve.request_id) is not None:
                    raise Raced("reservation_pkey")
                _check(write.reserve.amount_micros > 0, "reservation.amount_micros > 0")
                self.changes.reservations[write.reserve.request_id] = write.reserve
            if write.resolve is not None:
                request_id, state = write.resolve
                row = self._reservation(request_id)
                _check(row is not None, "the reservation to resolve exists")
                assert row is not None
                self._lock(("reservation", request_id))
                self.changes.reservations[request_id] = replace(row, state=state, state_version=row.state_version + 1)
            for scope in write.freeze:
                self.changes.frozen[scope] = write.entry
            for scope in write.unfreeze:
                self.changes.frozen[scope] = None
            if write.limits:
                self._set_limits(write)
            if write.key is not None:
                self.changes.keys[write.key[0]] = write.key[1]
        self.changes.writes.extend(writes)
        self._hooks.io("write", "after", self.target)

    def _insert(self, entry: Entry) -> None:
        tables = self._tables
        new = self._new
        seq, _ = self._head()
        if entry.seq != seq + 1:
            raise Raced("ledger_tenant_id_seq_key")
        if entry.tx_id in tables.tx_ids or any(e.tx_id == entry.tx_id for e in new):
            raise Raced("ledger_pkey")
        kind = entry.entry_type
        if kind == "DECISION" and self._decision(entry.request_id) is not None:
            raise Raced("one_decision")
        if kind in RESOLUTIONS and (
            entry.request_id in tables.resolutions
            or any(e.entry_type in RESOLUTIONS and e.request_id == entry.request_id for e in new)
        ):
            raise Raced("one_resolution")
        if entry.override_of is not None and entry.override_of in tables.overridden:
            raise Raced("one_override")
        _check(kind in TYPES, f"entry_type {kind}")
        _check(type(entry.amount_micros) is int and entry.amount_micros >= 0, "amount_micros >= 0")
        _check(kind != "DECISION" or entry.amount_micros > 0, "a decision has an amount")
        _check(entry.agent_id is None or entry.agent_id in tables.agents, "agent_id references agents")
        for other in (entry.settles, entry.override_of):
            known = other is None or other in tables.tx_ids or any(e.tx_id == other for e in new)
            _check(known, "settles and override_of reference ledger")
        new.append(entry)
        self.changes.head = (entry.seq, entry.row_hash)

    def _move(self, move: Move) -> None:
        for key in move.keys:
            self._lock(("counter", key))
            row = self._counter(key)
            _check(row is not None, f"budget row {key} exists")
            assert row is not None
            reserved, spent = row.reserved + move.reserved_micros, row.spent + move.spent_micros
            limit = row.limit
            if move.reserved_micros + move.spent_micros <= 0:  # what is given back lets a cut limit sink to its target
                limit = max(row.target, reserved + spent)
            _check(reserved >= 0 and spent >= 0 and reserved + spent <= limit, f"check_spent_within_limit {key}")
            self.changes.counters[key] = Row(limit, row.target, reserved, spent)

    def _set_limits(self, write: Write) -> None:
        self._lock("limits")
        for pair, micros in sorted(write.limits.items()):
            _check(micros > 0, "limit_micros > 0")
            self.changes.limits[pair] = micros
            since = write.entry.periods[pair[1]]
            for key in sorted(self._tables.counters.keys() | self.changes.counters.keys()):
                if key[:2] == pair and key[2] >= since:
                    self._lock(("counter", key))
                    row = self._counter(key)
                    assert row is not None
                    limit = max(micros, row.reserved + row.spent)
                    self.changes.counters[key] = Row(limit, micros, row.reserved, row.spent)

    def sign(self, seq: int, kid: str, signature: bytes) -> None:
        """Keep the first signature; an approval becomes SIGNED."""
        entry = self._tables.ledger[seq - 1] if 1 <= seq <= len(self._tables.ledger) else None
        _check(entry is not None, "ledger_signature references ledger")
        assert entry is not None
        self.target = entry.request_id
        self._hooks.io("sign", "before", entry.request_id)
        _check(len(signature) == 64, "length(sig) = 64")
        if entry.is_approval:
            self._lock(("reservation", entry.request_id))
            row = self._reservation(entry.request_id)
            if row is not None and row.state == "RESERVED":
                signed = replace(row, state="SIGNED", state_version=row.state_version + 1)
                self.changes.reservations[entry.request_id] = signed
        self._lock(("signature", seq))
        if self._tables.ledger[seq - 1].signature is None:
            self.changes.signatures[seq] = (kid, signature)
        self._hooks.io("sign", "after", entry.request_id)

    def dispatch(self, request_id: str, version: int, spender: str) -> bool:
        """SIGNED -> DISPATCHED when the version and the clock allow it."""
        self.target = request_id
        self._hooks.io("dispatch", "before", request_id)
        done = False
        if self._reservation(request_id) is not None:
            self._lock(("reservation", request_id))
            row = self._reservation(request_id)
            at = self._hooks.now()
            if row is not None and row.state == "SIGNED" and row.state_version == version and row.expires_at > at:
                self.changes.reservations[request_id] = replace(
                    row, state="DISPATCHED", state_version=version + 1, spender=spender, dispatched_at=at
                )
                self.changes.checked_at[request_id] = at
                done = True
        self._hooks.io("dispatch", "after", request_id)
        return done


def _check(holds: bool, constraint: str) -> None:
    if not holds:
        raise ConstraintViolation(constraint)
