"""The local channel: what it posts, and that its feed and page are what readers and browsers expect."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import feedparser
import imageio_ffmpeg
import pytest
from defusedxml import ElementTree

from chimera.adapters.local.media import FolderMediaStore
from chimera.adapters.platforms.local_channel import LocalChannel, post_id_of
from chimera.domain.ids import new_id
from chimera.domain.models import EngagementMetrics, PublishRequest
from chimera.errors import ChimeraError
from chimera.plugins.hookspecs import ProviderContext
from chimera.plugins.loader import provider
from chimera.settings import Settings

MEDIA = "{http://search.yahoo.com/mrss/}"
ATOM = "{http://www.w3.org/2005/Atom}"
BASE = "http://127.0.0.1:8787"
HOSTILE = 'مرحبا 👋 <script>alert("x")</script> & "Tom\'s" ]]> \x00\x0b\ufffe {braces} %s'

FFMPEG = [
    "-v",
    "error",
    "-f",
    "lavfi",
    "-i",
    "testsrc=d=2:s=180x320:r=10",
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-pix_fmt",
    "yuv420p",
]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real two-second video, 180x320."""
    target = tmp_path_factory.mktemp("clip") / "clip.mp4"
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), *FFMPEG, str(target)],
        check=True,
        timeout=60,
    )
    return target


