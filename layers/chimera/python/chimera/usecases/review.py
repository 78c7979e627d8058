"""Review: a person decides about one version; the waiting run is told, even if we die in between."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import Field

from chimera.domain.models import Model
from chimera.errors import ChimeraError
from chimera.ports import ReviewRows, Row, Workflows
from chimera.usecases.scope import Scope


class RequestReview(Scope):
    """Input of `request_review`."""

    content_hash: str
    reason: str = ""
    task_token: str


class ApproveInAdvance(Scope):
    """Input of `approve_in_advance`."""

    content_hash: str
    by: str = "the person at the keyboard"


class RequestApproval(Scope):
    """Input of `request_approval`: the request that the CFO escalated, its answer, the token that waits."""

    request: dict[str, Any]
    approval: dict[str, Any] = Field(default={})
    task_token: str


class Decide(Model):
    """A person's decision; `expected_hash` is the version they saw."""

    review_id: str
    decision: Literal["approved", "rejected"]
    by: str = Field(min_length=1, max_length=200)
    note: str = Field(default="", max_length=2000)
    expected_hash: str = Field(min_length=1, max_length=200)


def request_review(event: RequestReview, reviews: ReviewRows, workflows: Workflows) -> dict[str, Any]:
    """Put this version of the content before a person; decided already, the run hears it at once."""
    row = reviews.request("content", event.content_id, event.content_hash, event.reason, event.task_token)
    return _told(row, reviews, workflows)


def request_approval(event: RequestApproval, reviews: ReviewRows, workflows: Workflows) -> dict[str, Any]:
    """Put an escalated spend before a person."""
    request_id, reason = str(event.request.get("request_id")), str(event.approval.get("reason") or "")
    row = reviews.request("spend", request_id, spend_hash(event.request), reason, event.task_token)
    return _told(row, reviews, workflows)


def approve_in_advance(event: ApproveInAdvance, reviews: ReviewRows) -> dict[str, Any]:
    """Approved by the person at the keyboard before it was made; a judge's reject stays one."""
    row = reviews.approve_in_advance(
        "content", event.content_id, event.content_hash, event.by, "approved in advance (--auto-approve)"
    )
    return decision_of(row)


def decide(event: Decide, reviews: ReviewRows, workflows: Workflows) -> dict[str, Any]:
    """Keep the decision, then tell the run that waits; again is the same. `CONFLICT` for another version."""
    row = reviews.decide(event.review_id, event.decision, event.by, event.note, event.expected_hash)
    return _told(row, reviews, workflows)


def deliver_pending(reviews: ReviewRows, workflows: Workflows, review_id: str | None = None) -> int:
    """Tell every waiting run whose decision it does not have yet; how many were told.

    A run that cannot be reached now is tried again at the next call.
    """
    told = 0
    for row in reviews.undelivered(review_id=review_id):
        try:
            workflows.send_task_success(row["task_token"], decision_of(row))
        except ChimeraError as error:
            if error.code not in ("CONFLICT", "NOT_FOUND"):
                if review_id is not None:
                    return told
                continue
            # answered already (we died after sending) or timed out: nobody waits for it any more
        reviews.mark_delivered(str(row["id"]), row["task_token"])
        told += 1
    return told


def decision_of(row: Row) -> dict[str, Any]:
    """What the waiting task is answered with."""
    return {
        "review_id": str(row["id"]),
        "kind": row["kind"],
        "decision": row["status"],
        "by": row["decided_by"],
        "note": row["note"],
        "subject_hash": row["subject_hash"],
        "in_advance": row["in_advance"],
    }


def view(row: Row) -> dict[str, Any]:
    """A review as JSON, without its token."""
    return {
        "review_id": str(row["id"]),
        "kind": row["kind"],
        "content_id": str(row["content_id"]) if row["content_id"] else None,
        "request_id": str(row["request_id"]) if row["request_id"] else None,
        "subject_hash": row["subject_hash"],
        "reason": row["reason"],
        "status": row["status"],
        "decided_by": row["decided_by"],
        "decided_at": _iso(row["decided_at"]),
        "note": row["note"],
        "in_advance": row["in_advance"],
        "delivered_at": _iso(row["delivered_at"]),
        "created_at": _iso(row["created_at"]),
    }


def spend_hash(request: dict[str, Any]) -> str:
    """SHA-256 of the escalated request's canonical JSON: the version that a person decides about."""
    canonical = json.dumps(request, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _told(row: Row, reviews: ReviewRows, workflows: Workflows) -> dict[str, Any]:
    if row["status"] in ("approved", "rejected"):
        deliver_pending(reviews, workflows, review_id=str(row["id"]))
        row = reviews.get(str(row["id"]))
    return view(row)


def _iso(moment: Any) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
