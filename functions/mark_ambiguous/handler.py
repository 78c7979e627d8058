"""Remembers: it may be posted or not."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases import publisher
from chimera.usecases.publisher import Failed


@function(Failed)
def handler(event: Failed, app: App) -> dict[str, Any]:
    """Nobody guesses; the platform is read back."""
    return publisher.mark_ambiguous(event, app.publications(event.tenant_id))
