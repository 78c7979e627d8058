"""Thinks: asks one source what is rising."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.scout import FetchSource, fetch_source


@function(FetchSource)
def handler(event: FetchSource, app: App) -> dict[str, Any]:
    """What it gave is in the media store; its key and count are the answer."""
    return fetch_source(event, app.source(event.source, event.options.material), app.media, app.clock)
