"""Remembers: one measurement for each due time."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.analyst import RecordEngagement, record


@function(RecordEngagement)
def handler(event: RecordEngagement, app: App) -> dict[str, Any]:
    """Again is the same."""
    return record(event, app.engagement(event.tenant_id))
