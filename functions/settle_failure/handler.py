"""Remembers: books what was spent before a failure, releases the rest."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.spending import Settle, settle_failure


@function(Settle)
def handler(event: Settle, app: App) -> dict[str, Any]:
    """Also when nothing was spent."""
    tenant = event.tenant_id
    return settle_failure(event, app.cfo(tenant), app.gateway(tenant), app.made(event), app.content(tenant))
