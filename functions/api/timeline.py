"""The events of a run's executions, without payloads: those hold task tokens and what came from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chimera.bootstrap import App
from chimera.errors import from_cause
from chimera.usecases.executions import histories
from chimera.usecases.reporting import STAGES
from functions.api.models import Timeline, TimelineEvent


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
