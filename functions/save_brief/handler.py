"""Remembers: the brief."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.production import save_brief
from chimera.usecases.scope import Scope


@function(Scope)
def handler(event: Scope, app: App) -> dict[str, Any]:
    """The content's row, with title, script and estimate."""
    return save_brief(app.made(event), app.content(event.tenant_id))
