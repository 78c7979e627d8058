"""Remembers: the person at the keyboard approved in advance what is put to review."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.review import ApproveInAdvance
from chimera.usecases.reviewing import approve_in_advance


@function(ApproveInAdvance)
def handler(event: ApproveInAdvance, app: App) -> dict[str, Any]:
    """Recorded as given in advance; a reject stays a reject."""
    tenant = event.tenant_id
    return approve_in_advance(event, app.reviews(tenant), app.content(tenant), app.runs(tenant))
