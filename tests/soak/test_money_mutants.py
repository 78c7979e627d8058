"""Every seeded bug of the mutation gate: at least 95 % are noticed, and the survivors are named."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.mutants.catalogue import MUTANTS
from tests.mutants.test_mutants import run_mutants


def test_all_seeded_bugs() -> None:
    names = [mutant.name for mutant in MUTANTS]
    with ThreadPoolExecutor(2) as pool:
        halves = pool.map(lambda half: run_mutants(half, ops=20_000, timeout=1800), (names[::2], names[1::2]))
        told = {each["mutant"]: each for half in halves for each in half}
    for mutant in MUTANTS:
        by = told[mutant.name]
        print(
            f"{mutant.name:28} {by['killed_by'] or 'SURVIVED':14} {by['ops']:>7} ops {by['seconds']:>6} s  {mutant.what}"
        )
    survivors = [name for name in names if told[name]["killed_by"] is None]
    by_whom = dict(Counter(str(each["killed_by"]) for each in told.values()))
    print(f"{len(names) - len(survivors)} of {len(names)} killed: {by_whom}; survivors: {survivors or 'none'}")
    assert len(survivors) <= len(names) * 0.05, survivors
