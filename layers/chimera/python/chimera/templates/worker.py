"""Expands templates in a process of its own that can open nothing: JSON requests in, JSON answers out.

Run as `python -m chimera.templates.worker`. After the requests are read the process gives up files, sockets, memory
beyond its limit and time beyond its limit; then it evaluates.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any

from chimera.templates.expansion import EvaluationError, Expansion
from chimera.templates.sandbox import Expressions


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
    limits = request["limits"]
    lock_down(limits)
    expressions = Expressions()  # what is compiled for one request serves the next
    text = json.dumps([answer(one, expressions, limits) for one in request["requests"]], allow_nan=False)
    sys.stdout.write(text)
    sys.stdout.flush()
    return 0


def answer(request: dict[str, Any], expressions: Expressions, limits: dict[str, int]) -> dict[str, Any]:
    """What came of one request: `ok`, `error` (the template is at fault, and where) or `limit` (which one it reached)."""
    try:
        made = {"ok": Expansion(request, expressions).run()}
    except EvaluationError as stop:
        return {"error": stop.told()}
    except MemoryError:
        return {"limit": "memory"}
    except RecursionError:
        return {"limit": "depth"}
    return made if len(json.dumps(made)) <= limits["output_bytes"] else {"limit": "output"}


if __name__ == "__main__":
    sys.exit(main())
