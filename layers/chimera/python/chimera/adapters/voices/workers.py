"""Runs the voices' worker processes: libraries under the GPL, and libraries that may end the process they are in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from chimera.errors import ChimeraError


def ask(module: str, request: dict[str, Any], *, timeout: float, what: str) -> dict[str, Any]:
    """One JSON request to `python -m module`, one JSON answer; the worker gets no environment but its import path.

    Raises `PROVIDER_TIMEOUT` after `timeout` seconds, `PROVIDER_REJECTED` when it ends badly, `INTERNAL` for a full disk.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", module],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=timeout,
            env={"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ChimeraError("PROVIDER_TIMEOUT", f"{what} took over {timeout:.0f} s") from error
    if done.returncode != 0:
        reason = done.stderr.decode("utf-8", "replace")[-500:]
        if "No space left" in reason:
            raise ChimeraError("INTERNAL", "the disk is full; free some space and run again", {"reason": "disk_full"})
        raise ChimeraError("PROVIDER_REJECTED", f"the {what} worker ended with {done.returncode}", {"stderr": reason})
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
