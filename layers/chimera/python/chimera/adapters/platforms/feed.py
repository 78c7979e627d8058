"""RSS 2.0 with Media RSS, and the channel's web page, from the posts: pure text, no files."""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from chimera.domain.cards import card_name, is_still

ATOM = "http://www.w3.org/2005/Atom"
MEDIA = "http://search.yahoo.com/mrss/"
OWN = "urn:chimera:feed:1"
DIGITAL_SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TITLE = "Chimera"
SUMMARY = "Short videos and cards about what is rising. Script, voice and pictures are made by software."
LABEL = "AI-generated"
FEED_ITEMS = 200

# what XML 1.0 cannot hold, not even escaped
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Post(BaseModel):
    """A post as `post.json` keeps it: enough to write feed and page again."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    post_id: str
    idempotency_key: str
    content_id: str
    content_hash: str
    channel_id: str
    title: str
    description: str = ""
    tags: list[str] = []
    sources: list[str] = []
    language: str = "en"
    visibility: str = "public"
    ai_generated: bool = True
    published_at: datetime
    duration_seconds: float = 0
    width: int | None = None
    height: int | None = None
    files: dict[str, int]
    """Name in the post's folder -> bytes."""
    format: str = "video"
    posts: list[str] = []
    post_media: list[str] = []
    alt: dict[str, str] = {}

    @property
    def cards(self) -> list[tuple[str, str]]:
        """(file, what it shows) of each picture, in order."""
        kinds = sorted(kind for kind in self.alt if card_name(kind) in self.files)
        return [(card_name(kind), self.alt[kind]) for kind in kinds]


def clean(text: str) -> str:
    """The text without characters that XML cannot hold."""
    return _NOT_XML.sub("", text)


def web_links(sources: Sequence[str]) -> list[str]:
    """Those of the addresses that are plain web addresses: nothing else may become a link."""
    good = []
    for source in sources:
        try:
            parts = urlsplit(source)
        except ValueError:
            continue
        if parts.scheme in {"http", "https"} and parts.hostname and not re.search(r"[\s\"'<>\\]", source):
            good.append(clean(source))
    return good


def rss(posts: Sequence[Post], base_url: str, language: str = "en") -> bytes:
    """The feed of the newest posts, as UTF-8. Every address is absolute below `base_url`."""
    ET.register_namespace("atom", ATOM)
    ET.register_namespace("media", MEDIA)
    ET.register_namespace("chimera", OWN)
    base = base_url.rstrip("/") + "/channel"
    root = ET.Element("rss", {"version": "2.0"})
    channel = ET.SubElement(root, "channel")
    _text(channel, "title", TITLE)
    _text(channel, "link", f"{base}/index.html")
    _text(channel, "description", SUMMARY)
    _text(channel, "language", language)
    if posts:
        _text(channel, "lastBuildDate", _rfc822(max(post.published_at for post in posts)))
    _text(channel, "generator", "Chimera")
    _text(channel, "docs", "https://www.rssboard.org/rss-specification")
    _text(channel, "ttl", "15")
    ET.SubElement(
        channel,
        f"{{{ATOM}}}link",
        {"href": f"{base}/feed.xml", "rel": "self", "type": "application/rss+xml"},
    )
    for post in posts[:FEED_ITEMS]:
        _item(ET.SubElement(channel, "item"), post, base)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _item(item: ET.Element, post: Post, base: str) -> None:
    folder = f"{base}/posts/{post.post_id}"
    _text(item, "title", post.title)
    _text(item, "link", f"{base}/index.html#{post.post_id}")
    _text(item, "guid", f"urn:chimera:post:{post.post_id}", isPermaLink="false")
    _text(item, "pubDate", _rfc822(post.published_at))
    _text(item, "description", description_html(post))
    _text(item, "category", LABEL)
    _text(item, "category", "trainedAlgorithmicMedia", domain=DIGITAL_SOURCE)
    for tag in dict.fromkeys(tag.lstrip("#").strip() for tag in post.tags):
        if tag:
            _text(item, "category", tag)
    if is_still(post.format):
        _pictures(item, post, folder)
        _text(item, f"{{{OWN}}}aiGenerated", "true")
        return
    video = f"{folder}/video.mp4"
    size = str(post.files.get("video.mp4", 0))
    ET.SubElement(item, "enclosure", {"url": video, "length": size, "type": "video/mp4"})
    shape = {"width": str(post.width), "height": str(post.height)} if post.width and post.height else {}
    length = {"duration": str(max(1, round(post.duration_seconds)))} if post.duration_seconds else {}
    media = ET.SubElement(
        item,
        f"{{{MEDIA}}}content",
        {
            "url": video,
            "fileSize": size,
            "type": "video/mp4",
            "medium": "video",
            "isDefault": "true",
            "expression": "full",
            **length,
            **shape,
            "lang": post.language,
        },
    )
    _text(media, f"{{{MEDIA}}}title", post.title, type="plain")
    if post.description.strip():
        _text(media, f"{{{MEDIA}}}description", post.description, type="plain")
    if "thumbnail.jpg" in post.files:
        ET.SubElement(media, f"{{{MEDIA}}}thumbnail", {"url": f"{folder}/thumbnail.jpg", **shape})
    if "captions.vtt" in post.files:
        ET.SubElement(
            media,
            f"{{{MEDIA}}}subTitle",
            {"type": "text/vtt", "lang": post.language, "href": f"{folder}/captions.vtt"},
        )
    _text(item, f"{{{OWN}}}aiGenerated", "true")


