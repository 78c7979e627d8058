"""Where captions break: sentences first, then clauses; never between an article, a number or a title and its noun.

A sentence is cut into cues, and a cue into two lines, by the least cost over all cuts (dynamic programming), where
each gap between two words has a price that depends on the language. Chinese and Japanese follow kinsoku: no line
starts with a closing mark or ends with an opening one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chimera.media.caption_words import CONJUNCTIONS, LEADERS, TITLES, UNITS, primary
from chimera.media.cues import glued
from chimera.media.models import Word

MAX_CHARS_PER_SECOND = 20.0
SHORTEST_CUE_SECONDS = 0.7
_CLOSERS = r"[\"'”’)\]»›」』】）]*"
_SENTENCE_END = re.compile(r"[.!?…。！？؟۔।॥។]+" + _CLOSERS + "$")
_CLAUSE_END = re.compile(r"[,;:،؛、，；：—–-]+" + _CLOSERS + "$")
_ABBREVIATION = re.compile(
    r"^[(\"“‘]?(?:[A-Z]|[A-Za-z](?:\.[A-Za-z])+|Mrs?|Ms|Dr|Prof|St|vs|No|Nr|Inc|Ltd|Corp|Jr|Sr|etc|bzw|ca|approx|Mio|Mrd|Sra?|M|Mme)\.$"
)
_NUMBER = re.compile(r"^[(\"“‘]?[+−-]?[$€£¥]?[\d٠-٩][\d٠-٩.,'’\u202f]*[)]?$")
_EDGES = "\"'“”‘’()[]«»¿¡,;:.!?…"
_NO_START = frozenset(
    "、。，．・：；！？）］｝」』】〕〉》…ー々ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ〜～％%‰℃°,.!?;:)]}”’»›"
)
_NO_END = frozenset("（［｛「『【〔〈《([{“‘«‹￥＄$€£¥")
_PARTICLES = frozenset("はがをにのへとでもやかねよ的了吗呢吧着过们")
FORBIDDEN = 40.0


@dataclass(frozen=True)
class Measure:
    """How long each word is, and a blank, in units of which a line holds `line`."""

    lengths: tuple[float, ...]
    blanks: tuple[float, ...]  # before each word; 0 where the script has none
    line: float

    def length(self, start: int, end: int) -> float:
        """Length of words `start` … `end - 1` on one line."""
        return self._sums[end] - self._sums[start] - (self.blanks[start] if end > start else 0.0)

    def __post_init__(self) -> None:
        sums = [0.0]
        for length, blank in zip(self.lengths, self.blanks, strict=True):
            sums.append(sums[-1] + length + blank)
        object.__setattr__(self, "_sums", tuple(sums))

    _sums: tuple[float, ...] = ()


def sentences(words: Sequence[Word]) -> Iterable[tuple[int, int]]:
    """The spans (start, end) of the sentences."""
    begin = 0
    for index, word in enumerate(words):
        if _SENTENCE_END.search(word.text) and not _ABBREVIATION.match(word.text):
            yield begin, index + 1
            begin = index + 1
    if begin < len(words):
        yield begin, len(words)


def gap_costs(words: Sequence[Word], language: str) -> list[float]:
    """The price of a break after each word: negative where a reader would pause, `FORBIDDEN` where none may be."""
    tongue = primary(language)
    return [*(_gap(words[i], words[i + 1], i == 0, tongue) for i in range(len(words) - 1)), 0.0] if words else []


def _gap(word: Word, following: Word, first: bool, language: str) -> float:
    text, after = word.text, following.text
    if after[0] in _NO_START or text[-1] in _NO_END:
        return FORBIDDEN
    cost = -min(max(following.start - word.end, 0.0), 0.5) * 1.2
    if _CLAUSE_END.search(text):
        return cost - 1.0
    if glued(text, after):
        return cost + (0.7 if after[0] in _PARTICLES else 0.15)
    core, next_core = text.strip(_EDGES), after.strip(_EDGES)
    low, next_low = core.lower(), next_core.lower()
    if next_low in CONJUNCTIONS.get(language, ()):
        return cost - 0.45
    if _NUMBER.match(text) or low in UNITS:
        return cost + (3.0 if next_low in UNITS or not next_core.isalnum() else 1.3)
    if core in TITLES or _ABBREVIATION.match(text):
        return cost + 2.0
    if low in LEADERS.get(language, ()):
        return cost + 1.0
    if not first and core[:1].isupper() and next_core[:1].isupper():
        return cost + 0.6  # a name
    if next_core[:1].isdigit() and core[:1].isupper():
        return cost + 0.8  # Chapter 4
    return cost + (0.25 if len(core) <= 3 and core.isalpha() else 0.0)


def split(
    words: Sequence[Word], gaps: Sequence[float], measure: Measure, begin: int, end: int
) -> list[tuple[int, int]]:
    """Cuts the sentence `begin` … `end` into cues of two lines at most, at the least cost."""
    total = measure.length(begin, end)
    if end - begin <= 1 or (fits(gaps, measure, begin, end) and total <= 2 * measure.line):
        return [(begin, end)]
    parts = max(2, -(-int(total) // max(int(measure.line * 1.75), 1)))
    target = total / parts
    best: list[tuple[float, int]] = [(0.0, begin)] + [(float("inf"), begin)] * (end - begin)
    for stop in range(begin + 1, end + 1):
        until = words[stop].start if stop < end else words[end - 1].end + 0.3
        after = gaps[stop - 1] if stop < end else 0.0
        for start in range(stop - 1, begin - 1, -1):
            length = measure.length(start, stop)
            if length > 2 * measure.line and start < stop - 1:
                break
            before = best[start - begin][0]
            cost = before + 0.5 + after + 0.9 * ((length - target) / target) ** 2
            if cost >= best[stop - begin][0] + 0.4:
                continue
            cost += _inner(gaps, measure, start, stop) + _hurry(length, until - words[start].start)
            if stop - start == 1:
                cost += 0.5
            if cost < best[stop - begin][0]:
                best[stop - begin] = (cost, start)
    spans: list[tuple[int, int]] = []
    while end > begin:
        start = best[end - begin][1]
        spans.append((start, end))
        end = start
    return spans[::-1]


def _hurry(length: float, seconds: float) -> float:
    """What it costs to read that much in that time: nothing below 18 characters a second and over 0.7 s."""
    seconds = max(seconds, 0.05)
    fast = max(length / seconds - 0.9 * MAX_CHARS_PER_SECOND, 0.0) * 0.12
    return min(fast, 3.0) + max(SHORTEST_CUE_SECONDS - seconds, 0.0) * 1.5


def _inner(gaps: Sequence[float], measure: Measure, start: int, stop: int) -> float:
    cut, cost = best_cut(gaps, measure, start, stop)
    return 0.0 if cut == stop else cost * 0.4


def fits(gaps: Sequence[float], measure: Measure, start: int, stop: int) -> bool:
    """Whether the words stand on two lines."""
    return best_cut(gaps, measure, start, stop)[1] < FORBIDDEN / 2


def best_cut(gaps: Sequence[float], measure: Measure, start: int, stop: int) -> tuple[int, float]:
    """Where the second line begins (`stop`: there is none), and what that cut costs: balance, grammar, overflow."""
    if stop - start == 1 or measure.length(start, stop) <= measure.line:
        return stop, 0.0
    best, least = start + 1, float("inf")
    for cut in range(start + 1, stop):
        upper, lower = measure.length(start, cut), measure.length(cut, stop)
        over = max(upper, lower) - measure.line
        cost = abs(upper - lower) / measure.line + gaps[cut - 1] * 0.5
        if over > 1e-6:
            cost += FORBIDDEN + over
        if cost < least:
            best, least = cut, cost
    return best, least
