"""Reads the platform back for publications whose run is gone, so that none stays unknown for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chimera.errors import ChimeraError
from chimera.usecases.publisher import Lookup, PublicationScope, Resolve, find_post, resolve

if TYPE_CHECKING:
    from chimera.bootstrap import App


def settle_unknown(app: App, tenant_id: str, limit: int = 100) -> int:
    """Look for each post that may be out and is not confirmed; gives how many were looked for.

    A platform that does not answer leaves its publication for the next time.
    """
    rows = app.publications(tenant_id)
    looked = 0
    for row in rows.unsettled(limit):
        scope = PublicationScope(
            tenant_id=tenant_id,
            content_id=str(row["content_id"]),
            channel_id=row["channel_id"],
            publication_id=str(row["id"]),
        )
        try:
            found = find_post(scope, app.providers("platforms"), app.media, app.clock)
        except ChimeraError:
            continue
        resolve(Resolve(**scope.model_dump(), lookup=Lookup.model_validate(found)), rows)
        looked += 1
    return looked
