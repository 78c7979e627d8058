"""Forged exports: 9 attacks × 100 places (10 each in tests/unit), and the clean exports of 20 other ledgers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.ledger_bundle import ATTACKS, Bundle, check, forge, make_bundle

PLACES = 100
CLEAN = 20


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundle"), seed=20, rows=150)


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_every_forgery_is_found(bundle: Bundle, attack: str) -> None:
    missed = []
    for seed in range(1000, 1000 + PLACES):
        place, path = forge(bundle, attack, seed)
        code, found = check(path, *bundle.pins)
        if code != 1 or not found["problems"]:
            missed.append((seed, place, code))
    assert not missed


@pytest.mark.parametrize("seed", range(100, 100 + CLEAN))
def test_clean_exports_are_never_complained_about(tmp_path: Path, seed: int) -> None:
    made = make_bundle(tmp_path, seed=seed, rows=100)
    code, found = check(made.path, *made.pins, "--complete")
    assert (code, found["problems"]) == (0, [])
