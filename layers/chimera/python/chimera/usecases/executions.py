"""Which executions a run consists of, and what they have recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chimera.errors import error_class

if TYPE_CHECKING:
    from chimera.bootstrap import App


def executions_of_content(app: App, tenant_id: str, row: dict[str, Any]) -> list[str]:
    """The executions that make and publish one piece of content."""
    publications = app.publications(tenant_id).of_content(str(row["id"]))
    return [
        f"creation:{row['task_id']}",
        *(f"distribution:{p['content_id']}-{p['channel_id']}" for p in publications),
    ]


def executions_of_run(app: App, tenant_id: str, run_id: str) -> list[str]:
    """The executions of a run that may exist so far, top one first."""
    found = [f"supervisor:{run_id}", f"research:{run_id}"]
    for row in app.content(tenant_id).of_run(run_id):
        found += executions_of_content(app, tenant_id, row)
    return found


def histories(app: App, executions: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The events of those executions that were started."""
    found: dict[str, list[dict[str, Any]]] = {}
    for execution in executions:
        try:
            found[execution] = app.workflows.history(execution)
        except error_class("NOT_FOUND"):
            continue
    return found
