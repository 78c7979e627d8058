"""Work that may be killed at any instruction: decide, dispatch, settle, each acknowledged answer noted in a file first.

Whoever takes a place over goes on at the first number that was not finished there, with the same request ids and the same
spender: what the workflow does after a crash. Nothing that a note says may ever be untrue.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from chimera.adapters.postgres.ledger import PostgresLedger
from chimera.domain.models import CostLine
from chimera.errors import ChimeraError
from chimera.usecases.cfo import Cfo
from tests.fakes.money_load import CONTEXT, digest_of
from tests.fakes.money_world import Site

T = TypeVar("T")
AWAY_SECONDS = 120.0
RESERVED_MICROS = 1_250_000
PATHS = ("settle", "settle nothing", "release", "keep", "keep dispatched")
"""What becomes of an approval, by its number."""


@dataclass(frozen=True)
class Notes:
    """The file of one place: one JSON line per acknowledged answer, written before anything else is done."""

    path: Path

    def add(self, **note: Any) -> None:
        """One write to a file: a SIGKILL comes before it or after it."""
        line = json.dumps(note).encode() + b"\n"
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line)
        finally:
            os.close(handle)

    def read(self) -> Iterator[dict[str, Any]]:
        """All lines."""
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                yield json.loads(line)

    def unfinished(self) -> tuple[int, set[str]]:
        """The first number that was not finished, and which of its steps were."""
        number, steps = 0, set()
        for note in self.read():
            steps.add(note["step"])
            if note["step"] == "end":
                number, steps = number + 1, set()
        return number, steps


def cost(micros: int) -> CostLine:
    """One line of costs."""
    return CostLine(step="render", item="vCPU", quantity="1", unit="vCPU second", amount_micros=micros)


def patiently(step: Callable[[], T]) -> T:
    """Ask again while the database is away: the same question, so an unknown outcome does not matter."""
    deadline = time.monotonic() + AWAY_SECONDS
    while True:
        try:
            return step()
        except ChimeraError as error:
            if error.code != "DATABASE_WAKING" or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def one(cfo: Cfo, site: Site, place: str, number: int, notes: Notes, done: Collection[str] = ()) -> None:
    """One approval's life; may be begun again at any point of it. Steps that are done are not done again, but the question
    is asked again: its answer stays the same for ever."""
    body = site.request(f"{place} {number}")
    request_id = body["request_id"]
    answer = patiently(lambda: cfo.approve(body))
    notes.add(step="approve", id=request_id, decision=answer["decision"], digest=digest_of(answer))
    path = PATHS[number % len(PATHS)] if answer["approved"] else "refused"
    if path in ("settle", "settle nothing", "keep dispatched") and "dispatch" not in done:
        used = patiently(lambda: cfo.dispatch(answer["token"], place))
        notes.add(step="dispatch", id=request_id, first=used["first"], spender=place)
    if path in ("settle", "settle nothing") and "settle" not in done:
        micros = RESERVED_MICROS * (number % 7) // 7 if path == "settle" else 0
        settled = patiently(lambda: cfo.settle(request_id, [cost(micros)]))
        notes.add(step="settle", id=request_id, micros=micros, seq=settled["seq"], tx=settled["tx_id"])
    if path == "release" and "release" not in done:
        released = patiently(lambda: cfo.release(request_id, "not needed"))
        notes.add(step="release", id=request_id, seq=released["seq"], tx=released["tx_id"])
    notes.add(step="end", id=request_id)


def work(site: Site, place: str, folder: Path, until: Callable[[], bool]) -> None:
    """Take a place over and live on in it."""
    notes = Notes(folder / f"{place}.jsonl")
    number, done = notes.unfinished()
    with site.open() as (cfo, _):
        while not until():
            try:
                one(cfo, site, place, number, notes, done)
            except Exception as error:
                notes.add(step="error", error=f"{place} {number}: {type(error).__name__}: {error}")
                raise
            number, done = number + 1, set()


def worker(site: Site, place: str, folder: Path) -> None:
    """The process that is killed: nothing else ends it."""
    work(site, place, folder, lambda: False)


def writers(site: Site, names: list[str], folder: Path, stop: Any) -> None:
    """A process with a writer in each of its threads, until told to stop."""
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: work(site, name, folder, stop.is_set), names))


class Places:
    """Places that are always taken: who is killed is followed by the next."""

    def __init__(self, site: Site, folder: Path, count: int) -> None:
        self.site = site
        self.folder = folder
        self.names = [f"place{n}" for n in range(count)]
        self._living: dict[str, Any] = {}
        for name in self.names:
            self._take(name)

    def _take(self, name: str) -> None:
        process = CONTEXT.Process(target=worker, args=(self.site, name, self.folder), daemon=True)
        process.start()
        self._living[name] = process

    def kill(self, name: str) -> str:
        """SIGKILL, wherever it is, and let the next one take its place; the step that was acknowledged last there."""
        process = self._living[name]
        if process.exitcode is not None:
            raise RuntimeError(f"{name} ended by itself: {notes_in(self.folder)[-1]}")
        _kill(process)
        last = [note["step"] for note in Notes(self.folder / f"{name}.jsonl").read()][-1:]
        self._take(name)
        return last[0] if last else "nothing"

    def end(self) -> None:
        """Kill all; nobody follows."""
        for process in self._living.values():
            _kill(process)
        self._living.clear()


def _kill(process: Any) -> None:
    if process.exitcode is None:  # not waited for yet, so its number is still its own
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    process.close()


class Writers:
    """Writers that outlive the database: processes with threads, stopped by an event."""

    def __init__(self, site: Site, folder: Path, *, processes: int, threads: int) -> None:
        self._stop = CONTEXT.Event()
        self._processes = []
        for p in range(processes):
            names = [f"writer{p}-{t}" for t in range(threads)]
            process = CONTEXT.Process(target=writers, args=(site, names, folder, self._stop), daemon=True)
            process.start()
            self._processes.append(process)

    def end(self) -> list[int | None]:
        """Let each finish what it is at; their exit codes."""
        self._stop.set()
        for process in self._processes:
            process.join(AWAY_SECONDS + 30)
        return [process.exitcode for process in self._processes]


def notes_in(folder: Path) -> list[dict[str, Any]]:
    """Every acknowledged answer."""
    return [note for path in sorted(folder.glob("*.jsonl")) for note in Notes(path).read()]


def check_notes(site: Site, notes: list[dict[str, Any]]) -> list[str]:
    """What a note says and the ledger does not: every acknowledged answer is there, once, and the same when asked again."""
    problems = [note["error"] for note in notes if note["step"] == "error"]
    by_request: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for note in notes:
        if note["step"] != "error":
            by_request[note["id"]].append(note)
    with site.open() as (cfo, ledger):
        for request_id, told in by_request.items():
            problems += _check_one(cfo, ledger, request_id, told)
    return problems


def _check_one(cfo: Cfo, ledger: PostgresLedger, request_id: str, told: list[dict[str, Any]]) -> Iterator[str]:
    def of(step: str) -> list[dict[str, Any]]:
        return [note for note in told if note["step"] == step]

    try:
        digest = digest_of(cfo.answer(request_id))
        _, resolution, reservation = ledger.get(request_id)
    except ChimeraError as error:
        yield f"{request_id}: acknowledged and lost ({error.code})"
        return
    if {note["digest"] for note in of("approve")} - {digest}:
        yield f"{request_id}: another answer than was given"
    dispatched = of("dispatch")
    if sum(note["first"] for note in dispatched) > 1:
        yield f"{request_id}: dispatched twice"
    if dispatched and (reservation is None or reservation.spender != dispatched[0]["spender"]):
        yield f"{request_id}: its dispatch is lost"
    for step, entry_type in (("settle", "SETTLE"), ("release", "RELEASE")):
        for note in of(step):
            found = (resolution.entry_type, resolution.seq, resolution.tx_id) if resolution else None
            if found != (entry_type, note["seq"], note["tx"]):
                yield f"{request_id}: {step} {note}, the ledger has {found}"
            elif resolution and resolution.amount_micros != note.get("micros", 0):
                yield f"{request_id}: settled at {note}, the ledger has {resolution.amount_micros}"


def count_notes(folder: Path) -> int:
    """How many answers were acknowledged so far."""
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("*.jsonl"))


def wait_for_notes(folder: Path, count: int, seconds: float = 60.0) -> None:
    """Until so many answers were acknowledged: what is killed has begun."""
    deadline = time.monotonic() + seconds
    while count_notes(folder) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"fewer than {count} answers in {seconds} s")
        threading.Event().wait(0.02)
