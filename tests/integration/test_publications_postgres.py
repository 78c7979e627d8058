"""Publications in Postgres: one row, one claim, one receipt; rules looked at again at the last moment."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from chimera.adapters.local.clock import SystemClock
from chimera.adapters.local.issuer import LocalIssuer
from chimera.adapters.local.media import FolderMediaStore
from chimera.adapters.platforms.local_channel import LocalChannel
from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.publications import PostgresPublications
from chimera.adapters.postgres.tenancy import persona_id
from chimera.domain.ids import new_id
from chimera.domain.models import EngagementMetrics, PublishRequest, Receipt
from chimera.domain.publication import GRANT_TTL, MAX_ATTEMPTS, MAX_LOOKUPS, SEND_LIMIT
from chimera.errors import ChimeraError
from chimera.ports import Platform
from chimera.usecases import publisher as p
from psycopg.types.json import Jsonb

HASH = "ab" * 32


@dataclass
class FakePlatform:
    """A platform without dedupe key. `trouble` is raised before (`lost`) or after the post is there."""

    name: str = "local"
    dedupes_by_key: bool = False
    posts: list[str] = field(default_factory=list)
    trouble: Exception | None = None
    lost: bool = False
    blind: bool = False
    problems: list[str] = field(default_factory=list)
    sends: int = 0

    def preflight(self, request: PublishRequest) -> list[str]:
        return self.problems

    def lookup(self, request: PublishRequest) -> Receipt | None:
        if self.blind:
            raise ChimeraError("OUTCOME_UNKNOWN", "the list is stale")
        return self._receipt(request) if request.idempotency_key in self.posts else None

    def publish(self, request: PublishRequest) -> Receipt:
        self.sends += 1
        if not self.lost:
            self.posts.append(request.idempotency_key)
        if self.trouble:
            raise self.trouble
        return self._receipt(request)

    def metrics(self, post_id: str) -> EngagementMetrics:
        return EngagementMetrics()

    def _receipt(self, request: PublishRequest) -> Receipt:
        return Receipt(
            publication_id=request.idempotency_key,
            platform=self.name,
            channel_id=request.channel_id,
            post_id="post-" + request.idempotency_key[:8],
            url="https://example.org/p",
            status="published",
            published_at=datetime.now(UTC),
            attempts=1,
            idempotency_key=request.idempotency_key,
        )


class Desk:
    """The steps of one tenant's publisher, as the state machine calls them: JSON in, JSON out."""

    def __init__(self, db: Database, tenant: str, home: Path, keys: Path) -> None:
        self.tenant = tenant
        self.db = db
        self.rows = PostgresPublications(db, tenant)
        self.media = FolderMediaStore(home / "media")
        self.issuer = LocalIssuer(keys)
        self.platform: Any = FakePlatform()

    @property
    def platforms(self) -> Mapping[str, Platform]:
        return {"local": self.platform}

    def content(self, *, verdict: str | None = "pass", content_hash: str | None = HASH, **columns: Any) -> str:
        """A finished, judged piece of content of the default persona."""
        content_id, task_id, trend_id = new_id(), new_id(), new_id()
        brief = {
            "title": "Why octopuses dream",
            "description": "What the study saw.",
            "hashtags": ["#octopus"],
            "sources": ["https://example.org/study"],
            "language": "en",
            "projected_engagement": 0.05,
            "projected_roi": 2.0,
        }
        video = f"tenants/{self.tenant}/content/{content_id}/video/video.mp4"
        self.media.put_bytes(video, b"\x00" * 1000)
        with self.db.transaction(self.tenant) as tx:
            tx.execute(
                "INSERT INTO trends (id, topic, title, volume, sentiment_score, rising_velocity, published_at,"
                " fetched_at) VALUES (%s, 'sea', 'sea', 1, 0, 0, now(), now())",
                (trend_id,),
            )
            tx.execute("INSERT INTO tasks (id, type) VALUES (%s, 'generate_video')", (task_id,))
            tx.execute(
                "INSERT INTO content_pipeline (id, task_id, trend_source_id, persona_id, stage, format, brief,"
                " media, content_hash) VALUES (%s, %s, %s, %s, %s, 'video', %s, %s, %s)",
                (
                    content_id,
                    task_id,
                    trend_id,
                    persona_id(self.tenant),
                    columns.get("stage", "ready"),
                    Jsonb(brief),
                    Jsonb({"video": video, "manifest": "not/for/platforms.json"}),
                    content_hash,
                ),
            )
            tx.execute(
                "INSERT INTO video_metadata (id, content_id, title, duration_seconds, width, height, fps,"
                " file_size_bytes, sha256, video_url) VALUES (%s, %s, 't', 41.5, 1080, 1920, 30, 1000, 'aa', 's3://x')",
                (new_id(), content_id),
            )
            if verdict and content_hash:
                self.judge(tx, content_id, verdict, content_hash)
        return content_id

    @staticmethod
    def judge(tx: Any, content_id: str, verdict: str, content_hash: str = HASH, policy: str = "1") -> None:
        tx.execute(
            "INSERT INTO safety_reports (id, content_id, content_hash, checks, confidence, verdict,"
            " policy_version) VALUES (%s, %s, %s, '[]', 1, %s, %s)",
            (new_id(), content_id, content_hash, verdict, policy),
        )

    def reviewed(self, content_id: str, status: str, *, content_hash: str = HASH, in_advance: bool = False) -> None:
        with self.db.transaction(self.tenant) as tx:
            tx.execute(
                "INSERT INTO reviews (id, kind, content_id, subject_hash, status, decided_by, in_advance)"
                " VALUES (%s, 'content', %s, %s, %s, 'ada', %s)",
                (new_id(), content_id, content_hash, status, in_advance),
            )

    def sql(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        with self.db.transaction(self.tenant) as tx:
            cursor = tx.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def preflight(self, content_id: str, channel_id: str = "local") -> dict[str, Any]:
        event = p.Preflight(tenant_id=self.tenant, content_id=content_id, channel_id=channel_id)
        return through_json(p.preflight(event, self.rows, self.media))

    def scope(self, content_id: str, **more: Any) -> dict[str, Any]:
        known = self.rows.of_content(content_id)[0]
        return {
            "tenant_id": self.tenant,
            "run_id": "r",
            "content_id": content_id,
            "channel_id": known["channel_id"],
            "publication_id": str(known["id"]),
            **more,
        }

    def grant(self, content_id: str) -> str:
        event = p.PublicationScope.model_validate(self.scope(content_id))
        return str(p.grant(event, self.rows, self.issuer)["grant"])

    def claim(self, content_id: str, grant: str) -> dict[str, Any]:
        event = p.Granted.model_validate(self.scope(content_id, grant=grant))
        return through_json(p.claim(event, self.rows, self.issuer))

    def claimed(self) -> tuple[str, str]:
        """A content that is being sent, and its grant."""
        content_id = self.content()
        self.preflight(content_id)
        grant = self.grant(content_id)
        self.claim(content_id, grant)
        return content_id, grant

    def publish(self, content_id: str, grant: str) -> dict[str, Any]:
        event = p.Granted.model_validate(self.scope(content_id, grant=grant))
        return through_json(p.publish(event, self.platforms, self.media, self.issuer))

    def record(self, content_id: str, receipt: dict[str, Any]) -> dict[str, Any]:
        event = p.RecordReceipt.model_validate(self.scope(content_id, receipt=receipt))
        return through_json(p.record_receipt(event, self.rows))

    def trouble(self, content_id: str, error: Exception | None) -> dict[str, Any]:
        """What the state machine does with an error of `publish`; None is a timeout of the step."""
        failure = {"error": "States.Timeout", "cause": "timed out"}
        if error is not None:
            failure = {"error": type(error).__name__, "cause": json.dumps({"errorMessage": str(error)})}
        event = p.Failed.model_validate(self.scope(content_id, failure=failure))
        step = p.fail if isinstance(error, ChimeraError) and error.code in p.DEFINITIVE else p.mark_ambiguous
        return through_json(step(event, self.rows))

    def find(self, content_id: str) -> dict[str, Any]:
        event = p.PublicationScope.model_validate(self.scope(content_id))
        return through_json(p.find_post(event, self.platforms, self.media, SystemClock()))

    def resolve(self, content_id: str, lookup: dict[str, Any] | None = None) -> dict[str, Any]:
        found = self.find(content_id) if lookup is None else lookup
        event = p.Resolve.model_validate(self.scope(content_id, lookup=found))
        return through_json(p.resolve(event, self.rows))

    def after_the_lease(self, content_id: str) -> None:
        """As if the lease had ended a second ago."""
        self.sql(
            "UPDATE publications SET lease_until = clock_timestamp() - interval '1 second' WHERE content_id = %s",
            content_id,
        )

    def row(self, content_id: str) -> dict[str, Any]:
        return self.rows.of_content(content_id)[0]


def through_json(value: dict[str, Any]) -> dict[str, Any]:
    """As it travels between two functions."""
    text = json.dumps(value)
    assert len(text) < 16_384
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One key for all tests: making one takes longer than a test."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def desk(db: Database, tenant: str, tmp_path: Path, keys: Path) -> Desk:
    return Desk(db, tenant, tmp_path, keys)


def refused(code: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> ChimeraError:
    with pytest.raises(ChimeraError) as caught:
        call(*arguments, **named)
    assert caught.value.code == code, caught.value
    return caught.value


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


# --- when it breaks


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


def test_a_resumed_run_with_an_expired_grant_looks_instead_of_sending(desk: Desk, keys: Path) -> None:
    class Past(SystemClock):
        def now(self) -> datetime:
            return super().now() - timedelta(hours=1)

    content_id, grant = desk.claimed()
    present, desk.issuer = desk.issuer, LocalIssuer(keys, Past())
    claims = present.verify(grant, "publisher")
    own = {k: v for k, v in claims.items() if k not in {"exp", "iat", "iss", "jti", "sub", "aud"}}
    old = desk.issuer.mint(subject="publisher", audience="publisher", ttl_seconds=60, claims=own)
    error = refused("OUTCOME_UNKNOWN", desk.publish, content_id, old)
    assert desk.trouble(content_id, error)["state"] == "AMBIGUOUS"
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
