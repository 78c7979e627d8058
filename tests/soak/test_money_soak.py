"""A hundred requests a second for minutes (`--money-minutes 60` for an hour): hardly an error, and not a micro of drift."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.fakes.money_load import Arrival, Served, in_milliseconds, open_loop
from tests.fakes.money_replay import replay
from tests.fakes.money_world import Site, own_cluster

pytestmark = pytest.mark.timeout(9000)
KINDS = ("approve",) * 16 + ("twice", "release", "life", "life")
SWEEP_SECONDS = 10.0


class Sweeper(threading.Thread):
    """What the clock does beside the requests: sign what was left, expire what is over."""

    def __init__(self, site: Site) -> None:
        super().__init__(daemon=True)
        self.site = site
        self.ended = threading.Event()
        self.sweeps = 0

    def run(self) -> None:
        with self.site.open() as (cfo, _):
            while not self.ended.wait(SWEEP_SECONDS):
                cfo.sweep()
                self.sweeps += 1


def poisson(rate: float, seconds: float, seed: int) -> list[Arrival]:
    """Arrivals of all kinds from a seed."""
    chance = random.Random(seed)
    arrivals: list[Arrival] = []
    at = chance.expovariate(rate)
    while at < seconds:
        arrivals.append(Arrival(0, at, chance.choice(KINDS), len(arrivals)))
        at += chance.expovariate(rate)
    return arrivals


def figures_of(served: list[Served], seed: int) -> dict[str, Any]:
    """Counts, the share of errors, and the latency from the scheduled moments."""
    outcomes = Counter(s.outcome for s in served)
    errors = sum(n for outcome, n in outcomes.items() if outcome not in {"approved", "rejected", "escalated"})
    return {
        "soak": "open loop",
        "seed": seed,
        "requests": len(served),
        "outcomes": dict(outcomes),
        "error_percent": round(100 * errors / len(served), 4),
        "ms": in_milliseconds([s.latency for s in served]),
    }


def test_open_loop_without_drift(size: Callable[[str], int], evidence: Callable[[Any], None]) -> None:
    seed, seconds = 8, 60.0 * size("minutes")
    arrivals = poisson(size("rate"), seconds, seed)
    with own_cluster() as cluster:
        # so little that the last tenth or so is refused
        site = cluster.site(Decimal(len(arrivals)) * Decimal("0.008"))
        sweeper = Sweeper(site)
        sweeper.start()
        served = open_loop(site, arrivals, name="soak", connections=32, processes=2, bare=False)
        sweeper.ended.set()
        sweeper.join()
        figures = figures_of(served, seed)
        with site.open() as (cfo, ledger):
            cfo.sweep()
            books = replay(ledger, site.policy)
            report = ledger.verify(site.verifier())
        evidence({**figures, "minutes": size("minutes"), "sweeps": sweeper.sweeps, "rows": report.entries})
    assert len(served) == len(arrivals) == len(books.decisions)
    assert figures["error_percent"] < 0.1
    assert "divergent" not in figures["outcomes"]
    assert books.problems == []
    assert report.problems == []
    assert report.unsigned == 0
