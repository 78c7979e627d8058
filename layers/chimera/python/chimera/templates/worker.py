"""Expands a template in a process of its own that can open nothing: one JSON request in, one JSON answer out.

Run as `python -m chimera.templates.worker`. After the request is read the process gives up files, sockets, memory
beyond its limit and time beyond its limit; then it evaluates.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any

from chimera.templates.expansion import EvaluationError, Expansion


def lock_down(limits: dict[str, int]) -> None:
    """Hold the limits from here on; no file or socket can be opened any more."""
    wanted = [
        ("RLIMIT_CPU", limits["cpu_seconds"]),
        ("RLIMIT_AS", limits["memory_bytes"]),
        ("RLIMIT_FSIZE", 0),
        ("RLIMIT_NPROC", 0),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_NOFILE", 0),
    ]
    for name, limit in wanted:
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        try:
            resource.setrlimit(kind, (limit, limit))
        except (ValueError, OSError):  # macOS knows RLIMIT_AS but does not set it; the time limit holds there
            if name in {"RLIMIT_CPU", "RLIMIT_NOFILE"}:
                raise


def main() -> int:
    """0 with an answer, also where the template is at fault; the parent reads what else happened from the exit."""
    request = json.load(sys.stdin)
    # what evaluation would otherwise import while it runs
    import difflib  # noqa: F401
    import unicodedata  # noqa: F401

    import jinja2.debug  # noqa: F401

    Expansion.warm()
    lock_down(request["limits"])
    try:
        answer: dict[str, Any] = {"ok": Expansion(request).run()}
    except EvaluationError as stop:
        answer = {"error": stop.told()}
    except MemoryError:
        answer = {"limit": "memory"}
    except RecursionError:
        answer = {"limit": "depth"}
    text = json.dumps(answer, allow_nan=False)
    if len(text) > request["limits"]["output_bytes"]:
        text = json.dumps({"limit": "output"})
    sys.stdout.write(text)
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
