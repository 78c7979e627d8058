"""Remembers: gives a reservation back that nothing was spent from."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.spending import Settle, release


@function(Settle)
def handler(event: Settle, app: App) -> dict[str, Any]:
    """The run was asked to stop here."""
    return release(event, app.cfo(event.tenant_id), app.content(event.tenant_id))
