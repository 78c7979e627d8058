"""Remembers: why this content failed."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.verdict import CloseFailed, close_failed


@function(CloseFailed)
def handler(event: CloseFailed, app: App) -> dict[str, Any]:
    """The failure's cause, kept in the content's row."""
    tenant = event.tenant_id
    return close_failed(event, app.content(tenant), app.reviews(tenant))
