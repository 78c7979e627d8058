"""Remembers: asks a person to look at this very version; the task waits for the answer."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.review import RequestReview
from chimera.usecases.reviewing import request_review


@function(RequestReview)
def handler(event: RequestReview, app: App) -> dict[str, Any]:
    """The review; the decision comes through the task token."""
    tenant = event.tenant_id
    return request_review(event, app.reviews(tenant), app.workflows, app.runs(tenant))
