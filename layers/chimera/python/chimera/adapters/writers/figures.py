"""Says what was measured about a trend: where it was seen, what was counted there, how fast it rises."""

from __future__ import annotations

import random
from dataclasses import dataclass

from chimera.adapters.writers.headline import listing
from chimera.domain.models import Trend
from chimera.domain.naming import platform_label


@dataclass(frozen=True)
class Measured:
    """What can be said about attention: sentences about counts, one about speed ("" if not measured), a
    card's line.
    """

    counts: list[str]
    speed: str
    card: str


def measured(trend: Trend, rng: random.Random) -> Measured:
    """What was counted, said plainly; nothing is said about what was not counted."""
    m = trend.engagement_metrics
    platforms = trend.platforms
    only = platforms[0] if len(platforms) == 1 else ""
    labels = [platform_label(p) for p in platforms if p not in {"file", "sample", "rss"}]
    sentences: list[str] = []
    card = ""
    if only == "hackernews" and m.likes:
        talk = f" and {_count(m.comments, 'comment')}" if m.comments else ""
        sentences.append(
            rng.choice(
                [
                    f"On Hacker News it stands at {_count(m.likes, 'point')}{talk}.",
                    f"Readers at Hacker News gave it {_count(m.likes, 'point')}{talk}.",
                ]
            )
        )
        card = _card([_count(m.likes, "point"), _count(m.comments, "comment") if m.comments else ""])
    elif only == "wikipedia" and m.views:
        span = " in one day" if trend.metadata.extra.get("window_hours") == 24 else ""
        sentences.append(f"Wikipedia counted {_count(m.views, 'view')} of this page{span}.")
        card = f"{_count(m.views, 'view')}{span}"
    elif only == "google_trends" and m.views:
        sentences.append(f"Google Trends counts more than {_number(m.views)} searches for it.")
        card = f"More than {_number(m.views)} searches"
    else:
        if len(labels) > 1:
            sentences.append(f"It shows up in more than one place: {listing(labels[:3])}.")
        elif labels:
            sentences.append(f"We found it on {labels[0]}.")
        counted = [
            _count(value, noun)
            for value, noun in (
                (m.views, "view"),
                (m.likes, "like"),
                (m.comments, "comment"),
                (m.shares, "share"),
            )
            if value
        ]
        if counted:
            where = "Together that makes" if len(labels) > 1 else "So far it has"
            sentences.append(f"{where} {listing(counted)}.")
        card = _card(counted[:2]) or (f"Seen on {listing(labels[:2])}" if labels else "")
    speed = ""
    basis = trend.metadata.extra.get("velocity_basis")
    if trend.rising_velocity >= 0.1 and basis not in {None, "recency"}:
        value = f"{trend.rising_velocity:.2f}".rstrip("0").rstrip(".")
        speed = rng.choice(
            [
                f"On our scale from zero to ten, it rises at {value}.",
                f"Its rising speed, on our scale from zero to ten: {value}.",
            ]
        )
        card = card or f"Rising speed: {value}"
    return Measured(sentences, speed, card[:60])


def _number(value: int) -> str:
    """1,234 in full; from a million on with the scale word, as long as that is exact to 0.05 %."""
    for size, word in ((10**9, "billion"), (10**6, "million")):
        if value >= size:
            text = f"{value / size:.3f}".rstrip("0").rstrip(".")
            return f"{text} {word}"
    return f"{value:,}"


def _count(value: int | None, noun: str) -> str:
    number = value or 0
    return f"{_number(number)} {noun}{'' if number == 1 else 's'}"


def _card(parts: list[str]) -> str:
    line = " · ".join(p for p in parts if p)
    return line if len(line) <= 60 else parts[0]
