"""Remembers: who said no to this content, and why."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.verdict import CloseRejected, close_rejected


@function(CloseRejected)
def handler(event: CloseRejected, app: App) -> dict[str, Any]:
    """The CFO, the judge or a person."""
    return close_rejected(event, app.content(event.tenant_id))
