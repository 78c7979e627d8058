"""Remembers: closes the books of the run."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.supervisor import FinishRun, finish_run


@function(FinishRun)
def handler(event: FinishRun, app: App) -> dict[str, Any]:
    """The final status, from what really happened to its content."""
    tenant = event.tenant_id
    return finish_run(event, app.runs(tenant), app.content(tenant), app.publications(tenant))
