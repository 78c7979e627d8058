"""Remembers: why this will not be published."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases import publisher
from chimera.usecases.publisher import Failed


@function(Failed)
def handler(event: Failed, app: App) -> dict[str, Any]:
    """Only an error that surely posted nothing is final."""
    return publisher.fail(event, app.publications(event.tenant_id))
