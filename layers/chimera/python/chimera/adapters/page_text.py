"""Takes the readable text out of HTML in one linear pass, whatever the HTML looks like.

A page is hostile until shown otherwise: unclosed tags, wrong encodings, megabytes of nothing. Every step here
moves forward only, so the work is bounded by the size of the input.
"""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

# Encodings that browsers know (WHATWG Encoding Standard). Python offers more, some of them dangerous to
# decode.
_ENCODINGS = re.compile(
    r"utf-8(-sig)?|utf-16(-le|-be)?|ascii|iso8859-\d+|cp125\d|cp866|cp874|cp932|cp949|koi8-[ru]|gbk"
    r"|gb18030|gb2312|big5(hkscs)?"
    r"|euc_jp|shift_jis|iso2022_jp|euc_kr|mac-(roman|cyrillic)|tis-620"
)
_META_CHARSET = re.compile(rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.I)
_RAW = frozenset({"script", "style", "noscript", "template", "svg", "math", "iframe", "object", "textarea", "title"})
_DROP = frozenset({"nav", "footer", "aside", "form", "button", "select", "header", "dialog", "menu", "figcaption"})
_BLOCK = frozenset(
    re.findall(
        r"\S+",
        "p div section article main li ul ol dl dt dd h1 h2 h3 h4 h5 h6 blockquote td th tr table pre br hr body html",
    )
)
_VOID = frozenset(re.findall(r"\S+", "area base br col embed hr img input link meta source track wbr"))
_NOISE = re.compile(
    r"cookie|consent|gdpr|banner|newsletter|subscri|sidebar|promo|advert|share|social|comment|related"
    r"|breadcrumb|paywall|popup|modal",
    re.I,
)
_HINT = re.compile(r"\b(?:class|id)\s*=\s*[\"']?([^\"'>]{0,200})", re.I)
_ATTRIBUTE = re.compile(r"([a-zA-Z:-]{1,30})\s*=\s*(?:\"([^\"]{0,2000})\"|'([^']{0,2000})'|([^\s\"'>]{1,500}))")
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9:-]{0,30}")
_SPACE = re.compile(r"\s+")
_OPENING = re.compile(r"<(?=[a-zA-Z!?/])")


@dataclass(frozen=True)
class PageText:
    """A page's title and main text; one paragraph a line."""

    title: str
    text: str


def decode(body: bytes, content_type: str) -> str:
    """The text by byte order mark, header, meta tag, else UTF-8, else Windows-1252; never raises."""
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if body.startswith(mark):
            return body.decode(name, errors="replace")
    header = re.search(r"charset\s*=\s*[\"']?([A-Za-z0-9_.:-]{2,40})", content_type, re.I)
    meta = _META_CHARSET.search(body[:4096])
    for label in (header.group(1) if header else "", meta.group(1).decode("ascii") if meta else ""):
        name = _known(label)
        if name:
            try:
                return body.decode(name)
            except UnicodeError:
                continue  # it lies about itself, or was cut in the middle of a character
    text = body.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    # A few broken bytes in real UTF-8 (a cut at the end, one bad paste) are not another encoding.
    if broken and broken > len(re.findall(r"[^\x00-\x7f\ufffd]", text)) / 2:
        return body.decode("cp1252", errors="replace")
    return text


def _known(label: str) -> str:
    if not label:
        return ""
    try:
        name = codecs.lookup(label).name
    except LookupError:
        return ""
    if name in {"ascii", "iso8859-1"}:  # browsers read both as Windows-1252
        return "cp1252"
    return name if _ENCODINGS.fullmatch(name) else ""


def extract(source: str) -> PageText:
    """Title, description and paragraphs; without scripts, navigation, footers, link lists and consent
    banners.
    """
    found = _walk(source, strict=True)
    text = found.text()
    if len(text) < 200:  # an unclosed <nav> or an all-<div> page: look again, less choosy
        loose = _walk(source, strict=False)
        if len(loose.text()) > len(text):
            text = loose.text()
    title = found.meta.get("og:title") or found.title or found.heading
    return PageText(title=_line(title), text=text)


@dataclass
class _Found:
    title: str = ""
    heading: str = ""
    meta: dict[str, str] = field(default_factory=dict)
    blocks: list[tuple[str, int, bool]] = field(default_factory=list)  # text, characters in links, in <article>/<main>

    def text(self) -> str:
        """Description first, then the paragraphs that read as prose."""
        inside = [b for b in self.blocks if b[2] and _is_prose(b[0], b[1])]
        chosen = inside if sum(len(b[0]) for b in inside) >= 250 else [b for b in self.blocks if _is_prose(b[0], b[1])]
        description = _line(self.meta.get("og:description") or self.meta.get("description") or "")
        lines = dict.fromkeys([description, *(b[0] for b in chosen)])
        return "\n".join(line for line in lines if line)


