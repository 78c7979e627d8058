"""Workers that ask for money, each with a connection of its own: processes times threads, started together."""

from __future__ import annotations

import itertools
import json
import math
import multiprocessing
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar

import psycopg
import rfc8785

from chimera.domain.cfo import PERIOD_NAMES
from chimera.domain.models import CostLine
from chimera.errors import ChimeraError
from chimera.usecases.cfo import Cfo
from tests.fakes.money_world import Site

T = TypeVar("T")
Body = dict[str, Any]

# a fresh process per worker, which has imported everything already: a start costs milliseconds, a kill hits work
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.fakes.money_load", "tests.fakes.money_kills"])


@dataclass(frozen=True)
class Reply:
    """One answer as the asker had it. `invoked` and `acked` are CLOCK_MONOTONIC: one clock for all processes here."""

    request_id: str
    decision: str
    """approved, rejected, escalated, or the error's code."""
    code: str
    signed: bool
    remaining_micros: tuple[int, ...]
    """Day, week, month after it, as the answer says."""
    digest: str
    """SHA-256 of the answer without `execution_time_ms`."""
    invoked: float
    acked: float


def digest_of(answer: Body) -> str:
    """Two answers with the same digest are the same bytes, `execution_time_ms` aside."""
    return sha256(rfc8785.dumps({**answer, "execution_time_ms": 0})).hexdigest()


def ask(cfo: Cfo, body: Body) -> Reply:
    """One request and its answer, or its error's code."""
    invoked = time.monotonic()
    try:
        answer: Body | ChimeraError = cfo.approve(body)
    except ChimeraError as error:
        answer = error
    return reply_of(answer, body["request_id"], invoked, time.monotonic())


def reply_of(answer: Body | ChimeraError, request_id: str, invoked: float, acked: float) -> Reply:
    """An answer of the CFO's, or its error."""
    if isinstance(answer, ChimeraError):
        return Reply(request_id, answer.code, answer.code, False, (), "", invoked, acked)
    return Reply(
        request_id=answer["request_id"],
        decision=answer["decision"],
        code=answer["code"],
        signed=answer["approved"],
        remaining_micros=tuple(_micros(answer["budget_remaining"][name]) for name in PERIOD_NAMES.values()),
        digest=digest_of(answer),
        invoked=invoked,
        acked=acked,
    )


def _micros(usd: str) -> int:
    whole, _, part = usd.partition(".")
    return int(whole) * 1_000_000 + int(part.ljust(6, "0"))


# --- processes and threads


def in_processes(work: Callable[..., T], jobs: Sequence[tuple[Any, ...]]) -> list[T]:
    """`work(barrier, *job)` of every job in a process of its own; `barrier` is for all of them. Raises if one fails."""
    barrier = CONTEXT.Barrier(len(jobs))
    pipes = []
    for job in jobs:
        ours, theirs = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(target=_child, args=(theirs, work, barrier, job), daemon=True)
        process.start()
        theirs.close()
        pipes.append((ours, process))
    results: list[T] = []
    failures: list[str] = []
    for ours, process in pipes:
        try:
            good, value = ours.recv()
        except EOFError:
            barrier.abort()
            good, value = False, "a worker died"
        process.join()
        if good:
            results.append(value)
        else:
            failures.append(value)
    if failures:
        raise RuntimeError("\n".join(failures))
    return results


def _child(pipe: Any, work: Callable[..., Any], barrier: Any, job: tuple[Any, ...]) -> None:
    try:
        pipe.send((True, work(barrier, *job)))
    except BaseException:
        barrier.abort()  # nobody waits for us
        pipe.send((False, traceback.format_exc()))
        raise


def in_threads(barrier: Any, count: int, work: Callable[[int, Callable[[], object]], T]) -> list[T]:
    """`work(number, ready)` in threads; `ready()` comes back when every thread of every process has called it."""
    gate = threading.Barrier(count, action=barrier.wait)

    def guarded(number: int) -> T:
        try:
            return work(number, gate.wait)
        except BaseException:
            gate.abort()
            raise

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(guarded, range(count)))


