"""Runs periodic work of this machine (sweeps, deliveries, due measurements): what EventBridge Scheduler
does on AWS.

What is due is kept in tables by those who do the work, so the clock itself has nothing to lose: after a
restart it
asks again, and every callable finds by itself what is to be done.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger(__name__)
TICK_SECONDS = 10.0
MAX_BACKOFF = 30
"""A callable that keeps failing is tried at most that many periods apart."""


@dataclass
class _Entry:
    name: str
    call: Callable[[], object]
    every_seconds: float
    due: float
    failures: int = 0


class LocalClock:
    """One thread; callables run one by one, each in its period; an error is logged and ends nothing."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def every(self, name: str, call: Callable[[], object], *, seconds: float = TICK_SECONDS) -> None:
        """Call it once the clock runs, then every so many seconds; a period missed is not made up for."""
        if seconds <= 0:
            raise ValueError(f"{name}: seconds={seconds}, expected more than 0")
        with self._lock:
            self._entries.append(_Entry(name, call, seconds, time.monotonic()))
        self._wake.set()

    def start(self) -> None:
        """Start the thread."""
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, daemon=True, name="clock")
            self._thread.start()

    def close(self, *, wait_seconds: float = 10.0) -> None:
        """Start nothing more; wait for the callable that runs now."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(wait_seconds)
            self._thread = None

    def __enter__(self) -> LocalClock:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def failing(self) -> dict[str, int]:
        """Callables whose last calls failed, and how many in a row: for `health`."""
        with self._lock:
            return {entry.name: entry.failures for entry in self._entries if entry.failures}

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                entries = sorted(self._entries, key=lambda entry: entry.due)
            now = time.monotonic()
            due = [entry for entry in entries if entry.due <= now]
            for entry in due:
                if self._stop.is_set():
                    return
                self._call(entry)
            if not due:
                self._wake.wait(max(0.01, entries[0].due - now) if entries else TICK_SECONDS)
                self._wake.clear()

    def _call(self, entry: _Entry) -> None:
        try:
            entry.call()
            entry.failures = 0
        except Exception as error:
            entry.failures += 1
            logger.exception("clock: %s failed (%s in a row): %s", entry.name, entry.failures, error)
        # a failing one backs off; the jitter keeps callables of one period from lining up for ever
        wait = entry.every_seconds * min(2 ** min(entry.failures, 5), MAX_BACKOFF) if entry.failures else 0
        entry.due = time.monotonic() + max(wait, entry.every_seconds) * random.uniform(0.95, 1.05)  # noqa: S311
