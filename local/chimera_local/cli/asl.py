"""`chimera asl`: the state machine runner, tested against recorded cases."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.group()
def asl() -> None:
    """The Amazon States Language runner."""


@asl.command("test")
@click.argument("cases", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def test(cases: Path) -> int:
    """Run conformance CASES (JSON lines): a line for each failure, the reason for each case outside the dialect."""
    from chimera_local.asl.conformance import run_cases

    _, failed, _ = run_cases(cases, sys.stdout)
    return 1 if failed else 0
