"""Remembers: books what the production really cost."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.spending import Settle, settle


@function(Settle)
def handler(event: Settle, app: App) -> dict[str, Any]:
    """The rest of the reservation goes back."""
    tenant = event.tenant_id
    return settle(event, app.cfo(tenant), app.gateway(tenant), app.made(event), app.content(tenant))
