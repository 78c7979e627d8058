"""What a video about a trend may bring: views, engagement and return, by a simple formula with stated
constants.

The constants are the starting point; the analyst replaces them with what was learnt from real publications.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from chimera.domain.models import EngagementMetrics

VALUE_PER_VIEW_USD = Decimal("0.002")
"""What one view is worth; low end of what short-video platforms share with creators (0.001–0.007 USD)."""

FLOOR_VIEWS = 300
"""What a post gets without any trend behind it."""

CAPTURE_RATE = Decimal("0.005")
"""Share of a trend's audience that one video reaches, at velocity 0."""

DEFAULT_ENGAGEMENT = Decimal("0.03")
"""Likes, comments and shares per view when the trend itself does not say."""

MAX_ENGAGEMENT = Decimal("0.25")
MAX_ROI = Decimal("999.99")


def projected_views(volume: int, velocity: Decimal) -> int:
    """Views of one video: `max(300, volume · 0.005 · (1 + velocity / 10))`; volume 0–1,000,000, velocity
    0–10.
    """
    reach = Decimal(max(0, volume)) * CAPTURE_RATE * (1 + min(Decimal(10), max(Decimal(0), velocity)) / 10)
    return max(FLOOR_VIEWS, int(reach))


def projected_engagement(metrics: EngagementMetrics) -> Decimal:
    """Interactions per view, 0–0.25, 4 places: the trend's own rate where views and reactions are known, else
    0.03.
    """
    acts = [n for n in (metrics.likes, metrics.comments, metrics.shares) if n is not None]
    if not metrics.views or not acts:
        return DEFAULT_ENGAGEMENT
    rate = Decimal(sum(acts)) / Decimal(metrics.views)
    return min(MAX_ENGAGEMENT, rate).quantize(Decimal("0.0001"), ROUND_HALF_EVEN)


def projected_roi(views: int, request_cost_micros: int) -> Decimal:
    """Value of the views ÷ what is asked for, 2 places, at most 999.99. A cost of 0 or less is refused
    (`ValueError`).
    """
    if request_cost_micros <= 0:
        raise ValueError(f"request_cost_micros: got {request_cost_micros}, expected more than 0")
    value = Decimal(views) * VALUE_PER_VIEW_USD * 1_000_000
    return min(MAX_ROI, (value / request_cost_micros).quantize(Decimal("0.01"), ROUND_HALF_EVEN))
