"""Thinks: tells what an uploaded file is and takes its sound out."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.ingest import Upload, probe_upload


@function(Upload)
def handler(event: Upload, app: App) -> dict[str, Any]:
    """Kind, length, and where its sound is."""
    return probe_upload(event, app.media)
