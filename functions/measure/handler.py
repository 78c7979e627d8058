"""Thinks: what the platform counts now."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.analyst import Measure, measure


@function(Measure)
def handler(event: Measure, app: App) -> dict[str, Any]:
    """No data is None, which is not 0."""
    return measure(event, app.providers("platforms"))
