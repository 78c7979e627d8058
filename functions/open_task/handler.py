"""Remembers: claims the task, opens the content's row and folder."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.production import OpenTask, open_task


@function(OpenTask)
def handler(event: OpenTask, app: App) -> dict[str, Any]:
    """The scope that all later steps carry."""
    tenant = event.tenant_id
    return open_task(event, app.content(tenant), app.trends(tenant).get, app.personas(tenant), app.media)
