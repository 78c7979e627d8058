"""Thinks: lays out what was found and heard in an upload as material for a brief."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.ingest import WriteMaterial, write_material


@function(WriteMaterial)
def handler(event: WriteMaterial, app: App) -> dict[str, Any]:
    """A summary; the material is in the media store."""
    return write_material(event, app.media)
