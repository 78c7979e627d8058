"""Remembers: what a person decided about this version."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.reviewing import RecordDecision, record_decision


@function(RecordDecision)
def handler(event: RecordDecision, app: App) -> dict[str, Any]:
    """Ready, or closed as rejected by the next step."""
    tenant = event.tenant_id
    return record_decision(event, app.content(tenant), app.runs(tenant))
