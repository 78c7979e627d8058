"""What the money engine needs of a store: one tenant's transaction, in operations that Postgres and the simulator both have.

The engine (`usecases/ledger.py`) holds every rule of the protocol; a store only locks, reads and writes. Locks are taken
in one order everywhere: reservation -> limits -> budget counters (sorted) -> chain head. Amounts are micros (1e-6 USD).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from chimera.domain.cfo import CounterKey
from chimera.domain.ledger import Entry, Reservation

T = TypeVar("T")


@dataclass(frozen=True)
class Counter:
    """One budget row: `limit` holds now, `target` was asked for (limit >= reserved + spent, so a cut freezes)."""

    limit_micros: int
    target_micros: int
    reserved_micros: int
    spent_micros: int
    frozen: bool = False
    """Frozen by a mismatch or an overrun: nothing is approved until a person unfreezes the scope."""
    frozen_at: datetime | None = None
    """When the row that froze the scope was written."""
    frozen_why: str = ""
    """That row's `details["why"]`."""

    @property
    def remaining_micros(self) -> int:
        """What may still be reserved: 0 while frozen."""
        return 0 if self.frozen else max(0, self.limit_micros - self.reserved_micros - self.spent_micros)


@dataclass(frozen=True)
class PastDecision:
    """What the risk score looks at in an agent's history."""

    decision: str
    request_type: str
    amount_micros: int
    created_at: datetime


@dataclass(frozen=True)
class DecisionView:
    """All that a decision rests on, read after the locks on the counters and the chain head were had."""

    now: datetime
    """The store's clock, read after the locks: the only clock that decides about money."""
    known: Entry | None
    """The decision on this request id, if there is one already."""
    agent_known: bool
    control: tuple[str, int] | None
    """State and epoch of the control switch; None (no row) is a STOP."""
    counters: dict[CounterKey, Counter]
    history: list[PastDecision]
    head_seq: int
    head_hash: bytes
    key_id: str = ""
    """The CFO's key in use: that of the last KEY row with purpose `cfo`; empty before the first."""


@dataclass(frozen=True)
class Move:
    """What a row does to budget counters: added to each of `keys`."""

    keys: Sequence[CounterKey]
    reserved_micros: int = 0
    spent_micros: int = 0


@dataclass(frozen=True)
class Write:
    """One ledger row and its effects, written in the transaction in this order, or not at all."""

    entry: Entry
    move: Move | None = None
    reserve: Reservation | None = None
    """A new reservation (state RESERVED)."""
    resolve: tuple[str, str] | None = None
    """(request id, new state SETTLED | RELEASED | EXPIRED) of the reservation that is locked."""
    freeze: Sequence[str] = ()
    """Scopes that are frozen from here on."""
    unfreeze: Sequence[str] = ()
    limits: dict[tuple[str, str], int] = field(default_factory=dict)
    """New limits by (scope, kind): they hold from the current period (`entry.periods`) on."""
    key: tuple[str, str] | None = None
    """(purpose, kid): the key that is in use from here on."""


class MoneyTransaction(Protocol):
    """One transaction (READ COMMITTED) of one tenant. Nothing is durable before the store's `run` returns."""

    def now(self) -> datetime:
        """The store's clock, read now, not the transaction's start."""
        ...

    def decision(self, request_id: str) -> Entry | None:
        """The DECISION row of a request, with its signature once there is one."""
        ...

    def resolution(self, request_id: str) -> Entry | None:
        """Its SETTLE, RELEASE or EXPIRE row."""
        ...

    def entry(self, tx_id: str) -> Entry | None:
        """A row by its transaction id."""
        ...

    def entry_at(self, seq: int) -> Entry | None:
        """A row by its sequence number."""
        ...

    def entries_at(self, seqs: Sequence[int]) -> list[Entry]:
        """Rows by their sequence numbers, in the order asked for; those that are not there are left out."""
        return [entry for entry in map(self.entry_at, seqs) if entry is not None]

    def view(self, request_id: str, agent_id: str, keys: Sequence[CounterKey]) -> DecisionView:
        """Make the counters of new periods from the limits, lock the counters (sorted) and the chain head, then read."""
        ...

    def view_many(self, asked: Sequence[tuple[str, str]], keys: Sequence[CounterKey]) -> list[DecisionView]:
        """`view` for several (request id, agent id) at once, in their order: the same locks, one clock."""
        return [self.view(request_id, agent_id, keys) for request_id, agent_id in asked]

    def lock_counters(self, keys: Sequence[CounterKey]) -> dict[CounterKey, Counter]:
        """Lock existing counters, sorted, and the chain head after them."""
        ...

    def lock_limits(self) -> dict[tuple[str, str], int]:
        """Lock and give the limits in force by (scope, kind)."""
        ...

    def head(self) -> tuple[int, bytes]:
        """Lock the chain's head and give its sequence number and hash; (0, GENESIS) for a new chain."""
        ...

    def write(self, writes: Sequence[Write]) -> None:
        """Append rows (each follows the one before, the first follows `head`) with their effects and move the head.

        Raises `Raced` when a racing transaction won a unique key (one decision, one resolution of a request).
        """
        ...

    def lock_reservation(self, request_id: str) -> Reservation | None:
        """Lock a reservation and give it."""
        ...

    def due_reservation(self, before: datetime) -> Reservation | None:
        """Lock the oldest RESERVED or SIGNED reservation that expired before this; those that others lock are skipped."""
        ...

    def sign(self, seq: int, kid: str, signature: bytes) -> None:
        """Keep a row's signature, unless it has one; the reservation of an approval goes RESERVED -> SIGNED.

        Nothing for an approval that is not RESERVED: one that ended unsigned never gets a signature.
        """
        ...

    def dispatch(self, request_id: str, version: int, spender: str) -> bool:
        """SIGNED -> DISPATCHED if `state_version` is still `version`, the state SIGNED and it is unexpired by the store's clock."""
        ...

    def control(self) -> tuple[str, int] | None:
        """State and epoch of the control switch."""
        ...

    def agent_known(self, agent_id: str) -> bool:
        """Whether it is an agent of the tenant."""
        ...

    def refunded(self, decision_tx: str) -> int:
        """Micros of all REFUND rows whose `settles` is this approval."""
        ...

    def frozen(self) -> dict[str, str]:
        """Frozen scopes, each with the tx_id of the row that froze it."""
        ...

    def key(self, purpose: str) -> str:
        """The key in use for `cfo` or `seal`: that of the purpose's last KEY row; empty before the first."""
        ...


class MoneyStore(Protocol):
    """One tenant's money tables."""

    @property
    def tenant_id(self) -> str:
        """Whose."""
        ...

    def run(self, work: Callable[[MoneyTransaction], T]) -> T:
        """Run `work` in a transaction; again from the start when a racing one won. `DATABASE_WAKING` when the store is away.

        After that error it is unknown whether the commit took effect: every operation may be asked again.
        """
        ...


class Raced(Exception):  # noqa: N818
    """A racing transaction won; the store's `run` begins again."""
