"""Money under 64 connections: 100,000 decisions against half of what is asked for, 10,000 duplicate pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.fakes.money_races import Size, batches, duplicates, equal_amounts, mixed_amounts
from tests.fakes.money_world import Cluster, own_cluster

pytestmark = pytest.mark.timeout(7200)
PROCESSES = 4


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with own_cluster() as it:
        yield it


def test_equal_amounts(cluster: Cluster, size: Callable[[str], int], evidence: Callable[[Any], None]) -> None:
    how = Size(connections=size("connections"), processes=PROCESSES)
    evidence(equal_amounts(cluster.site, size("decisions"), how))


def test_mixed_amounts(cluster: Cluster, size: Callable[[str], int], evidence: Callable[[Any], None]) -> None:
    how = Size(connections=size("connections"), processes=PROCESSES)
    evidence(mixed_amounts(cluster.site, size("decisions") // 5, how))


def test_batches(cluster: Cluster, size: Callable[[str], int], evidence: Callable[[Any], None]) -> None:
    how = Size(connections=size("connections"), processes=PROCESSES)
    evidence(batches(cluster.site, size("decisions") // 5, how))


def test_duplicates(cluster: Cluster, size: Callable[[str], int], evidence: Callable[[Any], None]) -> None:
    how = Size(connections=size("connections"), processes=PROCESSES)
    evidence(duplicates(cluster.site, size("pairs"), how))
