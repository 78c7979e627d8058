"""A tenant's publisher for tests: the steps as the state machine calls them, over a platform that can break."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from chimera.adapters.local.clock import SystemClock
from chimera.adapters.local.issuer import LocalIssuer
from chimera.adapters.local.media import FolderMediaStore
from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.publications import PostgresPublications
from chimera.adapters.postgres.tenancy import persona_id
from chimera.domain.ids import new_id
from chimera.domain.models import EngagementMetrics, PublishRequest, Receipt
from chimera.errors import ChimeraError
from chimera.ports import Platform
from chimera.usecases import publisher as p

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
                " media, content_hash) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    content_id,
                    task_id,
                    trend_id,
                    persona_id(self.tenant),
                    columns.get("stage", "ready"),
                    columns.get("format", "video"),
                    Jsonb(brief),
                    Jsonb({"video": video, "manifest": "not/for/platforms.json"}),
                    content_hash,
                ),
            )
            if columns.get("format", "video") == "video":
                tx.execute(
                    "INSERT INTO video_metadata (id, content_id, title, duration_seconds, width, height, fps,"
                    " file_size_bytes, sha256, video_url) VALUES (%s, %s, 't', 41.5, 1080, 1920, 30, 1000, encode(sha256(decode(repeat('00', 1000), 'hex')), 'hex'), 's3://x')",
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


def refused(code: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> ChimeraError:
    with pytest.raises(ChimeraError) as caught:
        call(*arguments, **named)
    assert caught.value.code == code, caught.value
    return caught.value
