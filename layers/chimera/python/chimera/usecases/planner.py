"""Planner: turns ranked trends into tasks, within each persona's quota, the budget and the cool-down."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from pydantic import Field

from chimera.domain.models import Model, Persona, Trend
from chimera.domain.options import RunOptions
from chimera.domain.planning import (
    Covered,
    Plan,
    Skipped,
    TaskMessage,
    choose,
    find_topic,
    nothing_planned,
    task_of,
)
from chimera.errors import ChimeraError
from chimera.ports import Clock, PersonaRows


class Session(Protocol):
    """One planner's transaction; see adapters/postgres/tasks.py."""

    def of_run(self, run_id: str) -> list[TaskMessage]:
        """What this run planned already."""
        ...

    def used_today(self, persona: Persona, now: datetime) -> int:
        """Videos planned for the persona on this UTC day."""
        ...

    def covered(self, persona: Persona, now: datetime) -> list[Covered]:
        """Topics within the cool-down."""
        ...

    def insert(self, run_id: str, tasks: Sequence[TaskMessage]) -> None:
        """Enter the tasks, each once."""
        ...


class TaskRows(Protocol):
    """Tasks of one tenant."""

    def planning(self, personas: Sequence[Persona]) -> AbstractContextManager[Session]:
        """A transaction that holds these personas."""
        ...


class TrendsById(Protocol):
    """Stored trends of one tenant."""

    def many(self, trend_ids: Sequence[str]) -> list[Trend]:
        """These trends, in this order."""
        ...


class PlanTasks(Model):
    """Input of `plan_tasks`. `force` makes a topic again within its cool-down if nothing new is there; a
    topic that is named is made again anyway.
    """

    tenant_id: str
    run_id: str
    options: RunOptions = RunOptions()
    trend_ids: list[str] = Field(default=[], max_length=50)
    force: bool = False
    trace_id: str = ""


class PlanAnswer(Model):
    """planner.plan's answer."""

    tasks: list[TaskMessage]
    skipped: list[Skipped] = Field(default=[])
    execution_time_ms: int = 0

    def error(self) -> ChimeraError | None:
        """Why nothing was planned, as an error; None if something was."""
        return None if self.tasks else nothing_planned(self.skipped)

    def brief(self) -> dict[str, Any]:
        """What the state machine carries: `{tasks: [{task_id, …ids}], reasons: [sentences],
        execution_time_ms}`, below 16 KB.
        """
        return {
            "tasks": [
                {
                    "task_id": task.task_id,
                    "persona_id": task.persona_id,
                    "trend_id": task.payload["trend_id"],
                    "topic": str(task.payload["topic"])[:100],
                    "priority": task.priority,
                }
                for task in self.tasks
            ],
            "reasons": [] if self.tasks else [s.reason for s in self.skipped[:20]],
            "execution_time_ms": self.execution_time_ms,
        }


def plan(
    event: PlanTasks,
    *,
    trends: TrendsById,
    personas: PersonaRows,
    tasks: TaskRows,
    clock: Clock,
    budget_left_micros: int | None = None,
    task_upper_bound_micros: int = 0,
) -> PlanAnswer:
    """Plan the run. Asked again for the same run, the first plan comes back.

    `budget_left_micros` is the smallest of what the day, week and month have left (None: not limited here),
    and `task_upper_bound_micros` the most that one video can cost. NOT_FOUND: the topic that was asked for is
    in no trend.
    """
    started = time.monotonic()
    now = clock.now()
    options = event.options
    cast = [personas.get(options.persona_id)] if options.persona_id else personas.all()
    found = trends.many(event.trend_ids)
    with tasks.planning(cast) as session:
        planned = session.of_run(event.run_id)
        if planned:
            return PlanAnswer(tasks=planned, execution_time_ms=_ms(started))
        if options.topic:
            found = [find_topic(options.topic, found)]
        affordable: int | None = None
        if budget_left_micros is not None and task_upper_bound_micros > 0:
            affordable = max(0, budget_left_micros // task_upper_bound_micros)

        def chosen(force: bool) -> Plan:
            return choose(
                found,
                cast,
                covered={p.persona_id: session.covered(p, now) for p in cast},
                used_today={p.persona_id: session.used_today(p, now) for p in cast},
                now=now,
                max_tasks=options.max_tasks,
                affordable=affordable,
                force=force,
            )

        forced = bool(options.topic)
        decided = chosen(forced)
        if not decided.choices and (event.force or options.force):
            forced = True  # nothing new is there: rather the best topic again than nothing
            decided = chosen(forced)
        messages = [
            task_of(
                choice,
                run_id=event.run_id,
                tenant_id=event.tenant_id,
                now=now,
                trace_id=event.trace_id,
                options=options.model_dump(mode="json", exclude={"sources", "keywords"}),
                forced=forced,
            )
            for choice in decided.choices
        ]
        session.insert(event.run_id, messages)
    return PlanAnswer(tasks=messages, skipped=decided.skipped, execution_time_ms=_ms(started))


def _ms(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
