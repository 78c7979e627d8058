"""Seeded bugs in locks, unique keys, checks and clocks of the SQL are noticed on a real Postgres by one small examination."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.sql_catalogue import SQL_MUTANTS, Examination, SqlMutant, break_database, broken_adapter

SOUND = SqlMutant("none", "the code as it is")


def survives(mutant: SqlMutant, new_database: Callable[[], Any], home: Path) -> str:
    """What noticed it; empty when nothing did."""
    urls = new_database()
    break_database(mutant, urls.owner)
    try:
        Examination(urls.app, broken_adapter(mutant), home).examine()
    except Exception as error:  # noqa: BLE001 - any failure is what we look for
        return f"{type(error).__name__}: {str(error)[:120]}"
    return ""


def test_sound_code_passes_the_examination(new_database: Callable[[], Any], tmp_path: Path) -> None:
    assert survives(SOUND, new_database, tmp_path) == ""


@pytest.mark.parametrize("mutant", [m for m in SQL_MUTANTS if m.fast], ids=lambda m: m.name)
def test_seeded_bug_is_noticed(mutant: SqlMutant, new_database: Callable[[], Any], tmp_path: Path) -> None:
    assert survives(mutant, new_database, tmp_path)
