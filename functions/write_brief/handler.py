"""Thinks: reads the sources' pages, writes a grounded script, estimates its cost."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.briefing import write_brief
from chimera.usecases.scope import Scope


@function(Scope)
def handler(event: Scope, app: App) -> dict[str, Any]:
    """Ids and what the CFO is asked; the brief itself is in the content's folder."""
    templates = app.templates(event.tenant_id)
    return write_brief(app.made(event), app.providers("writers").values(), app.pages, templates, app.outside_work)
