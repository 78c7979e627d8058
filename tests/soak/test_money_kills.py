"""Hundreds of kill -9s of workers, and tens of the database, while money moves: nothing that was acknowledged is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.money_deaths import RECOVERY_SECONDS, kill_server, kill_workers
from tests.fakes.money_world import Cluster, own_cluster

pytestmark = pytest.mark.timeout(7200)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with own_cluster() as it:
        yield it


def test_worker_kills(
    cluster: Cluster, tmp_path: Path, size: Callable[[str], int], evidence: Callable[[Any], None]
) -> None:
    figures = kill_workers(cluster.site("900000"), tmp_path, size("worker-kills"), seed=200)
    evidence({"kill": "workers", **figures})
    assert figures["recovery_seconds"] <= RECOVERY_SECONDS


def test_server_kills(
    cluster: Cluster, tmp_path: Path, size: Callable[[str], int], evidence: Callable[[Any], None]
) -> None:
    figures = kill_server(cluster, cluster.site("900000"), tmp_path, size("server-kills"), seed=20)
    evidence({"kill": "postmaster", **figures})
    assert figures["recovery_seconds"]["max"] <= RECOVERY_SECONDS
