"""Thinks: reads the platform back."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases import publisher
from chimera.usecases.publisher import PublicationScope


@function(PublicationScope)
def handler(event: PublicationScope, app: App) -> dict[str, Any]:
    """Found, absent or unknown."""
    return publisher.find_post(event, app.providers("platforms"), app.media, app.clock)
