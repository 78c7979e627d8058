"""Thinks: asks every check about the finished content."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App, function
from chimera.usecases.scope import Scope
from chimera.usecases.verdict import judge


@function(Scope)
def handler(event: Scope, app: App) -> dict[str, Any]:
    """The report is in the content's folder; a check that cannot answer means review."""
    return judge(app.made(event), list(app.providers("checks").values()))
