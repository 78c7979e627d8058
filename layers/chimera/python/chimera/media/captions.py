"""Captions: one cue model, made once from the spoken words, written as SRT, WebVTT and (by `caption_styles`) burned in.

Rules: a cue is at most two lines and never crosses a sentence; lines break where `caption_breaks` finds it cheapest;
a cue starts with its first word and stays for at least 0.7 s, and for as long as 20 characters a second need, where
the voice leaves the time.
"""

from __future__ import annotations

import html
import math
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median
from typing import Literal

from chimera.domain.masking import mask
from chimera.media.caption_breaks import (
    MAX_CHARS_PER_SECOND,
    SHORTEST_CUE_SECONDS,
    Measure,
    best_cut,
    gap_costs,
    sentences,
    split,
)
from chimera.media.caption_words import emphatic
from chimera.media.cues import Cue, glued, joined, shifted, spaceless
from chimera.media.models import Word
from chimera.media.text import graphemes
from chimera.media.word_breaks import word_ends

__all__ = [
    "MAX_CHARS_PER_SECOND",
    "SHORTEST_CUE_SECONDS",
    "Cue",
    "Reading",
    "coverage",
    "gaps_ok",
    "joined",
    "make_cues",
    "parse_vtt",
    "reading",
    "shifted",
    "srt",
    "vtt",
]

_BRIDGE_SECONDS = 0.35
_FULL_WIDTH_LINE = 16  # at most so many full-width characters on a line
_FULL_WIDTH = 1.5  # of a Latin letter's width
_UNIT = 4  # so many characters of a script without blanks are not worth a cut
_NO_START = frozenset(
    "、。，．・：；！？）］｝」』】〕〉》…ー々ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ〜～％%,.!?;:)]}”’ๆฯ។"
)
_NO_END = frozenset("（［｛「『【〔〈《([{“‘")
_LONG_WORD, _SHORTEST_CUT = 40, 12
_TOKEN = re.compile(r"[^\W_]\*{2,}|[^\W_]+(?:_+[^\W_]+)*")


def make_cues(
    words: Sequence[Word],
    *,
    line_chars: int,
    limit: float,
    language: str = "en",
    measure: Callable[[str], float] | None = None,
    width: float = 0.0,
    mask_profanity: bool = False,
) -> list[Cue]:
    """Cues for one scene's words; no cue ends after `limit` (seconds, the scene's end) unless its word does.

    A line holds `line_chars` Latin letters (a full-width character counts 1.5, at most 16 of them), and with `measure`
    (width of a text in pixels) at most `width` pixels. Words may come unordered, overlapping or empty. `*Asterisks*`
    around words mark emphasis and are not shown.
    """
    spoken, marked = _marks(_pieces(_tidy(words, limit), line_chars))
    if not spoken:
        return []
    shown = [Word(text=mask(w.text, language), start=w.start, end=w.end) for w in spoken] if mask_profanity else spoken
    shown = _readable(shown, limit)
    gaps = gap_costs(spoken, language)
    sizes = _measure(shown, line_chars, measure, width)
    spans = [part for begin, end in sentences(spoken) for part in split(spoken, gaps, sizes, begin, end)]
    cues: list[Cue] = []
    for number, (begin, end) in enumerate(spans):
        following = spoken[spans[number + 1][0]].start if number + 1 < len(spans) else max(limit, spoken[-1].end)
        cut, _ = best_cut(gaps, sizes, begin, end)
        lines = (tuple(shown[begin:cut]), tuple(shown[cut:end])) if cut < end else (tuple(shown[begin:end]),)
        strong = frozenset(
            i - begin
            for i in range(begin, end)
            if marked[i] or (not any(marked) and emphatic(spoken[i].text, language))
        )
        start, stop = _times(spoken[begin:end], joined([w.text for w in shown[begin:end]]), following)
        cues.append(Cue(start, stop, lines, strong))
    return _ordered(cues)


