"""Image posts, carousels and threads on the local channel: posted once, unchanged since they were judged, readable."""

from __future__ import annotations

import hashlib
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import feedparser
import numpy as np
import pytest
from defusedxml import ElementTree
from psycopg.types.json import Jsonb

from chimera.adapters.platforms.local_channel import LocalChannel
from chimera.adapters.postgres.database import Database
from chimera.domain.cards import card_kind, card_name, set_sha256
from chimera.domain.models import PublishRequest
from tests.fakes.publishing import Desk, refused

MEDIA = "{http://search.yahoo.com/mrss/}"
HOSTILE = 'A "card" <b>&</b> \x0b مرحبا'


@pytest.fixture
def desk(db: Database, tenant: str, tmp_path: Path, cfo_keys: Path) -> Desk:
    made = Desk(db, tenant, tmp_path, cfo_keys)
    made.platform = LocalChannel(tmp_path / "channel", made.media, "http://127.0.0.1:8787")
    return made


def jpeg(number: int) -> bytes:
    picture = np.random.default_rng(number).integers(0, 255, (64, 48, 3), np.uint8)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def still(desk: Desk, format: str, cards: int, posts: list[str] | None = None) -> str:
    """A judged image post of so many cards."""
    content_id = desk.content(format=format)
    folder = f"tenants/{desk.tenant}/content/{content_id}/images"
    kinds = [card_kind(n) for n in range(1, cards + 1)]
    keys = {kind: f"{folder}/{card_name(kind)}" for kind in kinds}
    for number, key in enumerate(keys.values()):
        desk.media.put_bytes(key, jpeg(number))
    alt = {kind: f"{HOSTILE} {kind}" for kind in kinds}
    texts = {
        "posts": posts or [],
        "post_media": [kinds[i] if i < cards else "" for i in range(len(posts or []))],
        "alt": alt,
    }
    hashes = [_sha(desk, key) for key in keys.values()]
    facts = {"sha256": set_sha256(hashes, **texts), **texts}  # type: ignore[arg-type]
    desk.sql(
        "UPDATE content_pipeline SET media = %s, metadata = %s, brief = brief || %s WHERE id = %s",
        Jsonb({**keys, "post": f"{folder}/post.json", "bom": "x"}), Jsonb({"still": facts}),
        Jsonb({"format": format}), content_id,
    )  # fmt: skip
    return content_id


def _sha(desk: Desk, key: str) -> str:
    return hashlib.sha256(desk.media.get_bytes(key)).hexdigest()


def published(desk: Desk, content_id: str) -> dict[str, Any]:
    desk.preflight(content_id)
    grant = desk.grant(content_id)
    desk.claim(content_id, grant)
    return desk.publish(content_id, grant)


class Page(HTMLParser):
    """What a browser would find: tags opened and closed in order, pictures with their words, no scripts."""

    VOID = frozenset({"meta", "link", "img", "source", "track", "br", "input"})

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.classes: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        assert not any(name.startswith("on") for name, _ in attrs)
        self.classes += str(dict(attrs).get("class") or "").split()
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_carousel_is_posted_once_with_page_and_feed(desk: Desk, tmp_path: Path) -> None:
    content_id = still(desk, "carousel", 3)
    post_id = published(desk, content_id)["post_id"]
    folder = tmp_path / "channel/posts" / post_id
    assert sorted(p.name for p in folder.iterdir()) == ["card-01.jpg", "card-02.jpg", "card-03.jpg", "post.json"]
    assert (folder / "card-02.jpg").read_bytes() == jpeg(1)
    kept = json.loads((folder / "post.json").read_bytes())
    assert (kept["format"], kept["width"], kept["height"]) == ("carousel", 48, 64)

    page = Page((tmp_path / "channel/index.html").read_text())
    assert "cards" in page.classes and "<video" not in (tmp_path / "channel/index.html").read_text()
    assert [i["src"] for i in page.images] == [f"posts/{post_id}/card-0{n}.jpg" for n in (1, 2, 3)]
    assert page.images[1]["alt"] == f"{HOSTILE} card_02".replace("\x0b", "") and "2 / 3" in page.text

    root = ElementTree.fromstring((tmp_path / "channel/feed.xml").read_bytes())
    item = root.find("channel/item")
    assert item is not None
    (enclosure,) = item.findall("enclosure")
    assert enclosure.attrib["type"] == "image/jpeg" and enclosure.attrib["length"] == str(len(jpeg(0)))
    contents = item.findall(f"{MEDIA}group/{MEDIA}content")
    assert [c.attrib["medium"] for c in contents] == ["image"] * 3
    assert contents[2].attrib["url"].endswith(f"/channel/posts/{post_id}/card-03.jpg")
    assert not feedparser.parse((tmp_path / "channel/feed.xml").read_bytes()).bozo

    request = PublishRequest.model_validate_json(desk.media.get_bytes(f"{_request_key(desk, content_id)}"))
    again = desk.platform.publish(request)
    assert again.post_id == post_id and len(list((tmp_path / "channel/posts").iterdir())) == 1


