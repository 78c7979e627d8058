"""The CFO's latency in an open loop and its rate in a closed one, on an embedded PostgreSQL of its own, as JSON.

Run: python bench/money_open_loop.py [--seconds 60] [--json]. An open loop sends at Poisson moments (fixed seed) whatever
became of the requests before; latency counts from the scheduled moment and includes the signature and its row. Windows of
decisions alternate with windows of one bare UPDATE of one hot row per arrival: what the same database, disk and load
generator can do at best, so that the ratio of the two means something on a busy machine. fsync is on.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import sys
import time
from collections import Counter
from typing import Any

from tests.fakes.money_load import (
    Arrival,
    Reply,
    as_json,
    decide_all,
    decide_batches,
    in_milliseconds,
    make_bare_row,
    open_loop,
    percentile,
)
from tests.fakes.money_world import Cluster, Site, own_cluster

SEED = 7
WINDOW_SECONDS = 5.0
PROCESSES = 2


def schedule(rate: float, seconds: float, kinds: tuple[str, ...]) -> list[Arrival]:
    """Poisson arrivals of this rate per second, so many seconds of each kind, in windows that take turns."""
    chance = random.Random(SEED)
    arrivals, windows, numbers = [], itertools.count(), itertools.count()
    done = 0.0
    while done < seconds:
        length = min(WINDOW_SECONDS, seconds - done)
        for kind in kinds:
            window = next(windows)
            at = chance.expovariate(rate)
            while at < length:
                arrivals.append(Arrival(window, at, kind, next(numbers)))
                at += chance.expovariate(rate)
        done += length
    return arrivals


def measure_open(site: Site, rate: float, seconds: float, connections: int) -> dict[str, Any]:
    """One open loop: both kinds' percentiles in ms, and the ratio of the two."""
    arrivals = schedule(rate, seconds, ("approve", "bare"))
    served = open_loop(site, arrivals, name=f"open {rate}", connections=connections, processes=PROCESSES)
    ours = [s for s in served if s.arrival.kind == "approve"]
    bare = [s for s in served if s.arrival.kind == "bare"]
    figures = {
        "rate_per_second": rate,
        "seconds": seconds,
        "connections": connections,
        "decisions": len(ours),
        "outcomes": dict(Counter(s.outcome for s in ours)),
        "approve_ms": in_milliseconds([s.latency for s in ours]),
        "approve_service_ms": in_milliseconds([s.service for s in ours]),
        "bare_update_ms": in_milliseconds([s.latency for s in bare]),
    }
    for percent in (50, 95, 99):
        floor = percentile([s.latency for s in bare], percent)
        figures[f"ratio_p{percent}"] = round(percentile([s.latency for s in ours], percent) / floor, 1)
    return figures


def measure_closed(site: Site, connections: int, seconds: float, guess: float = 250.0) -> dict[str, Any]:
    """So many connections that each ask again at once: decisions per second and latency in ms."""
    processes = min(connections, 4)
    count = max(connections * 4, int(guess * seconds))
    bodies = [site.request(f"closed {connections} {n}", request_cost="0.01") for n in range(count)]
    replies = decide_all(site, bodies, connections=connections, processes=processes)
    return {"connections": connections, **rate_of(replies)}


def measure_batched(site: Site, connections: int, seconds: float) -> dict[str, Any]:
    """Fifty requests in each transaction, their signatures in another; latency is the whole batch's."""
    processes = min(connections, 4)
    count = 50 * max(connections, int(1000 * seconds / 50))
    bodies = [site.request(f"batched {connections} {n}", request_cost="0.01") for n in range(count)]
    replies = decide_batches(site, bodies, connections=connections, processes=processes, batch=50)
    return {"connections": connections, "batch": 50, **rate_of(replies)}


def rate_of(replies: list[Reply]) -> dict[str, Any]:
    """Decisions per second from the first request to the last answer."""
    seconds = max(r.acked for r in replies) - min(r.invoked for r in replies)
    return {
        "decisions": len(replies),
        "outcomes": dict(Counter(r.decision for r in replies)),
        "per_second": round(len(replies) / seconds, 1),
        "ms": in_milliseconds([r.acked - r.invoked for r in replies]),
    }


def run(cluster: Cluster, asked: argparse.Namespace) -> dict[str, Any]:
    """All of it, in one cluster."""
    make_bare_row(cluster.postgres.owner_url)
    figures: dict[str, Any] = {"bench": "money_open_loop", "cores": os.cpu_count(), "seed": SEED}
    site = cluster.site("900000")
    measure_closed(site, 4, 1.0)  # warm
    figures["open"] = [
        measure_open(site, asked.rate, asked.seconds, asked.connections),
        measure_open(site, 2 * asked.rate, asked.seconds / 3, asked.connections),
    ]
    figures["closed"] = [measure_closed(site, n, asked.closed_seconds) for n in (1, 8, 32)]
    figures["batched"] = [measure_batched(site, n, asked.closed_seconds) for n in (1, 8)]
    figures["load_average"] = round(os.getloadavg()[0], 1)
    return figures


def show(figures: dict[str, Any]) -> None:
    """For people."""
    print(f"{'open loop':28}{'p50':>8}{'p95':>8}{'p99':>8}{'max':>9}   ms")
    for loop in figures["open"]:
        for name in ("approve_ms", "bare_update_ms"):
            row = "".join(f"{value:9.1f}" if key == "max" else f"{value:8.1f}" for key, value in loop[name].items())
            print(f"{loop['rate_per_second']:5.0f}/s {name[:-3]:21}{row}")
        print(f"{'':8}{'ratio':20}{loop['ratio_p50']:8.1f}{loop['ratio_p95']:8.1f}{loop['ratio_p99']:8.1f}")
    for loop in figures["closed"]:
        print(f"closed, {loop['connections']:2} connections: {loop['per_second']:.0f} decisions/s, {loop['ms']}")
    for loop in figures["batched"]:
        print(f"batches of 50, {loop['connections']:2} connections: {loop['per_second']:.0f} decisions/s, {loop['ms']}")


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="of decisions at --rate; a third of it at twice that"
    )
    parser.add_argument("--rate", type=float, default=100.0, help="arrivals per second")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--closed-seconds", type=float, default=5.0, help="about so long for each closed loop")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    asked = parser.parse_args()
    begun = time.monotonic()
    with own_cluster() as cluster:
        figures = run(cluster, asked)
    figures["wall_seconds"] = round(time.monotonic() - begun, 1)
    if asked.json:
        print(as_json(figures))
    else:
        show(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
