"""Remembers: the CFO decides, reserves and signs."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.spending import Approve, approve


@function(Approve)
def handler(event: Approve, app: App) -> dict[str, Any]:
    """Approved, rejected or escalated; in the ledger whatever it is."""
    return approve(event, app.cfo(event.tenant_id), app.content(event.tenant_id))
