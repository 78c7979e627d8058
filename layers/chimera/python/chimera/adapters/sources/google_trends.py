"""What is searched for more than usual: Google Trends' "Trending now" feed of a country."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from chimera.adapters.local.clock import SystemClock
from chimera.adapters.sources import feeds
from chimera.adapters.sources.http import PoliteClient, broken
from chimera.domain.cleaning import clean_text, clean_url
from chimera.domain.trends import RawTrend, select

if TYPE_CHECKING:
    from chimera.ports import Clock
    from chimera.settings import Settings


class GoogleTrendsSource:
    """approx_traffic ("20,000+": searches, a lower bound) → views; first news item → description and address.

    Tags are matched by their local names, because the namespace's address differs between captures.
    """

    name = "google_trends"

    def __init__(self, settings: Settings, *, geo: str = "US", clock: Clock | None = None) -> None:
        self._base = settings.google_trends_url.rstrip("/")
        self._geo = geo
        self._client = PoliteClient(settings, source=self.name)
        self._clock = clock or SystemClock()

    def fetch(self, *, keywords: Sequence[str], timeframe_hours: int, limit: int) -> list[RawTrend]:
        """The feed's searches in its order."""
        fetched = self._client.get(
            f"{self._base}/trending/rss",
            params={"geo": self._geo},
            accept="application/rss+xml, application/xml",
        )
        root = feeds.parse_xml(self.name, fetched)
        if feeds.local(root) != "rss":
            raise broken(self.name, fetched, f"is XML but not RSS (<{feeds.local(root)[:40]}>)")
        found = self._trends(root)
        return select(found, keywords=keywords, now=self._clock.now(), timeframe_hours=timeframe_hours, limit=limit)

    def _trends(self, root: Element) -> Iterator[RawTrend]:
        for item in root.iter():
            if feeds.local(item) != "item":
                continue
            topic = clean_text(feeds.text_of(item, "title"), 255)
            if not topic:
                continue
            news = list(feeds.children(item, "news_item"))[:10]
            headlines = [clean_text(feeds.text_of(n, "news_item_title"), 300) for n in news]
            snippets = [clean_text(feeds.text_of(n, "news_item_snippet"), 1000) for n in news]
            addresses = [u for n in news if (u := clean_url(feeds.text_of(n, "news_item_url")))]
            sources = [s for n in news if (s := clean_text(feeds.text_of(n, "news_item_source"), 60))]
            yield RawTrend(
                platform=self.name,
                topic=topic,
                title=topic,
                description=". ".join(t.rstrip(".") for t in dict.fromkeys(headlines + snippets) if t),
                views=feeds.text_of(item, "approx_traffic") or None,
                published_at=feeds.parse_time(feeds.text_of(item, "pubdate")),
                url=addresses[0] if addresses else "",
                tags=sources,
                extra={
                    "identity": "topic",  # the same search leads to other news an hour later
                    "geo": self._geo,
                    "views_are": "searches, a lower bound",
                    "top_posts": addresses,
                    "influencers": sources,
                },
            )
