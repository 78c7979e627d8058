"""Cleans text from outside for display and speech: it may hold markup, controls, bidi marks, or two megabytes."""

from __future__ import annotations

import html
import re
import unicodedata
from urllib.parse import urlsplit

# Longest text that any step looks at; what is longer is cut, never refused (a feed may send anything).
MAX_TEXT = 5_000
MAX_TITLE = 120

_TAG = re.compile(
    r"<(?:script|style)\b[^>]*>.*?(?:</(?:script|style)\s*>|$)|<!--.*?(?:-->|$)|</?[a-zA-Z][^<>]{0,500}>", re.S | re.I
)
_SPACE = re.compile(r"\s+")
# Bidi overrides and isolates can reorder what a viewer reads; joiners and marks inside words are kept.
_BIDI_CONTROLS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0xFEFF, 0x00AD])


def clean(text: str, *, limit: int = MAX_TEXT) -> str:
    """Plain, NFC, one line: no markup, no control characters, at most `limit` characters (cut at a word)."""
    text = text[: limit * 8]  # bounds the work on a huge input before anything looks at it
    text = html.unescape(_TAG.sub(" ", text))
    text = _TAG.sub(" ", text)  # entities may have spelt out tags
    text = unicodedata.normalize("NFC", text).translate(_BIDI_CONTROLS)
    text = "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in text if not _is_noise(c))
    return shorten(_SPACE.sub(" ", text).strip(), limit)


def _is_noise(char: str) -> bool:
    return unicodedata.category(char) in {"Cs", "Co", "Cn"} or 0xE0000 <= ord(char) <= 0xE0FFF


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, cut at a word's end where one is near, with an ellipsis."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    space = cut.rfind(" ")
    return (cut[:space] if space > limit * 0.6 else cut).rstrip(" ,;:.-–—") + "…"


def without_emoji(text: str) -> str:
    """The text without pictographs: no bundled font draws them, and a box with a cross is worse than nothing."""
    kept = "".join(c for c in text if not _is_pictograph(ord(c)))
    return _SPACE.sub(" ", kept).strip()


def _is_pictograph(code: int) -> bool:
    return (
        0x1F000 <= code <= 0x1FAFF
        or 0x2600 <= code <= 0x27BF
        or 0x2B00 <= code <= 0x2BFF
        or code in {0x200D, 0x20E3, 0x2122, 0x2139, 0x3030, 0x303D}
        or 0xFE00 <= code <= 0xFE0F
        or 0x231A <= code <= 0x23FF
    )


def is_rtl(text: str) -> bool:
    """Whether the first strong character runs from right to left (Unicode bidi rule P2)."""
    for char in text:
        kind = unicodedata.bidirectional(char)
        if kind in {"R", "AL"}:
            return True
        if kind == "L":
            return False
    return False


def source_name(source: str) -> str:
    """A short name for a source: the host of an address without `www.`, else the cleaned text."""
    text = clean(source, limit=400)
    for part in text.split():
        if part.startswith(("http://", "https://")):
            try:
                host = urlsplit(part).hostname or ""
            except ValueError:
                host = ""
            if host:
                return shorten(host.removeprefix("www."), 48)
    return shorten(text, 48)


def source_names(sources: tuple[str, ...] | list[str], *, limit: int = 5) -> list[str]:
    """Names of the sources in their order, each once."""
    names: dict[str, None] = {}
    for source in sources:
        name = source_name(source)
        if name:
            names.setdefault(name, None)
    return list(names)[:limit]


_THAI_LEADING = frozenset("เแโใไເແໂໃໄ")  # written before the consonant they belong to
_HANGUL_JAMO = range(0x1100, 0x1200)


def graphemes(text: str) -> list[str]:
    """What a reader sees as single characters (Unicode text segmentation, simplified): marks, joiners, flags and Hangul
    jamo stay with their base, a Thai or Lao leading vowel with its consonant, a Khmer or Indic conjunct in one piece."""
    found: list[str] = []
    for char in text:
        if found and _continues(found[-1], char):
            found[-1] += char
        else:
            found.append(char)
    return found


def _continues(cluster: str, char: str) -> bool:
    code, last = ord(char), cluster[-1]
    if code < 0x300:
        return False
    if code in {0x200D, 0x20E3} or 0xFE00 <= code <= 0xFE0F or 0x1F3FB <= code <= 0x1F3FF:
        return True
    if unicodedata.category(char) in {"Mn", "Mc", "Me"} or char in "ะาำຳະາ":
        return not last.isspace()
    if last == "\u200d":
        return True
    if unicodedata.combining(last) == 9 or last == "\u17d2":  # a virama joins the next consonant
        return unicodedata.category(char) == "Lo"
    if cluster in _THAI_LEADING:
        return unicodedata.category(char) == "Lo"
    if code in range(0x1F1E6, 0x1F200):
        return len(cluster) == 1 and ord(last) in range(0x1F1E6, 0x1F200)
    return code in _HANGUL_JAMO and code >= 0x1160 and ord(last) in _HANGUL_JAMO
