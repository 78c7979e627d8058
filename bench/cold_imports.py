"""What a cold start of each function costs before its first event: CPU time of its import, and what its asset weighs.

Each function is imported in a fresh interpreter, `--runs` times (the least counts: noise only adds). Lambda's own
start of the interpreter and the unpacking are not in it. The demand is at most 1,000 CPU ms for each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEMAND_MS = 1000
PROBE = """
import json, resource, sys
before = resource.getrusage(resource.RUSAGE_SELF)
import functions.NAME.handler
after = resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps({"cpu_ms": round(cpu * 1000), "modules": len(sys.modules), "kb": after.ru_maxrss}))
"""


def functions() -> list[str]:
    """Every folder of `functions/` with a handler."""
    return sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))


def measure(name: str, runs: int) -> dict[str, int]:
    """The least CPU milliseconds of its import, modules loaded, and bytes of its own folder."""
    found = []
    for _ in range(runs):
        command = [sys.executable, "-c", PROBE.replace("NAME", name)]
        found.append(json.loads(subprocess.run(command, check=True, capture_output=True, cwd=ROOT).stdout))
    best: dict[str, int] = min(found, key=lambda one: one["cpu_ms"])
    return {**best, "bytes": sum(p.stat().st_size for p in (ROOT / "functions" / name).glob("*.py"))}


def main() -> int:
    """Print the table, or one JSON line with `--json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    table = {name: measure(name, asked.runs) for name in functions()}
    if asked.json:
        print(json.dumps({"bench": "cold_imports", "demand_ms": DEMAND_MS, "functions": table}))
    else:
        print(f"{'function':22} {'CPU ms':>7} {'modules':>8} {'MB':>5} {'asset bytes':>12}")
        for name, row in sorted(table.items(), key=lambda item: -item[1]["cpu_ms"]):
            print(f"{name:22} {row['cpu_ms']:7} {row['modules']:8} {row['kb'] // 1024:5} {row['bytes']:12}")
        print(f"most: {max(row['cpu_ms'] for row in table.values())} of {DEMAND_MS} CPU ms")
    return 0 if all(row["cpu_ms"] <= DEMAND_MS for row in table.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
