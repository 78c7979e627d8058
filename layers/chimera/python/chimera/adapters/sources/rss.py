"""Any RSS 2.0, RSS 1.0 or Atom feed. Feeds count nothing: all metrics are None."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit
from xml.etree.ElementTree import Element

from chimera.adapters.local.clock import SystemClock
from chimera.adapters.sources import feeds
from chimera.adapters.sources.http import Fetched, PoliteClient, broken
from chimera.domain.cleaning import clean_text
from chimera.domain.trends import RawTrend, select
from chimera.errors import ChimeraError

if TYPE_CHECKING:
    from chimera.ports import Clock
    from chimera.settings import Settings

_ACCEPT = "application/rss+xml, application/atom+xml, application/xml;q=0.9, text/xml;q=0.8, */*;q=0.1"


class RssSource:
    """One feed (`rss:ADDRESS`), or all that the settings name (`rss`).

    Of several feeds one that fails is left out; if all fail the first failure is raised.
    """

    name = "rss"

    def __init__(self, settings: Settings, feed: str | None = None, clock: Clock | None = None) -> None:
        self._feeds = [feed] if feed else settings.rss_feeds.split()
        if feed:
            self.name = f"rss:{feed}"
        self._client = PoliteClient(settings, source=self.name[:200])
        self._clock = clock or SystemClock()

    def fetch(self, *, keywords: Sequence[str], timeframe_hours: int, limit: int) -> list[RawTrend]:
        """The feeds' items, feed by feed, each in its order."""
        if not self._feeds:
            raise ChimeraError(
                "VALIDATION_FAILED",
                "rss: no feed is configured; set CHIMERA_RSS_FEEDS or use rss:ADDRESS",
                {"rss_feeds": {"got": "", "expected": "feed addresses, separated by spaces"}},
            )
        found: list[RawTrend] = []
        failures: list[ChimeraError] = []
        for feed in self._feeds:
            try:
                found += self._read(feed)
            except ChimeraError as error:
                failures.append(error)
        if failures and len(failures) == len(self._feeds):
            raise failures[0]
        return select(found, keywords=keywords, now=self._clock.now(), timeframe_hours=timeframe_hours, limit=limit)

    def _read(self, feed: str) -> list[RawTrend]:
        fetched = self._client.get(feed, accept=_ACCEPT)
        try:
            rows = list(_strict(self.name, fetched))
        except ChimeraError as error:
            if error.details.get("dangerous"):
                raise
            rows = feeds.parse_leniently(self.name, fetched)
        return [item for row in rows[: feeds.MAX_ITEMS] if (item := _trend(row, fetched.url)) is not None]


def _strict(source: str, fetched: Fetched) -> Iterator[dict[str, Any]]:
    root = feeds.parse_xml(source, fetched)
    kind = feeds.local(root)
    if kind not in {"rss", "feed", "rdf"}:
        raise broken(source, fetched, f"is XML but not a feed (<{kind[:40]}>)")
    for element in root.iter():
        if feeds.local(element) in {"item", "entry"}:
            yield _row(element)


def _row(item: Element) -> dict[str, Any]:
    creator = text_of_person(item)
    dates = (feeds.text_of(item, name) for name in ("pubdate", "published", "updated", "date", "issued", "modified"))
    return {
        "title": feeds.text_of(item, "title"),
        # `encoded` is content:encoded, the whole text; media:description is only reached if there is
        # nothing else
        "description": feeds.text_of(item, "encoded", "content", "description", "summary"),
        "url": _link(item),
        "published_at": next((when for date in dates if (when := feeds.parse_time(date))), None),
        "tags": [
            tag.get("term") or "".join(tag.itertext())
            for name in ("category", "subject")
            for tag in feeds.children(item, name)
        ],
        "author": creator,
    }


def text_of_person(item: Element) -> str:
    """The author's name: RSS has it as text, Atom in a child."""
    for person in feeds.children(item, "author"):
        if name := feeds.text_of(person, "name"):
            return name
    return feeds.text_of(item, "creator", "author")


def _link(item: Element) -> str:
    """RSS: the link's text, else a guid that is an address. Atom: the alternate link."""
    for link in feeds.children(item, "link"):
        if (link.get("href") or "").strip() and link.get("rel", "alternate") == "alternate":
            return str(link.get("href")).strip()
    if text := feeds.text_of(item, "link"):
        return text
    guid = feeds.text_of(item, "guid", "id")
    return guid if urlsplit_safe(guid) in {"http", "https"} else ""


def urlsplit_safe(address: str) -> str:
    """The address's scheme; "" for what cannot be split."""
    try:
        return urlsplit(address).scheme.lower()
    except ValueError:
        return ""


def _trend(row: dict[str, Any], feed: str) -> RawTrend | None:
    title = clean_text(row["title"], 500) or clean_text(row["description"], 120)
    if not title:
        return None
    author = clean_text(row["author"], 100)
    try:
        address = urljoin(feed, row["url"]) if row["url"] else ""
    except ValueError:
        address = ""
    return RawTrend(
        platform="rss",
        topic="",
        title=title,
        description=row["description"],
        published_at=row["published_at"],
        url=address,
        tags=row["tags"],
        extra={"feed": feed[:500], "influencers": [author] if author else []},
    )
