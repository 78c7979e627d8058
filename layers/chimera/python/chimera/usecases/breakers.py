"""Circuit breakers: a provider that failed is left alone for a while, then tried once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

COOL_DOWN_SECONDS = 300.0


@dataclass
class _Open:
    since: float
    reason: str
    trying: bool = False


class Breakers:
    """Thread-safe, in the memory of one process. `clock` gives seconds that only grow."""

    def __init__(self, *, cool_down: float = COOL_DOWN_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._cool_down = cool_down
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}

    def refusal(self, name: str) -> str | None:
        """Why a provider may not be asked now; None lets it be asked, after the cool-down one caller alone."""
        with self._lock:
            state = self._open.get(name)
            if state is None:
                return None
            left = self._cool_down - (self._clock() - state.since)
            if left > 0 or state.trying:
                return f"{state.reason} (left alone for {max(left, 0):.0f} s more)"
            state.trying = True
            return None

    def failed(self, name: str, reason: str) -> None:
        """It failed: it is left alone from now on."""
        with self._lock:
            self._open[name] = _Open(self._clock(), reason[:200])

    def worked(self, name: str) -> None:
        """It worked: nothing is held against it."""
        with self._lock:
            self._open.pop(name, None)

    def undecided(self, name: str) -> None:
        """The trial ended without saying anything about the provider: the next caller may try."""
        with self._lock:
            if name in self._open:
                self._open[name].trying = False