def _is_prose(text: str, in_links: int) -> bool:
    if len(text) < 40 or in_links > len(text) * 0.5:
        return False
    return text.count(" ") >= 5 or not text.isascii()


def _line(text: str) -> str:
    return _SPACE.sub(" ", html.unescape(text)).strip()


def _walk(source: str, *, strict: bool) -> _Found:
    found = _Found()
    buffer: list[str] = []
    in_links = 0
    links = 0  # depth of <a>
    main = 0  # depth of <article>/<main>
    heading = False
    skip_tag, skip_depth = "", 0
    lowered = source.lower()
    # An element that is never closed would take the rest of the page with it.
    dropped = _DROP if strict else {t for t in _DROP if lowered.count(f"<{t}") == lowered.count(f"</{t}")}

    def flush() -> None:
        nonlocal in_links
        text = _line("".join(buffer))
        if text:
            found.blocks.append((text, in_links, main > 0))
            if heading and not found.heading:
                found.heading = text
        buffer.clear()
        in_links = 0

    for kind, name, content in _tokens(source):
        if kind == "raw":
            if name == "title" and not found.title:
                found.title = content
            continue
        if kind == "text":
            if not skip_depth:
                buffer.append(content)
                in_links += len(content.strip()) if links else 0
            continue
        if skip_depth:  # only its own end leads out of a dropped element
            if name == skip_tag:
                skip_depth += 1 if kind == "open" else -1
            continue
        if kind == "open":
            if name == "meta":
                _meta(content, found.meta)
            elif name in dropped or (strict and name in {"div", "section", "ul", "p"} and _is_noise(content)):
                flush()
                skip_tag, skip_depth = name, 1
                continue
        if name == "a":
            links = max(0, links + (1 if kind == "open" else -1))
        if name in _BLOCK:
            flush()
            if name in {"article", "main"}:
                main = max(0, main + (1 if kind == "open" else -1))
            if name == "h1":
                heading = kind == "open"
            if name in {"p", "div"}:
                links = 0  # an <a> that was never closed ends with its paragraph
    flush()
    return found


def _is_noise(attributes: str) -> bool:
    return any(_NOISE.search(hint) for hint in _HINT.findall(attributes[:600]))


def _meta(attributes: str, into: dict[str, str]) -> None:
    pairs = {m[0].lower(): m[1] or m[2] or m[3] for m in _ATTRIBUTE.findall(attributes[:4000])}
    key = (pairs.get("property") or pairs.get("name") or "").lower()
    if key in {"og:title", "og:description", "description"} and pairs.get("content"):
        into.setdefault(key, pairs["content"])


def _tokens(source: str) -> Iterator[tuple[str, str, str]]:
    """(kind, name, content) of text, open, close and raw elements; each position is looked at a bounded
    number of times.
    """
    lowered = source.lower() if len(source.lower()) == len(source) else source
    missing: set[str] = set()  # end tags known not to come any more
    at = 0
    while at < len(source):
        opening = _OPENING.search(source, at)
        if opening is None:
            yield "text", "", source[at:]
            return
        start = opening.start()
        if start > at:
            yield "text", "", source[at:start]
        if source.startswith("<!--", start):
            end = source.find("-->", start + 4)
            if end < 0:
                return
            at = end + 3
            continue
        closing = source.startswith("</", start)
        name_match = _NAME.match(source, start + (2 if closing else 1))
        end = _tag_end(source, start)
        if end < 0:
            return
        at = end + 1
        if name_match is None:
            continue
        name = name_match.group().lower()
        inner = source[name_match.end() : end]
        if closing:
            yield "close", name, ""
            continue
        if name in _RAW and not inner.endswith("/"):
            close = -1 if name in missing else lowered.find(f"</{name}", at)
            if close < 0:
                missing.add(name)
                if name in {"script", "style"}:
                    return  # the rest is code
                continue
            yield "raw", name, source[at:close]
            after = source.find(">", close)
            at = len(source) if after < 0 else after + 1
            continue
        yield "open", name, inner
        if inner.endswith("/") and name not in _VOID:
            yield "close", name, ""


def _tag_end(source: str, start: int) -> int:
    """Index of the tag's `>`; one inside a quoted attribute is passed over, three times at most."""
    end = source.find(">", start)
    for _ in range(3):
        if end < 0 or end - start > 20_000 or source.count('"', start, end) % 2 == 0:
            return end
        quote = source.find('"', end)
        following = source.find(">", quote) if 0 <= quote - end < 2_000 else -1
        if following < 0:
            return end
        end = following
    return end
