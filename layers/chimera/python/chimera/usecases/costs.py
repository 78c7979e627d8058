"""What each step really used, noted beside its files, so that settling survives any crash and counts nothing twice."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal

from chimera.domain.models import CostLine
from chimera.domain.prices import compute_cost
from chimera.ports import MediaStore

CHECKPOINT_SECONDS = 2.0


def cpu_seconds() -> float:
    """User and system seconds of this process and of its children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


@dataclass
class Meter:
    """What a step uses, measured from its start, on top of what earlier attempts at it had used."""

    media: MediaStore
    prefix: str
    step: str
    gigabytes: float
    carried: CostLine | None = None
    started_cpu: float = field(default_factory=cpu_seconds)
    started_wall: float = field(default_factory=time.monotonic)
    noted_wall: float = field(default_factory=time.monotonic)

    def note(self, *, complete: bool) -> None:
        """Keep the step's line under its name."""
        cpu, wall = cpu_seconds() - self.started_cpu, time.monotonic() - self.started_wall
        micros = compute_cost(Decimal(f"{cpu:.3f}"), Decimal(str(self.gigabytes)), Decimal(f"{wall:.3f}"))
        seconds = Decimal(f"{cpu:.3f}")
        if self.carried:
            micros, seconds = micros + self.carried.amount_micros, seconds + Decimal(self.carried.quantity)
        line = CostLine(
            step=self.step,
            item="vCPU and memory",
            quantity=str(seconds),
            unit="vCPU second",
            amount_micros=micros,
            complete=complete,
        )
        self.media.put_bytes(_key(self.prefix, self.step), line.model_dump_json().encode())
        self.noted_wall = time.monotonic()

    def checkpoint(self) -> None:
        """Keep what was used so far, every few seconds: what a kill -9 cuts off was used all the same."""
        if time.monotonic() - self.noted_wall > CHECKPOINT_SECONDS:
            self.note(complete=False)


def noted(media: MediaStore, prefix: str) -> list[CostLine]:
    """Every line of a piece of content, by step."""
    return [CostLine.model_validate(json.loads(media.get_bytes(key))) for key in media.keys(f"{prefix}/costs")]


@contextmanager
def metered(media: MediaStore, prefix: str, step: str, *, gigabytes: float) -> Iterator[Meter]:
    """Measure a step and keep its line, also when the step fails; another attempt adds to a line that broke off."""
    key = _key(prefix, step)
    earlier = CostLine.model_validate_json(media.get_bytes(key)) if media.exists(key) else None
    meter = Meter(media, prefix, step, gigabytes, carried=earlier if earlier and not earlier.complete else None)
    try:
        yield meter
    except BaseException:
        with suppress(OSError):  # a full disk may be what broke the step off
            meter.note(complete=False)
        raise
    meter.note(complete=True)


def _key(prefix: str, step: str) -> str:
    return f"{prefix}/costs/{step}.json"
