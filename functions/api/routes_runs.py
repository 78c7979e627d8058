"""`/v1/runs` and `/v1/content`: start a run, follow it, see what it made."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Query

from chimera.domain.options import RunOptions
from chimera.errors import ChimeraError
from chimera.usecases.cost_report import cost_report
from chimera.usecases.executions import executions_of_content, executions_of_run, histories
from chimera.usecases.personas import with_persona
from chimera.usecases.reporting import stages_of
from chimera.usecases.run_report import build_report
from functions.api.call import current, keyed_id, known_id, new_router
from functions.api.models import (
    ContentDetail,
    ContentView,
    PageOf,
    RunReport,
    RunView,
    Stage,
    Started,
    Timeline,
)
from functions.api.models_money import CostReport
from functions.api.paging import CursorText, Limit, decode, page_of
from functions.api.sources import refuse_local_sources
from functions.api.timeline import timeline
from functions.api.views import content_detail, content_view, run_view

router = new_router()
NO_OPTIONS = RunOptions()
Key = Annotated[str | None, Header(alias="Idempotency-Key", description="Same key, same request: done once")]


@router.get("/v1/runs", tags=["runs"], summary="Runs, newest first")
def list_runs(limit: Limit = 20, cursor: CursorText = None) -> PageOf[RunView]:
    """Runs of the tenant."""
    call = current(router)
    shown, following = page_of(call.app.runs(call.tenant).page(limit + 1, decode(cursor)), limit)
    return PageOf[RunView](items=[run_view(row) for row in shown], next_cursor=following)


@router.post(
    "/v1/runs",
    tags=["runs"],
    summary="Start a run (operator)",
    status_code=202,
    response_description="The run has begun, or goes on under this key",
)
def start_run(body: Annotated[RunOptions, Body()] = NO_OPTIONS, idempotency_key: Key = None) -> Started:
    """Start the supervisor. `auto_approve` is recorded with your name; `file:` sources are not for HTTP."""
    call = current(router)
    refuse_local_sources([*body.sources, body.music, *body.assets], feeds=call.app.settings.rss_feeds)
    if body.approved_by:
        raise ChimeraError(
            "FORBIDDEN",
            "approved_by is taken from your token; leave it out",
            {"approved_by": body.approved_by[:80]},
        )
    if body.auto_approve:
        call.who.require("reviewer")
        body = body.model_copy(update={"approved_by": f"{call.who.subject}, in advance"[:200]})
    call.app.run_checks(call.tenant).check(body)
    body = with_persona(body, call.app.personas(call.tenant))
    run_id = keyed_id(call.tenant, "run", idempotency_key)
    options = body.model_dump(mode="json")
    # the row comes first, so that the run can always be found; under one key the first one's options stay
    row = call.app.runs(call.tenant).begin(run_id, f"supervisor:{run_id}", options)
    if row["options"] != options:
        raise ChimeraError(
            "CONFLICT",
            "this Idempotency-Key came before with another body",
            {"Idempotency-Key": idempotency_key},
        )
    event = {"tenant_id": call.tenant, "run_id": run_id, "options": options}
    execution = call.app.workflows.start("supervisor", run_id, event)
    return Started(run_id=run_id, execution_id=execution, status=row["status"])


@router.get("/v1/runs/<run_id>", tags=["runs"], summary="All that came of a run")
def get_run(run_id: str) -> RunReport:
    """The object that `chimera run --json` prints."""
    call = current(router)
    row = call.app.runs(call.tenant).get(known_id(run_id, "run"))
    try:
        found = histories(call.app, executions_of_run(call.app, call.tenant, str(row["id"])))
    except ChimeraError as error:
        if not error.retryable:
            raise
        found = {}  # the engine is away: what is in the books is still worth telling
    stages = stages_of([event for events in found.values() for event in events])
    until = datetime.now(UTC) if row["status"] == "running" else row["updated_at"]
    elapsed = (until - row["created_at"]).total_seconds()
    return RunReport.model_validate(build_report(call.app, call.tenant, str(row["id"]), stages, elapsed))


@router.get("/v1/runs/<run_id>/timeline", tags=["runs"], summary="What happened, event by event")
def run_timeline(run_id: str) -> Timeline:
    """Events of the run's executions."""
    call = current(router)
    row = call.app.runs(call.tenant).get(known_id(run_id, "run"))
    return timeline(call.app, executions_of_run(call.app, call.tenant, str(row["id"])))


@router.get("/v1/content", tags=["content"], summary="Content, newest first")
def list_content(
    limit: Limit = 20, cursor: CursorText = None, stage: Annotated[Stage | None, Query()] = None
) -> PageOf[ContentView]:
    """Content of the tenant."""
    call = current(router)
    shown, following = page_of(call.app.content(call.tenant).page(limit + 1, decode(cursor), stage), limit)
    return PageOf[ContentView](items=[content_view(row) for row in shown], next_cursor=following)


@router.get("/v1/content/<content_id>", tags=["content"], summary="A piece of content")
def get_content(content_id: str) -> ContentDetail:
    """With script, judge's report, links and posts."""
    call = current(router)
    row = call.app.content(call.tenant).get(known_id(content_id, "content"))
    return content_detail(call.app, call.tenant, row)


@router.get("/v1/content/<content_id>/timeline", tags=["content"], summary="How it was made")
def content_timeline(content_id: str) -> Timeline:
    """Events of its production and publications."""
    call = current(router)
    row = call.app.content(call.tenant).get(known_id(content_id, "content"))
    return timeline(call.app, executions_of_content(call.app, call.tenant, row))


@router.get("/v1/content/<content_id>/costs", tags=["content"], summary="What it cost, call by call")
def content_costs(content_id: str) -> CostReport:
    """Each call's worst case against what it came to, estimate against actual, and what the CFO had reserved."""
    call = current(router)
    row = call.app.content(call.tenant).get(known_id(content_id, "content"))
    return CostReport.model_validate(cost_report(call.app, call.tenant, row))
