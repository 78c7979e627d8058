"""Research's remembering steps: rank what came, note it in the run, plan what to make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chimera.domain.options import RunOptions
from chimera.domain.prices import production_upper_bound
from chimera.media.models import SHORT_SIDE
from chimera.usecases.planner import PlanTasks, plan
from chimera.usecases.scout import RankTrends, ScoutRequest, analyze, rank, scan_key

if TYPE_CHECKING:
    from chimera.bootstrap import App


def rank_and_note(event: RankTrends, app: App) -> dict[str, Any]:
    """Rank and store; the run's summary says which sources were used, failed, or were stood in for."""
    answer = rank(
        event,
        media=app.media,
        trends=app.trends(event.tenant_id),
        sample=app.source("sample"),
        sentiment=app.sentiment,
        clock=app.clock,
    )
    scan = answer.metadata.model_dump(mode="json")
    app.runs(event.tenant_id).set_status(event.run_id, "running", scan=scan)
    return answer.brief(scan_key(event.tenant_id, event.run_id, "trends"))


def plan_run(event: PlanTasks, app: App) -> dict[str, Any]:
    """Plan within quota, cool-down and budget. One task is always let through to the CFO: only it says no to money."""
    options = event.options
    bound = production_upper_bound(options.duration_seconds, SHORT_SIDE[options.resolution])
    lines = app.ledger(event.tenant_id).budgets()
    left = min((line.remaining_micros for line in lines if line.category in ("total", "compute")), default=0)
    answer = plan(
        event,
        trends=app.trends(event.tenant_id),
        personas=app.personas(event.tenant_id),
        tasks=app.tasks(event.tenant_id),
        clock=app.clock,
        budget_left_micros=max(left, bound),
        task_upper_bound_micros=bound,
    )
    return answer.brief()


def scan_now(app: App, tenant_id: str, options: RunOptions) -> dict[str, Any]:
    """scout.analyze in one go, for the command line: nothing is planned or made."""
    answer = analyze(
        ScoutRequest.of(options),
        platforms=options.sources,
        open_source=app.source,
        tenant_id=tenant_id,
        trends=app.trends(tenant_id),
        sample=app.source("sample"),
        sentiment=app.sentiment,
        clock=app.clock,
    )
    return answer.model_dump(mode="json")
