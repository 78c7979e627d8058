"""Asks a module that opens strangers' files in a process of its own: JSON in, JSON out, no environment, a time limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any


def ask_apart(module: str, request: dict[str, Any], *, seconds: float) -> subprocess.CompletedProcess[bytes]:
    """`python -m module` with the request on stdin, ended; `subprocess.TimeoutExpired` after `seconds` of wall time."""
    return subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(request).encode(),
        capture_output=True,
        env={"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "LANG": "C.UTF-8"},
        check=False,
        timeout=seconds,
    )
