"""The steps at which a run waits for a person: the run says so, and what the answer changes."""

from __future__ import annotations

from typing import Any

from chimera.ports import ContentRows, ReviewRows, RunRows, Workflows
from chimera.usecases import review
from chimera.usecases.review import ApproveInAdvance, RequestApproval, RequestReview
from chimera.usecases.scope import Scope


class RecordDecision(Scope):
    """Input of `record_decision`: what came through the task token."""

    review: dict[str, Any]


def request_review(event: RequestReview, reviews: ReviewRows, workflows: Workflows, runs: RunRows) -> dict[str, Any]:
    """Ask about this version of the content. The run's status comes first: a decision may be there at once."""
    runs.set_status(event.run_id, "waiting_review")
    return review.request_review(event, reviews, workflows)


def request_approval(
    event: RequestApproval, reviews: ReviewRows, workflows: Workflows, runs: RunRows
) -> dict[str, Any]:
    """Ask a person about an escalated spend."""
    runs.set_status(event.run_id, "waiting_approval")
    return review.request_approval(event, reviews, workflows)


def record_decision(event: RecordDecision, content: ContentRows, runs: RunRows) -> dict[str, Any]:
    """An approved version becomes ready; the run goes on."""
    decision = "approved" if event.review.get("decision") == "approved" else "rejected"
    if decision == "approved":
        content.advance(event.content_id, ("review", "ready"), stage="ready")
    runs.set_status(event.run_id, "running")
    return {"decision": decision, "by": event.review.get("by")}


def approve_in_advance(
    event: ApproveInAdvance, reviews: ReviewRows, content: ContentRows, runs: RunRows
) -> dict[str, Any]:
    """Record the approval given at the start of the run; `POLICY_VIOLATION` if the judge rejected this version."""
    by = str(runs.get(event.run_id)["options"].get("approved_by") or event.by)
    answer = review.approve_in_advance(event.model_copy(update={"by": by}), reviews)
    content.advance(event.content_id, ("review", "ready"), stage="ready")
    return answer