def _pictures(item: ET.Element, post: Post, folder: str) -> None:
    """A post's cards: RSS knows one enclosure, Media RSS a group of them."""
    shape = {"width": str(post.width), "height": str(post.height)} if post.width and post.height else {}
    for place, (name, _) in enumerate(post.cards):
        if place == 0:
            size = str(post.files[name])
            ET.SubElement(item, "enclosure", {"url": f"{folder}/{name}", "length": size, "type": "image/jpeg"})
    group = ET.SubElement(item, f"{{{MEDIA}}}group") if len(post.cards) > 1 else item
    for place, (name, alt) in enumerate(post.cards):
        facts = {"url": f"{folder}/{name}", "fileSize": str(post.files[name]), "type": "image/jpeg", "medium": "image"}
        first = {"isDefault": "true"} if place == 0 else {}
        media = ET.SubElement(group, f"{{{MEDIA}}}content", {**facts, **first, **shape, "lang": post.language})
        _text(media, f"{{{MEDIA}}}title", post.title, type="plain")
        _text(media, f"{{{MEDIA}}}description", alt, type="plain")


def description_html(post: Post) -> str:
    """The description as HTML, as feed readers expect it: text escaped, sources as links, the AI label."""
    paragraphs = [html.escape(clean(text)) for text in post.posts] or [html.escape(part) for part in told(post)]
    parts = [f"<p>{part.replace(chr(10), '<br/>')}</p>" for part in paragraphs]
    links = [f'<li><a href="{html.escape(s)}">{html.escape(s)}</a></li>' for s in web_links(post.sources)]
    if links:
        parts.append(f"<p>Sources:</p><ul>{''.join(links)}</ul>")
    made = "text and pictures" if is_still(post.format) else "script, voice and pictures"
    parts.append(f"<p>{LABEL}: {made} are made by software.</p>")
    return "".join(parts)


def told(post: Post) -> list[str]:
    """The description's paragraphs without one that only lists the sources: they stand below it as links."""
    known = set(post.sources)
    found = []
    for part in clean(post.description).split("\n\n"):
        lines = part.strip().split("\n")
        if lines[0] and not (len(lines) > 1 and all(line.removeprefix("- ") in known for line in lines[1:])):
            found.append(part.strip())
    return found


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    element = ET.SubElement(parent, tag, attributes)
    element.text = clean(text)


