"""Remembers: seals what the ledger has written, each minute."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.sealing import SealDue, seal_due


@function(SealDue)
def handler(event: SealDue, app: App) -> dict[str, Any]:
    """Safe to run twice at once and again after a crash."""
    answer = seal_due(event, app.sealer(event.tenant_id))
    app.keys(event.tenant_id, sweeps=False).follow("seal", "seal")  # last: a key that cannot be begun holds up no seal
    return answer
