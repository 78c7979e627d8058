"""Thinks: speaks the script, with a time for each word."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.production import Produce, check_approval
from chimera.usecases.speaking import speak


@function(Produce)
def handler(event: Produce, app: App) -> dict[str, Any]:
    """Nothing is spoken without a valid approval."""
    check_approval(event, app.verifier, app.clock)
    purse = app.purse(event, event.approval["request_id"])
    voices = app.providers("voices", purse.at("voice"))
    return speak(app.made(event), voices, purse, policy=app.voice_policy, local_files=app.settings.world == "local")