def _readable(words: list[Word], limit: float) -> list[Word]:
    """The words, one of more than 40 characters cut with an ellipsis to what can be read while it is said."""
    found = []
    for index, word in enumerate(words):
        if len(word.text) > _LONG_WORD:
            until = words[index + 1].start if index + 1 < len(words) else max(limit, word.end)
            room = max(int((until - word.start) * 0.9 * MAX_CHARS_PER_SECOND), _SHORTEST_CUT)
            word = Word(text=_cut(word.text, room), start=word.start, end=word.end)
        found.append(word)
    return found


def _cut(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    kept = ""
    for cluster in graphemes(text):
        if len(kept) + len(cluster) >= room:
            break
        kept += cluster
    return kept + "…"


def _times(words: Sequence[Word], text: str, following: float) -> tuple[float, float]:
    start, end = words[0].start, max(words[-1].end, words[0].start)
    wanted = max(end + 0.12, start + SHORTEST_CUE_SECONDS, start + len(text) / MAX_CHARS_PER_SECOND)
    if following - end <= _BRIDGE_SECONDS:
        wanted = following
    return round(start, 3), round(max(min(wanted, following), start + 0.05), 3)


def _ordered(cues: list[Cue]) -> list[Cue]:
    """Cues that a broken voice timed on top of each other still follow one another."""
    fixed: list[Cue] = []
    for cue in cues:
        start = max(cue.start, fixed[-1].end) if fixed else cue.start
        fixed.append(Cue(start, max(cue.end, round(start + 0.05, 3)), cue.lines, cue.emphasis))
    return fixed


def _tidy(words: Sequence[Word], limit: float) -> list[Word]:
    """The words that say something, in the text's order with times that rise: what is out of order is put in between
    its neighbours, what is not a number or negative is cut to 0 … `limit` (or to the last good end, if later)."""
    kept = [w for w in words if w.text.strip()]
    horizon = max([limit, *(w.end for w in kept if math.isfinite(w.end))], default=limit)

    def within(value: float, otherwise: float) -> float:
        return min(max(value, 0.0), horizon) if math.isfinite(value) else otherwise

    starts = [within(w.start, horizon) for w in kept]
    if any(b < a for a, b in pairwise(starts)):
        starts = _rising(starts)
    tidy: list[Word] = []
    for index, (word, start) in enumerate(zip(kept, starts, strict=True)):
        until = starts[index + 1] if index + 1 < len(kept) else horizon
        end = min(max(within(word.end, start), start), max(until, start))
        tidy.append(Word(text=" ".join(word.text.split()), start=round(start, 3), end=round(max(end, start), 3)))
    return tidy


def _rising(values: list[float]) -> list[float]:
    """The values with those outside the longest rising subsequence put evenly between their neighbours."""
    tails: list[float] = []
    ends: list[int] = []
    before = [-1] * len(values)
    for index, value in enumerate(values):
        place = bisect_right(tails, value)
        before[index] = ends[place - 1] if place else -1
        tails[place : place + 1] = [value]
        ends[place : place + 1] = [index]
    keep: list[int] = []
    at = ends[-1]
    while at >= 0:
        keep.append(at)
        at = before[at]
    keep.reverse()
    fixed = list(values)
    for left, right in pairwise([-1, *keep, len(values)]):
        low = values[left] if left >= 0 else 0.0
        high = values[right] if right < len(values) else low
        for index in range(left + 1, right):
            fixed[index] = low + (high - low) * (index - left) / (right - left)
    return fixed


def _pieces(words: list[Word], line_chars: int) -> list[Word]:
    """Phrases of scripts without blanks in pieces that a line may break between, each with its share of the time."""
    found: list[Word] = []
    for word in words:
        dense = sum(map(spaceless, word.text))
        if dense <= _UNIT or (dense == len(word.text) <= line_chars // 2 and not _cjk(word.text)):
            found.append(word)
            continue
        parts = _units(word.text)
        total, done = sum(map(len, parts)), 0
        span = word.end - word.start
        for part in parts:
            start = word.start + span * done / total
            done += len(part)
            found.append(Word(text=part, start=round(start, 3), end=round(word.start + span * done / total, 3)))
    return found


def _cjk(text: str) -> bool:
    return any(ord(c) >= 0x2E80 for c in text)


def _units(text: str) -> list[str]:
    """Pieces: Han and kana one by one with the marks that cling to them, Latin whole, the others by `word_ends`."""
    parts: list[str] = []
    ends = word_ends(text)
    at = 0
    for cluster in graphemes(text):
        starts = at in ends
        at += len(cluster)
        if not parts:
            parts.append(cluster)
            continue
        last = parts[-1]
        clings = cluster[0] in _NO_START or last[-1] in _NO_END or cluster.isspace()
        latin = not spaceless(cluster[0]) and not spaceless(last[-1])
        dense = spaceless(cluster[0]) and spaceless(last[-1]) and not _cjk(cluster + last)
        if clings or latin or (dense and not starts):
            parts[-1] += cluster
        else:
            parts.append(cluster)
    return [stripped for part in parts if (stripped := part.strip())]


def _marks(words: list[Word]) -> tuple[list[Word], list[bool]]:
    """Takes the asterisks of `*these words*` away: the words, and which were marked. A lone asterisk stays."""
    opened: int | None = None
    marked = [False] * len(words)
    bare = list(words)
    for index, word in enumerate(words):
        if opened is None and re.match(r"\W{0,2}\*\w", word.text):
            opened = index
        if opened is not None and re.search(r"\w[^\w\s*]*\*\W*$", word.text) and index - opened < 12:
            for inner in range(opened, index + 1):
                marked[inner] = True
                text = words[inner].text.replace("*", "")
                bare[inner] = Word(text=text, start=words[inner].start, end=words[inner].end)
            opened = None
    return bare, marked


def _measure(words: Sequence[Word], line_chars: int, measure: Callable[[str], float] | None, width: float) -> Measure:
    scale = line_chars / width if measure is not None and width > 0 else 0.0
    full = max(_FULL_WIDTH, line_chars / _FULL_WIDTH_LINE)
    known: dict[str, float] = {}

    def length(text: str) -> float:
        if text not in known:
            letters = sum(full if ord(c) >= 0x2E80 and spaceless(c) else 1.0 for c in text)
            known[text] = max(letters, measure(text) * scale) if measure is not None else letters
        return known[text]

    lengths = tuple(length(w.text) for w in words)
    blanks = (0.0, *(0.0 if glued(a.text, b.text) else 1.0 for a, b in pairwise(words)))
    return Measure(lengths, blanks, float(line_chars))


@dataclass(frozen=True)
class Reading:
    """How fast captions read: characters a second (median, fastest), cues over the limit, and how many of those could
    not be slower because the voice itself says more than 20 characters a second there."""

    cues: int
    median: float
    fastest: float
    over: int
    voice_too_fast: int
    shortest_seconds: float


def reading(cues: Sequence[Cue]) -> Reading:
    """Measures the reading speed of cues."""
    if not cues:
        return Reading(0, 0.0, 0.0, 0, 0, 0.0)
    speeds = [c.chars_per_second for c in cues]
    over = [i for i, speed in enumerate(speeds) if speed > MAX_CHARS_PER_SECOND + 0.05]
    # a cue that stays until the next one starts cannot stay longer: the voice set its length
    held = [i for i in over if i + 1 == len(cues) or cues[i + 1].start - cues[i].end <= 0.01]
    shortest = min(c.end - c.start for c in cues)
    return Reading(len(cues), round(median(speeds), 1), round(max(speeds), 1), len(over), len(held), round(shortest, 3))


def srt(cues: Sequence[Cue]) -> str:
    """SubRip text."""
    blocks = [
        f"{i}\n{_clock(c.start, ',')} --> {_clock(c.end, ',')}\n{_guarded(c.text)}\n" for i, c in enumerate(cues, 1)
    ]
    return "\n".join(blocks)


def _guarded(text: str) -> str:
    """No line of the text can be taken for a cue's times, or for its end."""
    return "\n".join(line.replace("-->", "--\u200b>") for line in text.split("\n") if line.strip())


def vtt(
    cues: Sequence[Cue], language: str = "en", *, place: Literal["bottom", "none"] = "none", karaoke: bool = False
) -> str:
    """WebVTT text; `&`, `<` and `>` are escaped as the standard asks.

    `place="bottom"` (nothing is burned in) sets each cue above the platforms' own buttons; `karaoke` writes each
    word's time before it, for players that colour what has been said.
    """
    tag = language if re.fullmatch(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*", language) else "und"
    settings = " line:76% position:50% size:84% align:center" if place == "bottom" else ""
    blocks = [
        f"{i}\n{_clock(c.start, '.')} --> {_clock(c.end, '.')}{settings}\n{_timed(c) if karaoke else _escaped(c.text)}\n"
        for i, c in enumerate(cues, 1)
    ]
    return "\n".join([f"WEBVTT\nLanguage: {tag}\n", *blocks])


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


def _timed(cue: Cue) -> str:
    """The cue's words, each but the first with its time before it, in the way of WebVTT's `<c>` and timestamps."""
    text, last = "", cue.start
    for number, line in enumerate(cue.lines):
        text += "\n" if number else ""
        for place, word in enumerate(line):
            text += " " if place and not glued(line[place - 1].text, word.text) else ""
            if last < word.start < cue.end:
                text += f"<{_clock(word.start, '.')}>"
                last = word.start
            text += f"<c>{_escaped(word.text)}</c>"
    return text


def parse_vtt(text: str) -> list[tuple[float, float, str]]:
    """`(start, end, text)` of each cue of a WebVTT or SubRip text; what is not a cue is left out."""
    cues: list[tuple[float, float, str]] = []
    for block in re.split(r"\r?\n[ \t]*\r?\n", text):
        lines = re.split(r"\r?\n", block.strip("\r\n"))
        for number, line in enumerate(lines):
            match = re.match(r"((?:\d+:)?\d\d:\d\d[.,]\d{3})\s+-->\s+((?:\d+:)?\d\d:\d\d[.,]\d{3})", line)
            if match:
                content = (
                    re.sub(r"<[^>]*>", "", "\n".join(lines[number + 1 :]))
                    if _is_vtt(text)
                    else "\n".join(lines[number + 1 :])
                )
                content = html.unescape(content) if _is_vtt(text) else content
                cues.append((_seconds(match[1]), _seconds(match[2]), content.replace("--\u200b>", "-->")))
                break
    return cues


def _is_vtt(text: str) -> bool:
    return text.lstrip("\ufeff").startswith("WEBVTT")


def coverage(narration: str, captions: str) -> float:
    """Share (0–1) of the narration's words that the captions say in the same order; 1 for an empty narration.

    Scripts without blanks count by character; a masked word counts as said, and so does a very long one that is cut.
    """
    said, shown = _tokens(mask(narration)), _tokens(mask(_uncut(captions, narration)))
    return _common(said, shown) / len(said) if said else 1.0


def _uncut(captions: str, narration: str) -> str:
    """The captions with what `_readable` cut as it is in the narration."""
    long = [word for word in narration.split() if len(word) > _LONG_WORD]
    if not long:
        return captions
    return " ".join(
        next((w for w in long if w.startswith(word[:-1])), word)
        if word.endswith("…") and len(word) >= _SHORTEST_CUT
        else word
        for word in captions.split()
    )


def _tokens(text: str) -> list[str]:
    """Words, and single characters of scripts without blanks; Latin words stand right beside those."""
    tokens: list[str] = []
    for token in _TOKEN.findall(text.casefold()):
        for single, run in groupby(token, spaceless):
            found = list(run)
            tokens += [c for c in found if c.isalnum()] if single else ["".join(found)]
    return tokens


def _common(a: list[str], b: list[str]) -> int:
    """Length of the longest common subsequence (Hyyrö 2004: one bit a word of `a`, one step a word of `b`)."""
    places: dict[str, int] = {}
    for index, token in enumerate(a):
        places[token] = places.get(token, 0) | 1 << index
    everything = (1 << len(a)) - 1
    row = everything
    for token in b:
        met = row & places.get(token, 0)
        row = ((row + met) | (row - met)) & everything
    return len(a) - row.bit_count()


def gaps_ok(cues: Sequence[Cue]) -> bool:
    """Whether no two cues overlap."""
    return all(a.end <= b.start + 1e-6 for a, b in pairwise(cues))


def _clock(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{mark}{rest % 1000:03d}"


def _seconds(clock: str) -> float:
    total = 0.0
    for part in clock.replace(",", ".").split(":"):
        total = total * 60 + float(part)
    return total
