"""The simulated world: actors that take turns at every I/O, a clock that jumps, a signer, a vendor, and faults.

Each actor is a greenlet, so production code runs unchanged and is stopped inside its calls. One random generator decides
everything (who goes on, which fault, what time it is), so a seed is a whole history.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha512
from typing import Any
from unittest import mock

import greenlet  # type: ignore[import-untyped]

from chimera.domain import ids
from chimera.errors import ChimeraError

MILLI = timedelta(milliseconds=1)
START = datetime(2026, 12, 28, 22, 30, tzinfo=UTC)  # days before ISO year 2026 ends in week 53
FIRST_TIME, RARE, USUAL = 0.5, 0.05, 0.003
"""Chance of a fault at a point that had none, at most three, more of them before in this history."""
SWITCH = 0.25
"""Chance that another actor goes on at an I/O."""


RETRYABLE = ("DATABASE_WAKING", "PROVIDER_TIMEOUT")
"""Errors after which whoever asked asks again."""


def unless_unanswered(error: ChimeraError) -> None:
    """Raise it again when it says that there was no answer: the same is asked again later."""
    if error.code in RETRYABLE:
        raise error


class Crash(BaseException):
    """The process is killed here: nothing catches it but the world, memory is lost, what was committed stays."""


class SimClock:
    """The one clock; moves a little at every reading, so no two readings are the same."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self.highest = start
        """The latest that it ever showed."""
        self.put_back = False
        """Whether it ever went backward."""

    def now(self) -> datetime:
        """UTC."""
        self._now += timedelta(microseconds=1)
        if self._now > self.highest:
            self.highest = self._now
        return self._now

    def peek(self) -> datetime:
        """UTC, without moving."""
        return self._now

    def add(self, step: timedelta) -> None:
        """Forward, or backward."""
        self.put_back = self.put_back or step < timedelta(0)
        self._now += step

    def set(self, to: datetime) -> None:
        """Jump."""
        self.put_back = self.put_back or to < self._now
        self._now = to


class SimSigner:
    """64 bytes that only the holder of the secret can make; stands in for ES256, and can be down."""

    def __init__(self, world: SimWorld, kid: str = "sim-key-1") -> None:
        self._world = world
        self._kid = kid

    @property
    def key_id(self) -> str:
        """Names the key."""
        return self._kid

    def sign(self, message: bytes) -> bytes:
        """A signature; `PROVIDER_TIMEOUT` while the signer is down."""
        self._world.io("signer", "before")
        signature = sim_signature(self._kid, message)
        self._world.io("signer", "after")
        return signature


class SimVerifier:
    """Knows all keys of the world."""

    def verify(self, key_id: str, message: bytes, signature: bytes) -> bool:
        """Whether that key signed that message."""
        return key_id.startswith("sim-") and signature == sim_signature(key_id, message)


def sim_signature(kid: str, message: bytes) -> bytes:
    """64 bytes over the message under the key's secret."""
    return sha512(b"secret of " + kid.encode() + b"\0" + message).digest()


class Vendor:
    """Takes money. Its key dedupes: the same order again is charged once. Its reply can be lost."""

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        self.charges: dict[tuple[str, str], int] = {}
        """By request and call."""
        self.on_charge: Callable[[str, int], None] = lambda key, micros: None

    def charge(self, request_id: str, micros: int, call: str = "", cap: int | None = None) -> int:
        """Micros that this order cost. What is billed above the cap that the order had is the vendor's own doing."""
        key = (request_id, call)
        self._world.io("vendor", "before", request_id)
        if key not in self.charges:
            self.charges[key] = micros
            self.on_charge(request_id, micros if cap is None else min(micros, cap))
        self._world.io("vendor", "after", request_id)
        return self.charges[key]


@dataclass
class Task:
    """One delivery of one operation."""

    op: str
    run: Callable[[Any], None]
    """Gets the actor."""
    target: str | None = None
    retries: int = 0
    lost: int = 0
    """Times that it lost every race it began."""


@dataclass
class Actor:
    """One worker process. `memory` is what a crash takes away."""

    number: int
    green: Any = None
    task: Task | None = None
    blocked: Callable[[], bool] | None = None
    memory: dict[str, Any] = field(default_factory=dict)


@dataclass
class Counts:
    """What happened in a history."""

    ops: int = 0
    crashes: int = 0
    away: int = 0
    """Times the store, signer or vendor did not answer (of a commit: applied or not)."""
    clock_jumps: int = 0
    switches: int = 0
    redelivered: int = 0
    errors: dict[str, int] = field(default_factory=dict)


