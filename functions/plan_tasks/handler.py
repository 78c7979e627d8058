"""Remembers: trends and personas become tasks, within quota, budget and cool-down."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.planner import PlanTasks
from chimera.usecases.scanning import plan_run


@function(PlanTasks)
def handler(event: PlanTasks, app: App) -> dict[str, Any]:
    """The tasks' ids, or the reasons why there are none."""
    return plan_run(event, app)
