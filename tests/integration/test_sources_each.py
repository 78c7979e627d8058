"""What is particular to one source: its fields, its days, its filters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from chimera.adapters.sources.google_trends import GoogleTrendsSource
from chimera.adapters.sources.hackernews import HackerNewsSource
from chimera.adapters.sources.http import PoliteClient, retry_after
from chimera.adapters.sources.registry import open_source
from chimera.adapters.sources.rss import RssSource
from chimera.adapters.sources.sample import SampleSource
from chimera.adapters.sources.wikipedia import WikipediaSource
from chimera.errors import ChimeraError
from chimera.plugins.hookspecs import ProviderContext
from chimera.settings import Settings
from tests.fakes.http_server import FakeServer, Reply, Request, fake_server

NOW = datetime(2026, 5, 20, 6, 0, tzinfo=UTC)


class FixedClock:
    def now(self) -> datetime:
        return NOW


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_server() as running:
        yield running


def settings(server: FakeServer, **more: Any) -> Settings:
    base = {"hackernews_url": server.url, "wikimedia_url": server.url, "google_trends_url": server.url}
    return Settings(**(base | {"http_timeout_seconds": 5} | more))


def anything(**changes: Any) -> dict[str, Any]:
    return {"keywords": [], "timeframe_hours": 24, "limit": 50} | changes


# --- Hacker News


def hit(**fields: Any) -> dict[str, Any]:
    return {
        "objectID": "4711",
        "title": "Show HN: A clock that runs on moss",
        "url": "https://example.org/moss",
        "author": "gardener",
        "points": 120,
        "num_comments": 30,
        "story_text": "<p>It runs.<p>Slowly.",
        "created_at_i": int((NOW - timedelta(hours=2)).timestamp()),
        "_tags": ["story", "author_gardener", "story_4711", "show_hn", "front_page"],
    } | fields


def test_hackernews_maps_its_fields(server: FakeServer) -> None:
    server.answer("/api/v1/search", Reply(json.dumps({"hits": [hit()]})))
    (story,) = HackerNewsSource(settings(server), FixedClock()).fetch(**anything())
    assert server.requests[0].query["tags"] == "front_page"
    assert (story.likes, story.comments, story.views, story.shares) == (120, 30, None, None)
    assert story.topic == "A clock that runs on moss"
    assert story.title == "Show HN: A clock that runs on moss"
    assert story.description == "It runs. Slowly."
    assert story.published_at == NOW - timedelta(hours=2)
    assert story.tags == ["show_hn"]
    assert story.extra["top_posts"] == ["https://news.ycombinator.com/item?id=4711"]


@pytest.mark.parametrize("url", [None, "", "javascript:alert(1)"])
def test_hackernews_story_without_address_leads_to_its_discussion(server: FakeServer, url: str | None) -> None:
    server.answer("/api/v1/search", Reply(json.dumps({"hits": [hit(url=url)]})))
    (story,) = HackerNewsSource(settings(server), FixedClock()).fetch(**anything())
    assert story.url in {"https://news.ycombinator.com/item?id=4711", ""}
    assert url or story.url


def test_hackernews_old_stories_are_outside_the_timeframe(server: FakeServer) -> None:
    old = hit(objectID="1", url="https://example.org/1", created_at_i=int((NOW - timedelta(hours=30)).timestamp()))
    server.answer("/api/v1/search", Reply(json.dumps({"hits": [old, hit()]})))
    source = HackerNewsSource(settings(server), FixedClock())
    assert len(source.fetch(**anything())) == 1
    assert len(source.fetch(**anything(timeframe_hours=48))) == 2


# --- Wikipedia


def top(*articles: str) -> str:
    rows = [{"article": a, "views": 1000 - i, "rank": i + 1} for i, a in enumerate(articles)]
    return json.dumps({"items": [{"project": "en.wikipedia", "articles": rows}]})


def test_wikipedia_falls_back_to_the_day_before(server: FakeServer) -> None:
    server.answer("/", Reply(json.dumps({"title": "Not Found"}), status=404))
    server.answer("/api/rest_v1/metrics/pageviews/top/en.wikipedia/all-access/2026/05/18", Reply(top("Blue_whale")))
    (article,) = WikipediaSource(settings(server), clock=FixedClock()).fetch(**anything())
    assert [r.path[-10:] for r in server.requests] == ["2026/05/19", "2026/05/18"]
    assert article.published_at == datetime(2026, 5, 19, tzinfo=UTC), "the end of the day that was counted"
    assert (article.views, article.likes) == (1000, None)


def test_wikipedia_with_neither_day_is_an_error(server: FakeServer) -> None:
    server.answer("/", Reply("{}", status=404))
    with pytest.raises(ChimeraError) as caught:
        WikipediaSource(settings(server), clock=FixedClock()).fetch(**anything())
    assert caught.value.details["status"] == 404
    assert len(server.requests) == 2


def test_wikipedia_leaves_out_what_is_no_topic(server: FakeServer) -> None:
    noise = [
        "Main_Page",
        "Special:Search",
        "Wikipedia:About",
        "Portal:Current_events",
        "Template:Navbox",
        "-",
        "File:A.jpg",
    ]
    noise += ["XXX_(film)", "Example.xxx", "Deaths_in_2026", "User_talk:Somebody", "List_of_films"]
    titles = ["Star_Trek:_Picard", "Caf%C3%A9", "The_Martian_(film)"]
    server.answer("/api/rest_v1", Reply(top(*noise, *titles)))
    found = WikipediaSource(settings(server), clock=FixedClock()).fetch(**anything())
    assert [a.title for a in found] == ["Star Trek: Picard", "Café", "The Martian (film)"]
    assert found[1].url == "https://en.wikipedia.org/wiki/Caf%C3%A9"


# --- Google Trends


def google(title: str, traffic: str, namespace: str = "https://trends.example/1") -> str:
    return (
        f'<rss version="2.0" xmlns:ht="{namespace}"><channel><item><title>{title}</title>'
        f"<ht:approx_traffic>{traffic}</ht:approx_traffic>"
        f"<pubDate>{format_datetime(NOW - timedelta(hours=1))}</pubDate>"
        "<ht:news_item><ht:news_item_title>First headline</ht:news_item_title>"
        "<ht:news_item_snippet>What &amp;quot;happened&amp;quot;.</ht:news_item_snippet>"
        "<ht:news_item_url>https://example.org/a</ht:news_item_url><ht:news_item_source>Post</ht:news_item_source>"
        "</ht:news_item><ht:news_item><ht:news_item_title>Second headline</ht:news_item_title>"
        "<ht:news_item_url>https://example.org/b</ht:news_item_url></ht:news_item></item></channel></rss>"
    )


@pytest.mark.parametrize("namespace", ["https://trends.example/1", "urn:something:else"])
def test_google_trends_maps_whatever_the_namespace(server: FakeServer, namespace: str) -> None:
    body = google("&lt;b&gt;tom &amp;amp; jerry&lt;/b&gt; it&amp;#39;s", "1,000,000+", namespace)
    server.answer("/trending/rss", Reply(body, content_type="application/rss+xml"))
    (search,) = GoogleTrendsSource(settings(server), clock=FixedClock()).fetch(**anything())
    assert server.requests[0].query == {"geo": "US"}
    assert search.topic == "tom & jerry it's"
    assert search.views == 1_000_000
    assert search.url == "https://example.org/a"
    assert search.description.startswith("First headline") and 'What "happened"' in search.description
    assert search.tags == ["Post"]


@pytest.mark.parametrize(("traffic", "views"), [("500+", 500), ("", None), ("lots", None), ("20 000+", 20_000)])
def test_google_trends_unknown_traffic_is_not_zero(server: FakeServer, traffic: str, views: int | None) -> None:
    server.answer("/trending/rss", Reply(google("topic", traffic), content_type="application/rss+xml"))
    (search,) = GoogleTrendsSource(settings(server), clock=FixedClock()).fetch(**anything())
    assert search.views == views


# --- feeds


def test_feed_with_undefined_entities_is_read_leniently(server: FakeServer) -> None:
    body = '<rss version="2.0"><channel><item><title>Caf&eacute;&nbsp;opens</title><link>https://example.org/1</link></item></channel></rss>'
    server.answer("/feed", Reply(body, content_type="text/xml"))
    (item,) = RssSource(settings(server), f"{server.url}/feed", FixedClock()).fetch(**anything())
    assert item.title == "Café opens"


@pytest.mark.parametrize(
    "date", ["", "yesterday", "Mon, 99 Foo 2026 99:99:99 GMT", "0000-00-00", "9999-12-31T23:59:59-23:59"]
)
def test_feed_with_a_garbage_date_keeps_the_item(server: FakeServer, date: str) -> None:
    body = f"<rss><channel><item><title>Undated</title><pubDate>{date}</pubDate></item></channel></rss>"
    server.answer("/feed", Reply(body, content_type="text/xml"))
    (item,) = RssSource(settings(server), f"{server.url}/feed", FixedClock()).fetch(**anything())
    assert item.title == "Undated"


def test_feed_in_its_own_encoding(server: FakeServer) -> None:
    body = '<?xml version="1.0" encoding="iso-8859-1"?><rss><channel><item><title>Zürich</title></item></channel></rss>'
    server.answer("/feed", Reply(body.encode("iso-8859-1"), content_type="text/xml"))
    (item,) = RssSource(settings(server), f"{server.url}/feed", FixedClock()).fetch(**anything())
    assert item.title == "Zürich"


def test_one_broken_feed_of_two_is_left_out_and_two_are_an_error(server: FakeServer) -> None:
    server.answer(
        "/good",
        Reply("<rss><channel><item><title>Good</title></item></channel></rss>", content_type="text/xml"),
    )
    server.answer("/bad", Reply("oops", status=500))
    one = settings(server, rss_feeds=f"{server.url}/bad {server.url}/good")
    assert [i.title for i in RssSource(one, clock=FixedClock()).fetch(**anything())] == ["Good"]
    two = settings(server, rss_feeds=f"{server.url}/bad {server.url}/bad2")
    with pytest.raises(ChimeraError) as caught:
        RssSource(two, clock=FixedClock()).fetch(**anything())
    assert caught.value.code == "PROVIDER_TIMEOUT"


def test_no_feed_configured_says_what_to_set(server: FakeServer) -> None:
    with pytest.raises(ChimeraError) as caught:
        RssSource(settings(server, rss_feeds="")).fetch(**anything())
    assert caught.value.code == "VALIDATION_FAILED" and "CHIMERA_RSS_FEEDS" in caught.value.message


# --- the sample


def test_sample_is_labelled_and_long_enough_to_write_from() -> None:
    found = SampleSource().fetch(**anything())
    assert len(found) >= 12
    assert all(t.platform == "sample" and t.extra == {"sample": True} for t in found)
    assert all(150 <= len(t.description.split()) <= 300 and not t.description.endswith("…") for t in found)
    assert all((t.views, t.likes, t.comments, t.shares, t.published_at) == (None,) * 5 for t in found)
    assert len({t.url for t in found}) == len(found)


# --- opening by name


def test_sources_are_opened_by_name(server: FakeServer, tmp_path: Any) -> None:
    context = ProviderContext(settings=settings(server))
    assert open_source("hackernews", context, allow_files=False).name == "hackernews"
    assert open_source(f"rss:{server.url}/feed", context, allow_files=False).name == f"rss:{server.url}/feed"
    assert open_source(f"file:{tmp_path}/a.json", context, allow_files=True).name == f"file:{tmp_path}/a.json"
    assert open_source(f"file://{tmp_path}/a%20b.json", context, allow_files=True).name == f"file:{tmp_path}/a b.json"


def test_files_are_not_opened_for_the_network(server: FakeServer) -> None:
    with pytest.raises(ChimeraError) as caught:
        open_source("file:/etc/passwd", ProviderContext(settings=settings(server)), allow_files=False)
    assert caught.value.code == "FORBIDDEN"


def test_unknown_source_says_which_there_are(server: FakeServer) -> None:
    with pytest.raises(ChimeraError) as caught:
        open_source("myspace", ProviderContext(settings=settings(server)), allow_files=True)
    assert caught.value.code == "NOT_FOUND" and "hackernews" in caught.value.message


# --- the client


def test_retry_after_as_number_date_and_garbage() -> None:
    assert retry_after("120") == 120
    assert retry_after(format_datetime(NOW + timedelta(seconds=90)), NOW) == 90
    assert retry_after(format_datetime(NOW - timedelta(days=2)), NOW) == 0
    assert retry_after("999999999999999999") == 86_400
    assert retry_after("soon") is None and retry_after("-5") is None and retry_after(None) is None


def test_deflate_with_and_without_its_header(server: FakeServer) -> None:
    import zlib

    packed = zlib.compress(b"hello")
    for body in (packed, packed[2:-4]):
        server.answer("/z", Reply(body, headers={"Content-Encoding": "deflate"}))
        assert PoliteClient(settings(server), source="test").get(f"{server.url}/z").body == b"hello"


def test_unknown_content_encoding_is_rejected(server: FakeServer) -> None:
    server.answer("/z", Reply(b"x", headers={"Content-Encoding": "br"}))
    with pytest.raises(ChimeraError) as caught:
        PoliteClient(settings(server), source="test").get(f"{server.url}/z")
    assert caught.value.code == "PROVIDER_REJECTED"


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://example.org/", "", "http://", "http://[::1", "no address"]
)
def test_only_web_addresses_are_asked(server: FakeServer, url: str) -> None:
    with pytest.raises(ChimeraError) as caught:
        PoliteClient(settings(server), source="test").get(url)
    assert caught.value.code == "PROVIDER_REJECTED"


def test_redirect_from_outside_to_a_private_address_is_refused(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    real = socket.getaddrinfo

    def resolve(host: str, port: Any, *rest: Any, **more: Any) -> Any:
        """A public name for the first request; the connection itself still goes to this machine."""
        if host == "localhost" and port is None:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 0))]
        return real(host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    def inward(asked: Request) -> Reply:
        return Reply(status=302, headers={"Location": f"{server.url}/secret"})

    server.answer("/start", inward)
    server.answer("/secret", Reply("secret"))
    with pytest.raises(ChimeraError) as caught:
        PoliteClient(settings(server), source="test").get(server.url.replace("127.0.0.1", "localhost") + "/start")
    assert caught.value.code == "PROVIDER_REJECTED" and "private" in caught.value.message
    assert [r.path for r in server.requests] == ["/start"]
