"""Thinks: downloads a media file from a direct address and takes it in."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.ingest import FetchUpload, fetch_upload


@function(FetchUpload)
def handler(event: FetchUpload, app: App) -> dict[str, Any]:
    """The upload that it became."""
    return fetch_upload(event, app.media, app.downloads)
