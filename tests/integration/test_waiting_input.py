"""What the waiting states show: the review opened once, links that end, an address that lasts, nothing secret."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chimera.adapters.local.media import FolderMediaStore
from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.reviews import PostgresReviews
from chimera.domain.ids import new_id
from chimera.errors import ChimeraError
from chimera.usecases.production import MadeContent
from chimera.usecases.review import RequestApproval, request_approval, spend_hash
from chimera.usecases.scope import Scope
from chimera.usecases.waiting import PrepareApproval, PrepareReview, prepare_approval, prepare_review

HASH = "ab" * 32
BASE = "https://studio.example.org/"


class Noon:
    def now(self) -> datetime:
        return datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Linking(FolderMediaStore):
    """Notes for how long each link was asked."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: dict[str, int] = {}

    def url(self, key: str, *, expires_seconds: int = 300) -> str:
        self.asked[key] = expires_seconds
        return f"https://media.example.org/{key}?X-Amz-Security-Token={'t' * 1200}"


class FakeReviews:
    """One row for each version, whoever asks."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], dict[str, Any]] = {}

    def open(self, kind: str, subject_id: str, subject_hash: str, reason: str) -> dict[str, Any]:
        new = {"id": new_id(), "kind": kind, "subject_hash": subject_hash, "reason": reason}
        return self.rows.setdefault((kind, subject_id, subject_hash), new)


@pytest.fixture
def made(tmp_path: Path) -> MadeContent:
    ids = {"tenant_id": new_id(), "run_id": new_id(), "task_id": new_id(), "content_id": new_id()}
    event = Scope.model_validate(ids)
    content = MadeContent(Linking(tmp_path), event)
    files = {name: {"key": event.key("video", f"{name}.bin")} for name in ("video", "vtt", "poster")}
    content.write("reports", "render.json", {"files": files})
    brief = {
        "brief_id": "b", "trend_id": "t", "title": "Tides", "script": "s", "estimated_cost": "0.01", "duration_seconds": 20,
        "scenes": [{"narration": "n", "visual_prompt": "v"}], "projected_engagement": 1.0, "projected_roi": 2.0,
        "writer": {"provider": "offline", "model": "offline", "prompt_version": "1"},
    }  # fmt: skip
    content.write("brief", "brief.json", brief)
    return content


def test_a_review_is_shown_with_links_that_end_and_an_address_that_lasts(made: MadeContent) -> None:
    reviews: Any = FakeReviews()
    event = PrepareReview.model_validate(
        {**made.scope.model_dump(), "content_hash": HASH, "reason": "claims: " + "x" * 5000, "confidence": 0.7}
    )
    shown = prepare_review(event, reviews, made, Noon(), BASE)
    again = prepare_review(event, reviews, made, Noon(), BASE)
    assert again == shown and len(reviews.rows) == 1
    address = f"https://studio.example.org/v1/reviews/{shown['review_id']}"
    assert (shown["review"], shown["approve"], shown["reject"]) == (
        address,
        f"POST {address}/approve",
        f"POST {address}/reject",
    )
    assert (shown["title"], shown["verdict"], shown["subject_hash"]) == ("Tides", "review", HASH)
    assert set(shown["links"]) == {"video", "vtt", "judge_report", "technical_report"}
    media: Any = made.media
    assert set(media.asked.values()) == {300}, "no link lives longer than five minutes"
    assert shown["links_end_at"] == "2026-11-21T12:05:00Z"
    assert shown["why"].startswith("claims: ") and len(shown["why"]) == 1000
    assert len(json.dumps(shown)) < 16_000, "small enough to read, even with AWS's long links"


def test_a_spend_is_shown_with_what_is_asked(made: MadeContent) -> None:
    reviews: Any = FakeReviews()
    request = {
        "request_id": new_id(),
        "request_cost": "120.00",
        "request_type": "compute",
        "agent_id": "a",
        "token": "no",
    }
    event = PrepareApproval.model_validate(
        {**made.scope.model_dump(), "request": request, "approval": {"reason": "over the threshold", "token": "no"}}
    )
    shown = prepare_approval(event, reviews, BASE)
    assert shown["kind"] == "spend" and shown["why"] == "over the threshold"
    assert shown["request"] == {k: request[k] for k in ("request_id", "request_cost", "request_type")}
    assert shown["subject_hash"] == spend_hash(request)


def test_the_opened_review_is_the_one_that_is_waited_for(db: Database, tenant: str, made: MadeContent) -> None:
    rows = PostgresReviews(db, tenant)
    request = {"request_id": new_id(), "request_cost": "120.00"}
    ids = {**made.scope.model_dump(), "tenant_id": tenant, "request": request}
    shown = prepare_approval(PrepareApproval.model_validate(ids), rows, BASE)
    assert shown["review_id"] == prepare_approval(PrepareApproval.model_validate(ids), rows, BASE)["review_id"]
    assert rows.get(shown["review_id"])["waits"] is False

    class Answers:
        def __init__(self) -> None:
            self.given: dict[str, Any] = {}

        def send_task_success(self, token: str, output: dict[str, Any]) -> None:
            self.given[token] = output

    workflows: Any = Answers()
    rows.decide(shown["review_id"], "approved", "ada", "", spend_hash(request))  # quicker than the machine
    waited = request_approval(RequestApproval.model_validate({**ids, "task_token": "token"}), rows, workflows)
    assert waited["review_id"] == shown["review_id"]
    assert workflows.given["token"]["decision"] == "approved", "a decision before anybody waited is not lost"
    with pytest.raises(ChimeraError, match="content"):
        rows.open("content", "no-uuid", HASH, "")
