"""What a person finds in a waiting state's input: the review, where to decide, and links that open for a few minutes.

The input stays for weeks in the execution's history, and whoever may read the history may read it. So it carries no
secret that lasts: presigned links end after five minutes, and the review's address, which asks who one is, gives new ones.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

from pydantic import Field

from chimera.domain.cards import card_kinds
from chimera.ports import Clock, ReviewRows
from chimera.usecases.production import MadeContent
from chimera.usecases.review import spend_hash
from chimera.usecases.scope import Scope

LINK_SECONDS = 300
LINKED = ("video", "vtt")
LINKED_CARDS = 4
REPORTS = {"judge_report": "judge.json", "technical_report": "technical.json"}
LONGEST_REASON = 1000


class PrepareReview(Scope):
    """Input of `prepare_review`."""

    content_hash: str
    reason: str = ""
    verdict: str = "review"
    confidence: float | None = None


class PrepareApproval(Scope):
    """Input of `prepare_approval`: the request that the CFO escalated, and its answer."""

    request: dict[str, Any]
    approval: dict[str, Any] = Field(default={})


def prepare_review(
    event: PrepareReview, reviews: ReviewRows, made: MadeContent, clock: Clock, base_url: str
) -> dict[str, Any]:
    """Open the review of this version and tell where to look and decide; again is the same review with fresh links."""
    row = reviews.open("content", event.content_id, event.content_hash, event.reason)
    media, scope = made.media, made.scope
    files = made.read("reports", "render.json")["files"]
    keys = {name: files[name]["key"] for name in LINKED if name in files}
    # of an image post, as many cards as a state's output has room for; the review's address has them all
    keys |= {name: files[name]["key"] for name in [*card_kinds(files)[:LINKED_CARDS], "post"] if name in files}
    keys |= {name: scope.key("reports", file) for name, file in REPORTS.items()}
    ends = clock.now() + timedelta(seconds=LINK_SECONDS)
    return {
        **_question(row, base_url),
        "content_id": event.content_id,
        "title": made.brief().title,
        "verdict": event.verdict,
        "confidence": event.confidence,
        "why": event.reason[:LONGEST_REASON],
        "links": {name: media.url(key, expires_seconds=LINK_SECONDS) for name, key in keys.items()},
        "links_end_at": ends.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }


def prepare_approval(event: PrepareApproval, reviews: ReviewRows, base_url: str) -> dict[str, Any]:
    """Open the question about an escalated spend; again is the same question."""
    request = event.request
    reason = str(event.approval.get("reason") or "")
    row = reviews.open("spend", str(request.get("request_id")), spend_hash(request), reason)
    asked = ("request_id", "request_type", "request_cost", "currency", "projected_roi", "justification")
    return {
        **_question(row, base_url),
        "content_id": event.content_id,
        "request": {name: request[name] for name in asked if name in request},
        "why": reason[:LONGEST_REASON],
    }


def _question(row: dict[str, Any], base_url: str) -> dict[str, Any]:
    address = f"{base_url.rstrip('/')}/v1/reviews/{quote(str(row['id']))}"
    return {
        "review_id": str(row["id"]),
        "kind": row["kind"],
        "subject_hash": row["subject_hash"],
        "review": address,
        "approve": f"POST {address}/approve",
        "reject": f"POST {address}/reject",
    }
