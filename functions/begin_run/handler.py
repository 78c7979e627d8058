"""Remembers: enters the run in the books and completes its options."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.supervisor import BeginRun, begin_run


@function(BeginRun)
def handler(event: BeginRun, app: App) -> dict[str, Any]:
    """One row for each run, however often it is begun."""
    return begin_run(event, app.runs(event.tenant_id), rss_configured=bool(app.settings.rss_feeds))
