"""How alike two short texts are: for merging reports of one story, and for a persona's cool-down by topic.

Vectors of hashed character n-grams find candidates; a rule over words decides (a cosine alone has no clean
threshold). No language is assumed: scripts without spaces are compared by their character n-grams.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache

from rapidfuzz import fuzz

from chimera.domain.cleaning import topic_key as _topic_key

DIMENSIONS = 384
"""Length of a vector; the database's column has the same."""
CANDIDATE_COSINE = 0.30
"""Below it two topics are different, whatever words they share."""
SAME_COSINE = 0.85
"""From it on two topics are the same, unless their numbers differ."""
SAME_COVERAGE = 0.80
"""Between the two: the share of the shorter text's weight whose words the longer one has too."""

# Words that say nothing about the topic. Only English ones: elsewhere the weights by length do most of the
# work.
_STOP = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be but by can could did do does for from had has have he her his how i "
        "if in into is it its just like more most my new no not of on or our out over said says she "
        "should show so some than that the their them then there these they this to up was we were "
        "what when where which who why will with would you your ask hn ",
    )
)


@lru_cache(maxsize=8192)
def topic_key(text: str) -> str:
    """As in `cleaning`, remembered: each text is compared with many others."""
    return _topic_key(text)


@lru_cache(maxsize=8192)
def _stems(text: str) -> frozenset[str]:
    """The first three letters of each meaningful word: texts that share less than half are not compared
    further.
    """
    return frozenset(word[:3] for word in _words(topic_key(text)))


_ENDINGS = {"", "s", "es", "d", "ed", "ing"}


def _words(key: str) -> list[str]:
    """The words of a topic key that carry meaning; pairs of characters where a script has no spaces."""
    words: list[str] = []
    for word in key.split():
        if any("\u0e00" <= c <= "\u0eff" or "\u3040" <= c <= "\u30ff" or "\u3400" <= c <= "\u9fff" for c in word):
            words += [word[i : i + 2] for i in range(max(1, len(word) - 1))]
        elif word not in _STOP:
            words.append(word)
    return words


def _grams(text: str) -> Iterable[str]:
    padded = f" {topic_key(text)} "
    for size in (3, 4, 5):
        for start in range(max(0, len(padded) - size + 1)):
            yield padded[start : start + size]


@lru_cache(maxsize=4096)
def _embed(text: str) -> tuple[float, ...]:
    vector = [0.0] * DIMENSIONS
    for gram in _grams(text):
        digest = zlib.crc32(gram.encode("utf-8", "surrogatepass"))
        vector[digest % DIMENSIONS] += 1.0 if digest & 0x8000_0000 else -1.0
    vector = [math.copysign(math.sqrt(abs(value)), value) for value in vector]
    norm = math.sqrt(sum(value * value for value in vector))
    return tuple(value / norm for value in vector) if norm else tuple(vector)


def embed(text: str) -> list[float]:
    """A unit vector of 384 signed, hashed character 3- to 5-grams (square root of the counts); zeros for
    empty text.
    """
    return list(_embed(text[:1000]))


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """Cosine of two vectors, −1 to 1; 0 if one of them is zero."""
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    norm = math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
    return max(-1.0, min(1.0, dot / norm)) if norm else 0.0


def coverage(a: str, b: str) -> float:
    """How much of the shorter text is in the longer, 0–1: weight of its words (their length) that have a
    near-equal there.
    """
    first, second = _words(topic_key(a)), _words(topic_key(b))
    if not first or not second:
        return 1.0 if topic_key(a) == topic_key(b) else 0.0
    if sum(map(len, first)) > sum(map(len, second)):
        first, second = second, first
    total = sum(len(word) for word in first)
    found = sum(len(word) for word in first if any(_same_word(word, other) for other in second))
    return found / total


def _same_word(a: str, b: str) -> bool:
    if a == b:
        return True
    if any(c.isdigit() for c in a + b):  # "GPT 4" and "GPT 5" are not the same
        return False
    short, long = sorted((a, b), key=len)
    if len(short) >= 5 and len(long) - len(short) <= 3 and long.startswith(short):  # launch, launches
        return True
    shared = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(short))
    if shared >= 4 and {a[shared:], b[shared:]} <= _ENDINGS:  # keeps, keeping
        return True
    return len(short) >= 4 and fuzz.ratio(a, b) >= 84


def _labels(key: str) -> set[str]:
    """Numbers and single letters: they tell "GPT 4" from "GPT 5" and "vitamin C" from "vitamin D"."""
    words = {w for w in key.split() if any(c.isdigit() for c in w) or (len(w) == 1 and w.isascii())}
    return words - {"a", "i"}


def same_topic(a: str, b: str) -> tuple[bool, float]:
    """Whether two topics are about the same thing, and the cosine it rests on (0 if few words begin alike).

    Same if the keys are equal; never if both name numbers or single letters, and none of them in both ("GPT
    4", "GPT 5"); else if cosine ≥ 0.85; or cosine ≥ 0.30 and at least 80 % of the shorter text's meaningful
    words, by their length, are in the longer, and these are two or more words, or one of six letters or more.
    """
    first, second = topic_key(a), topic_key(b)
    if first == second:
        return True, 1.0
    ours, theirs = _stems(a), _stems(b)
    if 2 * len(ours & theirs) < max(1, min(len(ours), len(theirs))):
        return False, 0.0
    angle = round(cosine(_embed(a[:1000]), _embed(b[:1000])), 4)
    labels = [_labels(first), _labels(second)]
    if angle < CANDIDATE_COSINE or (all(labels) and not labels[0] & labels[1]):
        return False, angle
    if angle >= SAME_COSINE:
        return True, angle
    if coverage(a, b) < SAME_COVERAGE:
        return False, angle
    words = min(_words(first), _words(second), key=lambda found: sum(map(len, found)))
    return len(set(words)) >= 2 or (bool(words) and len(words[0]) >= 6), angle


def matches_query(query: str, text: str) -> float:
    """How well a person's words name a text, 0–1; tolerant of typing errors, of word order and of words left
    out of the text.
    """
    wanted, there = _words(topic_key(query)) or topic_key(query).split(), _words(topic_key(text))
    if not wanted or not there:
        return 0.0
    total = sum(len(word) for word in wanted)
    found = sum(len(word) * max(fuzz.ratio(word, other) for other in there) / 100 for word in wanted if word) / total
    # a near-miss of every word is noise: only what is clearly there counts
    clear = sum(len(word) for word in wanted if max(fuzz.ratio(word, other) for other in there) >= 80) / total
    return round(0.75 * clear + 0.25 * found, 4) if clear else round(0.4 * found, 4)
