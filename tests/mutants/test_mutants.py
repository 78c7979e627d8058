"""The mutation gate: seeded bugs in the production money code are noticed. Half of them here, all in the soak tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.catalogue import MUTANTS

RUN = Path(__file__).parent / "run.py"
FAST = [m.name for m in MUTANTS if m.fast]


def run_mutants(names: list[str], ops: int, timeout: float) -> list[dict[str, Any]]:
    """What became of each, in its order."""
    command = [sys.executable, str(RUN), *names, "--ops", str(ops)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [each["mutant"] for each in told] == names, done.stderr[-2000:]
    failed = [each for each in told if "failed" in each]
    assert not failed, failed
    return told


@pytest.mark.parametrize("half", [0, 1])
def test_seeded_bugs_are_noticed(half: int) -> None:
    told = run_mutants(FAST[half::2], ops=8_000, timeout=280)
    assert [each["mutant"] for each in told if each["killed_by"] is None] == []


def test_the_gate_lets_sound_code_pass() -> None:
    [told] = run_mutants(["none"], ops=2_000, timeout=280)
    assert told["killed_by"] is None, told