class SimWorld:
    """Scheduler, clock, randomness and faults."""

    def __init__(self, seed: int, actors: int = 6, *, trace: Callable[[str], None] | None = None) -> None:
        self.rng = random.Random(seed)
        self.clock = SimClock(START + timedelta(minutes=self.rng.randrange(0, 600_000)))
        self.counts = Counts()
        self.visits: dict[tuple[str, str, str, str], int] = {}
        self.faults: dict[tuple[str, str, str, str], int] = {}
        self.faulty = True
        self.crash_in: int | None = None
        """Without actors: how many more I/Os are survived."""
        self.state_of: Callable[[str | None], str] = lambda request_id: "-"
        self.next_task: Callable[[], Task | None] = lambda: None
        self.on_result: Callable[[Actor, Task, BaseException | None], None] = lambda actor, task, error: None
        self.trace = trace
        self._actors = [Actor(number) for number in range(actors)]
        self._hub: Any = None
        self._current: Actor | None = None

    # --- hooks of the store

    def now(self) -> datetime:
        """The store's clock."""
        return self.clock.now()

    def io(self, call: str, phase: str, request_id: str | None = None) -> None:
        """A fault point. Outside of actors nothing happens, unless `crash_in` says so."""
        actor = self._current
        if actor is None or actor.task is None:
            if self.crash_in is not None:
                self.crash_in -= 1
                if self.crash_in < 0:
                    self.crash_in = None
                    raise Crash(call)
            return
        rng = self.rng
        chance = rng.random()
        if self.faulty:
            key = (self.state_of(request_id or actor.task.target), actor.task.op, call, phase)
            self.visits[key] = self.visits.get(key, 0) + 1
            hits = self.faults.get(key, 0)
            if chance < (USUAL if hits > 3 else RARE if hits else FIRST_TIME):
                self._fault(key, call)
                return
        if chance > 1 - SWITCH:
            self.counts.switches += 1
            self._hub.switch()
        elif chance > 0.745 and (phase == "locked" or chance > 0.7499):
            self.jump()

    def wait(self, free: Callable[[], bool]) -> None:
        """Let others go on until `free()` holds."""
        actor = self._current
        assert actor is not None, "only an actor waits"
        actor.blocked = free
        self._hub.switch()

    def _fault(self, key: tuple[str, str, str, str], call: str) -> None:
        self.faults[key] = self.faults.get(key, 0) + 1
        if self.rng.random() < 0.6:
            self.counts.crashes += 1
            if self.trace:
                self.trace(f"    crash at {' '.join(key[1:])} in state {key[0]}")
            raise Crash(" ".join(key))
        self.counts.away += 1
        if self.trace:
            self.trace(f"    no answer at {' '.join(key[1:])} in state {key[0]}")
        if call in ("signer", "vendor"):
            raise ChimeraError("PROVIDER_TIMEOUT", f"{call} does not answer", {"call": call})
        raise ChimeraError("DATABASE_WAKING", "the database went away", {"call": call})

    # --- the clock

    def jump(self) -> None:
        """An edge of time: midnight, week, month, year, 29 February, each 1 ms either side; or an hour either way."""
        self.counts.clock_jumps += 1
        now = self.clock.peek()
        kind = self.rng.randrange(100)
        if kind < 20:
            self.clock.add(timedelta(hours=1))
        elif kind < 40:
            self.clock.add(timedelta(hours=-1))
        else:
            midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
            if kind < 75:
                edge = midnight + timedelta(days=1)
            elif kind < 85:
                edge = midnight + timedelta(days=7 - now.weekday())
            elif kind < 93:
                edge = (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
            elif kind < 97:
                edge = midnight.replace(year=now.year + 1, month=1, day=1)
            else:
                leap = now.year + 1
                while leap % 4 or (leap % 100 == 0 and leap % 400):
                    leap += 1
                edge = midnight.replace(year=leap, month=2, day=29) + timedelta(days=self.rng.randrange(2))
            self.clock.set(edge + MILLI * self.rng.choice((-1, -1, 0, 1)))
        if self.trace:
            self.trace(f"    clock {now.isoformat()} -> {self.clock.peek().isoformat()}")

    # --- the scheduler

    def run(self, until: Callable[[], bool]) -> None:
        """Let the actors take turns until `until()` holds and nobody is in the middle of something."""
        self._hub = greenlet.getcurrent()
        for actor in self._actors:
            if actor.green is None:
                actor.green = greenlet.greenlet(self._live)
        rng = self.rng
        stopping = False
        while True:
            stopping = stopping or until()
            ready = [
                a for a in self._actors if (a.task is not None or not stopping) and (a.blocked is None or a.blocked())
            ]
            if not ready:
                if any(a.task is not None for a in self._actors):
                    raise AssertionError("every actor waits for another: a deadlock that nobody saw")
                return
            actor = ready[int(rng.random() * len(ready))]
            actor.blocked = None
            if actor.task is None:
                actor.task = self.next_task()
                if actor.task is None:  # nothing to do, unless those who are at work make more of it
                    if all(a.task is None for a in self._actors):
                        return
                    continue
            self._current = actor
            actor.green.switch(actor)
            self._current = None

    def close(self) -> None:
        """End the actors."""
        for actor in self._actors:
            if actor.green is not None and not actor.green.dead and actor.green:
                actor.green.throw(greenlet.GreenletExit)

    def _live(self, actor: Actor) -> None:
        while True:
            task = actor.task
            assert task is not None
            self.counts.ops += 1
            error: BaseException | None = None
            try:
                task.run(actor)
            except Crash as crash:
                actor.memory.clear()
                error = crash
            except ChimeraError as refused:
                error = refused
                self.counts.errors[refused.code] = self.counts.errors.get(refused.code, 0) + 1
            actor.task = None
            self.on_result(actor, task, error)
            self._hub.switch()


@contextlib.contextmanager
def repeatable_ids(rng: random.Random, clock: SimClock) -> Iterator[None]:
    """New ids come from the seed and the simulated clock, so a history can be compared byte by byte."""

    class Bits:
        @staticmethod
        def randbits(count: int) -> int:
            return rng.getrandbits(count)

    class Time:
        perf_counter = staticmethod(time.perf_counter)

        @staticmethod
        def time_ns() -> int:
            return int(clock.peek().timestamp() * 1_000_000_000)

    with mock.patch.object(ids, "secrets", Bits), mock.patch.object(ids, "time", Time):
        yield
