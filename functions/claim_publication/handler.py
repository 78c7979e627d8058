"""Remembers: uses the grant up; the last look at the switch before anything is sent."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases import publisher
from chimera.usecases.publisher import Granted


@function(Granted)
def handler(event: Granted, app: App) -> dict[str, Any]:
    """SENDING, fenced by a lease."""
    return publisher.claim(event, app.publications(event.tenant_id), app.issuer)
