"""Money raced for by several processes with a connection per worker; `make soak` runs the same with 64 connections."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chimera.domain.cfo import CfoPolicy
from tests.fakes.money_races import NewSite, Size, batches, duplicates, equal_amounts, mixed_amounts, mixed_bodies
from tests.fakes.money_replay import Replay, rows
from tests.fakes.money_world import Site, new_site

SIZE = Size(connections=8, processes=2)


@pytest.fixture
def make_site(database_urls: Any, tmp_path: Path) -> NewSite:
    """A fresh tenant with this limit for every category and period."""
    return lambda limit, policy: new_site(database_urls.app, tmp_path / "keys", limit, policy)


def test_equal_amounts_exactly_what_fits_is_approved(make_site: NewSite) -> None:
    assert equal_amounts(make_site, 300, SIZE)["outcomes"] == {"approved": 150, "rejected": 150}


def test_mixed_amounts_every_answer_follows_from_its_place_in_the_order(make_site: NewSite) -> None:
    mixed_amounts(make_site, 300, SIZE)


def test_batches_answer_as_if_asked_singly(make_site: NewSite) -> None:
    batches(make_site, 300, SIZE)


def test_duplicates_sent_at_once_get_the_same_bytes(make_site: NewSite) -> None:
    figures = duplicates(make_site, 200, SIZE)
    assert (figures["divergent"], figures["conflicts"]) == (0, 40)


# --- the judge itself


def swap(book: list[Any], one: int, other: int) -> list[Any]:
    """Two decisions change places."""
    changed = list(book)
    changed[one], changed[other] = (
        dataclasses.replace(book[other], seq=book[one].seq),
        dataclasses.replace(book[one], seq=book[other].seq),
    )
    return changed


def change(book: list[Any], at: int, **values: Any) -> list[Any]:
    """One row says something else."""
    return [*book[:at], dataclasses.replace(book[at], **values), *book[at + 1 :]]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda book, yes, no: change(book, no, decision="approved", code=""),
        lambda book, yes, no: change(book, yes, decision="rejected", code="BUDGET_EXCEEDED"),
        lambda book, yes, no: change(book, yes, amount_micros=book[yes].amount_micros - 1),
        lambda book, yes, no: swap(book, yes, no),
        lambda book, yes, no: book[:yes] + book[yes + 1 :],
        lambda book, yes, no: [*book, book[yes]],
    ],
    ids=["approved too much", "refused what fitted", "a micro less", "another order", "a row lost", "a row twice"],
)
def test_the_judge_finds_what_is_wrong(make_site: NewSite, wrong: Callable[..., list[Any]]) -> None:
    site = small_book(make_site)
    with site.open() as (_, ledger):
        book = list(rows(ledger))
    clean = Replay(site.policy)
    for entry in book:
        clean.add(entry)
    assert clean.problems == []
    yes = max(n for n, entry in enumerate(book) if entry.is_approval)
    no = max(n for n, entry in enumerate(book) if entry.code == "BUDGET_EXCEEDED")
    judge = Replay(site.policy)
    for entry in wrong(book, yes, no):
        judge.add(entry)
    with site.open() as (_, ledger):
        judge.compare_counters(ledger)
    assert judge.problems


def small_book(make_site: NewSite) -> Site:
    """A ledger of 40 decisions, approvals and refusals."""
    site = make_site(Decimal("20"), CfoPolicy())
    with site.open() as (cfo, _):
        for body in mixed_bodies(site, 40, seed=3):
            cfo.approve(body)
    return site
