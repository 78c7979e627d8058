"""Remembers: a person's decision about an escalated request."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.spending import OverrideApproval, override


@function(OverrideApproval)
def handler(event: OverrideApproval, app: App) -> dict[str, Any]:
    """A yes waives the risk, never the budget."""
    tenant = event.tenant_id
    return override(event, app.cfo(tenant), app.content(tenant), app.runs(tenant))
