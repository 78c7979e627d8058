"""Spending that is added up afterwards, beside ours, under the same load and limit: by how much each goes over, as JSON.

Run: python bench/money_naive.py [--requests 2000] [--connections 32] [--json]. Half of what is asked for fits. Three ways:

- read_then_write: read the sum so far in Postgres, compare, make the call, then write what it cost: what a tool does that
  keeps a spend table.
- in_process: a counter in one process, read before the call and added to after it, with calls under way at once: what a
  budget hook around a client library does.
- chimera: reserve first, in one transaction, then make the call.

The call that costs money is a sleep of `--call-ms`. Every way has the same requests, connections and cluster.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg

from chimera.domain.money import usd
from tests.fakes.money_load import as_json, in_processes, in_threads
from tests.fakes.money_world import Cluster, Site, own_cluster

PRICE_MICROS = 10_000
PROCESSES = 4
TABLE = "CREATE TABLE naive_spend (id bigserial PRIMARY KEY, micros bigint NOT NULL)"


def read_then_write(barrier: Any, url: str, count: int, threads: int, limit: int, call: float) -> int:
    """How many of the requests were let through."""

    def work(number: int, ready: Callable[[], object]) -> int:
        spent = 0
        with psycopg.connect(url, autocommit=True) as connection:
            ready()
            for _ in range(number, count, threads):
                row = connection.execute("SELECT coalesce(sum(micros), 0)::bigint FROM naive_spend").fetchone()
                if row is not None and row[0] + PRICE_MICROS <= limit:
                    time.sleep(call)
                    connection.execute("INSERT INTO naive_spend (micros) VALUES (%s)", (PRICE_MICROS,))
                    spent += 1
        return spent

    return sum(in_threads(barrier, threads, work))


def in_process(count: int, threads: int, limit: int, call: float) -> int:
    """The same in one process; the counter itself is safe, what goes wrong lies between the check and the addition."""
    lock = threading.Lock()
    total = [0]

    def work(number: int, ready: Callable[[], object]) -> int:
        spent = 0
        ready()
        for _ in range(number, count, threads):
            with lock:
                fits = total[0] + PRICE_MICROS <= limit
            if fits:
                time.sleep(call)
                with lock:
                    total[0] += PRICE_MICROS
                spent += 1
        return spent

    return sum(in_threads(threading.Barrier(1), threads, work))


def reserve_first(barrier: Any, site: Site, first: int, count: int, threads: int, call: float) -> int:
    """The same through the CFO."""
    price = usd(PRICE_MICROS)

    def work(number: int, ready: Callable[[], object]) -> int:
        spent = 0
        with site.open() as (cfo, _):
            ready()
            for n in range(number, count, threads):
                if cfo.approve(site.request(f"ours {first + n}", request_cost=price))["approved"]:
                    time.sleep(call)
                    spent += 1
        return spent

    return sum(in_threads(barrier, threads, work))


def overshoot(name: str, calls: int, limit: int, begun: float) -> dict[str, Any]:
    """What was spent against what might be."""
    spent = calls * PRICE_MICROS
    over = max(0, spent - limit)
    return {
        "way": name,
        "calls": calls,
        "limit_usd": usd(limit),
        "spent_usd": usd(spent),
        "over_usd": usd(over),
        "over_percent": round(100 * over / limit, 2),
        "seconds": round(time.monotonic() - begun, 1),
    }


def run(cluster: Cluster, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """All three."""
    limit, call = asked.requests // 2 * PRICE_MICROS, asked.call_ms / 1000
    share, threads = asked.requests // PROCESSES, asked.connections // PROCESSES
    with psycopg.connect(cluster.postgres.owner_url, autocommit=True) as connection:
        connection.execute(TABLE)
        connection.execute("GRANT SELECT, INSERT ON naive_spend TO chimera_app")
        connection.execute("GRANT USAGE ON SEQUENCE naive_spend_id_seq TO chimera_app")
    begun = time.monotonic()
    calls = in_processes(read_then_write, [(cluster.url, share, threads, limit, call)] * PROCESSES)
    found = [overshoot("read_then_write", sum(calls), limit, begun)]
    begun = time.monotonic()
    found.append(overshoot("in_process", in_process(share * PROCESSES, asked.connections, limit, call), limit, begun))
    site = cluster.site(Decimal(limit) / 1_000_000)
    begun = time.monotonic()
    firsts = itertools.count(0, share)
    ours = in_processes(reserve_first, [(site, next(firsts), share, threads, call) for _ in range(PROCESSES)])
    found.append(overshoot("chimera", sum(ours), limit, begun))
    return found


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000, help="a multiple of 8; half of them fit")
    parser.add_argument("--connections", type=int, default=32, help="a multiple of 4")
    parser.add_argument("--call-ms", type=float, default=20.0, help="how long the call takes that costs money")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    asked = parser.parse_args()
    with own_cluster() as cluster:
        ways = run(cluster, asked)
    if asked.json:
        figures = {"requests": asked.requests, "connections": asked.connections, "call_ms": asked.call_ms}
        print(as_json({"bench": "money_naive", "cores": os.cpu_count(), **figures, "ways": ways}))
        return 0
    print(
        f"{asked.requests} requests of {usd(PRICE_MICROS)} USD, {asked.connections} at once, limit {ways[0]['limit_usd']} USD"
    )
    for way in ways:
        print(
            f"{way['way']:16} spent {way['spent_usd']:>8} USD, over by {way['over_usd']:>6} USD ({way['over_percent']} %)"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
