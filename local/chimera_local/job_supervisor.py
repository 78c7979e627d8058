"""Stands over one container job on a laptop: limits, deadline, exit code; ends the job when the engine ends.

`python -m chimera_local.job_supervisor SPEC.json`. Its standard input is the engine's lifeline: a line
`stop` asks for
an orderly end (SIGTERM, grace, SIGKILL), its end means the engine is gone and the job is killed at once: it
will be
resumed from its own checkpoints. The outcome is written to a file before this process ends, so an engine
that died
meanwhile finds it. Standard library only: it starts in milliseconds.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
TIMED_OUT = "Job attempt duration exceeded timeout"
STOPPED = "Job was stopped"
ENGINE_GONE = "The engine ended while the job ran"


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file atomically, flushed to the disk."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _restrict(limits: dict[str, int], parent: int) -> None:
    """In the child, before it becomes the job."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the supervisor died before the line above
            os._exit(1)
    os.nice(limits["nice"])
    for name in ("RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_AS", "RLIMIT_CORE"):
        wanted = limits[name]
        hard = resource.getrlimit(getattr(resource, name))[1]
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        try:
            resource.setrlimit(getattr(resource, name), (wanted, hard))
        except (ValueError, OSError):
            continue  # macOS refuses some; the deadline still holds


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def supervise(spec: dict[str, Any]) -> int:
    """Run the job that the spec describes to its end, whichever comes."""
    parent = os.getpid()
    limits: dict[str, int] = spec["limits"]
    with Path(spec["log"]).open("ab", buffering=0) as log:
        job = subprocess.Popen(
            spec["argv"],
            cwd=spec["cwd"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: _restrict(limits, parent),
        )
    deadline = time.monotonic() + spec["timeout_seconds"]
    reason = ""
    kill_at = float("inf")
    lifeline = select.poll()
    lifeline.register(0, select.POLLIN)
    while job.poll() is None:
        ready = lifeline.poll(20)
        if ready and not reason:
            if not os.read(0, 64):
                reason, kill_at = ENGINE_GONE, 0.0
            else:
                reason, kill_at = STOPPED, time.monotonic() + spec["stop_grace_seconds"]
                _signal_group(job.pid, signal.SIGTERM)
        elif ready and reason != ENGINE_GONE and not os.read(0, 64):
            reason, kill_at = ENGINE_GONE, 0.0
        if not reason and time.monotonic() >= deadline:
            reason, kill_at = TIMED_OUT, time.monotonic() + spec["grace_seconds"]
            _signal_group(job.pid, signal.SIGTERM)
        if time.monotonic() >= kill_at:
            _signal_group(job.pid, signal.SIGKILL)
    _signal_group(job.pid, signal.SIGKILL)  # what the job started and left behind
    code = job.returncode if job.returncode >= 0 else 128 - job.returncode  # as a shell and Batch count signals
    if code == 0 and reason == ENGINE_GONE:
        reason = ""  # it had finished in that very moment
    outcome = {"job_id": spec["job_id"], "exit_code": code, "reason": reason, "stopped_at": time.time()}
    write_json(Path(spec["outcome"]), outcome)
    return 0


if __name__ == "__main__":
    sys.exit(supervise(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