class Ticking:
    """Each look at the clock is a minute later."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 21, 9, 0, 30, 123456, tzinfo=UTC)

    def now(self) -> datetime:
        self.time += timedelta(minutes=1)
        return self.time


@pytest.fixture
def media(tmp_path: Path, clip: Path) -> FolderMediaStore:
    store = FolderMediaStore(tmp_path / "media")
    store.put_file("c/video.mp4", clip)
    store.put_bytes("c/thumbnail.jpg", b"\xff\xd8\xff\xe0 not looked at")
    store.put_bytes("c/captions.vtt", b"WEBVTT\n\n00:00.000 --> 00:02.000\nhello\n")
    store.put_bytes("c/captions.srt", b"1\n00:00:00,000 --> 00:00:02,000\nhello\n")
    return store


@pytest.fixture
def channel(tmp_path: Path, media: FolderMediaStore) -> LocalChannel:
    return LocalChannel(tmp_path / "channel", media, BASE, Ticking())


Make = Callable[..., PublishRequest]


@pytest.fixture
def make() -> Make:
    def made(**changes: Any) -> PublishRequest:
        fields: dict[str, Any] = {
            "content_id": new_id(),
            "platform": "local",
            "channel_id": "local",
            "title": "Why octopuses dream",
            "description": "What the study saw.\n\nAnd what it did not.",
            "tags": ["octopus", "sleep"],
            "idempotency_key": new_id(),
            "content_hash": "ab" * 32,
            "media": {
                "video": "c/video.mp4",
                "thumbnail": "c/thumbnail.jpg",
                "vtt": "c/captions.vtt",
                "srt": "c/captions.srt",
            },
            "duration_seconds": 2,
            "sources": ["https://example.org/study?a=1&b=2", "javascript:alert(1)", "http://[broken"],
        }
        return PublishRequest.model_validate({**fields, **changes})

    return made


def test_a_post_is_a_folder_with_video_captions_thumbnail_and_its_facts(
    channel: LocalChannel, make: Make, tmp_path: Path, clip: Path
) -> None:
    request = make()
    receipt = channel.publish(request)
    folder = tmp_path / "channel" / "posts" / str(receipt.post_id)
    assert sorted(p.name for p in folder.iterdir()) == [
        "captions.srt",
        "captions.vtt",
        "post.json",
        "thumbnail.jpg",
        "video.mp4",
    ]
    assert (folder / "video.mp4").read_bytes() == clip.read_bytes()
    facts = json.loads((folder / "post.json").read_text())
    assert facts["ai_generated"] is True
    assert facts["idempotency_key"] == request.idempotency_key
    assert (facts["width"], facts["height"], round(facts["duration_seconds"])) == (180, 320, 2)
    assert receipt.status == "published"
    assert receipt.post_id == post_id_of(request.idempotency_key)
    assert receipt.publication_id == receipt.idempotency_key == request.idempotency_key
    assert receipt.url == f"{BASE}/channel/index.html#{receipt.post_id}"


def test_the_feed_is_rss_2_with_media_rss_as_the_specifications_demand(
    channel: LocalChannel, make: Make, tmp_path: Path, clip: Path
) -> None:
    first, second = channel.publish(make()), channel.publish(make(title="Second"))
    root = ElementTree.fromstring((tmp_path / "channel" / "feed.xml").read_bytes())
    assert (root.tag, root.get("version"), len(root)) == ("rss", "2.0", 1)
    top = root[0]
    for name in ("title", "link", "description", "language", "lastBuildDate", "generator", "docs", "ttl"):
        assert len(top.findall(name)) == 1, name
        assert top.findtext(name)
    link = top.find(f"{ATOM}link")
    assert link is not None
    assert link.attrib == {"href": f"{BASE}/channel/feed.xml", "rel": "self", "type": "application/rss+xml"}
    items = top.findall("item")
    assert [item.findtext("title") for item in items] == ["Second", "Why octopuses dream"]  # newest first
    for item, receipt in zip(items, (second, first), strict=True):
        guid = item.find("guid")
        assert guid is not None
        assert guid.get("isPermaLink") == "false"
        assert str(receipt.post_id) in str(guid.text)
        assert re.fullmatch(
            r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+]0000", item.findtext("pubDate") or ""
        )
        assert receipt.published_at is not None
        published = parsedate_to_datetime(item.findtext("pubDate") or "")
        assert published == receipt.published_at.replace(microsecond=0)
        enclosure = item.find("enclosure")
        assert enclosure is not None
        video = f"{BASE}/channel/posts/{receipt.post_id}/video.mp4"
        assert enclosure.attrib == {"url": video, "length": str(clip.stat().st_size), "type": "video/mp4"}
        assert len(item.findall("enclosure")) == 1
        content = item.find(f"{MEDIA}content")
        assert content is not None
        size = str(clip.stat().st_size)
        wanted = {"url": video, "fileSize": size, "medium": "video", "duration": "2"}
        assert wanted.items() <= content.attrib.items()
        assert (content.get("width"), content.get("height"), content.get("expression")) == ("180", "320", "full")
        title, thumbnail = content.find(f"{MEDIA}title"), content.find(f"{MEDIA}thumbnail")
        assert title is not None
        assert title.get("type") == "plain"
        assert thumbnail is not None
        assert str(thumbnail.get("url")).endswith("/thumbnail.jpg")
        assert "AI-generated" in [category.text for category in item.findall("category")]
        assert item.findtext("{urn:chimera:feed:1}aiGenerated") == "true"


def test_feedparser_reads_it_without_complaint(channel: LocalChannel, make: Make, tmp_path: Path) -> None:
    receipt = channel.publish(make())
    feed = feedparser.parse((tmp_path / "channel" / "feed.xml").read_bytes())
    assert not feed.bozo
    assert feed.version == "rss20"
    (entry,) = feed.entries
    assert entry.title == "Why octopuses dream"
    assert entry.id == f"urn:chimera:post:{receipt.post_id}"
    assert entry.enclosures[0].type == "video/mp4"
    assert entry.media_content[0]["medium"] == "video"
    assert entry.media_thumbnail[0]["url"].endswith("thumbnail.jpg")
    assert {"AI-generated", "octopus", "sleep"} <= {tag.term for tag in entry.tags}
    assert entry.published_parsed is not None
    assert 'href="https://example.org/study?a=1&amp;b=2"' in entry.summary
    assert "javascript:" not in entry.summary


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.seen if tag == name]


def test_text_from_outside_stays_text(channel: LocalChannel, make: Make, tmp_path: Path) -> None:
    link = 'https://example.org/"><script>alert(2)</script>'
    request = make(
        title=HOSTILE[:100], description=HOSTILE, tags=["#" + HOSTILE[:20]], sources=[link], language='"><x>'
    )
    channel.publish(request)
    feed = feedparser.parse((tmp_path / "channel" / "feed.xml").read_bytes())
    assert not feed.bozo
    assert len(feed.entries) == 1
    assert "<script" not in feed.entries[0].summary
    root = ElementTree.fromstring((tmp_path / "channel" / "feed.xml").read_bytes())
    title = root.findtext("channel/item/title") or ""
    assert '<script>alert("x")</script>' in title  # the reader gets the text as it was
    page = (tmp_path / "channel" / "index.html").read_text()
    tags = Tags(page)
    assert tags.of("script") == []
    assert tags.of("x") == []
    assert all(not name.startswith("on") for _, attributes in tags.seen for name in attributes)
    assert "مرحبا 👋 &lt;script&gt;" in page
    assert "{braces} %s" in page


def test_the_page_plays_each_post_with_poster_and_captions(channel: LocalChannel, make: Make, tmp_path: Path) -> None:
    first, second = channel.publish(make()), channel.publish(make(title="Second"))
    page = (tmp_path / "channel" / "index.html").read_text()
    tags = Tags(page)
    assert [a["id"] for a in tags.of("article")] == [second.post_id, first.post_id]
    assert [s["src"] for s in tags.of("source")] == [
        f"posts/{second.post_id}/video.mp4",
        f"posts/{first.post_id}/video.mp4",
    ]
    assert tags.of("track")[0]["src"] == f"posts/{second.post_id}/captions.vtt"
    assert tags.of("video")[0]["poster"] == f"posts/{second.post_id}/thumbnail.jpg"
    assert tags.of("meta")[1]["content"] == "width=device-width, initial-scale=1"
    assert page.count("AI-generated") == 2
    hrefs = [a["href"] for a in tags.of("a")]
    assert "https://example.org/study?a=1&b=2" in hrefs
    assert all(str(href).startswith(("https://", "feed.xml")) for href in hrefs)
    for name in ("feed.xml", f"posts/{first.post_id}/video.mp4"):
        assert (tmp_path / "channel" / name).is_file()


def test_the_same_key_again_gives_the_first_receipt_even_with_other_words(
    channel: LocalChannel, make: Make, tmp_path: Path
) -> None:
    request = make()
    first = channel.publish(request)
    again = channel.publish(request.model_copy(update={"title": "Something else"}))
    assert again == first
    assert channel.lookup(request) == first
    assert (tmp_path / "channel" / "feed.xml").read_text().count("<item>") == 1


def test_a_posted_video_does_not_change_when_its_source_is_made_again(
    channel: LocalChannel, make: Make, media: FolderMediaStore, tmp_path: Path, clip: Path
) -> None:
    media.put_bytes("c/remade.mp4", clip.read_bytes())
    receipt = channel.publish(make(media={"video": "c/remade.mp4"}))
    with media.fetch("c/remade.mp4", tmp_path / "x").open("r+b") as file:
        file.write(b"overwritten in place")
    posted = tmp_path / "channel" / "posts" / str(receipt.post_id) / "video.mp4"
    assert posted.read_bytes() == clip.read_bytes()


@pytest.mark.parametrize("visibility", ["unlisted", "private"])
def test_what_is_not_public_is_posted_but_not_listed(
    channel: LocalChannel, make: Make, tmp_path: Path, visibility: str
) -> None:
    receipt = channel.publish(make(visibility=visibility))
    assert (tmp_path / "channel" / "posts" / str(receipt.post_id) / "video.mp4").is_file()
    assert str(receipt.post_id) not in (tmp_path / "channel" / "feed.xml").read_text()
    assert str(receipt.post_id) not in (tmp_path / "channel" / "index.html").read_text()


def test_an_empty_channel_has_a_valid_feed_and_page_and_follows_a_new_address(
    channel: LocalChannel, make: Make, tmp_path: Path, media: FolderMediaStore
) -> None:
    channel.rebuild()
    feed = feedparser.parse((tmp_path / "channel" / "feed.xml").read_bytes())
    assert (feed.bozo, feed.entries) == (False, [])
    assert "Nothing is published yet" in (tmp_path / "channel" / "index.html").read_text()
    channel.publish(make())
    LocalChannel(tmp_path / "channel", media, "http://127.0.0.1:9999/").rebuild()
    text = (tmp_path / "channel" / "feed.xml").read_text()
    assert "http://127.0.0.1:9999/channel/posts/" in text
    assert "8787" not in text


def test_one_broken_post_does_not_take_the_feed_down_and_is_unknown_itself(
    channel: LocalChannel, make: Make, tmp_path: Path
) -> None:
    broken = make()
    receipt = channel.publish(broken)
    (tmp_path / "channel" / "posts" / str(receipt.post_id) / "post.json").write_text("{")
    channel.publish(make(title="Fine"))
    feed = feedparser.parse((tmp_path / "channel" / "feed.xml").read_bytes())
    assert [entry.title for entry in feed.entries] == ["Fine"]
    with pytest.raises(ChimeraError) as unknown:
        channel.lookup(broken)
    assert unknown.value.code == "OUTCOME_UNKNOWN"


def test_preflight_names_everything_that_is_wrong(channel: LocalChannel, make: Make, media: FolderMediaStore) -> None:
    assert channel.preflight(make()) == []
    media.put_bytes("c/noise.mp4", b"not a video")
    media.put_bytes("c/empty.mp4", b"")
    assert channel.preflight(make(media={"video": "c/noise.mp4"})) == ["the video cannot be read as MP4"]
    assert "expected 1 to 100000000" in channel.preflight(make(media={"video": "c/empty.mp4"}))[0]
    assert "media not found: video (c/gone.mp4)" in channel.preflight(make(media={"video": "c/gone.mp4"}))
    assert channel.preflight(make(media={})) == ["there is no video"]
    assert "media of unknown kind: hologram" in channel.preflight(make(media={"hologram": "c/noise.mp4"}))[0]
    assert channel.preflight(make(title=" ")) == ["the title is empty"]


def test_preflight_refuses_too_large_and_too_long(
    channel: LocalChannel,
    make: Make,
    media: FolderMediaStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(100_000_001)  # sparse
    media.put_file("c/large.mp4", large)
    assert "has 100000001 bytes" in channel.preflight(make(media={"video": "c/large.mp4"}))[0]
    monkeypatch.setattr("chimera.adapters.platforms.local_channel.probe", lambda path: (600.5, 180, 320))
    assert channel.preflight(make()) == ["the video lasts 600.5 s, expected 1 to 600"]


def test_no_views_is_no_data_and_a_counted_view_is_a_number(channel: LocalChannel, make: Make, tmp_path: Path) -> None:
    post_id = str(channel.publish(make()).post_id)
    assert channel.metrics(post_id) == EngagementMetrics()
    assert [channel.count_view(post_id) for _ in range(3)] == [1, 2, 3]
    assert channel.metrics(post_id) == EngagementMetrics(views=3)
    assert json.loads((tmp_path / "channel" / "stats" / f"{post_id}.json").read_text()) == {"views": 3}


@pytest.mark.parametrize("post_id", ["0" * 20, "../../etc", "", "a/b", "é" * 20])
def test_a_view_of_what_is_not_posted_is_not_found(channel: LocalChannel, post_id: str) -> None:
    with pytest.raises(ChimeraError) as refused:
        channel.count_view(post_id)
    assert refused.value.code == "NOT_FOUND"


def test_broken_counters_are_an_error_not_zero(channel: LocalChannel, make: Make, tmp_path: Path) -> None:
    post_id = str(channel.publish(make()).post_id)
    channel.count_view(post_id)
    (tmp_path / "channel" / "stats" / f"{post_id}.json").write_text('{"views": "many"}')
    with pytest.raises(ChimeraError):
        channel.metrics(post_id)


def test_a_full_disk_is_unknown_and_the_next_try_posts_once(
    channel: LocalChannel, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = make()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("shutil.copyfile", full)
        with pytest.raises(ChimeraError) as unknown:
            channel.publish(request)
    assert unknown.value.code == "OUTCOME_UNKNOWN"
    assert "No space left" in unknown.value.message
    assert channel.lookup(request) is None
    channel.publish(request)
    assert [p.name[0] for p in (tmp_path / "channel" / "posts").iterdir()] != ["."]
    assert (tmp_path / "channel" / "feed.xml").read_text().count("<item>") == 1


def test_the_channel_is_found_as_a_plugin(tmp_path: Path) -> None:
    context = ProviderContext(settings=Settings(home=tmp_path))
    assert provider("platforms", "local", context).name == "local"
