"""What templates may do to words: sentences, titles, ordinals, shortening; pure, and the same on every machine."""

from __future__ import annotations

import re

from chimera.media.text import shorten as cut_at_word

_MARK = re.compile(r"[.!?…؟][\"'”’)\]»]*(?=\s)|[。！？][\"'”’」』)\]»]*(?=\s|\S)")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘])(?:[A-Za-zÀ-ž]|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|No|Nr|vs|etc|ca|cf|approx|Inc|Ltd|Co|bzw|usw|Abs|bspw"
    r"|(?:[A-Za-z]\.)+[A-Za-z])\.$"
)
_SMALL = frozenset(
    re.findall(
        r"\w+",
        "a an the and but or nor for so yet as at by in of off on per to up via vs from into onto over with than",
    )
)


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order; nothing is lost but the space between them."""
    found: list[str] = []
    start = 0
    for match in _MARK.finditer(text):
        if match[0].startswith(".") and _ABBREVIATION.search(text[start : match.start() + 1]):
            continue
        piece = text[start : match.end()].strip()
        if piece:
            found.append(piece)
        start = match.end()
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def squeezed(text: str) -> str:
    """The text without any space: what is compared where only words count."""
    return "".join(text.split())


def shorten(text: str, limit: int = 60) -> str:
    """At most `limit` characters, cut at a word's end where one is near, with an ellipsis."""
    return cut_at_word(text, max(limit, 1))


def title_case(text: str, language: str = "en") -> str:
    """English headlines are capitalised word by word; other languages begin with a capital and stay as they are."""
    if language.split("-")[0].lower() != "en":
        return text[:1].upper() + text[1:]
    words = text.split(" ")
    last = len(words) - 1

    def one(place: int, word: str) -> str:
        if place not in (0, last) and word.lower() in _SMALL:
            return word.lower()
        return word if any(c.isupper() for c in word) else word[:1].upper() + word[1:]

    return " ".join(one(i, w) for i, w in enumerate(words))


def ordinal(number: int, language: str = "en") -> str:
    """1st, 2nd …; in the language's own way."""
    code = language.split("-")[0].lower()
    if code == "en":
        teen = 10 <= number % 100 <= 20
        return f"{number}" + ("th" if teen else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th"))
    if code == "fr":
        return f"{number}er" if number == 1 else f"{number}e"
    return f"{number}" + {"es": ".º", "it": "º", "pt": "º", "nl": "e"}.get(code, ".")


def emphasise(text: str, words: str) -> str:
    """The first place of `words` in `text` between asterisks, which type sets in the emphasis colour."""
    match = re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text, re.IGNORECASE) if words.strip() else None
    return f"{text[: match.start()]}*{match[0]}*{text[match.end() :]}" if match else text
