"""Which trend becomes which persona's next video: quota, budget and cool-down, as pure rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from chimera.domain.ids import stable_id
from chimera.domain.models import Model, Persona, Trend
from chimera.domain.similarity import same_topic
from chimera.domain.trends import TOPIC_MATCH, topic_score
from chimera.errors import ChimeraError

HIGH_VELOCITY = 5.0
"""A trend from this velocity on is urgent: its task has priority `high`."""

TaskType = Literal["generate_video"]
Priority = Literal["high", "normal", "low"]
SkipKind = Literal["cooldown", "quota", "budget", "no_trends", "no_personas"]


class TaskMessage(Model):
    """What the planner hands to the workers. Unknown fields are refused."""

    task_id: str
    type: TaskType = "generate_video"
    priority: Priority = "normal"
    persona_id: str
    tenant_id: str
    state_version: int = Field(default=0, ge=0)
    payload: dict[str, Any] = Field(default={})
    trace_id: str = ""
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Covered:
    """What a persona has taken up within its cool-down, and when."""

    topic: str
    title: str
    at: datetime


class Skipped(Model):
    """Why something was not planned, as a kind and as a sentence for a person."""

    kind: SkipKind
    reason: str
    persona_id: str = ""
    trend_id: str = ""
    similarity: float | None = None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A trend for a persona."""

    trend: Trend
    persona: Persona


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to make, in order, and what not and why."""

    choices: list[Choice]
    skipped: list[Skipped]


def find_topic(topic: str, trends: Sequence[Trend]) -> Trend:
    """The trend that a person's words name best; NOT_FOUND lists the nearest topics."""
    scored = sorted(
        ((topic_score(topic, t), -rank, t) for rank, t in enumerate(trends)),
        key=lambda s: s[:2],
        reverse=True,
    )
    if scored and scored[0][0] >= TOPIC_MATCH:
        return scored[0][2]
    nearest = [t.topic[:80] for _, _, t in scored[:5]]
    hint = f"; the nearest are: {', '.join(nearest)}" if nearest else "; the scan found no trends at all"
    raise ChimeraError(
        "NOT_FOUND", f"no trend is about {topic[:80]!r}{hint}", {"topic": topic[:255], "nearest": nearest}
    )


def in_cooldown(trend: Trend, covered: Sequence[Covered]) -> tuple[Covered, float] | None:
    """What the persona made that is about the same (`same_topic` of topics or titles), and the similarity."""
    for past in covered:
        for ours, theirs in ((trend.topic, past.topic), (trend.title, past.title)):
            same, angle = same_topic(ours, theirs)
            if same:
                return past, angle
    return None


def choose(
    trends: Sequence[Trend],
    personas: Sequence[Persona],
    *,
    covered: Mapping[str, Sequence[Covered]],
    used_today: Mapping[str, int],
    now: datetime,
    max_tasks: int | None = None,
    affordable: int | None = None,
    force: bool = False,
) -> Plan:
    """Personas take turns, each the best trend that it has not covered, until quota, budget or `max_tasks`
    end it.

    A persona never takes two trends about the same in one plan. `force` skips the cool-down, nothing else.
    """
    skipped: list[Skipped] = []
    choices: list[Choice] = []
    if not trends:
        return Plan(choices=[], skipped=[Skipped(kind="no_trends", reason="the scan found no trends")])
    if not personas:
        return Plan(choices=[], skipped=[Skipped(kind="no_personas", reason="there is no persona to plan for")])
    left = {p.persona_id: p.daily_quota - used_today.get(p.persona_id, 0) for p in personas}
    queues = {p.persona_id: list(trends) for p in personas}
    past = {p.persona_id: list(covered.get(p.persona_id, ())) for p in personas}
    for persona in personas:
        if left[persona.persona_id] <= 0:
            reason = f"{persona.name} has used its daily quota of {persona.daily_quota}"
            skipped.append(Skipped(kind="quota", reason=reason, persona_id=persona.persona_id))
    turn = [p for p in personas if left[p.persona_id] > 0]
    while turn and (max_tasks is None or len(choices) < max_tasks):
        if affordable is not None and len(choices) >= affordable:
            reason = f"the budget that is left pays for {affordable} more"
            skipped.append(Skipped(kind="budget", reason=reason))
            break
        persona = turn.pop(0)
        identifier = persona.persona_id
        trend = _next(persona, queues[identifier], past[identifier], force, skipped)
        if trend is None:
            continue
        choices.append(Choice(trend=trend, persona=persona))
        past[identifier].append(Covered(topic=trend.topic, title=trend.title, at=now))
        left[identifier] -= 1
        if left[identifier] > 0:
            turn.append(persona)
    return Plan(choices=choices, skipped=skipped)


def _next(
    persona: Persona, queue: list[Trend], covered: Sequence[Covered], force: bool, skipped: list[Skipped]
) -> Trend | None:
    while queue:
        trend = queue.pop(0)
        found = None if force else in_cooldown(trend, covered)
        if found is None:
            return trend
        past, angle = found
        reason = (
            f"“{trend.topic[:80]}”: {persona.name} covered “{past.title[:80]}” on {past.at:%Y-%m-%d %H:%M}"
            f" (cool-down {persona.cooldown_hours} h)"
        )
        skipped.append(
            Skipped(
                kind="cooldown",
                reason=reason,
                persona_id=persona.persona_id,
                trend_id=trend.trend_id,
                similarity=angle,
            )
        )
    return None


def task_of(
    choice: Choice,
    *,
    run_id: str,
    tenant_id: str,
    now: datetime,
    trace_id: str,
    options: Mapping[str, Any],
    forced: bool,
) -> TaskMessage:
    """The message for a choice; its id is the same whenever this run plans this trend for this persona."""
    trend, persona = choice.trend, choice.persona
    return TaskMessage(
        task_id=stable_id(run_id, trend.trend_id, persona.persona_id),
        priority="high" if forced or trend.rising_velocity >= HIGH_VELOCITY else "normal",
        persona_id=persona.persona_id,
        tenant_id=tenant_id,
        payload={
            "trend_id": trend.trend_id,
            "topic": trend.topic,
            "run_id": run_id,
            "options": dict(options),
        },
        trace_id=trace_id,
        created_at=now,
    )


def nothing_planned(skipped: Sequence[Skipped]) -> ChimeraError | None:
    """The one error that says why nothing was planned; None if nothing was skipped either."""
    if not skipped:
        return None
    kinds = {s.kind for s in skipped}
    reasons = [s.reason for s in skipped]
    details = {"reasons": reasons[:20]}
    shown = "; ".join(reasons[:3]) + (f"; and {len(reasons) - 3} more" if len(reasons) > 3 else "")
    if "budget" in kinds:
        return ChimeraError("BUDGET_EXCEEDED", f"nothing planned: {shown}", details)
    if kinds <= {"no_trends", "no_personas"}:
        return ChimeraError("NOT_FOUND", f"nothing planned: {shown}", details)
    if "cooldown" in kinds:
        shown = f"every trend is within the cool-down (name one with --topic to make it anyway): {shown}"
    return ChimeraError("CONFLICT", f"nothing planned: {shown}", details)
