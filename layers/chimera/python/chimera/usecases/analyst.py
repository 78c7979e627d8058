"""Analyst: counts what came of a post at its due times, and what that teaches."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from chimera.domain.models import EngagementMetrics, Model
from chimera.errors import ChimeraError
from chimera.ports import EngagementRows, Platform

DUES: dict[str, float] = {"1h": 3600, "24h": 86_400, "72h": 259_200, "7d": 604_800}
"""Name of a due time -> seconds after publication."""


class Measure(Model):
    """Input of `measure`."""

    platform: str
    post_id: str


class RecordEngagement(Model):
    """Input of `record`."""

    tenant_id: str
    publication_id: str
    due: Literal["1h", "24h", "72h", "7d"]
    metrics: EngagementMetrics


def due_times(published_at: datetime) -> dict[str, datetime]:
    """When a post is to be measured."""
    return {due: published_at + timedelta(seconds=seconds) for due, seconds in DUES.items()}


def measure(event: Measure, platforms: Mapping[str, Platform]) -> dict[str, Any]:
    """Thinks: what the platform counts now. What it does not say is None, which is not 0."""
    if event.platform not in platforms:
        raise ChimeraError(
            "NOT_FOUND",
            f"no platform {event.platform!r} is installed; there are: {', '.join(sorted(platforms))}",
            {},
        )
    return with_rate(platforms[event.platform].metrics(event.post_id)).model_dump()


def record(event: RecordEngagement, engagement: EngagementRows) -> dict[str, Any]:
    """Remembers: one row for each due time. A count later than the next due time is kept as "no data"."""
    later = [seconds for seconds in DUES.values() if seconds > DUES[event.due]]
    row = engagement.record(
        event.publication_id, event.due, with_rate(event.metrics), valid_for_seconds=min(later, default=None)
    )
    names = ("views", "likes", "comments", "shares", "engagement_rate")
    return {
        "publication_id": str(row["publication_id"]),
        "due": row["due"],
        **{name: row[name] for name in names},
        "recorded_at": row["recorded_at"].isoformat().replace("+00:00", "Z"),
    }


def measure_due(engagement: EngagementRows, platforms: Mapping[str, Platform], tenant_id: str, limit: int = 100) -> int:
    """Catch up with all that is due and not measured (after a pause, say); how many rows were written.

    A platform that does not answer leaves its due time open for the next call.
    """
    written = 0
    for row in engagement.open_dues(DUES, limit):
        metrics: dict[str, Any] = {}
        if not row["missed"]:
            try:
                metrics = measure(Measure(platform=row["platform"], post_id=row["post_id"]), platforms)
            except ChimeraError:
                continue
        event = RecordEngagement.model_validate(
            {
                "tenant_id": tenant_id,
                "publication_id": str(row["publication_id"]),
                "due": row["due"],
                "metrics": metrics,
            }
        )
        record(event, engagement)
        written += 1
    return written


def with_rate(metrics: EngagementMetrics) -> EngagementMetrics:
    """With `engagement_rate` = (likes + comments + shares) / views, if the platform gave none."""
    interactions = [n for n in (metrics.likes, metrics.comments, metrics.shares) if n is not None]
    if metrics.engagement_rate is not None or not metrics.views or not interactions:
        return metrics
    return metrics.model_copy(update={"engagement_rate": sum(interactions) / metrics.views})
