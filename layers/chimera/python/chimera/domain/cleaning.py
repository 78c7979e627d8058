"""Turns text from outside into plain text: no markup, no control or direction-override characters, bounded
length.

Language-neutral: right-to-left scripts, combining marks and emoji sequences come through whole.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

TITLE_LIMIT = 500
DESCRIPTION_LIMIT = 5000
TOPIC_LIMIT = 255
URL_LIMIT = 2000
_RAW_LIMIT = 200_000  # what is looked at: markup may be much longer than the text in it

_INLINE = frozenset(
    re.findall(
        r"\w+",
        "a abbr acronym b bdi bdo big cite code del dfn em font i ins kbd label mark q s samp small "
        "span strike strong "
        "sub sup time tt u var wbr",
    )
)
_HIDDEN = frozenset(re.findall(r"\w+", "script style template noscript iframe object svg math head textarea select"))
_TAG_NAME = re.compile(r"/?\s*([a-zA-Z][a-zA-Z0-9:-]*)")

# Removed: C0/C1 controls, zero-width space, soft hyphen, BOM, word joiner …, direction embeddings,
# overrides and isolates,
# deprecated format characters, interlinear annotations, lone surrogates, language tags (used to hide
# instructions).
# Kept: LRM/RLM/ALM marks, ZWJ and ZWNJ, which spelling and emoji need.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u180e\u200b\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_FLAG = re.compile("(\U0001f3f4[\U000e0020-\U000e007e]{1,6}\U000e007f)|[\U000e0000-\U000e007f]")
_VARIATIONS = re.compile("([\ufe00-\ufe0f\U000e0100-\U000e01ef])[\ufe00-\ufe0f\U000e0100-\U000e01ef]+")
_WHITESPACE = re.compile(r"\s+")
_TRACKING = re.compile(r"(?:utm_\w+|fbclid|gclid|mc_[ce]id|igshid|ref|ref_src|cmpid|guccounter)\Z", re.IGNORECASE)


def without_invisible(text: str) -> str:
    """The text without control characters, halves of surrogate pairs and direction overrides; line breaks stay."""
    return _INVISIBLE.sub("", text)


def strip_markup(text: str) -> str:
    """The text between tags; scripts, styles and comments go with their contents. Linear in the length."""
    out: list[str] = []
    position, length = 0, len(text)
    lowered: str | None = None
    while position < length:
        start = text.find("<", position)
        if start < 0:
            break
        out.append(text[position:start])
        if text.startswith("<!--", start):
            end = text.find("-->", start + 4)
            position = length if end < 0 else end + 3
            continue
        if text.startswith("<![CDATA[", start):
            position = start + 9
            continue
        tag = _TAG_NAME.match(text, start + 1)
        declaration = text[start + 1 : start + 2] in {"!", "?"} and text[start + 2 : start + 3].isalpha()
        if tag is None and not declaration:  # "a < b", "<3"
            out.append("<")
            position = start + 1
            continue
        end = text.find(">", start)
        name = tag.group(1).lower() if tag else ""
        if end < 0:  # a tag that never closes: what follows cannot be trusted to be text
            position = length
            continue
        position = end + 1
        if name in _HIDDEN and text[start + 1] != "/" and text[end - 1] != "/":
            lowered = text.lower() if lowered is None else lowered
            close = lowered.find(f"</{name}", position)
            close_end = text.find(">", close) if close >= 0 else -1
            position = length if close_end < 0 else close_end + 1
        if name not in _INLINE:
            out.append(" ")
    out.append(text[position:])
    return "".join(out)


def clean_text(value: object, limit: int = DESCRIPTION_LIMIT) -> str:
    """Plain text of at most `limit` characters from anything a source may hold; "" for None and for what is
    not text.

    Entities are resolved up to four times (feeds escape twice), markup is stripped each time; NFC; whitespace
    collapsed. Cut at a word where there is one, with an ellipsis, never inside an emoji or a combining
    sequence.
    """
    if value is None or isinstance(value, bool | dict | list | bytes):
        return ""
    text = str(value)[:_RAW_LIMIT]
    for _ in range(4):
        plain = html.unescape(strip_markup(text))
        if plain == text:
            break
        text = plain
    text = strip_markup(text)
    text = _FLAG.sub(lambda match: match.group(1) or "", _INVISIBLE.sub("", text))
    # removing what is invisible may have joined a tag that was broken up to hide it
    text = strip_markup(text) if "<" in text else text
    text = _VARIATIONS.sub(r"\1", unicodedata.normalize("NFC", text))
    return cut(_WHITESPACE.sub(" ", text).strip(), limit)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters; an ellipsis shows that something was cut."""
    if len(text) <= limit:
        return text
    end = limit - 1
    space = text.rfind(" ", max(0, end - 60), end + 1)
    if space > 0:
        end = space
    else:
        while end > max(1, limit - 40) and _joins(text[end - 1], text[end]):
            end -= 1
    return text[:end].rstrip(" ,;:-–—") + "…"


