"""How a container job ends: with its error told, or because it was asked to."""

from __future__ import annotations

import errno
import signal
import sys
import threading

from chimera.errors import ChimeraError

TERMINATED = 143
"""128 + SIGTERM: what Batch starts again (`EvaluateOnExit`)."""


def failed(error: ChimeraError | OSError) -> int:
    """The exit code of a job that failed, its error told on stderr; an `OSError` other than a full disk is raised."""
    if isinstance(error, OSError):
        if error.errno != errno.ENOSPC:
            raise error
        error = ChimeraError("INTERNAL", "the disk is full; free some space and run again", {"reason": "disk_full"})
    sys.stderr.write(f"{error}\n")
    return 1


def stops_on_sigterm() -> None:
    """From here on SIGTERM ends the process with 143, by way of every `finally`; Spot gives 120 s for that."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)


def _stop(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # asked once is enough: a second one would break off the tidying up
    raise SystemExit(TERMINATED)
