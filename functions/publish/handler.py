"""Thinks: looks whether the post is there, then posts it once."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases import publisher
from chimera.usecases.publisher import Granted


@function(Granted)
def handler(event: Granted, app: App) -> dict[str, Any]:
    """The receipt; `OutcomeUnknown` for whatever broke after the send began."""
    return publisher.publish(event, app.providers("platforms"), app.media, app.issuer)
