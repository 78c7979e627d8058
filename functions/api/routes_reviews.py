"""`/v1/reviews`: what waits for a person, all there is to look at, the decision about that very version."""

from __future__ import annotations

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from chimera.ports import Row
from chimera.usecases import review
from functions.api.call import current, known_id, new_router
from functions.api.models import PageOf, ReviewDecision, ReviewDetail, ReviewStatus, ReviewView
from functions.api.paging import CursorText, Limit, Place, bad_cursor, decode, decode_parts, encode, page_of
from functions.api.views import links, report_view, review_view

router = new_router()


@router.get("/v1/reviews", tags=["reviews"], summary="Reviews, pending ones first")
def list_reviews(
    limit: Limit = 20, cursor: CursorText = None, status: Annotated[ReviewStatus | None, Query()] = None
) -> PageOf[ReviewView]:
    """The queue; with `status` only those, newest first."""
    call = current(router)
    if status is not None:
        rows = call.app.reviews(call.tenant).page(limit + 1, decode(cursor), status)
        shown, following = page_of(rows, limit)
    else:
        before, decided = _queue_place(cursor)
        rows = call.app.overview(call.tenant).review_queue(limit + 1, before, decided)
        shown, following = page_of(rows, limit, *_phase(rows, limit))
    return PageOf[ReviewView](items=[review_view(row) for row in shown], next_cursor=following)


@router.get("/v1/reviews/<review_id>", tags=["reviews"], summary="A review")
def get_review(review_id: str) -> ReviewDetail:
    """With title, script, the judge's report and links to video and captions."""
    call = current(router)
    row = call.app.reviews(call.tenant).get(known_id(review_id, "review"))
    found = review_view(row).model_dump()
    if row["content_id"] is None:
        return ReviewDetail(**found)
    content = call.app.content(call.tenant)
    subject = content.get(str(row["content_id"]))
    return ReviewDetail(
        **found,
        title=subject["title"],
        script=subject["script"],
        links=links(call.app, call.tenant, subject),
        report=report_view(content.report(str(subject["id"]))),
    )


@router.post(
    "/v1/reviews/<review_id>/approve",
    tags=["reviews"],
    summary="Approve this version (reviewer)",
)
def approve(review_id: str, body: Annotated[ReviewDecision, Body()]) -> ReviewView:
    """`CONFLICT` if there is a newer version than the one that was seen. A spend needs an operator."""
    return _decide(review_id, body, "approved")


@router.post(
    "/v1/reviews/<review_id>/reject",
    tags=["reviews"],
    summary="Reject this version (reviewer)",
)
def reject(review_id: str, body: Annotated[ReviewDecision, Body()]) -> ReviewView:
    """`CONFLICT` if there is a newer version than the one that was seen. A spend needs an operator."""
    return _decide(review_id, body, "rejected")


def _decide(review_id: str, body: ReviewDecision, decision: Literal["approved", "rejected"]) -> ReviewView:
    call = current(router)
    reviews = call.app.reviews(call.tenant)
    row = reviews.get(known_id(review_id, "review"))
    if row["kind"] == "spend":
        call.who.require("operator")
    event = review.Decide(
        review_id=str(row["id"]),
        decision=decision,
        by=call.who.subject,
        note=body.note,
        expected_hash=body.content_hash,
    )
    return ReviewView.model_validate(review.decide(event, reviews, call.app.workflows))


def _phase(rows: list[Row], limit: int) -> list[str]:
    """Whether the page ended among the decided ones, for its cursor."""
    return ["decided" if rows[limit - 1]["status"] != "pending" else "pending"] if len(rows) > limit else []


def _queue_place(cursor: str | None) -> tuple[Place | None, bool]:
    if cursor is None:
        return None, False
    parts = decode_parts(cursor)
    if len(parts) != 3 or parts[2] not in ("pending", "decided"):
        raise bad_cursor(cursor)
    return decode(encode(*parts[:2])), parts[2] == "decided"
