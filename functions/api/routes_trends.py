"""`/v1/trends`: what is rising, and a scan for more."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Query

from chimera.domain.options import KEYLESS, RunOptions
from chimera.entrypoints import parse
from functions.api.call import current, keyed_id, new_router
from functions.api.models import PageOf, ScanRequest, Started, TrendView
from functions.api.paging import CursorText, Limit, decode, page_of
from functions.api.sources import refuse_local_sources
from functions.api.views import trend_view

router = new_router()
NO_SCAN_OPTIONS = ScanRequest()
Key = Annotated[str | None, Header(alias="Idempotency-Key", description="Same key, same request: done once")]


@router.get("/v1/trends", tags=["trends"], summary="Trends, newest first")
def list_trends(
    limit: Limit = 20,
    cursor: CursorText = None,
    keyword: Annotated[str, Query(max_length=200, description="In topic or title")] = "",
    min_velocity: Annotated[float, Query(ge=0, le=10)] = 0,
) -> PageOf[TrendView]:
    """Trends that the scout stored."""
    from chimera.adapters.postgres.trends import trend_of

    call = current(router)
    rows = call.app.trends(call.tenant).page(limit + 1, decode(cursor), keyword=keyword, min_velocity=min_velocity)
    shown, following = page_of(rows, limit)
    return PageOf[TrendView](items=[trend_view(trend_of(row)) for row in shown], next_cursor=following)


@router.post(
    "/v1/trends/scan",
    tags=["trends"],
    summary="Scan the sources now (operator)",
    status_code=202,
    response_description="The scan has begun; its trends appear in the list",
)
def scan(body: Annotated[ScanRequest, Body()] = NO_SCAN_OPTIONS, idempotency_key: Key = None) -> Started:
    """Start the research machine; it plans no task."""
    call = current(router)
    refuse_local_sources(body.sources, feeds=call.app.settings.rss_feeds)
    default = [name for name in KEYLESS if name != "rss" or call.app.settings.rss_feeds]
    options = parse(RunOptions, {**body.model_dump(), "sources": body.sources or default, "max_tasks": 0})
    run_id = keyed_id(call.tenant, "scan", idempotency_key)
    event = {"tenant_id": call.tenant, "run_id": run_id, "options": options.model_dump(mode="json")}
    execution = call.app.workflows.start("research", run_id, event)
    return Started(run_id=run_id, execution_id=execution, status="running")
