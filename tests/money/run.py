"""The money simulator from the command line: many histories on all cores, or one of them shown step by step.

python tests/money/run.py --seeds 200 --ops 5000        # one million operations, figures and coverage
python tests/money/run.py --seed 42 --ops 5000 --trace  # history 42 again, every operation, fault and row
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.money.invariants import Breach
from tests.money.simulator import Figures, simulate

PER_SEED = 5_000


@dataclass
class Run:
    """What a run over many seeds gave."""

    figures: Figures = field(default_factory=Figures)
    breaches: dict[int, str] = field(default_factory=dict)
    seconds: float = 0.0

    def pairs(self) -> tuple[int, int, int]:
        """(state, operation, I/O, before or after) pairs that were visited, those with a fault, those with 30 or more."""
        faults = self.figures.faults
        return len(self.figures.visits), len(faults), sum(1 for count in faults.values() if count >= 30)


def one(seed: int, ops: int) -> tuple[int, Figures | None, str]:
    """One history, for a worker process."""
    try:
        return seed, simulate(seed, ops), ""
    except Breach as error:
        return seed, None, str(error)


def run(first: int, seeds: int, ops: int, processes: int | None = None) -> Run:
    """Histories `first` … `first + seeds - 1`."""
    result = Run()
    started = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes or os.cpu_count(), mp_context=context) as pool:
        for seed, figures, breach in pool.map(one, range(first, first + seeds), [ops] * seeds, chunksize=2):
            if figures is None:
                result.breaches[seed] = breach
            else:
                result.figures.add(figures)
    result.seconds = time.perf_counter() - started
    return result


def by_state_and_point(figures: Figures) -> dict[tuple[str, str], tuple[int, int]]:
    """(faults, visits) by state of the request and kind of I/O, before or after: what the coverage demand is about."""
    table: dict[tuple[str, str], tuple[int, int]] = {}
    for key, visits in figures.visits.items():
        state, _, call, phase = key
        faults, seen = table.get((state, f"{call} {phase}"), (0, 0))
        table[state, f"{call} {phase}"] = (faults + figures.faults.get(key, 0), seen + visits)
    return table


def report(result: Run) -> str:
    """The figures as text."""
    f = result.figures
    visited, faulted, well = result.pairs()
    table = by_state_and_point(f)
    states = sorted({state for state, _ in table})
    lines = [
        f"{f.seeds} histories, {f.ops:,} operations, {f.ops / max(result.seconds, 0.001):,.0f} a second",
        f"{f.crashes:,} crashes, {f.away:,} times no answer, {f.redelivered:,} asked again, {f.clock_jumps:,} clock jumps,"
        f" {f.switches:,} switches between actors inside an operation",
        f"{f.rows:,} ledger rows, {f.charges:,} vendor charges, {f.checks:,} checks, {len(result.breaches)} breaches",
        "rows: " + ", ".join(f"{name} {count:,}" for name, count in sorted(f.types.items())),
        "decisions: " + ", ".join(f"{name} {count:,}" for name, count in sorted(f.decisions.items())),
        "ends: " + ", ".join(f"{name} {count:,}" for name, count in sorted(f.ends.items())),
        f"state x operation x I/O: {visited} pairs seen, {faulted} with a fault, {well} with 30 or more",
        f"state x I/O: {len(table)} pairs, {sum(1 for n, _ in table.values() if n >= 30)} with 30 faults or more; the others, with"
        " faults of visits: "
        + (", ".join(f"{s} {p} {n} of {v}" for (s, p), (n, v) in sorted(table.items()) if n < 30) or "none"),
        f"{'I/O':28}" + "".join(f"{state[:10]:>11}" for state in states),
    ]
    for point in sorted({point for _, point in table}):
        cells = [f"{table[state, point][0]:>11,}" if (state, point) in table else f"{'·':>11}" for state in states]
        lines.append(f"{point:28}" + "".join(cells))
    lines += [f"BREACH seed {seed}: {text}" for seed, text in sorted(result.breaches.items())]
    return "\n".join(lines)


def main() -> None:
    """Exit code 1 when an invariant did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="the first history")
    parser.add_argument("--seeds", type=int, default=1, help="how many histories")
    parser.add_argument("--ops", type=int, default=PER_SEED, help="operations in each")
    parser.add_argument("--processes", type=int, default=None)
    parser.add_argument("--trace", action="store_true", help="show one history")
    options = parser.parse_args()
    if options.trace:
        simulate(options.seed, options.ops, trace=lambda line: print(line, file=sys.stdout))  # noqa: T201
        return
    result = run(options.seed, options.seeds, options.ops, options.processes)
    print(report(result))  # noqa: T201
    sys.exit(1 if result.breaches else 0)


if __name__ == "__main__":
    main()
