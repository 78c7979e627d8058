"""Thinks: gives each scene its picture."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.picturing import PictureRules, paint
from chimera.usecases.production import Produce, check_approval


@function(Produce)
def handler(event: Produce, app: App) -> dict[str, Any]:
    """Nothing is painted without a valid approval."""
    check_approval(event, app.verifier, app.clock)
    purse = app.purse(event, event.approval["request_id"])
    rules = PictureRules(
        now=app.clock.now,
        libraries=app.providers("libraries"),
        allow_files=app.settings.world == "local",
        paid_pictures=app.settings.paid_pictures,
    )
    return paint(app.made(event), app.providers("canvases", purse.at("pictures")), purse, rules)
