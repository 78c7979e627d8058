"""Every benchmark, one after the other, each in a process of its own; one JSON line each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ORDER = (
    ("asl_transitions.py",),
    ("cold_imports.py", "--json"),
    ("money_open_loop.py", "--json"),
    ("money_naive.py", "--json"),
    ("ledger_verify.py",),
    ("render.py",),
    ("captions.py",),
    ("alignment.py",),
    ("loudness.py",),
    ("main_job.py",),
)


def main() -> int:
    """Run them; the exit code is the worst."""
    worst = 0
    for name, *arguments in ORDER:
        sys.stderr.write(f"{name}\n")
        command = [sys.executable, str(Path(__file__).parent / name), *arguments]
        worst = max(worst, subprocess.run(command, check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
