"""Every seeded bug of the mutation gate: at least 95 % are noticed, and the survivors are named."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.sql_catalogue import SQL_MUTANTS
from tests.mutants.test_mutants import run_mutants
from tests.mutants.test_sql_mutants import survives


@pytest.mark.timeout(3600)
def test_all_seeded_bugs() -> None:
    names = [mutant.name for mutant in MUTANTS]
    with ThreadPoolExecutor(2) as pool:
        halves = pool.map(lambda half: run_mutants(half, ops=20_000, timeout=1800), (names[::2], names[1::2]))
        told = {each["mutant"]: each for half in halves for each in half}
    told_lines = [""]
    for mutant in MUTANTS:
        by = told[mutant.name]
        who = by["killed_by"] or "SURVIVED"
        told_lines.append(f"{mutant.name:28} {who:14} {by['ops']:>7} ops {by['seconds']:>6} s  {mutant.what}")
    survivors = [name for name in names if told[name]["killed_by"] is None]
    by_whom = dict(Counter(str(each["killed_by"]) for each in told.values()))
    told_lines.append(
        f"{len(names) - len(survivors)} of {len(names)} killed: {by_whom}; survivors: {survivors or 'none'}"
    )
    sys.stdout.write("\n".join(told_lines) + "\n")
    assert len(survivors) <= len(names) * 0.05, survivors


def test_all_seeded_bugs_of_the_database(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    make: Callable[[], Any] = request.getfixturevalue("new_database")
    told = {mutant.name: survives(mutant, make, tmp_path) for mutant in SQL_MUTANTS}
    sys.stdout.write("\n" + "\n".join(f"{name:28} {how or 'SURVIVED'}" for name, how in told.items()) + "\n")
    assert [name for name, how in told.items() if not how] == []
