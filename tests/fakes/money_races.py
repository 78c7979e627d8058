"""The races that money must survive, in any size: `make test` runs them small, `make soak` with 64 connections."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from chimera.adapters.postgres.tenancy import agent_id
from chimera.domain.cfo import CfoPolicy
from tests.fakes.money_load import Body, Reply, decide_all, decide_batches, decide_twice
from tests.fakes.money_replay import Replay, expect_none, replay
from tests.fakes.money_world import NO_RISK, Site

STRICT = CfoPolicy(risk_threshold=Decimal("0.35"))
"""All rules, with so little patience for risk that some requests are escalated."""
NewSite = Callable[[Decimal, CfoPolicy], Site]
CATEGORIES = ("api_call", "compute", "storage", "blockchain")
ROLES = ("artist", "scout", "planner", "director", "worker")
PRICE = Decimal("1.25")
LEFT_OVER = Decimal("0.001249")
"""Less than a price: the limit is not a multiple of it."""


@dataclass(frozen=True)
class Size:
    """How hard: connections are spread evenly over processes."""

    connections: int
    processes: int


def figures_of(replies: list[Reply], begun: float) -> dict[str, Any]:
    """Counts and the rate of a load."""
    seconds = max(r.acked for r in replies) - min(r.invoked for r in replies)
    return {
        "requests": len(replies),
        "outcomes": dict(Counter(r.decision for r in replies)),
        "per_second": round(len(replies) / seconds, 1),
        "seconds_with_checks": round(time.monotonic() - begun, 1),
    }


def judged(site: Site, replies: list[Reply]) -> Replay:
    """The rows replayed and compared with these answers, nothing unsigned, and `ledger verify` without a finding."""
    with site.open() as (cfo, ledger):
        books = replay(ledger, site.policy, replies)
        expect_none(books.problems)
        cfo.sweep()
        report = ledger.verify(site.verifier())
    expect_none(report.problems)
    assert report.verified
    assert report.unsigned == 0
    return books


def equal_amounts(new_site: NewSite, count: int, size: Size) -> dict[str, Any]:
    """Everybody asks for the same amount and half of it is there: the number of approvals is known beforehand."""
    begun = time.monotonic()
    limit = PRICE * (count // 2) + LEFT_OVER
    site = new_site(limit, NO_RISK)
    bodies = [
        site.request(f"equal {n}", request_cost=str(PRICE), request_type=CATEGORIES[n % len(CATEGORIES)])
        for n in range(count)
    ]
    replies = decide_all(site, bodies, connections=size.connections, processes=size.processes)
    outcomes = Counter((r.decision, r.code) for r in replies)
    assert outcomes == {("approved", ""): count // 2, ("rejected", "BUDGET_EXCEEDED"): count - count // 2}
    books = judged(site, replies)
    assert len(books.decisions) == count
    # one after the other each approval leaves one price less
    left = [books.decisions[r.request_id][2][0] for r in replies if r.decision == "approved"]
    assert sorted(left) == [int((LEFT_OVER + PRICE * n) * 1_000_000) for n in range(count // 2)]
    return {"race": "equal amounts", "limit_usd": str(limit), **figures_of(replies, begun)}


def mixed_bodies(site: Site, count: int, seed: int) -> list[Body]:
    """Requests of several agents, categories and amounts to the micro; some below the hurdle, all from a seed."""
    chance = random.Random(seed)
    return [
        site.request(
            f"mixed {n}",
            agent_id=agent_id(site.tenant, chance.choice(ROLES)),
            request_type=chance.choice(CATEGORIES),
            request_cost=f"{Decimal(chance.randint(10_000, 3_000_000)) / 1_000_000:f}",
            projected_roi=chance.choice(("1.2", "1.5", "2.0", "2.5", "3.5")),
        )
        for n in range(count)
    ]


def mixed_amounts(new_site: NewSite, count: int, size: Size, seed: int = 11) -> dict[str, Any]:
    """Amounts of all sizes under all rules, risk included: every answer is the one that its place in the order asks for,
    so nothing is approved that did not fit and nothing refused that did."""
    begun = time.monotonic()
    demand = sum(
        (Decimal(body["request_cost"]) for body in mixed_bodies(new_site(Decimal(1), NO_RISK), count, seed)), Decimal()
    )
    site = new_site((demand / 4).quantize(Decimal("0.000001")), STRICT)
    with site.open() as (_, ledger):  # one category is tighter than the total
        ledger.set_limit("compute", "D", int(demand * 1_000_000 / 20), by="test", reason="a tight category")
    bodies = mixed_bodies(site, count, seed)
    replies = decide_all(site, bodies, connections=size.connections, processes=size.processes)
    codes = Counter(r.code for r in replies)
    assert codes.keys() == {"", "BUDGET_EXCEEDED", "ROI_TOO_LOW", "APPROVAL_REQUIRED"}
    books = judged(site, replies)
    assert len(books.decisions) == count
    approved = sum(entry.amount_micros for entry in books.approved.values())
    assert approved <= demand * 1_000_000 / 4
    return {
        "race": "mixed amounts",
        "seed": seed,
        "approved_micros": approved,
        "codes": dict(codes),
        **figures_of(replies, begun),
    }


def batches(new_site: NewSite, count: int, size: Size, seed: int = 13) -> dict[str, Any]:
    """Batches race each other: every answer is the one that its place in the order asks for, as if asked singly."""
    begun = time.monotonic()
    demand = sum(
        (Decimal(body["request_cost"]) for body in mixed_bodies(new_site(Decimal(1), NO_RISK), count, seed)), Decimal()
    )
    site = new_site((demand / 4).quantize(Decimal("0.000001")), STRICT)
    bodies = mixed_bodies(site, count, seed)
    # a tenth comes twice, in two batches: the same row for both
    asked = bodies + bodies[: count // 10]
    replies = decide_batches(site, asked, connections=size.connections, processes=size.processes, batch=20)
    assert {r.code for r in replies} == {"", "BUDGET_EXCEEDED", "ROI_TOO_LOW", "APPROVAL_REQUIRED"}
    assert len({r.digest for r in replies}) == count
    # a repeated request has the place of the first answer, so real time is checked for the first answers alone
    first = sorted(replies, key=lambda r: r.acked, reverse=True)
    books = judged(site, list({r.request_id: r for r in first}.values()))
    assert len(books.decisions) == count
    return {"race": "batches", "seed": seed, **figures_of(replies, begun)}


def duplicates(new_site: NewSite, count: int, size: Size) -> dict[str, Any]:
    """Each request twice at the same moment on two connections; every fifth pair differs in its amount.

    Twins get the same bytes; of two different bodies one is answered and the other a `CONFLICT` that does nothing.
    """
    begun = time.monotonic()
    limit = PRICE * count * 2 // 3
    site = new_site(limit, NO_RISK)
    pairs = []
    for n in range(count):
        first = site.request(f"pair {n}", request_cost=str(PRICE))
        other = {**first, "request_cost": "1.24"} if n % 5 == 0 else {**first, "request_cost": "1.250000"}
        pairs.append((first, other))
    answers = decide_twice(site, pairs, connections=size.connections, processes=size.processes)
    divergent, conflicts, replies = 0, 0, []
    for one, two in answers:
        if "CONFLICT" in (one.decision, two.decision):
            conflicts += 1
            answered = [r for r in (one, two) if r.decision != "CONFLICT"]
            assert len(answered) == 1
            replies += answered
        else:
            divergent += one.digest != two.digest
            replies += [one, two]
    assert divergent == 0
    assert conflicts == len(range(0, count, 5))
    books = judged(site, replies)
    assert len(books.decisions) == count
    # a body that comes again with another amount is refused, whatever was decided, and changes nothing
    again = [{**body, "request_cost": "1.23"} for body, _ in pairs[: min(count, 1000)]]
    refused = decide_all(site, again, connections=size.connections, processes=size.processes)
    assert {r.decision for r in refused} == {"CONFLICT"}
    after = judged(site, replies)
    assert (after.reserved, after.seq.keys()) == (books.reserved, books.seq.keys())
    figures = figures_of([reply for pair in answers for reply in pair], begun)
    return {"race": "duplicates", "pairs": count, "divergent": divergent, "conflicts": conflicts, **figures}
