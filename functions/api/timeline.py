"""The events of a run's executions, without payloads: those hold task tokens and what came from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chimera.bootstrap import App
from chimera.errors import error_class, from_cause
from chimera.usecases.reporting import STAGES
from functions.api.models import Timeline, TimelineEvent


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


def timeline(app: App, executions: Sequence[str]) -> Timeline:
    """All events in the order in which they happened."""
    found = histories(app, executions)
    events = [_event(execution, event) for execution, listed in found.items() for event in listed]
    return Timeline(executions=list(found), events=sorted(events, key=lambda e: (e.at, e.execution_id, e.event_id)))


def _event(execution: str, event: dict[str, Any]) -> TimelineEvent:
    details: dict[str, Any] = next(
        (v for k, v in event.items() if k.endswith("EventDetails") and isinstance(v, dict)), {}
    )
    entered = event.get("stateEnteredEventDetails") or event.get("stateExitedEventDetails") or {}
    state = entered.get("name")
    error = details.get("error")
    known = from_cause(str(details["cause"])) if details.get("cause") else None
    return TimelineEvent(
        at=event["timestamp"],
        execution_id=execution,
        event_id=event["id"],
        type=event["type"],
        state=state,
        stage=STAGES.get(str(state)),
        error=str(error) if error else None,
        # our own errors are written for people; anything else may hold a stack trace and stays inside
        cause=known.message if known else None,
    )