def _rfc822(moment: datetime) -> str:
    return format_datetime(moment.replace(microsecond=0))


_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; media-src 'self' file:; \
img-src 'self' file:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<link rel="alternate" type="application/rss+xml" title="{title}" href="feed.xml">
<style>
:root {{ color-scheme: dark; --ink: #f3f1ec; --soft: #a9a6b2; --line: #2c2a36; --card: #191822;
  --glow: #ffb454 }}
* {{ box-sizing: border-box }}
body {{ margin: 0; background: radial-gradient(80rem 40rem at 50% -20rem, #2b2444, #0f0e15 70%) fixed #0f0e15;
  color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }}
main {{ max-width: 27rem; margin: 0 auto; padding: 1.25rem 1rem 4rem }}
header {{ display: flex; align-items: baseline; justify-content: space-between; padding: .5rem 0 1.25rem }}
h1 {{ font-size: 1.5rem; letter-spacing: -.02em; margin: 0 }}
a {{ color: var(--glow) }}
header a {{ font-size: .85rem; text-decoration: none }}
article {{ background: var(--card); border: 1px solid var(--line); border-radius: 1.1rem; overflow: hidden;
  margin: 0 0 1.75rem; box-shadow: 0 1.2rem 3rem #0006; scroll-margin-top: 1rem }}
article:target {{ border-color: var(--glow) }}
video {{ display: block; width: 100%; max-height: 82vh; background: #000 }}
img {{ display: block; width: 100%; height: auto }}
.cards {{ display: flex; overflow-x: auto; scroll-snap-type: x mandatory; overscroll-behavior-x: contain;
  -webkit-overflow-scrolling: touch; scrollbar-color: var(--glow) transparent }}
.cards:focus-visible {{ outline: 2px solid var(--glow); outline-offset: -2px }}
.cards figure {{ flex: 0 0 100%; margin: 0; scroll-snap-align: center; scroll-snap-stop: always; position: relative }}
.cards figcaption {{ position: absolute; top: .7rem; right: .7rem; background: #000a; border-radius: 99px;
  padding: .1rem .6rem; font-size: .8rem }}
.thread {{ list-style: none; margin: 0; padding: 0 }}
.thread li {{ padding: 1rem 1.1rem; border-bottom: 1px solid var(--line); white-space: pre-line; overflow-wrap: anywhere }}
.thread img {{ border-radius: .8rem; margin-top: .8rem }}
.about {{ padding: 1rem 1.1rem 1.2rem }}
h2 {{ font-size: 1.15rem; line-height: 1.3; margin: 0 0 .5rem; overflow-wrap: anywhere }}
p {{ margin: 0 0 .75rem; overflow-wrap: anywhere }}
.meta, details {{ color: var(--soft); font-size: .85rem }}
.badge {{ display: inline-block; border: 1px solid var(--glow); color: var(--glow); border-radius: 99px;
  padding: 0 .55rem; margin-right: .5rem }}
ul {{ margin: .4rem 0 0; padding-left: 1.1rem; overflow-wrap: anywhere }}
.empty {{ color: var(--soft); text-align: center; padding: 4rem 0 }}
</style>
</head>
<body>
<main>
<header><h1>{title}</h1><a href="feed.xml">RSS feed</a></header>
{posts}
</main>
</body>
</html>
"""

_POST = """<article id="{post_id}">
<video controls playsinline preload="metadata"{poster}{shape}>
<source src="posts/{post_id}/video.mp4" type="video/mp4">{track}
</video>
<div class="about">
<h2 dir="auto">{title}</h2>
{description}
<p class="meta"><span class="badge">{label}</span><time datetime="{iso}">{when}</time>{length}</p>
{sources}
</div>
</article>"""


_STILL = """<article id="{post_id}">
{pictures}
<div class="about">
<h2 dir="auto">{title}</h2>
{description}
<p class="meta"><span class="badge">{label}</span><time datetime="{iso}">{when}</time>{count}</p>
{sources}
</div>
</article>"""


def page(posts: Sequence[Post], language: str = "en") -> bytes:
    """A page, made for a phone's width, that plays the posts; it works from a folder as from a server."""
    shown = "\n".join(_article(post) for post in posts[:FEED_ITEMS])
    nothing = '<p class="empty">Nothing is published yet.</p>'
    return _PAGE.format(title=TITLE, language=html.escape(language), posts=shown or nothing).encode()


def _article(post: Post) -> str:
    folder = f"posts/{post.post_id}"
    paragraphs = [html.escape(part) for part in told(post)]
    links = [
        f'<li><a rel="noopener noreferrer nofollow ugc" href="{html.escape(s)}">{html.escape(s)}</a></li>'
        for s in web_links(post.sources)
    ]
    sources = f"<details><summary>Sources</summary><ul>{''.join(links)}</ul></details>" if links else ""
    if is_still(post.format):
        return _STILL.format(
            post_id=post.post_id,
            pictures=_thread(post, folder) if post.posts else _cards(post, folder),
            title=html.escape(clean(post.title)),
            description="" if post.posts else "\n".join(f'<p dir="auto">{part}</p>' for part in paragraphs),
            label=LABEL,
            iso=post.published_at.isoformat(timespec="seconds"),
            when=post.published_at.strftime("%d %B %Y, %H:%M UTC"),
            count=f" · {len(post.posts)} posts"
            if post.posts
            else f" · {n} cards"
            if (n := len(post.cards)) > 1
            else "",
            sources=sources,
        )
    seconds = round(post.duration_seconds)
    track = (
        f'\n<track kind="captions" src="{folder}/captions.vtt" srclang="{html.escape(post.language)}" label="Captions">'
        if "captions.vtt" in post.files
        else ""
    )
    return _POST.format(
        post_id=post.post_id,
        poster=f' poster="{folder}/thumbnail.jpg"' if "thumbnail.jpg" in post.files else "",
        shape=f' width="{post.width}" height="{post.height}" style="height:auto"' if post.width and post.height else "",
        track=track,
        title=html.escape(clean(post.title)),
        description="\n".join(f'<p dir="auto">{part}</p>' for part in paragraphs),
        label=LABEL,
        iso=post.published_at.isoformat(timespec="seconds"),
        when=post.published_at.strftime("%d %B %Y, %H:%M UTC"),
        length=f" · {seconds // 60}:{seconds % 60:02d}" if seconds else "",
        sources=sources,
    )


def _image(post: Post, folder: str, name: str, alt: str) -> str:
    shape = f' width="{post.width}" height="{post.height}"' if post.width and post.height else ""
    return f'<img src="{folder}/{name}" alt="{html.escape(clean(alt))}"{shape} loading="lazy">'


def _cards(post: Post, folder: str) -> str:
    """One picture, or several side by side that snap into place when swiped; arrow keys move them too."""
    cards = post.cards
    if len(cards) == 1:
        return _image(post, folder, *cards[0])
    figures = "\n".join(
        f"<figure>{_image(post, folder, name, alt)}<figcaption>{place} / {len(cards)}</figcaption></figure>"
        for place, (name, alt) in enumerate(cards, 1)
    )
    label = html.escape(f"{len(cards)} cards, swipe or scroll sideways")
    return f'<div class="cards" tabindex="0" role="group" aria-label="{label}">\n{figures}\n</div>'


def _thread(post: Post, folder: str) -> str:
    """The posts one below the other, each with its picture."""
    known = dict(post.cards)
    items = []
    for text, kind in zip(post.posts, [*post.post_media, *[""] * len(post.posts)], strict=False):
        name = card_name(kind) if kind else ""
        picture = f"\n{_image(post, folder, name, known[name])}" if name in known else ""
        items.append(f'<li dir="auto">{html.escape(clean(text))}{picture}</li>')
    return f'<ol class="thread">\n{chr(10).join(items)}\n</ol>'
