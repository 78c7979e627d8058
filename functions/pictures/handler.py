"""Thinks: paints a picture for each scene."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App, function
from chimera.usecases.picturing import paint
from chimera.usecases.production import Produce, check_approval


@function(Produce)
def handler(event: Produce, app: App) -> dict[str, Any]:
    """Nothing is painted without a valid approval."""
    check_approval(event, app.verifier, app.clock)
    purse = app.purse(event, event.approval["request_id"])
    return paint(app.made(event), app.first("canvases", purse.at("pictures")), purse)
