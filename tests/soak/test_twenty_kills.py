"""Twenty kill -9s at random moments, one or more in each run, each resumed; `make soak` runs it."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from typing import Any

E2E = Path(__file__).parents[1] / "e2e"


def load(name: str) -> Any:
    """A module of the end-to-end tests."""
    spec = importlib.util.spec_from_file_location(f"e2e_{name}", E2E / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_twenty_kills(soak_chimera: Any) -> None:
    kill = load("test_kill")
    chance = random.Random(7)
    for number in range(7):
        kills = 3 if number < 6 else 2
        run = kill.killed_and_resumed(soak_chimera, [chance.uniform(1, 10) for _ in range(kills)], f"Kill {number}")
        kill.check_whole(soak_chimera, run, posts=number + 1)
