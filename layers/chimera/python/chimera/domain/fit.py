"""How well a picture fits a sentence, 0 to 1, and which pictures are the same: pure rules, no model and no network.

Words are compared as stems (fuzzy from five letters on) and as hashed character n-grams (`domain/similarity`), so an
unknown language and a typing error are no special case. The formula:

    words  = 0.65 · recall of the wish's words in the picture's text + 0.20 · recall of the sentence's in it
             + 0.15 · share of the picture's (first twelve) words that wish or sentence ask for
    fit    = (0.85 · words + 0.15 · cosine of the n-grams, not below 0) · shape · size · length

`wish` is what the scene asks the picture to show, `sentence` what is said; without a wish the sentence takes its place. A
recall weighs each word by its length (at most eight letters). `shape` falls from 1 to 0.7 as cropping to the frame takes
more than half of the picture, `size` from 1 to 0 as it must be enlarged 1.5 to 4 times, `length` from 1 to 0.6 as footage is
shorter than the scene. A picture that the user named for the scene fits by 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from pydantic import Field
from rapidfuzz import fuzz

from chimera.domain.bill import is_unknown
from chimera.domain.cleaning import topic_key
from chimera.domain.models import Model
from chimera.domain.similarity import cosine, embed

THRESHOLD = 0.42
"""Below it a designed card is better than the picture. Calibrated on the pairs in tests/unit/test_fit.py."""

_STOP = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "been",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "he",
        "her",
        "his",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "just",
        "like",
        "may",
        "more",
        "most",
        "my",
        "new",
        "no",
        "not",
        "of",
        "on",
        "one",
        "or",
        "our",
        "out",
        "over",
        "said",
        "says",
        "she",
        "so",
        "some",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "too",
        "two",
        "under",
        "up",
        "us",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
        "photo",
        "photos",
        "photograph",
        "picture",
        "pictures",
        "image",
        "images",
        "stock",
        "footage",
        "video",
        "clip",
        "shot",
        "view",
        "background",
        "closeup",
        "close",
        "showing",
        "shows",
        "show",
        "file",
        "jpg",
        "jpeg",
        "png",
        "free",
        "high",
        "quality",
        "der",
        "die",
        "das",
        "und",
        "ein",
        "eine",
        "im",
        "mit",
        "von",
        "le",
        "la",
        "les",
        "de",
        "des",
        "du",
        "un",
        "une",
        "et",
        "en",
        "el",
        "los",
        "las",
        "y",
    ]
)
_ENDINGS = ("ings", "ing", "edly", "ies", "ied", "ers", "er", "es", "ed", "ly", "s")


class Candidate(Model):
    """A picture or footage that a library offers. Without a known licence it is not taken."""

    library: str
    key: str = Field(min_length=1, max_length=300, description="The library's own id of it")
    kind: str = Field(default="photo", pattern="^(photo|footage)$")
    title: str = Field(default="", max_length=1000)
    tags: list[str] = Field(default=[], max_length=60)
    width: int = Field(default=0, ge=0)
    height: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0)
    licence: str = Field(default="", max_length=300)
    licence_url: str = Field(default="", max_length=1000)
    author: str = Field(default="", max_length=300)
    author_url: str = Field(default="", max_length=1000)
    source: str = Field(default="", max_length=2000, description="The page where it is shown")
    file_url: str = Field(min_length=1, max_length=2000, description="The file itself")
    thumbnail_url: str = Field(default="", max_length=2000)
    notify_url: str = Field(
        default="", max_length=2000, description="To be called when it is used, where the terms ask so"
    )
    credit: str = Field(default="", max_length=600, description="The line that the terms ask for")

    @property
    def text(self) -> str:
        """All that says what is in it."""
        return " ".join([self.title, *self.tags])

    @property
    def usable(self) -> bool:
        """Whether its licence is known."""
        return not is_unknown(self.licence)


def fit(
    *, wish: str, sentence: str, text: str, size: tuple[int, int] = (0, 0), frame: tuple[int, int] = (0, 0),
    seconds: float = 0.0, wanted_seconds: float = 0.0,
) -> float:  # fmt: skip
    """0–1 by the formula above. Sizes in pixels, (0, 0) where they are not known; `wanted_seconds` 0 for a still."""
    there = words(text)
    if not there:
        return 0.0
    asked, said = words(wish) or words(sentence), words(sentence) or words(wish)
    if not asked:
        return 0.0
    named = 0.65 * _recall(asked, there) + 0.20 * _recall(said, there) + 0.15 * _recall(there[:12], [*asked, *said])
    grams = max(cosine(embed(wish or sentence), embed(text)), 0.0)
    score = 0.85 * named + 0.15 * grams
    score *= shape_share(size, frame) * _size_share(size, frame)
    if wanted_seconds > 0 and seconds > 0:
        score *= 0.6 + 0.4 * min(seconds / wanted_seconds, 1.0)
    return round(min(score, 1.0), 4)


def shape_share(size: tuple[int, int], frame: tuple[int, int]) -> float:
    """1 while at least half of the picture stays after cropping, 0.7 where next to nothing does; 1 where not known."""
    if min(size) <= 0 or min(frame) <= 0:
        return 1.0
    a, b = size[0] / size[1], frame[0] / frame[1]
    kept = min(a, b) / max(a, b)
    return 1.0 if kept >= 0.5 else 0.7 + 0.6 * kept


def _size_share(size: tuple[int, int], frame: tuple[int, int]) -> float:
    if min(size) <= 0 or min(frame) <= 0:
        return 1.0
    enlarged = max(frame[0] / size[0], frame[1] / size[1])
    return min(max((4.0 - enlarged) / 2.5, 0.0), 1.0)


@lru_cache(maxsize=4096)
def _words(text: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    spaced = re.sub(r"(?<=[a-zà-ÿ])(?=[A-ZÀ-Þ])|[_\-]+", " ", text)
    for word in topic_key(spaced[:4000]).split():
        if any("\u0e00" <= c <= "\u0eff" or "\u3040" <= c <= "\u30ff" or "\u3400" <= c <= "\u9fff" for c in word):
            pairs = [word[at : at + 2] for at in range(max(len(word) - 1, 1))]
            # hiragana are endings and particles: of a word with kanji, they are left out
            solid = [pair for pair in pairs if not re.search("[\u3040-\u309f]", pair)]
            found.update(dict.fromkeys(solid or pairs))
        elif word not in _STOP and not word.isdigit() and len(word) > 1:
            found.setdefault(_stem(word))
    return tuple(found)


def words(text: str) -> list[str]:
    """The stems of a text that carry meaning, each once, in its order; pairs of characters where a script has no spaces."""
    return list(_words(text))


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            stem = word[: -len(ending)]
            if ending in {"ies", "ied"}:
                return stem + "y"
            # running → run, but grass stays grass
            if (
                ending in {"ing", "ings", "ed", "er", "ers"}
                and len(stem) > 3
                and stem[-1] == stem[-2]
                and stem[-1] not in "sl"
            ):
                return stem[:-1]
            return word if ending == "s" and word.endswith("ss") else stem
    return word


def _recall(asked: Sequence[str], there: Sequence[str]) -> float:
    total = found = 0.0
    for word in asked:
        weight = min(len(word), 8)
        total += weight
        found += weight * max((_alike(word, other) for other in there), default=0.0)
    return found / total if total else 0.0


@lru_cache(maxsize=65536)
def _alike(a: str, b: str) -> float:
    if a == b:
        return 1.0
    if len(a) < 4 or len(b) < 4 or a[:2] != b[:2]:
        return 0.0
    short, long = sorted((a, b), key=len)
    if long.startswith(short) and len(long) - len(short) <= 3:
        return 0.9
    if len(short) < 5:
        return 0.0
    return 0.8 if fuzz.ratio(a, b) >= 86 else 0.0


def named(asset: str, names: Sequence[str]) -> int | None:
    """Which of the names a template's `asset` means: a number from 1 on, a file's name, or its name without the ending."""
    asked = asset.strip().casefold()
    if not asked:
        return None
    if asked.isdigit() and 1 <= int(asked) <= len(names):
        return int(asked) - 1
    plain = [name.casefold() for name in names]
    for found in (plain, [name.rsplit(".", 1)[0] for name in plain]):
        if asked in found:
            return found.index(asked)
    return None


_CAMERAS = "img|dsc[fn]?|pxl|vid|mvi|mov|gopr|gh|dji|screenshot|whatsapp|signal|photo|image|picture|scan|wa"


def says_nothing(name: str) -> bool:
    """Whether a file's name is a camera's or a number: IMG_2041.jpg, DSC00017, 20240511_184500, photo (3)."""
    stem = re.sub(r"(?<=[A-Za-z])(?=\d)|_", " ", name.rsplit(".", 1)[0])
    return not words(re.sub(rf"(?i)\b({_CAMERAS})\b|\d+|[\W_]+", " ", stem))
