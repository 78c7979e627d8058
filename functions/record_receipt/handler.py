"""Remembers: the post is confirmed."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases import publisher
from chimera.usecases.publisher import RecordReceipt


@function(RecordReceipt)
def handler(event: RecordReceipt, app: App) -> dict[str, Any]:
    """Again is the same."""
    return publisher.record_receipt(event, app.publications(event.tenant_id))
