"""When a send breaks: nothing is sent again before a look-up, late answers count, in the end a person is asked."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from chimera.adapters.local.clock import SystemClock
from chimera.adapters.local.issuer import LocalIssuer
from chimera.adapters.postgres.database import Database
from chimera.domain.models import PublishRequest
from chimera.domain.publication import GRANT_TTL, MAX_ATTEMPTS, MAX_LOOKUPS, SEND_LIMIT
from chimera.errors import ChimeraError
from tests.fakes.publishing import Desk, refused


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One key for all tests: making one takes longer than a test."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def desk(db: Database, tenant: str, tmp_path: Path, keys: Path) -> Desk:
    return Desk(db, tenant, tmp_path, keys)


@pytest.mark.parametrize(
    "trouble",
    [
        TimeoutError("timed out"),
        ConnectionResetError("reset"),
        ChimeraError("PROVIDER_TIMEOUT", "no answer"),
        ChimeraError("INTERNAL", "500"),
        KeyError("id"),
    ],
)
@pytest.mark.parametrize("lost", [False, True])
def test_a_send_that_broke_is_looked_up_before_anything_else(desk: Desk, trouble: Exception, lost: bool) -> None:
    desk.platform.trouble, desk.platform.lost = trouble, lost
    content_id, grant = desk.claimed()
    error = refused("OUTCOME_UNKNOWN", desk.publish, content_id, grant)
    unclear = desk.trouble(content_id, error)
    assert (unclear["state"], unclear["status"]) == ("AMBIGUOUS", "unknown")
    assert unclear["settle_seconds"] <= 10  # our worker said so itself: it sends no more
    desk.platform.trouble, desk.platform.lost = None, False
    desk.after_the_lease(content_id)
    state = desk.resolve(content_id)["state"]
    if lost:
        assert state == "READY"
        grant = desk.grant(content_id)
        desk.claim(content_id, grant)
        desk.record(content_id, desk.publish(content_id, grant))
    assert desk.row(content_id)["state"] == "CONFIRMED"
    assert len(desk.platform.posts) == 1
    assert desk.platform.sends == 1 + lost


@pytest.mark.parametrize(
    "error",
    [
        ChimeraError("PROVIDER_REJECTED", "credentials"),
        ChimeraError("POLICY_VIOLATION", "nudity"),
        ChimeraError("FILE_TOO_LARGE", "too large"),
    ],
)
def test_a_refusal_is_final_and_said(desk: Desk, error: ChimeraError) -> None:
    desk.platform.trouble, desk.platform.lost = error, True
    content_id, grant = desk.claimed()
    raised = refused(error.code, desk.publish, content_id, grant)
    failed = desk.trouble(content_id, raised)
    assert (failed["state"], failed["status"]) == ("FAILED_PERMANENT", "failed")
    assert failed["error"]["code"] == error.code
    assert desk.preflight(content_id)["state"] == "FAILED_PERMANENT"


def test_what_the_platform_would_refuse_is_not_sent(desk: Desk) -> None:
    desk.platform.problems = ["too long", "too square"]
    content_id, grant = desk.claimed()
    error = refused("VALIDATION_FAILED", desk.publish, content_id, grant)
    assert error.details["problems"] == ["too long", "too square"]
    assert desk.trouble(content_id, error)["state"] == "FAILED_PERMANENT"
    assert desk.platform.sends == 0
    desk.sql("UPDATE content_pipeline SET content_hash = 'shorter' WHERE id = %s", content_id)
    with desk.db.transaction(desk.tenant) as tx:
        desk.judge(tx, content_id, "pass", "shorter")
    assert desk.preflight(content_id)["state"] == "READY"  # another version gets its chance


def test_a_late_error_does_not_touch_a_later_claim(desk: Desk) -> None:
    desk.platform.trouble, desk.platform.lost = TimeoutError(), True
    content_id, grant = desk.claimed()
    unknown = refused("OUTCOME_UNKNOWN", desk.publish, content_id, grant)
    desk.trouble(content_id, unknown)
    desk.after_the_lease(content_id)
    desk.resolve(content_id)
    desk.claim(content_id, desk.grant(content_id))
    late = ChimeraError("PROVIDER_REJECTED", "late", {"attempt": 1})
    assert desk.trouble(content_id, late)["state"] == "SENDING"
    assert desk.trouble(content_id, unknown)["state"] == "SENDING"
    assert desk.trouble(content_id, ChimeraError("CONFLICT", "lost a race"))["state"] == "AMBIGUOUS"


def test_a_step_that_timed_out_keeps_its_lease(desk: Desk) -> None:
    content_id, _ = desk.claimed()
    unclear = desk.trouble(content_id, None)
    assert unclear["state"] == "AMBIGUOUS"
    assert 100 < unclear["settle_seconds"] <= (GRANT_TTL + SEND_LIMIT).total_seconds() + 2
    assert desk.resolve(content_id)["state"] == "AMBIGUOUS"  # looked up too early: no proof
    desk.platform.dedupes_by_key = True
    assert desk.resolve(content_id)["state"] == "READY"  # here a second send could not make a second post


def test_a_silent_worker_is_ambiguous_when_its_lease_ends(desk: Desk) -> None:
    content_id, grant = desk.claimed()
    assert desk.rows.unsettled() == []
    desk.after_the_lease(content_id)
    assert [str(row["content_id"]) for row in desk.rows.unsettled()] == [content_id]
    refused("CONFLICT", desk.claim, content_id, grant)
    assert desk.resolve(content_id)["state"] == "READY"


def test_a_look_up_from_before_the_lease_ended_proves_nothing(desk: Desk) -> None:
    content_id, _ = desk.claimed()
    early = desk.find(content_id)
    assert early["outcome"] == "absent"
    desk.trouble(content_id, None)
    desk.sql("UPDATE publications SET lease_until = clock_timestamp() WHERE content_id = %s", content_id)
    assert desk.resolve(content_id, early)["state"] == "AMBIGUOUS"
    assert desk.resolve(content_id)["state"] == "READY"


def test_a_step_run_again_after_a_crash_does_not_send_again(desk: Desk) -> None:
    """The worker died after its send and before its answer; the post is not shown yet."""
    content_id, grant = desk.claimed()
    desk.platform.lost = True
    desk.publish(content_id, grant)  # the answer is never heard
    refused("OUTCOME_UNKNOWN", desk.publish, content_id, grant)
    assert desk.platform.sends == 1


@pytest.mark.parametrize("dedupes", [True, False])
def test_a_resumed_run_with_an_expired_grant_looks_instead_of_sending(desk: Desk, keys: Path, dedupes: bool) -> None:
    class Past(SystemClock):
        def now(self) -> datetime:
            return super().now() - timedelta(hours=1)

    desk.platform.dedupes_by_key = dedupes
    content_id, grant = desk.claimed()
    present, desk.issuer = desk.issuer, LocalIssuer(keys, Past())
    claims = present.verify(grant, "publisher")
    own = {k: v for k, v in claims.items() if k not in {"exp", "iat", "iss", "jti", "sub", "aud"}}
    old = desk.issuer.mint(subject="publisher", audience="publisher", ttl_seconds=60, claims=own)
    error = refused("OUTCOME_UNKNOWN", desk.publish, content_id, old)
    unclear = desk.trouble(content_id, error)
    assert unclear["state"] == "AMBIGUOUS"
    assert (unclear["settle_seconds"] < 10) is dedupes  # a deduping platform needs no waiting for the first worker
    assert desk.platform.sends == 0
    desk.platform.posts.append(desk.scope(content_id)["publication_id"])
    assert desk.publish(content_id, old)["status"] == "published"


def test_a_platform_that_cannot_tell_ends_with_a_person(desk: Desk) -> None:
    content_id, _ = desk.claimed()
    desk.trouble(content_id, None)
    desk.platform.blind = True
    states = [desk.resolve(content_id)["state"] for _ in range(MAX_LOOKUPS)]
    assert states == ["AMBIGUOUS"] * (MAX_LOOKUPS - 1) + ["NEEDS_HUMAN"]
    row = desk.row(content_id)
    assert row["status"] == "unknown"
    assert desk.rows.person_found_nothing(str(row["id"]), by="ada")["state"] == "READY"
    grant = desk.grant(content_id)
    desk.platform.blind = False
    desk.claim(content_id, grant)
    assert desk.record(content_id, desk.publish(content_id, grant))["state"] == "CONFIRMED"


def test_a_look_up_without_an_answer_at_all_counts_as_unknown(desk: Desk) -> None:
    content_id, _ = desk.claimed()
    desk.trouble(content_id, None)
    assert desk.resolve(content_id, {"outcome": "unknown"})["state"] == "AMBIGUOUS"
    assert desk.row(content_id)["lookups"] == 1


def test_after_enough_lost_sends_a_person_is_asked(desk: Desk) -> None:
    desk.platform.trouble, desk.platform.lost = TimeoutError(), True
    content_id = desk.content()
    desk.preflight(content_id)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        grant = desk.grant(content_id)
        desk.claim(content_id, grant)
        desk.trouble(content_id, refused("OUTCOME_UNKNOWN", desk.publish, content_id, grant))
        desk.after_the_lease(content_id)
        assert desk.resolve(content_id)["state"] == ("NEEDS_HUMAN" if attempt == MAX_ATTEMPTS else "READY")


def test_a_receipt_that_comes_late_is_still_the_truth(desk: Desk) -> None:
    content_id, grant = desk.claimed()
    receipt = desk.publish(content_id, grant)
    desk.platform.posts.clear()  # the list does not show it yet
    desk.trouble(content_id, None)
    desk.after_the_lease(content_id)
    assert desk.resolve(content_id)["state"] == "READY"
    assert desk.record(content_id, receipt)["state"] == "CONFIRMED"


def test_two_posts_of_one_publication_are_an_alarm(desk: Desk) -> None:
    content_id, grant = desk.claimed()
    receipt = desk.publish(content_id, grant)
    desk.record(content_id, receipt)
    error = refused("CONFLICT", desk.record, content_id, {**receipt, "post_id": "another"})
    assert error.details["second"] == "another"


def test_receipts_that_do_not_fit_are_refused(desk: Desk) -> None:
    content_id = desk.content()
    desk.preflight(content_id)
    grant = desk.grant(content_id)
    request = PublishRequest.model_validate(desk.row(content_id)["request"])
    receipt = desk.platform._receipt(request).model_dump(mode="json")
    refused("CONFLICT", desk.record, content_id, receipt)  # nothing was ever sent
    desk.claim(content_id, grant)
    refused("VALIDATION_FAILED", desk.record, content_id, {**receipt, "post_id": None})
    refused("VALIDATION_FAILED", desk.record, content_id, {**receipt, "platform": "youtube"})
    refused("VALIDATION_FAILED", desk.record, content_id, {**receipt, "idempotency_key": "x"})


def test_what_is_not_sent_can_be_cancelled(desk: Desk) -> None:
    content_id = desk.content()
    publication_id = desk.preflight(content_id)["publication_id"]
    assert desk.rows.cancel(publication_id)["state"] == desk.rows.cancel(publication_id)["state"] == "CANCELLED"
    assert desk.preflight(content_id)["state"] == "CANCELLED"
    sent, _ = desk.claimed()
    refused("CONFLICT", desk.rows.cancel, desk.scope(sent)["publication_id"])
