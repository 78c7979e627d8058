"""The director: what a brief promises about cost and return, and which scripts it refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from chimera.adapters.writers.offline import OfflineWriter
from chimera.domain.models import (
    Draft,
    EngagementMetrics,
    Material,
    PersonalityProfile,
    Scene,
    Trend,
    WriterInfo,
)
from chimera.domain.prices import production_upper_bound
from chimera.domain.projection import projected_engagement, projected_roi, projected_views
from chimera.errors import ChimeraError
from chimera.plugins.loader import factories
from chimera.usecases.director import create_brief


def material(volume: int = 0, velocity: float = 0) -> Material:
    trend = Trend(
        trend_id="t1",
        topic="Harbour Bridge",
        title="Harbour Bridge closes for six weeks",
        platforms=["rss"],
        volume=volume,
        sentiment_score=0,
        rising_velocity=velocity,
        url="https://city.example/n",
        timestamp=datetime(2026, 11, 21, tzinfo=UTC),
    )
    return Material(trend=trend, profile=PersonalityProfile(name="Ada"))


def draft(words: int) -> Draft:
    return Draft(
        title="A title",
        scenes=[Scene(narration="word " * words if words < 290 else "w " * words, visual_prompt="a thing")],
        writer=WriterInfo(provider="test", model="m", prompt_version="1"),
    )


def test_a_brief_carries_draft_estimate_and_projection() -> None:
    asked = material(volume=1_000_000, velocity=10)
    written = OfflineWriter().write(asked)
    brief = create_brief(
        asked,
        written,
        brief_id="b1",
        aspect="9:16",
        target_platforms=["local"],
        estimate=(12_345, {"render": 12_000, "voice": "0.000345"}),
        request_cost_micros=2_000_000,
        execution_time_ms=5,
    )
    assert brief.script == written.script
    assert brief.visual_prompts == [s.visual_prompt for s in written.scenes]
    assert brief.estimated_cost == "0.012345"
    assert brief.cost_breakdown == {"render": "0.012", "voice": "0.000345"}
    assert brief.projected_roi == 10.0  # 1,000,000 · 0.005 · 2 views · 0.002 USD ÷ 2 USD
    assert brief.target_platforms == ["local"]


@pytest.mark.parametrize("words", [99, 501])
def test_a_script_outside_the_limits_is_refused(words: int) -> None:
    with pytest.raises(ChimeraError) as caught:
        create_brief(
            material(),
            draft(words),
            brief_id="b1",
            aspect="9:16",
            target_platforms=[],
            estimate=(1, {}),
            request_cost_micros=1,
        )
    assert caught.value.code == "QUALITY_FAILED"
    assert str(words) in caught.value.message


def test_projection_has_a_floor_grows_with_the_trend_and_is_bounded() -> None:
    assert projected_views(0, Decimal(0)) == 300
    assert projected_views(1_000_000, Decimal(0)) == 5_000
    assert projected_views(1_000_000, Decimal(99)) == projected_views(1_000_000, Decimal(10)) == 10_000
    assert projected_roi(100, 200_000) == Decimal("1.00")
    assert projected_roi(10_000, 1) == Decimal("999.99")
    with pytest.raises(ValueError, match="request_cost_micros"):
        projected_roi(100, 0)


def test_engagement_is_the_trends_own_rate_where_it_is_known() -> None:
    assert projected_engagement(EngagementMetrics()) == Decimal("0.03")
    assert projected_engagement(EngagementMetrics(views=0, likes=3)) == Decimal("0.03")
    assert projected_engagement(EngagementMetrics(views=1000, likes=30, comments=5)) == Decimal("0.0350")
    assert projected_engagement(EngagementMetrics(views=10, likes=30)) == Decimal("0.25")


def test_writer_and_checks_arrive_as_plugins() -> None:
    assert any(f.__module__ == "chimera.adapters.writers.plugin" for f in factories("writers"))
    assert len([f for f in factories("checks") if f.__module__ == "chimera.adapters.checks.plugin"]) == 7


@pytest.mark.parametrize("seconds", range(15, 181, 15))
def test_a_quiet_trend_is_worth_a_video_of_every_length_that_can_be_asked_for(seconds: int) -> None:
    views = projected_views(0, Decimal(0))
    assert projected_roi(views, production_upper_bound(seconds, 1080)) >= Decimal("1.5")
