"""`/v1/publications`: where content went."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from functions.api.call import current, known_id, new_router
from functions.api.models import PageOf, PublicationStatus, PublicationView
from functions.api.paging import CursorText, Limit, decode, page_of
from functions.api.views import publication_view

router = new_router()


@router.get(
    "/v1/publications",
    tags=["publications"],
    summary="Publications, newest first",
)
def list_publications(
    limit: Limit = 20,
    cursor: CursorText = None,
    status: Annotated[PublicationStatus | None, Query()] = None,
    platform: Annotated[str | None, Query(max_length=50)] = None,
) -> PageOf[PublicationView]:
    """Receipts of the tenant."""
    call = current(router)
    rows = call.app.publications(call.tenant).page(limit + 1, decode(cursor), status, platform)
    shown, following = page_of(rows, limit)
    return PageOf[PublicationView](items=[publication_view(row) for row in shown], next_cursor=following)


@router.get("/v1/publications/<publication_id>", tags=["publications"], summary="A receipt")
def get_publication(publication_id: str) -> PublicationView:
    """One post on one channel."""
    call = current(router)
    return publication_view(call.app.publications(call.tenant).get(known_id(publication_id, "publication")))
