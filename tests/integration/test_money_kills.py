"""kill -9 of workers that spend and of the database under writers; `make soak` does it hundreds of times."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.money_deaths import kill_server, kill_workers
from tests.fakes.money_kills import Notes, check_notes, one
from tests.fakes.money_world import Cluster, own_cluster

pytestmark = pytest.mark.xdist_group("money_kills")  # one cluster for all of them


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with own_cluster() as it:
        yield it


def test_killed_workers_lose_nothing_that_was_acknowledged(cluster: Cluster, tmp_path: Path) -> None:
    figures = kill_workers(cluster.site("900000"), tmp_path, kills=5, seed=5)
    assert figures["kills"] >= 5
    assert figures["acknowledged"] > 0


def test_a_killed_database_loses_nothing_that_was_acknowledged(cluster: Cluster, tmp_path: Path) -> None:
    figures = kill_server(cluster, cluster.site("900000"), tmp_path, kills=1, seed=5)
    assert figures["writers"] == 16
    assert figures["acknowledged"] >= 4 * figures["writers"]


# --- the check itself


@pytest.mark.parametrize(
    "lie",
    [
        lambda note: {**note, "id": "00000000-0000-4000-8000-000000000000"},
        lambda note: {**note, "digest": "0" * 64} if note["step"] == "approve" else note,
        lambda note: {**note, "spender": "another"} if note["step"] == "dispatch" else note,
        lambda note: {**note, "micros": 5} if note["step"] == "settle" else note,
        lambda note: {**note, "tx": "another"} if note["step"] == "release" else note,
        lambda note: {"step": "error", "error": "a worker failed"} if note["step"] == "end" else note,
    ],
    ids=["lost", "another answer", "another spender", "another cost", "another row", "failed"],
)
def test_the_check_finds_what_is_wrong(
    cluster: Cluster, tmp_path: Path, lie: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    site, notes = cluster.site("900"), Notes(tmp_path / "place.jsonl")
    with site.open() as (cfo, _):
        for number in range(5):
            one(cfo, site, "place", number, notes)
    told = list(notes.read())
    assert check_notes(site, told) == []
    lies = [lie(note) for note in told]
    assert json.dumps(lies) != json.dumps(told)
    assert check_notes(site, lies)
