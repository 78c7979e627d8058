"""A publication's life as pure rules: whatever happens, in whatever order, nothing is posted twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chimera.domain.publication import (
    ENDED,
    GRANT_TTL,
    SEND_LIMIT,
    SETTLE,
    TRANSITIONS,
    Event,
    State,
    absence_is_proof,
    lease_end,
    next_state,
)
from chimera.errors import ChimeraError

START = datetime(2026, 11, 21, tzinfo=UTC)


def test_every_pair_not_in_the_table_is_a_conflict() -> None:
    for state in State:
        for event in Event:
            if (state, event) in TRANSITIONS:
                assert next_state(state.value, event) is TRANSITIONS[state, event]
            else:
                with pytest.raises(ChimeraError) as refused:
                    next_state(state, event)
                assert refused.value.code == "CONFLICT"


def test_a_lease_that_ended_never_makes_ready() -> None:
    assert next_state(State.SENDING, Event.LEASE_ENDED) is State.AMBIGUOUS
    ways_out_of_sending = {target for (state, _), target in TRANSITIONS.items() if state is State.SENDING}
    assert State.READY not in ways_out_of_sending


def test_sending_is_entered_only_from_ready_by_a_claim() -> None:
    ways = [(state, event) for (state, event), target in TRANSITIONS.items() if target is State.SENDING]
    assert ways == [(State.READY, Event.CLAIMED)]


def test_confirmed_is_for_ever() -> None:
    assert not [event for state, event in TRANSITIONS if state is State.CONFIRMED]


def test_every_state_can_come_to_an_end() -> None:
    reached = set(ENDED)
    for _ in State:
        reached |= {state for (state, _), target in TRANSITIONS.items() if target in reached}
    assert reached == set(State)


def test_absence_is_proof_only_after_the_lease_or_where_the_platform_dedupes() -> None:
    lease = lease_end(START)
    assert lease == START + SEND_LIMIT
    for moment, dedupes, proof in (
        (lease, False, False),
        (lease - timedelta(microseconds=1), False, False),
        (lease + timedelta(microseconds=1), False, True),
        (START, True, True),
    ):
        assert absence_is_proof(looked_up_at=moment, lease_until=lease, dedupes_by_key=dedupes) is proof
    assert absence_is_proof(looked_up_at=START, lease_until=None, dedupes_by_key=False)


def test_a_grant_lives_at_most_five_minutes() -> None:
    assert timedelta(0) < GRANT_TTL <= timedelta(minutes=5)


@dataclass
class Worker:
    """One claim's worker. It looks, then sends; what it sends arrives at some time within SEND_LIMIT, or never."""

    grant_ends: datetime
    attempt: int
    looked: bool = False
    sent: bool = False
    alive: bool = True
    arrives: datetime | None = None


@dataclass
class Platform:
    """A platform without a dedupe key: what arrives is posted, however often."""

    posts: list[datetime] = field(default_factory=list)
    flying: list[datetime] = field(default_factory=list)

    def tick(self, now: datetime) -> None:
        self.posts += [moment for moment in self.flying if moment <= now]
        self.flying = [moment for moment in self.flying if moment > now]


