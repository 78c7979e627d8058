"""Kill workers and the database while money moves, and look at what is left, in any number."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

from chimera.usecases.recovery import RecoveryReport
from tests.fakes.money_kills import Places, Writers, check_notes, count_notes, notes_in, wait_for_notes
from tests.fakes.money_replay import expect_none, replay
from tests.fakes.money_world import Cluster, Site

RECOVERY_SECONDS = 60.0


def recovered(site: Site) -> RecoveryReport:
    """The recovery job, which must find nothing wrong and freeze nothing."""
    report = site.recover(full=True)
    expect_none([*report.problems, *report.frozen, *report.waiting])
    return report


def nothing_lost(site: Site, folder: Path) -> dict[str, int]:
    """Every acknowledged answer is in the ledger as it was given, and the books are right to the micro."""
    notes = notes_in(folder)
    with site.open() as (cfo, ledger):
        cfo.sweep()
        report = ledger.verify(site.verifier())
        books = replay(ledger, site.policy)
    expect_none(check_notes(site, notes))
    expect_none(report.problems)
    assert report.verified
    assert report.unsigned == 0
    expect_none(books.problems)
    return {"acknowledged": sum(1 for note in notes if note["step"] != "end"), "lost": 0, "rows": report.entries}


def kill_workers(site: Site, folder: Path, kills: int, seed: int, *, at_once: int = 4) -> dict[str, Any]:
    """So many SIGKILLs of processes that decide, sign, dispatch, settle; each place is taken over at once."""
    chance = random.Random(seed)
    begun = time.monotonic()
    places = Places(site, folder, at_once)
    moments: Counter[str] = Counter()
    try:
        wait_for_notes(folder, 4 * at_once)
        for n in range(kills):
            time.sleep(chance.uniform(0.0, 0.25))
            moments[places.kill(places.names[n % at_once])] += 1
        wait_for_notes(folder, count_notes(folder) + 4 * at_once)  # who took over gets on
    finally:
        places.end()
    swept = time.monotonic()
    found = recovered(site)
    recovery = time.monotonic() - swept
    figures = nothing_lost(site, folder)
    return {
        "kills": kills + at_once,
        "seed": seed,
        **figures,
        "killed_after": dict(moments),
        "left_unsigned": found.signed,
        "recovery_seconds": round(recovery, 2),
        "seconds": round(time.monotonic() - begun, 1),
    }


def kill_server(
    cluster: Cluster, site: Site, folder: Path, kills: int, seed: int, *, processes: int = 2, threads: int = 8
) -> dict[str, Any]:
    """So many SIGKILLs of the postmaster under writers that go on; after each restart the books must be right.

    Recovery is from the kill to the end of the recovery job: the server is back, all that was left unsigned is signed, the
    books are recomputed. The job runs beside the writers and may not take what they do for a mistake.
    """
    chance = random.Random(seed)
    begun = time.monotonic()
    crowd = Writers(site, folder, processes=processes, threads=threads)
    recoveries, exit_codes = [], []
    try:
        for _ in range(kills):
            wait_for_notes(folder, count_notes(folder) + 2 * processes * threads)
            time.sleep(chance.uniform(0.0, 0.5))
            killed = time.monotonic()
            cluster.kill()
            cluster.start()
            recovered(site)
            recoveries.append(time.monotonic() - killed)
            expect_none(site.verify().problems)
        wait_for_notes(folder, count_notes(folder) + 2 * processes * threads)
    finally:
        exit_codes = crowd.end()
    assert exit_codes == [0] * processes
    figures = nothing_lost(site, folder)
    return {
        "kills": kills,
        "writers": processes * threads,
        "seed": seed,
        **figures,
        "recovery_seconds": {"median": round(sorted(recoveries)[kills // 2], 2), "max": round(max(recoveries), 2)},
        "seconds": round(time.monotonic() - begun, 1),
    }
