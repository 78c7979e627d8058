"""Wikipedia's most viewed articles of the last day that Wikimedia has counted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from chimera.adapters.local.clock import SystemClock
from chimera.adapters.sources.http import Fetched, PoliteClient, broken
from chimera.domain.cleaning import clean_count, clean_text
from chimera.domain.trends import RawTrend, select
from chimera.errors import ChimeraError

if TYPE_CHECKING:
    from chimera.ports import Clock
    from chimera.settings import Settings

DAYS_BACK = (1, 2)
"""A day is counted some hours after its end: yesterday first, else the day before."""

# What is always viewed, or is no article: the start page, pages about the wiki, adult sites.
_NAMESPACE = re.compile(
    r"(?:special|wikipedia|wp|portal|template|file|image|help|category|user|talk|draft|module|mediawiki|book|"
    r"[a-z]+ talk)\Z",
    re.IGNORECASE,
)
_NOT_A_TOPIC = re.compile(
    r"(?:main page|-|index\.(?:html?|php)|.*\.(?:xxx|php)"
    r"|(?:x(?:xx|nxx|videos|hamster)|pornhub|pornography)(?: \(.*\))?"
    r"|deaths in \d{4}|lists? of .*|404(?:\.php)?)\Z",
    re.IGNORECASE,
)


class WikipediaSource:
    """views → views of one whole UTC day; nothing else is counted."""

    name = "wikipedia"

    def __init__(self, settings: Settings, *, project: str = "en.wikipedia", clock: Clock | None = None) -> None:
        self._base = settings.wikimedia_url.rstrip("/")
        self._project = project
        self._client = PoliteClient(settings, source=self.name)
        self._clock = clock or SystemClock()

    def fetch(self, *, keywords: Sequence[str], timeframe_hours: int, limit: int) -> list[RawTrend]:
        """Articles by views, most viewed first."""
        now = self._clock.now()
        fetched, day = self._newest(now.astimezone(UTC).date())
        document = fetched.json(self.name)
        items = document.get("items") if isinstance(document, dict) else None
        first = items[0] if isinstance(items, list) and items else None
        articles = first.get("articles") if isinstance(first, dict) else None
        if not isinstance(articles, list):
            raise broken(self.name, fetched, "has no list of articles")
        found = self._trends(articles, day)
        return select(found, keywords=keywords, now=now, timeframe_hours=timeframe_hours, limit=limit)

    def _newest(self, today: date) -> tuple[Fetched, date]:
        missing: ChimeraError | None = None
        for back in DAYS_BACK:
            day = today - timedelta(days=back)
            path = f"metrics/pageviews/top/{self._project}/all-access/{day:%Y/%m/%d}"
            try:
                return self._client.get(f"{self._base}/api/rest_v1/{path}", accept="application/json"), day
            except ChimeraError as error:
                if error.details.get("status") != 404:
                    raise
                missing = error
        raise missing or ChimeraError("PROVIDER_REJECTED", f"{self.name}: no day to ask for")

    def _trends(self, articles: list[Any], day: date) -> Iterator[RawTrend]:
        end = datetime.combine(day + timedelta(days=1), time(), UTC)
        for row in articles:
            article = row.get("article") if isinstance(row, dict) else None
            if not isinstance(article, str) or len(article) > 1000:
                continue
            title = clean_text(unquote(article).replace("_", " "), 255)
            prefix, colon, _ = title.partition(":")
            if not title or (colon and _NAMESPACE.match(prefix)) or _NOT_A_TOPIC.match(title):
                continue
            yield RawTrend(
                platform=self.name,
                topic=title,
                title=title,
                views=row.get("views"),
                published_at=end,
                url=f"https://{self._project}.org/wiki/{quote(unquote(article), safe=':()/,!*')}",
                extra={"rank": clean_count(row.get("rank")), "window_hours": 24, "project": self._project},
            )
