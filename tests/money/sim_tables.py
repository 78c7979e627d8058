"""What the simulated money store holds, what a transaction changes of it, and what the world may do at its fault points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from chimera.domain.cfo import CounterKey
from chimera.domain.ledger import GENESIS, Entry, Reservation
from chimera.money_ports import PastDecision, Write


class Hooks(Protocol):
    """What the simulated world does at a fault point."""

    def io(self, call: str, phase: str, request_id: str | None = None) -> None:
        """May yield to another actor, jump the clock, raise a crash or say that the store is away."""
        ...

    def wait(self, free: Callable[[], bool]) -> None:
        """Return once `free()` holds."""
        ...

    def now(self) -> datetime:
        """The store's clock."""
        ...


class NoFaults:
    """Hooks for a quiet world; the clock is whatever `read` says."""

    def __init__(self, read: Callable[[], datetime]) -> None:
        self._read = read

    def io(self, call: str, phase: str, request_id: str | None = None) -> None:
        """Nothing happens."""

    def wait(self, free: Callable[[], bool]) -> None:
        """With one actor there is nobody to wait for."""
        assert free(), "one actor cannot wait for itself"

    def now(self) -> datetime:
        """The clock."""
        return self._read()


@dataclass
class Row:
    """One budget counter, micros."""

    limit: int
    target: int
    reserved: int = 0
    spent: int = 0


@dataclass
class Tables:
    """What is committed."""

    ledger: list[Entry] = field(default_factory=list)
    decisions: dict[str, int] = field(default_factory=dict)
    resolutions: dict[str, int] = field(default_factory=dict)
    tx_ids: dict[str, int] = field(default_factory=dict)
    overridden: dict[str, int] = field(default_factory=dict)
    history: dict[str, list[PastDecision]] = field(default_factory=dict)
    counters: dict[CounterKey, Row] = field(default_factory=dict)
    limits: dict[tuple[str, str], int] = field(default_factory=dict)
    frozen: dict[str, Entry] = field(default_factory=dict)
    refunds: dict[str, int] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    open: dict[str, Reservation] = field(default_factory=dict)
    dispatched: dict[str, Reservation] = field(default_factory=dict)
    unsigned: dict[int, None] = field(default_factory=dict)
    agents: set[str] = field(default_factory=set)
    control: tuple[str, int] | None = ("RUN", 1)
    head: tuple[int, bytes] = (0, GENESIS)


@dataclass
class Changes:
    """What one transaction wrote; the oracle is shown it at the commit."""

    writes: list[Write] = field(default_factory=list)
    counters: dict[CounterKey, Row] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    signatures: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    limits: dict[tuple[str, str], int] = field(default_factory=dict)
    frozen: dict[str, Entry | None] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    head: tuple[int, bytes] | None = None
    began: int = 0
    """Number of commits and switch changes that came before this transaction began."""
    checked_at: dict[str, datetime] = field(default_factory=dict)
    """The clock at which each dispatch was let through."""
    readings: list[datetime] = field(default_factory=list)
    """Clocks that were read after the locks of `view` were had."""
    clocks: list[datetime] = field(default_factory=list)
    """Every clock that this transaction read."""
