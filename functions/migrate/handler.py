"""Remembers: brings the database up when the stack is deployed; a CloudFormation custom resource calls it."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.deployment import Change, migrate


@function(Change)
def handler(event: Change, app: App) -> dict[str, Any]:
    """Roles, schema, tenant; deleting the stack deletes no data."""
    return migrate(event, lambda: app.schema)
