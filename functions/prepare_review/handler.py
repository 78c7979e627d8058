"""Remembers: opens the review and lays out what a person needs, as the input of the state that waits."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.waiting import PrepareReview, prepare_review


@function(PrepareReview)
def handler(event: PrepareReview, app: App) -> dict[str, Any]:
    """Where to decide, short-lived links to video, captions and reports."""
    return prepare_review(event, app.reviews(event.tenant_id), app.made(event), app.clock, app.settings.public_base_url)