# --- many decisions


def decide_all(site: Site, bodies: Sequence[Body], *, connections: int, processes: int) -> list[Reply]:
    """Ask for all of them, as fast as it goes, dealt out over the connections; in no order."""
    shares = [list(bodies[n::processes]) for n in range(processes)]
    jobs = [(site, share, connections // processes) for share in shares]
    return list(itertools.chain.from_iterable(in_processes(_decide, jobs)))


def _decide(barrier: Any, site: Site, bodies: list[Body], threads: int) -> list[Reply]:
    def work(number: int, ready: Callable[[], object]) -> list[Reply]:
        with site.open() as (cfo, ledger):
            ledger.budgets()  # connects
            ready()
            return [ask(cfo, body) for body in bodies[number::threads]]

    return list(itertools.chain.from_iterable(in_threads(barrier, threads, work)))


def decide_batches(site: Site, bodies: Sequence[Body], *, connections: int, processes: int, batch: int) -> list[Reply]:
    """The same in batches: one transaction decides, one signs."""
    shares = [list(bodies[n::processes]) for n in range(processes)]
    jobs = [(site, share, connections // processes, batch) for share in shares]
    return list(itertools.chain.from_iterable(in_processes(_batches, jobs)))


def _batches(barrier: Any, site: Site, bodies: list[Body], threads: int, batch: int) -> list[Reply]:
    def work(number: int, ready: Callable[[], object]) -> list[Reply]:
        replies: list[Reply] = []
        mine = bodies[number::threads]
        with site.open() as (cfo, ledger):
            ledger.budgets()  # connects
            ready()
            for start in range(0, len(mine), batch):
                asked = mine[start : start + batch]
                invoked = time.monotonic()
                answers = cfo.approve_many(asked)
                acked = time.monotonic()
                replies += [
                    reply_of(a, body["request_id"], invoked, acked) for a, body in zip(answers, asked, strict=True)
                ]
        return replies

    return list(itertools.chain.from_iterable(in_threads(barrier, threads, work)))


def decide_twice(
    site: Site, pairs: Sequence[tuple[Body, Body]], *, connections: int, processes: int
) -> list[tuple[Reply, Reply]]:
    """Send each pair at the same moment, one from each of two connections."""
    shares = [list(pairs[n::processes]) for n in range(processes)]
    jobs = [(site, share, connections // processes // 2) for share in shares]
    return list(itertools.chain.from_iterable(in_processes(_twice, jobs)))


def _twice(barrier: Any, site: Site, pairs: list[tuple[Body, Body]], twins: int) -> list[tuple[Reply, Reply]]:
    meet = [threading.Barrier(2) for _ in range(twins)]

    def work(number: int, ready: Callable[[], object]) -> list[Reply]:
        twin, side = divmod(number, 2)
        with site.open() as (cfo, ledger):
            ledger.budgets()  # connects
            ready()
            replies = []
            for pair in pairs[twin::twins]:
                meet[twin].wait(60)
                replies.append(ask(cfo, pair[side]))
            return replies

    sides = in_threads(barrier, 2 * twins, work)
    return [pair for twin in range(twins) for pair in zip(sides[2 * twin], sides[2 * twin + 1], strict=True)]


# --- an open loop


@dataclass(frozen=True)
class Arrival:
    """One request of an open loop: when it comes (seconds from its window's start), whatever became of those before."""

    window: int
    """Windows follow each other; the next begins when everything of the one before is served."""
    at: float
    kind: str
    """approve; twice (the same again, at once); life (dispatched and settled after it); release; or bare: one UPDATE of one
    hot row, what the same database can do at best."""
    number: int


@dataclass(frozen=True)
class Served:
    """How it went. Both times in seconds: from the scheduled moment, and from when a connection was free for it."""

    arrival: Arrival
    latency: float
    service: float
    outcome: str


LEAD_SECONDS = 0.2
"""From the moment all are ready to a window's start."""
BARE_TABLE = "CREATE TABLE IF NOT EXISTS bare_hot_row (id int PRIMARY KEY, n bigint NOT NULL) WITH (fillfactor = 10)"
BARE_UPDATE = "UPDATE bare_hot_row SET n = n + 1 WHERE id = 1"


def make_bare_row(owner_url: str) -> None:
    """The row that `bare` arrivals update."""
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute(BARE_TABLE)
        connection.execute("INSERT INTO bare_hot_row VALUES (1, 0) ON CONFLICT DO NOTHING")
        connection.execute("GRANT SELECT, UPDATE ON bare_hot_row TO chimera_app")


def open_loop(
    site: Site, arrivals: Sequence[Arrival], *, name: str, connections: int, processes: int, bare: bool = True
) -> list[Served]:
    """Send each arrival at its moment, or as soon after it as a connection is free."""
    shares = [list(arrivals[n::processes]) for n in range(processes)]
    windows = 1 + max(arrival.window for arrival in arrivals)
    jobs = [(site, share, windows, name, connections // processes, bare) for share in shares]
    return list(itertools.chain.from_iterable(in_processes(_open_loop, jobs)))


def _open_loop(
    barrier: Any, site: Site, arrivals: list[Arrival], windows: int, name: str, threads: int, bare: bool
) -> list[Served]:
    queues = [iter([arrival for arrival in arrivals if arrival.window == n]) for n in range(windows)]
    lock = threading.Lock()

    def following(window: int) -> Arrival | None:
        with lock:
            return next(queues[window], None)

    def work(number: int, ready: Callable[[], object]) -> list[Served]:
        served = []
        with site.open() as (cfo, ledger), psycopg.connect(site.url, autocommit=True, prepare_threshold=None) as plain:
            ledger.budgets()  # connects
            if bare:
                plain.execute("SELECT 1 FROM bare_hot_row")
            for window in range(windows):
                ready()
                begin = time.monotonic() + LEAD_SECONDS
                while (arrival := following(window)) is not None:
                    due = begin + arrival.at
                    time.sleep(max(0.0, due - time.monotonic()))
                    begun = time.monotonic()
                    if arrival.kind == "bare":
                        plain.execute(BARE_UPDATE)
                        done, outcome = time.monotonic(), "ok"
                    else:
                        done, outcome = serve(
                            cfo, site.request(f"{name} {arrival.number}", request_cost="0.01"), arrival
                        )
                    served.append(Served(arrival, done - due, done - begun, outcome))
        return served

    return list(itertools.chain.from_iterable(in_threads(barrier, threads, work)))


def serve(cfo: Cfo, body: Body, arrival: Arrival) -> tuple[float, str]:
    """When the answer was there, and what it was; then what follows from it: that is load, not latency."""
    reply = ask(cfo, body)
    try:
        if arrival.kind == "twice" and ask(cfo, body).digest != reply.digest:
            return reply.acked, "divergent"
        if arrival.kind == "life" and reply.signed:
            cfo.dispatch(cfo.answer(reply.request_id)["token"], "soak")
            line = CostLine(step="render", item="vCPU", quantity="1", unit="s", amount_micros=arrival.number % 10_001)
            cfo.settle(reply.request_id, [line])
        if arrival.kind == "release" and reply.signed:
            cfo.release(reply.request_id, "not needed")
    except ChimeraError as error:
        return reply.acked, f"{arrival.kind}: {error.code}"
    return reply.acked, reply.decision


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile, 0–100; 0 for no values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else 0.0


def in_milliseconds(values: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the largest, in ms."""
    figures = {f"p{p}": round(percentile(values, p) * 1000, 1) for p in (50, 95, 99)}
    return {**figures, "max": round(max(values, default=0.0) * 1000, 1)}


def as_json(figures: Any) -> str:
    """One line."""
    return json.dumps(figures, separators=(", ", ": "))
