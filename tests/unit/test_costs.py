"""What a step used is noted beside its files, also when it breaks off; another attempt adds to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chimera.adapters.local.media import FolderMediaStore
from chimera.usecases.costs import metered, noted

PREFIX = "tenants/t/content/c"


def burn(rounds: int = 300_000) -> int:
    return sum(i * i for i in range(rounds))


def test_a_finished_step_replaces_its_own_line(tmp_path: Path) -> None:
    media = FolderMediaStore(tmp_path)
    for _ in range(2):
        with metered(media, PREFIX, "voice", gigabytes=0.5):
            burn()
    lines = noted(media, PREFIX)
    assert [line.step for line in lines] == ["voice"]
    assert lines[0].complete and lines[0].amount_micros > 0


def test_what_a_broken_off_attempt_used_is_added_to_the_next(tmp_path: Path) -> None:
    media = FolderMediaStore(tmp_path)
    with pytest.raises(RuntimeError), metered(media, PREFIX, "render", gigabytes=4):
        burn(3_000_000)
        raise RuntimeError("killed here")
    (first,) = noted(media, PREFIX)
    assert not first.complete
    with metered(media, PREFIX, "render", gigabytes=4):
        pass
    (second,) = noted(media, PREFIX)
    assert second.complete
    assert second.amount_micros >= first.amount_micros
    assert float(second.quantity) >= float(first.quantity) > 0


def test_steps_have_lines_of_their_own(tmp_path: Path) -> None:
    media = FolderMediaStore(tmp_path)
    for step in ("voice", "pictures"):
        with metered(media, PREFIX, step, gigabytes=1):
            burn()
    assert sorted(line.step for line in noted(media, PREFIX)) == ["pictures", "voice"]
