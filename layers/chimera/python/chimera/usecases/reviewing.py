"""The steps at which a run waits for a person, and what a person's answer changes."""

from __future__ import annotations

from typing import Any, Protocol

from chimera.domain.reviewing import spend_hash
from chimera.ports import ContentRows, Row, RunRows
from chimera.usecases.scope import Scope


class ReviewRows(Protocol):
    """The reviews of one tenant; see adapters/postgres/reviews.py."""

    def request(self, kind: Any, subject_id: str, subject_hash: str, reason: str, task_token: str) -> Row:
        """Ask for a decision, once for each version."""
        ...

    def approve_in_advance(self, kind: Any, subject_id: str, subject_hash: str, by: str, note: str = "") -> Row:
        """Record an approval that was given before."""
        ...


class RequestReview(Scope):
    """Input of `request_review`."""

    content_hash: str
    reason: str = ""
    task_token: str


class RecordDecision(Scope):
    """Input of `record_decision`: what came through the task token."""

    review: dict[str, Any]


class ApproveInAdvance(Scope):
    """Input of `approve_in_advance`."""

    content_hash: str


class RequestApproval(Scope):
    """Input of `request_approval`: the escalated request and the CFO's answer."""

    request: dict[str, Any]
    approval: dict[str, Any]
    task_token: str


def request_review(event: RequestReview, reviews: ReviewRows, runs: RunRows) -> dict[str, Any]:
    """Ask about this version of the content; the run says that it waits."""
    row = reviews.request("content", event.content_id, event.content_hash, event.reason, event.task_token)
    runs.set_status(event.run_id, "waiting_review", review_id=str(row["id"]))
    return {"review_id": str(row["id"])}


def record_decision(event: RecordDecision, content: ContentRows, runs: RunRows) -> dict[str, Any]:
    """An approved version becomes ready; the run goes on."""
    decision = "approved" if event.review.get("decision") == "approved" else "rejected"
    if decision == "approved":
        content.advance(event.content_id, ("review", "ready"), stage="ready")
    runs.set_status(event.run_id, "running")
    return {"decision": decision}


def approve_in_advance(
    event: ApproveInAdvance, reviews: ReviewRows, content: ContentRows, runs: RunRows
) -> dict[str, Any]:
    """Record the approval given at the start of the run; `POLICY_VIOLATION` if the judge rejected this version."""
    by = str(runs.get(event.run_id)["options"].get("approved_by") or "the run's owner")
    row = reviews.approve_in_advance("content", event.content_id, event.content_hash, by)
    content.advance(event.content_id, ("review", "ready"), stage="ready")
    return {"review_id": str(row["id"]), "decision": "approved"}


def request_approval(event: RequestApproval, reviews: ReviewRows, runs: RunRows) -> dict[str, Any]:
    """Ask a person about an escalated spend."""
    subject = spend_hash(event.request)
    reason = str(event.approval.get("reason") or "the CFO asks a person")
    row = reviews.request("spend", event.request["request_id"], subject, reason, event.task_token)
    runs.set_status(event.run_id, "waiting_approval", review_id=str(row["id"]))
    return {"review_id": str(row["id"])}
