"""A publication's life: which event leads from which state to which, and when "it is not there" is proof.

No protocol posts exactly once through a lossy network. What holds here instead: one claim at a time may
send; a send whose outcome is not known is followed by a look-up before anything is sent again; a claim that
ran out is ambiguous, never ready, because its worker may still be sending. Every intent ends as CONFIRMED,
CANCELLED, FAILED_PERMANENT or NEEDS_HUMAN.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from chimera.errors import ChimeraError

GRANT_TTL = timedelta(seconds=120)
"""How long a publish grant may be used to begin a send; the rule allows 5 minutes at most."""

SEND_LIMIT = timedelta(seconds=120)
"""How long a send may take once begun: a platform adapter's hard timeout. A lease is grant expiry + this."""

SETTLE = timedelta(seconds=5)
"""After a worker reported that its send broke: how long a platform may take to show a post that arrived."""

MAX_ATTEMPTS = 5
"""Claims of one publication, each ending in an absent post, before a person is asked."""

MAX_LOOKUPS = 5
"""Look-ups without an answer after one claim before a person is asked."""


class State(StrEnum):
    """Where a publication stands."""

    PLANNED = "PLANNED"
    READY = "READY"
    SENDING = "SENDING"
    CONFIRMED = "CONFIRMED"
    AMBIGUOUS = "AMBIGUOUS"
    NEEDS_HUMAN = "NEEDS_HUMAN"
    FAILED_PERMANENT = "FAILED_PERMANENT"
    CANCELLED = "CANCELLED"


class Event(StrEnum):
    """What happens to a publication."""

    CHECKED = "checked"  # the platform would take it
    CLAIMED = "claimed"  # a worker holds a used-up grant and may send
    RECEIPT = "receipt"  # the platform says that it is posted: by answer, by look-up or by a person
    TROUBLE = "trouble"  # the send broke, its outcome is not known
    LEASE_ENDED = "lease_ended"  # the worker said nothing in its time
    ABSENT = "absent"  # a look-up after the lease proves that it is not posted
    UNKNOWABLE = "unknowable"  # no look-up can tell
    REFUSED = "refused"  # the platform will never take this
    REPLANNED = "replanned"  # another version of the content takes the place of one that was never posted
    CANCELLED = "cancelled"
    HUMAN_ABSENT = "human_absent"  # a person looked: it is not posted


_S, _E = State, Event
TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (_S.PLANNED, _E.CHECKED): _S.READY,
        (_S.PLANNED, _E.REFUSED): _S.FAILED_PERMANENT,
        (_S.PLANNED, _E.CANCELLED): _S.CANCELLED,
        (_S.PLANNED, _E.REPLANNED): _S.PLANNED,
        (_S.READY, _E.CLAIMED): _S.SENDING,
        (_S.READY, _E.REFUSED): _S.FAILED_PERMANENT,
        (_S.READY, _E.CANCELLED): _S.CANCELLED,
        (_S.READY, _E.REPLANNED): _S.PLANNED,
        (_S.SENDING, _E.RECEIPT): _S.CONFIRMED,
        (_S.SENDING, _E.TROUBLE): _S.AMBIGUOUS,
        (_S.SENDING, _E.LEASE_ENDED): _S.AMBIGUOUS,
        (_S.SENDING, _E.REFUSED): _S.FAILED_PERMANENT,
        (_S.AMBIGUOUS, _E.RECEIPT): _S.CONFIRMED,
        (_S.AMBIGUOUS, _E.ABSENT): _S.READY,
        (_S.AMBIGUOUS, _E.UNKNOWABLE): _S.NEEDS_HUMAN,
        (_S.NEEDS_HUMAN, _E.RECEIPT): _S.CONFIRMED,
        (_S.NEEDS_HUMAN, _E.HUMAN_ABSENT): _S.READY,
        (_S.NEEDS_HUMAN, _E.CANCELLED): _S.CANCELLED,
        (_S.FAILED_PERMANENT, _E.REPLANNED): _S.PLANNED,
        # a late answer of a send that was given up is still the truth
        (_S.READY, _E.RECEIPT): _S.CONFIRMED,
        (_S.FAILED_PERMANENT, _E.RECEIPT): _S.CONFIRMED,
        (_S.CANCELLED, _E.RECEIPT): _S.CONFIRMED,
    }
)

ENDED = frozenset({State.CONFIRMED, State.FAILED_PERMANENT, State.CANCELLED, State.NEEDS_HUMAN})


def next_state(state: State | str, event: Event) -> State:
    """The state after the event; `CONFLICT` if the event cannot happen in this state."""
    known = State(state)
    if (known, event) not in TRANSITIONS:
        possible = sorted(e.value for s, e in TRANSITIONS if s is known)
        raise ChimeraError(
            "CONFLICT",
            f"{event.value!r} cannot happen to a publication that is {known};"
            f" possible: {', '.join(possible) or 'nothing'}",
            {"state": known.value, "event": event.value, "possible": possible},
        )
    return TRANSITIONS[known, event]


def lease_end(grant_expires_at: datetime) -> datetime:
    """When a claim's worker surely no longer sends: it begins before the grant ends and takes SEND_LIMIT."""
    return grant_expires_at + SEND_LIMIT


def absence_is_proof(*, looked_up_at: datetime, lease_until: datetime | None, dedupes_by_key: bool) -> bool:
    """Whether a look-up that found nothing allows another send.

    It does when the look-up was made after the lease (nobody sends any more), or where the platform itself
    gives the first post again for the same idempotency key, so that a second send cannot make a second post.
    """
    return dedupes_by_key or lease_until is None or looked_up_at > lease_until
