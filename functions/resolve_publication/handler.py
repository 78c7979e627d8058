"""Remembers: what reading the platform back has shown."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases import publisher
from chimera.usecases.publisher import Resolve


@function(Resolve)
def handler(event: Resolve, app: App) -> dict[str, Any]:
    """Confirmed, ready again, or a person is asked."""
    return publisher.resolve(event, app.publications(event.tenant_id))