class Publishing(RuleBasedStateMachine):
    """Workers that die, stall, answer late and are started again, over the rules of domain/publication.py."""

    @initialize()
    def begin(self) -> None:
        self.now = START
        self.state = State.READY
        self.attempts = 0
        self.lease: datetime | None = None
        self.workers: list[Worker] = []
        self.platform = Platform()
        self.asked_since_send = True
        self.sends = 0

    def move(self, event: Event) -> None:
        self.state = next_state(self.state, event)

    def lapse(self) -> None:
        if self.state is State.SENDING and self.lease is not None and self.lease < self.now:
            self.move(Event.LEASE_ENDED)

    @rule(seconds=st.sampled_from([121, 241, 6]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.platform.tick(self.now)

    @precondition(lambda self: self.state is State.READY)
    @rule(waits=st.sampled_from([0, 30, 119]))
    def a_worker_claims(self, waits: int) -> None:
        grant_ends = self.now + GRANT_TTL
        self.now += timedelta(seconds=waits)
        self.platform.tick(self.now)
        self.move(Event.CLAIMED)
        self.attempts += 1
        self.lease = lease_end(grant_ends)
        self.workers.append(Worker(grant_ends, self.attempts))

    @precondition(lambda self: any(worker.alive and not worker.sent for worker in self.workers))
    @rule(data=st.data(), stalls=st.booleans(), arrives=st.sampled_from([120, 4, None]))
    def a_worker_goes_on(self, data: Any, stalls: bool, arrives: int | None) -> None:
        """As `publish` does: look; found is the end; else send if the grant still lives. A zombie does it too."""
        worker = data.draw(st.sampled_from([worker for worker in self.workers if worker.alive and not worker.sent]))
        if not worker.looked:
            worker.looked = True
            self.asked_since_send = True
            if self.platform.posts:
                worker.alive = False
                self.receipt()
                return
            if stalls:
                return
        if self.now >= worker.grant_ends:
            worker.alive = False
            return
        assert self.asked_since_send, "sent again without a look-up"
        self.asked_since_send = False
        self.sends += 1
        worker.sent = True
        if arrives is not None:
            self.platform.flying.append(self.now + timedelta(seconds=arrives))
            self.platform.tick(self.now)

    def receipt(self) -> None:
        if self.state not in (State.CONFIRMED, State.PLANNED):
            self.move(Event.RECEIPT)

    @precondition(lambda self: self.platform.posts and self.state is not State.CONFIRMED)
    @rule()
    def an_answer_arrives_late(self) -> None:
        self.receipt()

    @precondition(lambda self: self.state is State.SENDING and self.workers[-1].alive)
    @rule()
    def the_worker_dies(self) -> None:
        self.workers[-1].alive = False

    @precondition(lambda self: self.state is State.SENDING)
    @rule()
    def a_worker_reports_trouble(self) -> None:
        """Only when it is over for the worker: nothing of it is in flight for longer than SETTLE."""
        self.lapse()
        mine = [worker for worker in self.workers if worker.attempt == self.attempts and worker.alive]
        if self.state is State.SENDING and mine and self.lease is not None:
            mine[0].alive = False
            settled = self.now + SETTLE
            self.platform.posts += [moment for moment in self.platform.flying if moment > settled]
            self.platform.flying = [moment for moment in self.platform.flying if moment <= settled]
            self.lease = min(self.lease, settled)
            self.move(Event.TROUBLE)

    @precondition(lambda self: self.state is State.SENDING)
    @rule()
    def the_state_machine_gives_up_waiting(self) -> None:
        """The step timed out: its worker may go on for all we know, so the lease stays as it is."""
        self.move(Event.TROUBLE)

    @precondition(lambda self: self.state in (State.AMBIGUOUS, State.SENDING))
    @rule(waits=st.sampled_from([0, 300]))
    def the_publication_is_looked_up(self, waits: int) -> None:
        looked_up_at, posts = self.now, list(self.platform.posts)
        self.asked_since_send = True
        self.now += timedelta(seconds=waits)  # the answer may be stale when it is used
        self.platform.tick(self.now)
        self.lapse()
        if self.state is not State.AMBIGUOUS:
            return
        if posts:
            self.move(Event.RECEIPT)
        elif absence_is_proof(looked_up_at=looked_up_at, lease_until=self.lease, dedupes_by_key=False):
            self.move(Event.ABSENT)

    @invariant()
    def nothing_is_posted_twice(self) -> None:
        if hasattr(self, "platform"):
            assert len(self.platform.posts) + len(self.platform.flying) <= 1, "posted twice"

    @invariant()
    def confirmed_means_posted(self) -> None:
        if hasattr(self, "platform") and self.state is State.CONFIRMED:
            assert self.platform.posts


Publishing.TestCase.settings = settings(max_examples=300, stateful_step_count=25, deadline=None)
TestPublishing = Publishing.TestCase
