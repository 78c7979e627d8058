"""Every source keeps one contract, whatever the server at the other end does."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from chimera.adapters.sources.plugin import chimera_sources
from chimera.domain.trends import RawTrend
from chimera.errors import ChimeraError
from chimera.plugins.hookspecs import ProviderContext
from chimera.settings import Settings
from tests.fakes.http_server import FakeServer, Reply, fake_server

NOW = datetime.now(UTC)


def _hn(titles: list[str], **fields: Any) -> str:
    hits = [
        {
            "objectID": str(1000 + i),
            "title": title,
            "url": f"https://example.org/story/{i}",
            "author": "someone",
            "points": 50 + i,
            "num_comments": 7,
            "story_text": None,
            "created_at_i": int((NOW - timedelta(hours=3)).timestamp()),
            "_tags": ["story", "author_someone", f"story_{1000 + i}", "front_page"],
        }
        | fields
        for i, title in enumerate(titles)
    ]
    return json.dumps({"hits": hits, "nbHits": len(hits), "page": 0})


def _wiki(titles: list[str]) -> str:
    rows = [{"article": t.replace(" ", "_"), "views": 90_000 - i, "rank": i + 1} for i, t in enumerate(titles)]
    return json.dumps({"items": [{"project": "en.wikipedia", "access": "all-access", "articles": rows}]})


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _google(titles: list[str]) -> str:
    items = "".join(
        f"<item><title>{_escaped(t)}</title><ht:approx_traffic>20,000+</ht:approx_traffic>"
        f"<pubDate>{format_datetime(NOW - timedelta(hours=2))}</pubDate>"
        f"<link>https://trends.example/feed</link><ht:news_item><ht:news_item_title>News {i}</ht:news_item_title>"
        f"<ht:news_item_url>https://example.org/news/{i}</ht:news_item_url>"
        "<ht:news_item_source>Example Post</ht:news_item_source></ht:news_item></item>"
        for i, t in enumerate(titles)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0" xmlns:ht="https://trends.example/any">'
        f"<channel><title>Daily</title>{items}</channel></rss>"
    )


def _rss(titles: list[str]) -> str:
    items = "".join(
        f"<item><title>{_escaped(t)}</title><link>https://example.org/item/{i}</link>"
        f"<description>{_escaped('<p>About it.</p>')}</description><guid isPermaLink='false'>id-{i}</guid>"
        f"<pubDate>{format_datetime(NOW - timedelta(hours=1))}</pubDate><category>Science</category></item>"
        for i, t in enumerate(titles)
    )
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>Feed</title>{items}</channel></rss>'


def _atom(titles: list[str]) -> str:
    items = "".join(
        f"<entry><title type='html'>{_escaped(t)}</title><link rel='self' href='/self/{i}'/>"
        f"<link href='/item/{i}'/><id>urn:x:{i}</id><updated>{(NOW - timedelta(hours=1)).isoformat()}</updated>"
        f"<author><name>A. Writer</name></author><summary>About it.</summary><category term='Science'/></entry>"
        for i, t in enumerate(titles)
    )
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><title>Feed</title>{items}</feed>'


@dataclass(frozen=True)
class Kind:
    """A source, its address on the server, and how its payload with these titles looks."""

    name: str
    path: str
    payload: Callable[[list[str]], str]
    content_type: str


KINDS = [
    Kind("hackernews", "/api/v1/search", _hn, "application/json; charset=utf-8"),
    Kind("wikipedia", "/api/rest_v1/metrics/pageviews/top/", _wiki, "application/json"),
    Kind("google_trends", "/trending/rss", _google, "application/rss+xml"),
    Kind("rss", "/feed", _rss, "text/xml"),
    Kind("rss", "/feed", _atom, "application/atom+xml"),
]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=["hackernews", "wikipedia", "google_trends", "rss", "atom"])


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_server() as running:
        yield running


def settings_for(base: str, timeout: float = 5.0) -> Settings:
    return Settings(
        hackernews_url=base,
        wikimedia_url=base,
        google_trends_url=base,
        rss_feeds=f"{base}/feed",
        http_timeout_seconds=timeout,
        http_contact="mailto:test@example.org",
    )


def source(kind: Kind, base: str, timeout: float = 5.0) -> Any:
    context = ProviderContext(settings=settings_for(base, timeout))
    return next(s for s in (make(context) for make in chimera_sources()) if s.name == kind.name)


def fetch(kind: Kind, base: str, *, timeout: float = 5.0, **wanted: Any) -> list[RawTrend]:
    arguments = {"keywords": [], "timeframe_hours": 24, "limit": 50} | wanted
    return source(kind, base, timeout).fetch(**arguments)  # type: ignore[no-any-return]


@each_kind
def test_good_answer_gives_trends_of_that_platform(kind: Kind, server: FakeServer) -> None:
    server.answer(kind.path, Reply(kind.payload(["First thing", "Second thing"]), content_type=kind.content_type))
    found = fetch(kind, server.url)
    assert [t.title for t in found] == ["First thing", "Second thing"]
    assert {t.platform for t in found} == {kind.name}
    assert all(t.url.startswith(("https://", "http://")) for t in found)
    assert all(t.published_at is not None and t.published_at <= NOW for t in found)
    assert all(t.shares is None for t in found), "what a platform does not count is None"


@each_kind
def test_asks_politely(kind: Kind, server: FakeServer) -> None:
    server.answer(kind.path, Reply(kind.payload(["First thing"]), content_type=kind.content_type))
    fetch(kind, server.url)
    agent = server.requests[0].headers["user-agent"]
    assert "chimera" in agent and "mailto:test@example.org" in agent
    assert len(server.requests) == 1


@each_kind
def test_limit_and_keywords_select(kind: Kind, server: FakeServer) -> None:
    titles = ["AI writes a novel", "She said no", "More about AI", "Nothing else"]
    server.answer(kind.path, Reply(kind.payload(titles), content_type=kind.content_type))
    assert [t.title for t in fetch(kind, server.url, keywords=["ai"])] == [
        "AI writes a novel",
        "More about AI",
    ]
    assert [t.title for t in fetch(kind, server.url, keywords=["ai"], limit=1)] == ["AI writes a novel"]


@each_kind
def test_the_same_thing_twice_counts_once(kind: Kind, server: FakeServer) -> None:
    payload = kind.payload(["Only thing"])
    if payload.startswith("{"):
        document = json.loads(payload)
        rows = document.get("hits") or document["items"][0]["articles"]
        rows.append(rows[0])
        payload = json.dumps(document)
    else:
        tag = "entry" if "<entry>" in payload else "item"
        start, end = payload.index(f"<{tag}>"), payload.rindex(f"</{tag}>") + len(tag) + 3
        payload = payload[:end] + payload[start:end] + payload[end:]
    server.answer(kind.path, Reply(payload, content_type=kind.content_type))
    assert len(fetch(kind, server.url)) == 1


@each_kind
def test_empty_list_is_no_trends_and_no_error(kind: Kind, server: FakeServer) -> None:
    server.answer(kind.path, Reply(kind.payload([]), content_type=kind.content_type))
    assert fetch(kind, server.url) == []


@each_kind
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"<rss><channel><item><title><![CD",
        b"<html><body>Sorry</body></html>",
        b"null",
        b"[]",
        b"\x00\xff\xfe\x00",
    ],
    ids=["nothing", "half-json", "half-xml", "html", "null", "list", "noise"],
)
def test_broken_answer_is_rejected_not_half_read(kind: Kind, server: FakeServer, body: bytes) -> None:
    server.answer(kind.path, Reply(body, content_type=kind.content_type))
    try:
        assert fetch(kind, server.url) == []  # feedparser may find an empty feed in a broken one
        assert kind.name == "rss" and body.startswith(b"<rss")
    except ChimeraError as error:
        assert error.code == "PROVIDER_REJECTED"
        assert kind.name in error.message


@each_kind
def test_deeply_nested_answer_is_rejected(kind: Kind, server: FakeServer) -> None:
    body = "[" * 100_000 if kind.name in {"hackernews", "wikipedia"} else "<a>" * 100_000
    server.answer(kind.path, Reply(body, content_type=kind.content_type))
    with pytest.raises(ChimeraError) as caught:
        fetch(kind, server.url)
    assert caught.value.code == "PROVIDER_REJECTED"


@each_kind
def test_too_many_requests_carries_the_servers_wait(kind: Kind, server: FakeServer) -> None:
    server.answer(kind.path, Reply(b"slow down", status=429, headers={"Retry-After": "37"}))
    with pytest.raises(ChimeraError) as caught:
        fetch(kind, server.url)
    assert caught.value.code == "RATE_LIMITED"
    assert caught.value.retry_after_seconds == 37
    assert caught.value.details["status"] == 429


@each_kind
@pytest.mark.parametrize(
    ("status", "code"), [(500, "PROVIDER_TIMEOUT"), (503, "PROVIDER_TIMEOUT"), (403, "PROVIDER_REJECTED")]
)
def test_failing_server_is_told_apart_from_a_refusal(kind: Kind, server: FakeServer, status: int, code: str) -> None:
    server.answer(kind.path, Reply(b"<html>oops</html>", status=status))
    with pytest.raises(ChimeraError) as caught:
        fetch(kind, server.url)
    assert caught.value.code == code
    assert caught.value.details["status"] == status


@each_kind
@pytest.mark.parametrize("how", ["drip", "drip_headers"])
def test_slow_drip_ends_at_the_deadline(kind: Kind, server: FakeServer, how: str) -> None:
    reply = Reply(kind.payload([f"Thing {i}" for i in range(200)]), content_type=kind.content_type)
    setattr(reply, how, True)
    server.answer(kind.path, reply)
    with pytest.raises(ChimeraError) as caught:
        fetch(kind, server.url, timeout=0.4)
    assert caught.value.code == "PROVIDER_TIMEOUT"


@each_kind
def test_answer_cut_off_in_the_middle_is_an_error(kind: Kind, server: FakeServer) -> None:
    server.answer(kind.path, Reply(kind.payload(["A", "B", "C"]), content_type=kind.content_type, cut_off=True))
    with pytest.raises(ChimeraError) as caught:
        fetch(kind, server.url)
    assert caught.value.code == "PROVIDER_TIMEOUT"


@each_kind
def test_gzip_bomb_is_refused(kind: Kind, server: FakeServer) -> None:
    bomb = Reply.gzipped(b" " * (60 * 1024 * 1024), content_type=kind.content_type)
    assert len(bomb.body) < 100_000
    server.answer(kind.path, bomb)
    with pytest.raises(ChimeraError) as caught:
        fetch(kind, server.url)
    assert caught.value.code == "FILE_TOO_LARGE"


@each_kind
def test_body_over_the_cap_is_refused(kind: Kind, server: FakeServer) -> None:
    server.answer(kind.path, Reply(b" " * (6 * 1024 * 1024), content_type=kind.content_type))
    with pytest.raises(ChimeraError) as caught:
        fetch(kind, server.url)
    assert caught.value.code == "FILE_TOO_LARGE"


@each_kind
def test_packed_answer_is_unpacked(kind: Kind, server: FakeServer) -> None:
    server.answer(kind.path, Reply.gzipped(kind.payload(["Packed thing"]).encode(), content_type=kind.content_type))
    assert [t.title for t in fetch(kind, server.url)] == ["Packed thing"]


@each_kind
def test_damaged_gzip_is_rejected(kind: Kind, server: FakeServer) -> None:
    body = b"\x1f\x8b" + gzip.compress(kind.payload(["A"]).encode())[6:]
    server.answer(kind.path, Reply(body, headers={"Content-Encoding": "gzip"}, content_type=kind.content_type))
    with pytest.raises(ChimeraError) as caught:
        fetch(kind, server.url)
    assert caught.value.code == "PROVIDER_REJECTED"


@each_kind
def test_redirect_loop_ends(kind: Kind, server: FakeServer) -> None:
    server.answer("/", lambda asked: Reply(status=302, headers={"Location": asked.path}))
    with pytest.raises(ChimeraError) as caught:
        fetch(kind, server.url)
    assert caught.value.code == "PROVIDER_REJECTED"
    assert len(server.requests) == 6


@each_kind
def test_redirect_is_followed(kind: Kind, server: FakeServer) -> None:
    server.answer(kind.path, Reply(status=301, headers={"Location": "/moved"}))
    server.answer("/moved", Reply(kind.payload(["Moved thing"]), content_type=kind.content_type))
    assert [t.title for t in fetch(kind, server.url)] == ["Moved thing"]


@each_kind
@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://example.org/x", "http://[", "http:///nowhere"])
def test_redirect_to_no_web_address_is_rejected(kind: Kind, server: FakeServer, target: str) -> None:
    server.answer(kind.path, Reply(status=302, headers={"Location": target}))
    with pytest.raises(ChimeraError) as caught:
        fetch(kind, server.url)
    assert caught.value.code == "PROVIDER_REJECTED"


@each_kind
def test_connection_refused_is_unreachable(kind: Kind) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, not listening: nobody else gets the port
        with pytest.raises(ChimeraError) as caught:
            fetch(kind, f"http://127.0.0.1:{held.getsockname()[1]}")
    assert caught.value.code == "PROVIDER_TIMEOUT"
    assert caught.value.details["reason"] == "unreachable"


@each_kind
def test_unknown_host_is_unreachable(kind: Kind) -> None:
    with pytest.raises(ChimeraError) as caught:
        fetch(kind, "http://no-such-host.invalid")
    assert caught.value.code == "PROVIDER_TIMEOUT"
    assert caught.value.details["reason"] == "unreachable"


@each_kind
def test_markup_scripts_and_controls_do_not_come_through(kind: Kind, server: FakeServer) -> None:
    title = "Big <b>news</b><script>alert('x')</script> &lt;i&gt;now\u202e\u200b"
    server.answer(kind.path, Reply(kind.payload([title]), content_type=kind.content_type))
    (trend,) = fetch(kind, server.url)
    assert trend.title == "Big news now"
    assert "<" not in trend.description


@each_kind
def test_right_to_left_and_emoji_survive(kind: Kind, server: FakeServer) -> None:
    titles = [
        "اكتشاف مدينة قديمة",
        "גילוי חדש",
        "👩\u200d🚀 on the 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f pitch",
        "新しい宇宙望遠鏡",
    ]
    server.answer(kind.path, Reply(kind.payload(titles), content_type=kind.content_type))
    assert [t.title for t in fetch(kind, server.url)] == titles


@each_kind
def test_two_megabyte_title_is_cut(kind: Kind, server: FakeServer) -> None:
    server.answer(kind.path, Reply(kind.payload(["word " * 400_000, "Short one"]), content_type=kind.content_type))
    found = fetch(kind, server.url)
    assert found[-1].title == "Short one"
    assert all(len(t.title) <= 500 and len(t.topic) <= 255 and len(t.description) <= 5000 for t in found)
    if kind.name != "wikipedia":  # no article has such a name: it is left out there
        assert found[0].title.endswith("…")


@each_kind
def test_wrong_declared_charset_falls_back(kind: Kind, server: FakeServer) -> None:
    body = kind.payload(["Café in Zürich"]).replace('encoding="UTF-8"', "").encode()
    media = kind.content_type.split(";")[0]
    for charset in ("ascii", "no-such-charset", "idna"):
        server.answer(kind.path, Reply(body, content_type=f"{media}; charset={charset}"))
        assert [t.title for t in fetch(kind, server.url)] == ["Café in Zürich"]


@each_kind
def test_bytes_that_are_not_utf8_are_replaced_not_fatal(kind: Kind, server: FakeServer) -> None:
    payload = kind.payload(["Caf@ open"]).replace("\\u00e9", "é")
    server.answer(
        kind.path,
        Reply(payload.encode().replace(b"@", b"\xe9"), content_type=kind.content_type.split(";")[0]),
    )
    (trend,) = fetch(kind, server.url)
    assert trend.title.startswith("Caf") and trend.title.endswith(" open")


@pytest.mark.parametrize("kind", [KINDS[2], KINDS[3], KINDS[4]], ids=["google_trends", "rss", "atom"])
def test_entity_bomb_is_refused(kind: Kind, server: FakeServer) -> None:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "ha"}">' for i in range(10))
    feed = "<rss><channel><item><title>&e9;</title></item></channel></rss>"
    body = f'<?xml version="1.0"?><!DOCTYPE rss [{entities}]>{feed}'
    server.answer(kind.path, Reply(body, content_type=kind.content_type))
    with pytest.raises(ChimeraError) as caught:
        fetch(kind, server.url)
    assert caught.value.code == "PROVIDER_REJECTED"


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[1]], ids=["hackernews", "wikipedia"])
def test_rows_of_a_wrong_shape_are_left_out(kind: Kind, server: FakeServer) -> None:
    document = json.loads(kind.payload(["Good thing"]))
    rows = document.get("hits") or document["items"][0]["articles"]
    rows[:0] = [None, 7, "text", [], {}, {"title": None}, {"title": "  "}, {"article": 5}, {"article": ""}]
    rows[-1] |= {"points": "many", "views": -3, "created_at_i": 10**30}
    server.answer(kind.path, Reply(json.dumps(document)))
    (trend,) = fetch(kind, server.url)
    assert (trend.title, trend.likes, trend.views) == ("Good thing", None, None)
