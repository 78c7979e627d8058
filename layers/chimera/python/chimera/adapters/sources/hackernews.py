"""Hacker News' front page, with points and comments, in one call to Algolia's public search."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chimera.adapters.local.clock import SystemClock
from chimera.adapters.sources.http import PoliteClient, broken
from chimera.domain.cleaning import clean_count, clean_text
from chimera.domain.trends import RawTrend, select

if TYPE_CHECKING:
    from chimera.ports import Clock
    from chimera.settings import Settings

PAGE_SIZE = 100


class HackerNewsSource:
    """points → likes, num_comments → comments; views and shares are not counted there."""

    name = "hackernews"

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._base = settings.hackernews_url.rstrip("/")
        self._client = PoliteClient(settings, source=self.name)
        self._clock = clock or SystemClock()

    def fetch(self, *, keywords: Sequence[str], timeframe_hours: int, limit: int) -> list[RawTrend]:
        """The front page. `created_at_i` decides the age; its text form changed over the years."""
        fetched = self._client.get(
            f"{self._base}/api/v1/search",
            params={"tags": "front_page", "hitsPerPage": str(PAGE_SIZE)},
            accept="application/json",
        )
        page = fetched.json(self.name)
        hits = page.get("hits") if isinstance(page, dict) else None
        if not isinstance(hits, list):
            raise broken(self.name, fetched, "has no list of hits")
        stories = (story for rank, hit in enumerate(hits, 1) if (story := _story(hit, rank)) is not None)
        return select(stories, keywords=keywords, now=self._clock.now(), timeframe_hours=timeframe_hours, limit=limit)


def _story(hit: Any, rank: int) -> RawTrend | None:
    if not isinstance(hit, dict) or not clean_text(hit.get("title"), 500):
        return None
    identifier = clean_text(hit.get("objectID"), 40)
    discussion = f"https://news.ycombinator.com/item?id={identifier}" if identifier.isdigit() else ""
    author = clean_text(hit.get("author"), 60)
    tags = hit.get("_tags")
    return RawTrend(
        platform=HackerNewsSource.name,
        topic="",
        title=hit["title"],
        description=hit.get("story_text") or "",
        likes=hit.get("points"),
        comments=hit.get("num_comments"),
        published_at=_time(hit.get("created_at_i")),
        url=hit.get("url") or discussion,
        tags=[t for t in tags if t in {"show_hn", "ask_hn", "poll", "job"}] if isinstance(tags, list) else [],
        extra={
            "rank": rank,
            "top_posts": [discussion] if discussion else [],
            "influencers": [author] if author else [],
        },
    )


def _time(value: Any) -> datetime | None:
    seconds = clean_count(value)
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
