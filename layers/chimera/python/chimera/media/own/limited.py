"""Starts a program under limits: `python -I limited.py MEMORY CPU_SECONDS WALL_SECONDS FILE_BYTES PROGRAM ARGUMENT…`.

A file of its own with nothing but the standard library: it becomes the program (exec), so that whoever waits for it waits
for the program, and killing it kills the program. An interval timer lives on through exec, and its SIGALRM ends the program
after the wall time.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys


def limit(memory: int, cpu_seconds: int, file_bytes: int, open_files: int) -> None:
    """From here on this process has at most so much memory, time, length of a file and open files."""
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        with contextlib.suppress(ValueError, OSError):  # macOS takes no limit on memory
            resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def main(arguments: list[str]) -> None:
    """Set the limits and become the program."""
    memory, cpu_seconds, wall_seconds, file_bytes = (int(value) for value in arguments[:4])
    limit(memory, cpu_seconds, file_bytes, 64)
    signal.setitimer(signal.ITIMER_REAL, wall_seconds)
    os.execv(arguments[4], arguments[4:])  # noqa: S606 - no shell is meant


if __name__ == "__main__":
    main(sys.argv[1:])
