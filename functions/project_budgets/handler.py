"""Remembers: lets DynamoDB say what Postgres says, the control switch and the budgets that changed; scheduled each 60 s."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.budget_projection import ProjectBudgets


@function(ProjectBudgets)
def handler(event: ProjectBudgets, app: App) -> dict[str, Any]:
    """Again is the same; two at once do no harm; on a laptop there is nothing to do."""
    return {"pushed": app.mirror(event.tenant_id or app.settings.tenant_id)}
