"""Any order of rules keeps the invariants: 20,000 steps here, 1,000,000 in the soak tests."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis.stateful import run_state_machine_as_test

from tests.money.machine import MoneyMachine

STEPS = 20_000
PER_EXAMPLE = 80


def run_machine(steps: int, seed: int | None = None) -> int:
    """At least this many rules; gives how many ran. Without a seed the same examples each time."""
    before = MoneyMachine.steps
    machine = MoneyMachine if seed is None else seeded(seed)(MoneyMachine)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=steps * 4 // (PER_EXAMPLE * 3),  # an example may end before its last step
            stateful_step_count=PER_EXAMPLE,
            derandomize=seed is None,
            database=None,
            deadline=None,
            phases=[
                Phase.generate
            ],  # shrinking takes minutes; the steps of the failing example are printed as they are
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return MoneyMachine.steps - before


def test_any_order_of_rules_keeps_the_invariants() -> None:
    assert run_machine(STEPS) >= STEPS
