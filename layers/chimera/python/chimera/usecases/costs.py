"""What each step really used, noted beside its files, so that settling survives any crash and counts nothing twice."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

from chimera.domain.models import CostLine
from chimera.domain.prices import compute_cost
from chimera.ports import MediaStore


def cpu_seconds() -> float:
    """User and system seconds of this process and of its children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


@dataclass
class Meter:
    """CPU and wall seconds of a step, measured from its start."""

    started_cpu: float = field(default_factory=cpu_seconds)
    started_wall: float = field(default_factory=time.monotonic)

    def line(self, step: str, *, gigabytes: float) -> CostLine:
        """The step's cost so far at the documented price of compute."""
        cpu, wall = cpu_seconds() - self.started_cpu, time.monotonic() - self.started_wall
        micros = compute_cost(Decimal(str(round(cpu, 3))), Decimal(str(gigabytes)), Decimal(str(round(wall, 3))))
        return CostLine(
            step=step, item="vCPU and memory", quantity=f"{cpu:.3f}", unit="vCPU second", amount_micros=micros
        )


def note(media: MediaStore, prefix: str, line: CostLine) -> None:
    """Keep the line under the step's name: a step run again replaces its own line."""
    media.put_bytes(f"{prefix}/costs/{line.step}.json", line.model_dump_json().encode())


def noted(media: MediaStore, prefix: str) -> list[CostLine]:
    """Every line of a piece of content, by step."""
    return [CostLine.model_validate(json.loads(media.get_bytes(key))) for key in media.keys(f"{prefix}/costs")]


@contextmanager
def metered(media: MediaStore, prefix: str, step: str, *, gigabytes: float) -> Iterator[Meter]:
    """Measure a step and keep its line, also when the step fails: what was used was used."""
    meter = Meter()
    try:
        yield meter
    finally:
        note(media, prefix, meter.line(step, gigabytes=gigabytes))
