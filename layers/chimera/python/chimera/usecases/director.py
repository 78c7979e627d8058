"""Director: makes a writer's draft into a brief: limits held, cost estimated, engagement and return
projected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from chimera.domain.cards import is_still
from chimera.domain.models import Aspect, Brief, Draft, Format, Material
from chimera.domain.money import usd
from chimera.domain.projection import projected_engagement, projected_roi, projected_views
from chimera.errors import ChimeraError

MIN_WORDS = 100
MAX_WORDS = 500
MAX_CHARACTERS = 5000


def create_brief(
    material: Material,
    draft: Draft,
    *,
    brief_id: str,
    aspect: Aspect,
    target_platforms: Sequence[str],
    estimate: tuple[int, Mapping[str, int | str]],
    request_cost_micros: int,
    format: Format = "video",
    execution_time_ms: int = 0,
) -> Brief:
    """The brief of a draft.

    `estimate` is what production is expected to cost, in micros of a USD, and its breakdown (micros, or
    decimal strings in USD); `request_cost_micros` is what the CFO is asked for, which return is projected
    against. Raises `QUALITY_FAILED` for a script outside 100–500 words or 5000 characters; cards may carry fewer words.
    """
    check_script(draft.script, own=bool(material.script), least=1 if is_still(format) else MIN_WORDS)
    trend = material.trend
    expected, breakdown = estimate
    views = projected_views(trend.volume, Decimal(str(trend.rising_velocity)))
    profile = material.profile
    return Brief(
        brief_id=brief_id,
        trend_id=trend.trend_id,
        format=format,
        title=draft.title,
        description=draft.description,
        script=draft.script,
        scenes=draft.scenes,
        visual_prompts=[scene.visual_prompt for scene in draft.scenes],
        tone_guidelines=f"{profile.tone}; voice: {profile.brand_guidelines.voice}; for {profile.target_audience}",
        target_platforms=list(target_platforms),
        hashtags=draft.hashtags,
        estimated_cost=usd(expected),
        cost_breakdown={k: usd(v) if isinstance(v, int) else v for k, v in breakdown.items()},
        projected_engagement=float(projected_engagement(trend.engagement_metrics)),
        projected_roi=float(projected_roi(views, request_cost_micros)),
        sources=draft.sources,
        writer=draft.writer,
        duration_seconds=material.duration_seconds,
        aspect=aspect,
        language=material.language,
        execution_time_ms=execution_time_ms,
    )


def check_script(script: str, *, own: bool = False, least: int = MIN_WORDS) -> None:
    """Hold the limits of a script; `QUALITY_FAILED` says what was found. A person's `own` may have one word or many."""
    words = len(script.split())
    least, most = (1, MAX_CHARACTERS) if own else (least, MAX_WORDS)
    if not least <= words <= most or len(script) > MAX_CHARACTERS + (own and script.count("\n\n") * 2):
        raise ChimeraError(
            "QUALITY_FAILED",
            f"script: got {words} words, {len(script)} characters; expected {least}–{most} words"
            f" and at most {MAX_CHARACTERS} characters",
            {"words": words, "characters": len(script)},
        )
