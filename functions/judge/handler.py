"""Thinks: asks every check about the finished content."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.verdict import Judge, judge


@function(Judge)
def handler(event: Judge, app: App) -> dict[str, Any]:
    """The report is in the content's folder; a check that cannot answer means review."""
    purse = app.purse(event, event.request_id)
    return judge(app.made(event), list(app.providers("checks", purse.at("judge")).values()), purse)