def _request_key(desk: Desk, content_id: str) -> str:
    publication = desk.scope(content_id)["publication_id"]
    return f"tenants/{desk.tenant}/content/{content_id}/publish/{publication}.json"


def test_a_thread_stands_as_posts_in_their_order(desk: Desk, tmp_path: Path) -> None:
    posts = ["First <post>\n\nwith & two lines 1/3", "Second 2/3", "Source:\nhttps://example.org/study 3/3"]
    published(desk, still(desk, "thread", 1, posts))
    text = (tmp_path / "channel/index.html").read_text()
    page = Page(text)
    assert "thread" in page.classes and len(page.images) == 1
    assert [page.text.index(post) for post in posts] == sorted(page.text.index(post) for post in posts)
    assert "3 posts" in page.text
    (entry,) = feedparser.parse((tmp_path / "channel/feed.xml").read_bytes()).entries
    assert "Second 2/3" in entry.description and entry.enclosures[0].type == "image/jpeg"


@pytest.mark.parametrize("kind", ["card_01", "card_03"])
def test_a_card_that_was_changed_after_the_verdict_is_not_posted(desk: Desk, tmp_path: Path, kind: str) -> None:
    content_id = still(desk, "carousel", 3)
    desk.preflight(content_id)
    grant = desk.grant(content_id)
    desk.claim(content_id, grant)
    desk.media.put_bytes(f"tenants/{desk.tenant}/content/{content_id}/images/{card_name(kind)}", jpeg(9))
    error = refused("POLICY_VIOLATION", desk.publish, content_id, grant)
    assert "the carousel was changed after it was judged" in error.message
    assert not (tmp_path / "channel/posts").exists() or list((tmp_path / "channel/posts").iterdir()) == []


def test_words_that_were_not_judged_are_not_posted(desk: Desk) -> None:
    content_id = still(desk, "thread", 1, ["One 1/2", "Two 2/2"])
    changed = {"still": {**desk.sql("SELECT metadata FROM content_pipeline WHERE id = %s", content_id)[0]["metadata"]["still"],
                         "posts": ["One 1/2", "Buy this 2/2"]}}  # fmt: skip
    desk.sql("UPDATE content_pipeline SET metadata = %s WHERE id = %s", Jsonb(changed), content_id)
    desk.preflight(content_id)
    grant = desk.grant(content_id)
    desk.claim(content_id, grant)
    refused("POLICY_VIOLATION", desk.publish, content_id, grant)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"media": {"card_01": "a.jpg"}}, "carousel: got 1 pictures, expected 2 to 10"),
        ({"media": {f"card_{n:02d}": "a.jpg" for n in range(1, 12)}}, "carousel: got 11 pictures"),
        ({"media": {"card_01": "a.jpg", "card_02": "half.jpg"}}, "card_02 cannot be read as JPEG"),
        ({"media": {"card_01": "a.jpg", "card_02": "empty.jpg"}}, "card_02 has 0 bytes"),
        ({"media": {"card_01": "a.jpg", "card_02": "gone.jpg"}}, "media not found: card_02 (gone.jpg)"),
        ({"media": {"card_01": "a.jpg", "card_02": "a.jpg", "video": "a.jpg"}}, "media of unknown kind: video"),
        ({"format": "thread", "posts": ["1"], "post_media": [""]}, "thread: got 1 posts, expected 2 to 25"),
        ({"format": "thread", "posts": ["1", " "], "post_media": ["", ""]}, "each post of a thread needs its text"),
        ({"format": "thread", "posts": ["1", "2"], "post_media": ["", "card_09"]}, "not there: card_09"),
        ({"format": "image"}, "image: got 2 pictures, expected 1 to 1"),
    ],
)
def test_preflight_says_what_a_platform_would_refuse(desk: Desk, changes: dict[str, Any], says: str) -> None:
    desk.media.put_bytes("a.jpg", jpeg(1))
    desk.media.put_bytes("half.jpg", jpeg(1)[:900])
    desk.media.put_bytes("empty.jpg", b"")
    good = {
        "content_id": "c", "platform": "local", "channel_id": "local", "title": "T", "idempotency_key": "k", "content_hash": "h",
        "format": "carousel", "media": {"card_01": "a.jpg", "card_02": "a.jpg"},
    }  # fmt: skip
    assert desk.platform.preflight(PublishRequest.model_validate(good)) == []
    problems = desk.platform.preflight(PublishRequest.model_validate({**good, **changes}))
    assert any(says in problem for problem in problems), problems
