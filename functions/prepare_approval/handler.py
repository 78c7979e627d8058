"""Remembers: opens the question about an escalated spend, as the input of the state that waits."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.waiting import PrepareApproval, prepare_approval


@function(PrepareApproval)
def handler(event: PrepareApproval, app: App) -> dict[str, Any]:
    """Where to decide, what is asked for and why the CFO did not decide alone."""
    return prepare_approval(event, app.reviews(event.tenant_id), app.settings.public_base_url)
