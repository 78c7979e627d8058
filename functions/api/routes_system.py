"""`/health`, `/metrics`, `/v1/operations`: is it well, how much is there, may it go on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import psycopg
from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from chimera.adapters.postgres.overview import COUNTS
from chimera.bootstrap import App
from chimera.domain.cfo import SPENDING_STATES
from chimera.errors import ChimeraError
from chimera.ports import Row
from functions.api.call import current, new_router
from functions.api.models import (
    Components,
    Health,
    HealthReport,
    OperationRequest,
    SwitchChange,
    SwitchLog,
    SwitchView,
)
from functions.api.paging import Limit

router = new_router()
NO_REASON = OperationRequest()
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@router.get(
    "/health",
    tags=["system"],
    summary="Is everything well",
    responses={
        200: {"description": "Healthy or degraded"},
        503: {"description": "Unhealthy", "content": {"application/json": {"model": HealthReport}}},
    },
)
def health() -> Response[HealthReport]:
    """Open to everybody; says nothing about any tenant but how many agents the default one has."""
    app = current(router).app
    overview = app.overview(app.settings.tenant_id)
    agents: dict[str, int] = {}
    database = _state(lambda: agents.update(overview.agents_by_role()))
    parts: dict[str, Health] = {
        "database": database,
        "budget_store": _state(overview.budget_rows) if database == "healthy" else "unhealthy",
        "ledger": _ledger(app) if database == "healthy" else "unhealthy",
        "media_store": _state(lambda: app.media.exists("health/probe")),
        "workflows": _state(lambda: app.workflows.describe("supervisor:health-probe")),
    }
    overall: Health = "healthy" if set(parts.values()) == {"healthy"} else "degraded"
    if "unhealthy" in (parts["database"], parts["budget_store"]):
        overall = "unhealthy"
    report = HealthReport(
        status=overall,
        components=Components(**parts, mcp_layer="not_installed", agents=agents),
        timestamp=datetime.now(UTC),
    )
    return Response(status_code=503 if overall == "unhealthy" else 200, content_type="application/json", body=report)


@router.get(
    "/metrics",
    tags=["system"],
    summary="Counts for Prometheus (viewer)",
    responses={
        200: {"description": "Prometheus text", "content": {"text/plain": {"schema": {"type": "string"}}}},
    },
)
def metrics() -> Response[str]:
    """Counts of the caller's tenant."""
    call = current(router)
    lines: list[str] = []
    counts = call.app.overview(call.tenant).counts()
    for name, by_label in counts.items():
        label = COUNTS[name][0]
        lines += [f"# HELP chimera_{name} {_help(name, label)}", f"# TYPE chimera_{name} gauge"]
        for value, n in sorted(by_label.items()):
            lines.append(f'chimera_{name}{{{label}="{value}"}} {n}' if label else f"chimera_{name} {n}")
    budget = call.app.ledger(call.tenant).budgets()
    lines += [
        "# HELP chimera_budget_remaining_usd Left of each budget",
        "# TYPE chimera_budget_remaining_usd gauge",
    ]
    for line in budget:
        # from micros by text, never through a binary float
        whole, part = divmod(line.remaining_micros, 1_000_000)
        labels = f'period="{line.period}",category="{line.category}"'
        lines.append(f"chimera_budget_remaining_usd{{{labels}}} {whole}.{part:06d}")
    return Response(status_code=200, content_type=PROMETHEUS, body="\n".join(lines) + "\n")


@router.get("/v1/operations", tags=["system"], summary="The control switch")
def get_switch() -> SwitchView:
    """What may go on."""
    call = current(router)
    return _switch(call.app.controls(call.tenant).get())


@router.post(
    "/v1/operations/pause-publishing",
    tags=["system"],
    summary="Publish nothing (operator)",
)
def pause_publishing(body: Annotated[OperationRequest, Body()] = NO_REASON) -> SwitchView:
    """Production goes on, nothing goes out. Again is the same."""
    call = current(router)
    return _switch(call.app.controls(call.tenant).set("PAUSE_PUBLISH", by=call.who.subject, reason=body.reason))


@router.post(
    "/v1/operations/pause-spending",
    tags=["system"],
    summary="Spend nothing (operator)",
)
def pause_spending(body: Annotated[OperationRequest, Body()] = NO_REASON) -> SwitchView:
    """What is paid for still goes out; approvals not used yet are worth nothing. Again is the same."""
    call = current(router)
    return _switch(call.app.controls(call.tenant).set("PAUSE_SPEND", by=call.who.subject, reason=body.reason))


@router.post("/v1/operations/stop", tags=["system"], summary="Emergency stop (operator)")
def stop(body: Annotated[OperationRequest, Body()] = NO_REASON) -> SwitchView:
    """From now on nothing is spent and nothing goes out; approvals not used yet are worth nothing."""
    call = current(router)
    return _switch(call.app.controls(call.tenant).set("STOP", by=call.who.subject, reason=body.reason))


@router.post("/v1/operations/resume", tags=["system"], summary="Go on (operator)")
def resume(body: Annotated[OperationRequest, Body()] = NO_REASON) -> SwitchView:
    """After a pause or a stop."""
    call = current(router)
    return _switch(call.app.controls(call.tenant).set("RUN", by=call.who.subject, reason=body.reason))


@router.get("/v1/operations/log", tags=["system"], summary="Who used the switch")
def switch_log(limit: Limit = 20) -> SwitchLog:
    """Newest first, from the audit log."""
    call = current(router)
    rows = call.app.money_views(call.tenant).audited(["control.set"], limit)
    return SwitchLog(items=[_change(row) for row in rows])


def _change(row: Row) -> SwitchChange:
    after = row["after"]
    return SwitchChange(
        at=row["created_at"],
        by=row["by"],
        before=row["before"].get("state"),
        after=after.get("state"),
        epoch=after.get("epoch"),
        reason=after.get("reason", ""),
    )


def _state(probe: Callable[[], Any]) -> Health:
    """Healthy if the part answers, also with "there is none"."""
    try:
        probe()
    except ChimeraError as error:
        return "healthy" if error.code == "NOT_FOUND" else "unhealthy"
    except (OSError, psycopg.Error):
        return "unhealthy"
    return "healthy"


def _ledger(app: App) -> Health:
    """Degraded while the recovery job's last check found what does not fit (docs/recovery.md)."""
    trouble: list[str] = []
    state = _state(lambda: trouble.extend(app.books(app.settings.tenant_id).trouble()))
    return "degraded" if trouble else state


def _help(name: str, label: str) -> str:
    return f"How many {name.replace('_', ' ')}" + (f", by {label}" if label else "")


def _switch(row: Row) -> SwitchView:
    state = row["state"]
    return SwitchView(
        state=state,
        publishing=state in ("RUN", "PAUSE_SPEND"),
        spending=state in SPENDING_STATES,
        changed_by=row["changed_by"],
        reason=row["reason"],
        epoch=row["epoch"],
        changed_at=row["updated_at"],
    )
