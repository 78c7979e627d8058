"""Histories of the production money code over a simulated world: no invariant breaks; a seed is a history.

The big run is in tests/soak; `python tests/money/run.py --help` repeats any of them.
"""

from __future__ import annotations

import pytest

from tests.money.simulator import Figures, Simulation, simulate

SEEDS, OPS = range(1, 9), 2_500


@pytest.mark.parametrize("seeds", [list(SEEDS)[:4], list(SEEDS)[4:]], ids=str)
def test_no_history_breaks_an_invariant(seeds: list[int]) -> None:
    total = Figures()
    for seed in seeds:
        total.add(simulate(seed, OPS))
    assert total.ops >= OPS * len(seeds)
    assert total.crashes >= 100 * len(seeds), "the faults are part of the test"
    kinds = {
        "DECISION",
        "SETTLE",
        "RELEASE",
        "EXPIRE",
        "REFUND",
        "LIMIT_CHANGE",
        "FREEZE",
        "UNFREEZE",
        "REFUSAL",
        "KEY",
    }
    assert kinds <= set(total.types)
    assert {"approved", "escalated APPROVAL_REQUIRED", "rejected BUDGET_EXCEEDED"} <= set(total.decisions)
    assert min(total.faults.values()) >= 1
    assert {"SETTLED", "RELEASED", "EXPIRED"} == set(total.ends), "after recovery nothing is open"


def test_a_seed_is_a_history() -> None:
    heads = []
    for _ in range(2):
        simulation = Simulation(77)
        simulation.run(600)
        heads.append(simulation.store.tables.head)
    assert heads[0] == heads[1]
