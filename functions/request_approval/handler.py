"""Remembers: asks a person about an escalated spend; the task waits for the answer."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.review import RequestApproval
from chimera.usecases.reviewing import request_approval


@function(RequestApproval)
def handler(event: RequestApproval, app: App) -> dict[str, Any]:
    """The review; the decision comes through the task token."""
    tenant = event.tenant_id
    return request_approval(event, app.reviews(tenant), app.workflows, app.runs(tenant))
