"""Remembers: may this go there, and did it already?"""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases import publisher
from chimera.usecases.publisher import Preflight


@function(Preflight)
def handler(event: Preflight, app: App) -> dict[str, Any]:
    """The publication's state; one row for each (content, channel)."""
    return publisher.preflight(event, app.publications(event.tenant_id), app.media)
