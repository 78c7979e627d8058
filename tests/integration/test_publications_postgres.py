"""Publications in Postgres: one row, one claim, one receipt; rules looked at again at the last moment."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chimera.adapters.local.issuer import LocalIssuer
from chimera.adapters.platforms.local_channel import LocalChannel
from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.publications import PostgresPublications
from chimera.domain.ids import new_id
from chimera.domain.models import PublishRequest
from chimera.errors import ChimeraError
from chimera.usecases import publisher as p
from tests.fakes.publishing import HASH, Desk, refused


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One key for all tests: making one takes longer than a test."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def desk(db: Database, tenant: str, tmp_path: Path, keys: Path) -> Desk:
    return Desk(db, tenant, tmp_path, keys)


# --- the straight way


def test_a_judged_video_is_posted_once_and_everything_remembers_it(desk: Desk) -> None:
    content_id = desk.content()
    planned = desk.preflight(content_id)
    assert (planned["state"], planned["status"], planned["post_id"]) == ("READY", "scheduled", None)
    grant = desk.grant(content_id)
    sending = desk.claim(content_id, grant)
    assert (sending["state"], sending["status"], sending["attempts"]) == ("SENDING", "publishing", 1)
    receipt = desk.publish(content_id, grant)
    done = desk.record(content_id, receipt)
    assert (done["state"], done["status"], done["post_id"]) == ("CONFIRMED", "published", receipt["post_id"])
    (content,) = desk.sql("SELECT stage, published_at, state_version FROM content_pipeline WHERE id = %s", content_id)
    assert content["stage"] == "published"
    assert content["published_at"].isoformat() == receipt["published_at"].replace("Z", "+00:00")
    assert content["state_version"] == 1
    (video,) = desk.sql("SELECT platform_ids FROM video_metadata WHERE content_id = %s", content_id)
    assert video["platform_ids"] == {"local": receipt["post_id"]}
    actions = [
        row["action"]
        for row in desk.sql(
            "SELECT action FROM audit_logs WHERE request_id = %s ORDER BY created_at",
            planned["publication_id"],
        )
    ]
    assert actions == ["publication.checked", "publication.claimed", "publication.receipt"]


def test_what_is_posted_is_what_the_brief_says_and_only_media_that_platforms_know(desk: Desk) -> None:
    content_id = desk.content()
    desk.preflight(content_id)
    request = PublishRequest.model_validate(desk.row(content_id)["request"])
    assert (request.title, request.description) == ("Why octopuses dream", "What the study saw.")
    assert (request.tags, request.sources) == (["octopus"], ["https://example.org/study"])
    assert (request.ai_generated, request.duration_seconds, request.content_hash) == (True, 41.5, HASH)
    assert list(request.media) == ["video"]


def test_every_step_may_be_repeated(desk: Desk) -> None:
    content_id = desk.content()
    assert desk.preflight(content_id) == desk.preflight(content_id)
    grant = desk.grant(content_id)
    first = desk.claim(content_id, grant)
    again = desk.claim(content_id, grant)
    assert {**first, "settle_seconds": 0} == {**again, "settle_seconds": 0}
    receipt = desk.publish(content_id, grant)
    assert desk.publish(content_id, grant)["post_id"] == receipt["post_id"]
    assert desk.record(content_id, receipt) == desk.record(content_id, receipt)
    assert desk.platform.sends == 1


def test_published_before_gives_the_first_receipt_and_sends_nothing(desk: Desk) -> None:
    content_id, grant = desk.claimed()
    first = desk.record(content_id, desk.publish(content_id, grant))
    desk.sql("UPDATE content_pipeline SET content_hash = %s WHERE id = %s", "cd" * 32, content_id)
    assert desk.preflight(content_id) == first
    refused("CONFLICT", desk.grant, content_id)
    assert desk.platform.sends == 1


def test_the_local_channel_goes_the_same_way(desk: Desk, tmp_path: Path) -> None:
    class Lenient(LocalChannel):
        def preflight(self, request: PublishRequest) -> list[str]:
            return []  # the bytes are no video

    desk.platform = Lenient(tmp_path / "channel", desk.media, "http://127.0.0.1:8787")
    content_id, grant = desk.claimed()
    assert desk.record(content_id, desk.publish(content_id, grant))["state"] == "CONFIRMED"
    assert (tmp_path / "channel" / "feed.xml").read_text().count("<item>") == 1


def test_a_dry_run_says_what_would_be_posted_and_enters_nothing(desk: Desk) -> None:
    content_id = desk.content()
    desk.platform.problems = ["the video is too square"]
    event = p.Preflight(tenant_id=desk.tenant, content_id=content_id, channel_id="local")
    shown = p.dry_run(event, desk.rows, desk.platforms)
    assert shown["problems"] == ["the video is too square"]
    assert shown["request"]["title"] == "Why octopuses dream"
    assert desk.rows.of_content(content_id) == []


# --- who may publish what, where


@pytest.mark.parametrize("verdict", ["review", "reject", None])
def test_without_a_pass_or_an_approval_nothing_goes_out(desk: Desk, verdict: str | None) -> None:
    refused("POLICY_VIOLATION", desk.preflight, desk.content(verdict=verdict))


@pytest.mark.parametrize(
    ("verdict", "status", "in_advance", "allowed"),
    [
        ("review", "approved", False, True),
        ("review", "approved", True, True),
        (None, "approved", False, True),
        ("reject", "approved", False, True),  # a person saw it and decided
        ("reject", "approved", True, False),  # nobody saw it
        ("review", "pending", False, False),
        ("review", "expired", False, False),
        ("pass", "rejected", False, False),
        ("pass", "pending", False, True),
    ],
)
def test_judge_and_person_decide_together(
    desk: Desk, verdict: str | None, status: str, in_advance: bool, allowed: bool
) -> None:
    content_id = desk.content(verdict=verdict)
    desk.reviewed(content_id, status, in_advance=in_advance)
    if allowed:
        assert desk.preflight(content_id)["state"] == "READY"
    else:
        refused("POLICY_VIOLATION", desk.preflight, content_id)


def test_an_approval_is_for_its_version_only(desk: Desk) -> None:
    content_id = desk.content(verdict="review")
    desk.reviewed(content_id, "approved", content_hash="cd" * 32)
    refused("POLICY_VIOLATION", desk.preflight, content_id)


def test_the_newest_report_counts(desk: Desk) -> None:
    content_id = desk.content()
    with desk.db.transaction(desk.tenant) as tx:
        desk.judge(tx, content_id, "review", policy="2")
    refused("POLICY_VIOLATION", desk.preflight, content_id)


def test_only_channels_that_are_connected_and_that_the_persona_lists(desk: Desk) -> None:
    content_id = desk.content()
    refused("FORBIDDEN", desk.preflight, content_id, "nowhere")
    desk.sql("INSERT INTO channels (id, platform, name) VALUES ('other', 'local', 'Other')")
    refused("FORBIDDEN", desk.preflight, content_id, "other")
    desk.sql("UPDATE channels SET connected = false WHERE id = 'local'")
    refused("FORBIDDEN", desk.preflight, content_id)


def test_unfinished_unknown_and_foreign_content(desk: Desk, new_tenant: Callable[..., str]) -> None:
    refused("CONFLICT", desk.preflight, desk.content(content_hash=None))
    refused("NOT_FOUND", desk.preflight, new_id())
    refused("NOT_FOUND", desk.preflight, "' OR 1=1 --")
    content_id = desk.content()
    desk.preflight(content_id)
    stranger = PostgresPublications(desk.db, new_tenant())
    refused("NOT_FOUND", stranger.subject, content_id, "local")
    refused("NOT_FOUND", stranger.get, desk.scope(content_id)["publication_id"])
    assert stranger.page(10, None) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE controls SET state = 'STOP'", "SYSTEM_STOPPED"),
        ("UPDATE controls SET state = 'PAUSE_PUBLISH'", "PUBLISHING_PAUSED"),
        ("UPDATE channels SET connected = false", "FORBIDDEN"),
        ("UPDATE personas SET channels = '{}'", "FORBIDDEN"),
        ("UPDATE content_pipeline SET content_hash = 'another'", "CONFLICT"),
    ],
)
def test_the_rules_are_looked_at_again_at_the_last_moment(desk: Desk, change: str, code: str) -> None:
    content_id = desk.content()
    desk.preflight(content_id)
    grant = desk.grant(content_id)
    desk.sql(change)
    error = refused(code, desk.claim, content_id, grant)
    assert desk.row(content_id)["state"] == "READY"
    assert error.code in error.body()["error"]["code"]


def test_a_person_s_no_after_the_grant_counts(desk: Desk) -> None:
    content_id = desk.content()
    desk.preflight(content_id)
    grant = desk.grant(content_id)
    desk.reviewed(content_id, "rejected")
    refused("POLICY_VIOLATION", desk.claim, content_id, grant)


def test_no_switch_at_all_means_stop_and_a_spending_pause_does_not(
    desk: Desk, database_urls: Any, new_tenant: Callable[..., str]
) -> None:
    content_id = desk.content()
    desk.preflight(content_id)
    desk.sql("UPDATE controls SET state = 'PAUSE_SPEND'")
    grant = desk.grant(content_id)
    with psycopg.connect(database_urls.super) as admin:
        admin.execute("DELETE FROM controls WHERE tenant_id = %s", (desk.tenant,))
    refused("SYSTEM_STOPPED", desk.claim, content_id, grant)
    desk.sql("INSERT INTO controls (state, changed_by) VALUES ('PAUSE_SPEND', 'ada')")
    assert desk.claim(content_id, grant)["state"] == "SENDING"


# --- grants


def test_a_grant_is_good_for_one_claim(desk: Desk) -> None:
    content_id = desk.content()
    desk.preflight(content_id)
    first, second = desk.grant(content_id), desk.grant(content_id)
    desk.claim(content_id, first)
    refused("CONFLICT", desk.claim, content_id, second)
    desk.trouble(content_id, None)
    desk.after_the_lease(content_id)
    assert desk.resolve(content_id)["state"] == "READY"
    refused("CONFLICT", desk.claim, content_id, first)  # used up, and not revived by the new READY
    refused("CONFLICT", desk.claim, content_id, second)
    assert desk.claim(content_id, desk.grant(content_id))["attempts"] == 2


def test_of_many_claims_at_once_one_wins(desk: Desk, database_urls: Any) -> None:
    content_id = desk.content()
    desk.preflight(content_id)
    scope = desk.scope(content_id)
    grants = [desk.grant(content_id) for _ in range(6)]
    won: list[str] = []

    def race(grant: str) -> None:
        own = Database(database_urls.app)
        try:
            rows = PostgresPublications(own, desk.tenant)
            p.claim(p.Granted.model_validate({**scope, "grant": grant}), rows, desk.issuer)
            won.append(grant)
        except ChimeraError as error:
            assert error.code == "CONFLICT"
        finally:
            own.close()

    threads = [threading.Thread(target=race, args=(grant,)) for grant in grants]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert desk.row(content_id)["attempts"] == 1


def test_a_grant_is_for_its_content_channel_and_request(desk: Desk) -> None:
    content_id, other = desk.content(), desk.content()
    desk.preflight(content_id)
    desk.preflight(other)
    grant = desk.grant(other)
    refused("FORBIDDEN", desk.claim, content_id, grant)
    refused("FORBIDDEN", desk.publish, content_id, grant)
    grant = desk.grant(content_id)
    desk.claim(content_id, grant)
    scope = p.PublicationScope.model_validate(desk.scope(content_id))
    changed = json.loads(desk.media.get_bytes(scope.request_key)) | {"title": "Buy this"}
    desk.media.put_bytes(scope.request_key, json.dumps(changed).encode())
    refused("FORBIDDEN", desk.publish, content_id, grant)
    assert desk.platform.sends == 0


def test_a_new_version_makes_older_grants_worthless(desk: Desk) -> None:
    content_id = desk.content()
    desk.preflight(content_id)
    old = desk.grant(content_id)
    desk.sql("UPDATE content_pipeline SET content_hash = 'new' WHERE id = %s", content_id)
    with desk.db.transaction(desk.tenant) as tx:
        desk.judge(tx, content_id, "pass", "new")
    assert desk.preflight(content_id)["content_hash"] == "new"
    refused("FORBIDDEN", desk.claim, content_id, old)
    assert desk.claim(content_id, desk.grant(content_id))["state"] == "SENDING"


def test_tokens_that_are_no_grants_are_refused(desk: Desk, tmp_path: Path) -> None:
    content_id = desk.content()
    desk.preflight(content_id)
    person = desk.issuer.person_token("ada", desk.tenant, ["admin"])
    bare = desk.issuer.mint(subject="x", audience="publisher", ttl_seconds=60, claims={})
    stranger = LocalIssuer(tmp_path / "stranger")
    row = desk.row(content_id)
    claims = {
        "publication_id": str(row["id"]),
        "content_hash": HASH,
        "channel_id": "local",
        "request_sha256": "",
        "state_version": row["state_version"],
        "attempt": 1,
    }
    foreign = stranger.mint(subject="publisher", audience="publisher", ttl_seconds=60, claims=claims)
    long = desk.issuer.mint(subject="publisher", audience="publisher", ttl_seconds=301, claims=claims)
    for token in (person, bare, foreign, long, "", "a.b.c"):
        refused("UNAUTHENTICATED", desk.claim, content_id, token)
        refused("UNAUTHENTICATED", desk.publish, content_id, token)
    assert desk.platform.sends == 0


# --- reading


def test_pages_are_newest_first_complete_and_filtered(desk: Desk) -> None:
    made = [desk.preflight(desk.content())["publication_id"] for _ in range(5)]
    seen: list[str] = []
    before = None
    while page := desk.rows.page(2, before):
        seen += [str(row["id"]) for row in page]
        before = (page[-1]["created_at"].isoformat(), str(page[-1]["id"]))
    assert seen == made[::-1]
    desk.rows.cancel(made[0])
    assert [str(row["id"]) for row in desk.rows.page(10, None, status="failed")] == made[:1]
    assert len(desk.rows.page(10, None, status="scheduled", platform="local")) == 4
    assert desk.rows.page(10, None, platform="youtube") == []
