"""Enters what agents and people do in the audit log, in the transaction of the deed itself."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from chimera.adapters.postgres.database import Connection
from chimera.domain.ids import new_id


def audit(
    tx: Connection,
    *,
    actor: str,
    action: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    request_id: str = "",
    status: str = "success",
) -> None:
    """One row. The caller passes ids and states only: no personal data, no secret, no token."""
    tx.execute(
        "INSERT INTO audit_logs (id, agent_id, action, input_data, output_data, status, request_id)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (new_id(), actor, action, Jsonb(before or {}), Jsonb(after or {}), status, request_id),
    )
