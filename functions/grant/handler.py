"""Remembers: mints the permission to publish this hash on this channel, once, for minutes."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases import publisher
from chimera.usecases.publisher import PublicationScope


@function(PublicationScope)
def handler(event: PublicationScope, app: App) -> dict[str, Any]:
    """The signed grant."""
    return publisher.grant(event, app.publications(event.tenant_id), app.issuer)
