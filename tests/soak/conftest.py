"""A home that lives through a whole soak, and how large the soaks of money are."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

MONEY_SIZES = {
    "money-connections": (64, "connections that race for money"),
    "money-decisions": (100_000, "decisions of equal amounts; a fifth as many of mixed amounts"),
    "money-pairs": (10_000, "duplicate pairs"),
    "money-worker-kills": (200, "SIGKILLs of workers"),
    "money-server-kills": (20, "SIGKILLs of the database"),
    "money-minutes": (5, "minutes of the open loop; 60 for the long one"),
    "money-rate": (100, "arrivals per second of the open loop"),
    "money-tamper-places": (100, "places at which each attack on the ledger is made"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Sizes, so that a soak can be tried small: `pytest tests/soak/test_money_races.py --money-decisions 1000`."""
    for name, (default, text) in MONEY_SIZES.items():
        parser.addoption(f"--{name}", type=int, default=default, help=f"{text} (default {default})")


@pytest.fixture
def size(pytestconfig: pytest.Config) -> Callable[[str], int]:
    """The size that was asked for, by its option's name without `money-`."""
    return lambda name: int(pytestconfig.getoption(f"--money-{name}"))


@pytest.fixture
def evidence(capsys: pytest.CaptureFixture[str]) -> Callable[[dict[str, Any]], None]:
    """Shows a soak's figures as one line of JSON, also when it passes."""

    def show(figures: dict[str, Any]) -> None:
        with capsys.disabled():
            sys.stdout.write("\n" + json.dumps({"at": datetime.now(UTC).isoformat(), **figures}) + "\n")

    return show


@pytest.fixture
def soak_chimera() -> Iterator[Any]:
    """The command line of the end-to-end tests in one home."""
    path = Path(__file__).parents[1] / "e2e" / "conftest.py"
    spec = importlib.util.spec_from_file_location("e2e_conftest", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["e2e_conftest"] = module
    spec.loader.exec_module(module)
    folder = Path(tempfile.mkdtemp(prefix="ch-", dir="/tmp"))
    folder.chmod(0o755)
    it = module.Chimera(folder / "home")
    yield it
    it.kill_everything()
    shutil.rmtree(folder, ignore_errors=True)
