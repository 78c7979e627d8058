"""Remembers: verifies the approval's signature and uses it, once."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.spending import Dispatch, dispatch


@function(Dispatch)
def handler(event: Dispatch, app: App) -> dict[str, Any]:
    """From here on money may be spent."""
    return dispatch(event, app.gateway(event.tenant_id), app.made(event), app.content(event.tenant_id))
