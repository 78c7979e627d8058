"""What each step really used, noted beside its files, so that settling survives any crash and counts nothing twice."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from decimal import Decimal

from chimera.domain.models import CostLine
from chimera.domain.prices import compute_cost
from chimera.ports import MediaStore
from chimera.purse import Purse

CHECKPOINT_SECONDS = 2.0
ITEM, UNIT = "vCPU and memory", "vCPU second"


def cpu_seconds() -> float:
    """User and system seconds of this process and of its children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


@dataclass
class Meter:
    """What a step uses, measured from its start, on top of what attempts before it had used that were cut off."""

    media: MediaStore
    prefix: str
    step: str
    gigabytes: float
    carried: CostLine | None = None
    call_id: str = ""
    started_cpu: float = field(default_factory=cpu_seconds)
    started_wall: float = field(default_factory=time.monotonic)
    noted_wall: float = field(default_factory=time.monotonic)

    def line(self, *, complete: bool) -> CostLine:
        """The step's line as it stands."""
        cpu, wall = cpu_seconds() - self.started_cpu, time.monotonic() - self.started_wall
        micros = compute_cost(Decimal(f"{cpu:.3f}"), Decimal(str(self.gigabytes)), Decimal(f"{wall:.3f}"))
        seconds = Decimal(f"{cpu:.3f}")
        if self.carried:
            micros, seconds = micros + self.carried.amount_micros, seconds + Decimal(self.carried.quantity)
        return CostLine(
            step=self.step,
            item=ITEM,
            quantity=str(seconds),
            unit=UNIT,
            amount_micros=micros,
            complete=complete,
            call_id=self.call_id,
        )

    def keep(self, line: CostLine) -> None:
        """Keep the line under the call's or the step's name."""
        self.media.put_bytes(_key(self.prefix, self.call_id or self.step), line.model_dump_json().encode())
        self.noted_wall = time.monotonic()

    def checkpoint(self) -> None:
        """Keep what was used so far, every few seconds: what a kill -9 cuts off was used all the same."""
        if time.monotonic() - self.noted_wall > CHECKPOINT_SECONDS:
            self.keep(self.line(complete=False))


def noted(media: MediaStore, prefix: str) -> list[CostLine]:
    """Every line of a piece of content, by step."""
    return [CostLine.model_validate(json.loads(media.get_bytes(key))) for key in media.keys(f"{prefix}/costs")]


@contextmanager
def metered(
    media: MediaStore,
    prefix: str,
    step: str,
    *,
    gigabytes: float,
    purse: Purse | None = None,
    worst_case_micros: int = 0,
    attempt: int = 0,
) -> Iterator[Meter]:
    """Measure a step and keep its line, also when the step fails; another attempt adds to a line that was cut off.

    With a purse (every step after the approval has one) the step's worst case is drawn before it begins, and corrected
    to what was measured when it ends, well or not. A kill or SIGTERM leaves the draw: the next attempt goes on under it.
    `attempt`: the production's own (`Scope.attempt`). A step that is done again with another seed is another call with a
    worst case of its own.
    """
    with ExitStack() as stack:
        call = None
        if purse is not None:
            drawn = purse.call(
                f"{step}/seed-{attempt}" if attempt else step,
                worst_case_micros,
                ITEM,
                quantity="0",
                unit=UNIT,
                category="compute",
                repeatable=True,
            )
            call = stack.enter_context(drawn)
        name = call.call_id if call else step
        key = _key(prefix, name)
        earlier = CostLine.model_validate_json(media.get_bytes(key)) if media.exists(key) else None
        carried = earlier if earlier and not earlier.complete else None
        meter = Meter(media, prefix, step, gigabytes, carried=carried, call_id=call.call_id if call else "")
        complete = stopped = False
        try:
            yield meter
            complete = True
        except SystemExit:  # asked to stop (Spot, a laptop that ends): the next attempt goes on under the open draw
            stopped = True
            raise
        finally:
            line = meter.line(complete=complete)
            if call is not None and not stopped:
                call.used(line.amount_micros, line.quantity)
            with nullcontext() if complete else suppress(OSError):  # a full disk may be what broke the step off
                meter.keep(line)


def _key(prefix: str, step: str) -> str:
    return f"{prefix}/costs/{step}.json"