def _joins(before: str, after: str) -> bool:
    """Whether a cut between the two would break one visible character."""
    return (
        before == "\u200d"
        or after in "\u200d\u200c"
        or unicodedata.combining(after) > 0
        or unicodedata.category(after) in {"Mn", "Me", "Mc"}
        or 0x1F3FB <= ord(after) <= 0x1F3FF
        or (0x1F1E6 <= ord(after) <= 0x1F1FF and 0x1F1E6 <= ord(before) <= 0x1F1FF)
        or 0xE0020 <= ord(after) <= 0xE007F
    )


def clean_url(value: object) -> str:
    """A plain http(s) address without user name and password, 2000 characters at most; "" for all else."""
    if not isinstance(value, str):
        return ""
    text = _WHITESPACE.sub("", _INVISIBLE.sub("", value[: URL_LIMIT * 2].replace("&amp;", "&")))
    if any(bad in text for bad in "<>\"'`\\{}|^"):
        text = quote(text, safe=":/?#[]@!$&()*+,;=%~-._")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if parts.scheme.lower() not in {"http", "https"} or not host:
        return ""
    netloc = f"[{host}]" if ":" in host else host
    netloc += f":{port}" if port else ""
    url = urlunsplit((parts.scheme.lower(), netloc, parts.path, parts.query, parts.fragment))
    return url if len(url) <= URL_LIMIT else ""


def canonical_url(url: str) -> str:
    """What two addresses of one page have in common: no scheme, www, mobile host, tracking, fragment or last
    slash.

    "" for an address that is not http(s). Only for comparing and for ids, never for opening.
    """
    clean = clean_url(url)
    if not clean:
        return ""
    parts = urlsplit(clean)
    host = (parts.hostname or "").lower()
    for prefix in ("www.", "m.", "mobile."):
        host = host.removeprefix(prefix)
    host = host.replace(".m.wikipedia.org", ".wikipedia.org")
    port = f":{parts.port}" if parts.port and parts.port not in {80, 443} else ""
    query = urlencode(sorted(p for p in parse_qsl(parts.query) if not _TRACKING.match(p[0])))
    return f"{host}{port}{parts.path.rstrip('/')}{'?' + query if query else ''}"


def topic_key(text: str) -> str:
    """The form in which topics are compared: compatibility-folded, caseless, punctuation out, one space
    between words.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(c if unicodedata.category(c)[0] in "LNM" or c in "+#\u200c\u200d" else " " for c in folded)
    key = _WHITESPACE.sub(" ", kept).strip()
    return key or _WHITESPACE.sub(" ", folded).strip()


def plain_json(value: object, depth: int = 4) -> Any:
    """A JSON value that a database takes: no NUL, lone surrogates or NaN; texts, lists, objects and depth
    bounded.
    """
    if isinstance(value, str):
        return _INVISIBLE.sub("", value[:URL_LIMIT])
    if isinstance(value, bool | int | None):
        return value if not isinstance(value, int) or abs(value) < 2**53 else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth > 0 and isinstance(value, Mapping):
        return {str(plain_json(str(k)[:100])): plain_json(v, depth - 1) for k, v in list(value.items())[:50]}
    if depth > 0 and isinstance(value, list | tuple):
        return [plain_json(v, depth - 1) for v in value[:50]]
    return None


def clean_tags(value: object, limit: int = 20) -> list[str]:
    """At most `limit` short, different tags, from a list or from text separated by `;`, `|` or `,`."""
    if isinstance(value, str):
        value = re.split(r"[;|,]", value[:10_000])
    if not isinstance(value, list | tuple | set):
        return []
    tags: dict[str, str] = {}
    for item in list(value)[:200]:
        tag = clean_text(item, 60).lstrip("#").strip()
        if tag:
            tags.setdefault(tag.casefold(), tag)
    return list(tags.values())[:limit]


def clean_count(value: object) -> int | None:
    """A count from 0 to 10^12, from a number or from text such as `1,000,000+`; None for anything else: no
    data is not 0.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float):
        if value != value or abs(value) > 1e12:
            return None
        number = int(value)
    elif isinstance(value, int):
        number = value
    elif isinstance(value, str):
        digits = value.strip().replace(",", "").replace(" ", "").replace("\u202f", "").replace("\u00a0", "").rstrip("+")
        if not digits.isascii() or not digits.isdigit() or len(digits) > 12:
            return None
        number = int(digits)
    else:
        return None
    return number if 0 <= number <= 10**12 else None
