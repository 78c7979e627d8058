"""Remembers: the verdict, bound to the content's hash."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.scope import Scope
from chimera.usecases.verdict import record_verdict


@function(Scope)
def handler(event: Scope, app: App) -> dict[str, Any]:
    """Ready, or waiting for a person."""
    return record_verdict(app.made(event), app.content(event.tenant_id))
