"""Captions: one cue model, made once from the spoken words, written as SRT, WebVTT and (by `typeset`) burned in.

Rules: a cue is at most two lines and never crosses a sentence; lines break at commas before they break elsewhere;
it stays for at least 0.7 s and for as long as 20 characters a second need, where the voice leaves the time.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from chimera.media.models import Word

MAX_CHARS_PER_SECOND = 20.0
SHORTEST_CUE_SECONDS = 0.7
_BRIDGE_SECONDS = 0.35
_SENTENCE_END = re.compile(r"[.!?…。！？؟]+[\"'”’)\]»]*$")
_CLAUSE_END = re.compile(r"[,;:،、—–-]+[\"'”’)\]»]*$")
_ABBREVIATION = re.compile(
    r"^(?:[A-Z]|[A-Za-z]\.[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|vs|No|Inc|Ltd|Corp|Jr|Sr|e\.g|i\.e|etc|U\.S)\.$"
)
_WORD = re.compile(r"\w+", re.UNICODE)


@dataclass(frozen=True)
class Cue:
    """What stands on screen from `start` to `end` (seconds): lines of words, each word with its own time."""

    start: float
    end: float
    lines: tuple[tuple[Word, ...], ...]

    @property
    def text(self) -> str:
        """The lines, joined by line feeds."""
        return "\n".join(" ".join(w.text for w in line) for line in self.lines)

    @property
    def chars_per_second(self) -> float:
        """Reading speed: characters without line feeds per second on screen."""
        return len(self.text.replace("\n", " ")) / max(self.end - self.start, 1e-3)


def make_cues(words: Sequence[Word], *, line_chars: int, limit: float) -> list[Cue]:
    """Cues for one scene's words; no cue ends after `limit` (seconds, the scene's end)."""
    groups: list[list[Word]] = []
    for sentence in _sentences([w for w in words if w.text.strip()]):
        groups += _split(sentence, line_chars)
    cues: list[Cue] = []
    for index, group in enumerate(groups):
        following = groups[index + 1][0].start if index + 1 < len(groups) else limit
        start, end = group[0].start, max(group[-1].end, group[0].start)
        text_length = len(" ".join(w.text for w in group))
        wanted = max(end, start + SHORTEST_CUE_SECONDS, start + text_length / MAX_CHARS_PER_SECOND)
        if following - end <= _BRIDGE_SECONDS:
            wanted = max(wanted, following)
        end = min(max(wanted, end + 0.12), max(following, start), max(limit, start))
        cues.append(Cue(round(start, 3), round(max(end, start + 0.05), 3), _lines(group, line_chars)))
    return _ordered(cues)


def _ordered(cues: list[Cue]) -> list[Cue]:
    """Cues that a broken voice timed on top of each other still follow one another."""
    fixed: list[Cue] = []
    for cue in cues:
        start = max(cue.start, fixed[-1].end) if fixed else cue.start
        fixed.append(Cue(start, max(cue.end, start + 0.05), cue.lines))
    return fixed


def _sentences(words: list[Word]) -> Iterable[list[Word]]:
    sentence: list[Word] = []
    for word in words:
        sentence.append(word)
        if _SENTENCE_END.search(word.text) and not _ABBREVIATION.match(word.text):
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def _length(words: Sequence[Word]) -> int:
    return sum(len(w.text) for w in words) + max(len(words) - 1, 0)


def _split(words: list[Word], line_chars: int) -> list[list[Word]]:
    """Splits a sentence into cues of two lines at most: evenly, at clause ends and pauses where they are near."""
    if len(words) <= 1 or _fits(words, line_chars):
        return [words]
    total = _length(words)
    parts = max(2, -(-total // (line_chars * 2)))
    target = total / parts
    best, best_cost = 1, float("inf")
    used = 0
    for index in range(1, len(words)):
        used += len(words[index - 1].text) + 1
        head = words[:index]
        cost = abs(used - target) / target
        if _CLAUSE_END.search(words[index - 1].text):
            cost -= 0.55
        cost -= min(max(words[index].start - words[index - 1].end, 0.0), 0.5) * 0.6
        if len(words[index - 1].text) <= 3 and not _CLAUSE_END.search(words[index - 1].text):
            cost += 0.18  # do not leave "the" or "of" behind
        cost += 0.10 * (_hurry(head, words[index].start) + _hurry(words[index:], words[-1].end))
        if not _fits(head, line_chars):
            cost += 3.0
        if min(index, len(words) - index) == 1:
            cost += 0.35
        if cost < best_cost:
            best, best_cost = index, cost
    return [*_split(words[:best], line_chars), *_split(words[best:], line_chars)]


def _hurry(words: Sequence[Word], until: float) -> float:
    """Characters a second over what reads easily, if these words stand until then."""
    return max(_length(words) / max(until - words[0].start, 0.05) - 0.9 * MAX_CHARS_PER_SECOND, 0.0)


def _fits(words: Sequence[Word], line_chars: int) -> bool:
    return all(_length(line) <= line_chars for line in _lines(words, line_chars)) or len(words) == 1


def _lines(words: Sequence[Word], line_chars: int) -> tuple[tuple[Word, ...], ...]:
    """One line if it fits, else two as even as the words allow."""
    if _length(words) <= line_chars or len(words) == 1:
        return (tuple(words),)
    cut = min(range(1, len(words)), key=lambda i: (max(_length(words[:i]), _length(words[i:])), i))
    return (tuple(words[:cut]), tuple(words[cut:]))


def shifted(cues: Iterable[Cue], seconds: float) -> list[Cue]:
    """The cues later by `seconds` (their words too)."""

    def later(word: Word) -> Word:
        return Word(text=word.text, start=round(word.start + seconds, 3), end=round(word.end + seconds, 3))

    return [
        Cue(
            round(c.start + seconds, 3),
            round(c.end + seconds, 3),
            tuple(tuple(later(w) for w in line) for line in c.lines),
        )
        for c in cues
    ]


def srt(cues: Sequence[Cue]) -> str:
    """SubRip text."""
    blocks = [f"{i}\n{_clock(c.start, ',')} --> {_clock(c.end, ',')}\n{c.text}\n" for i, c in enumerate(cues, 1)]
    return "\n".join(blocks)


def vtt(cues: Sequence[Cue], language: str = "en") -> str:
    """WebVTT text; `&`, `<` and `>` are escaped as the standard asks."""
    tag = language if re.fullmatch(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*", language) else "und"
    blocks = [
        f"{i}\n{_clock(c.start, '.')} --> {_clock(c.end, '.')}\n{html.escape(c.text, quote=False)}\n"
        for i, c in enumerate(cues, 1)
    ]
    return "\n".join([f"WEBVTT\nLanguage: {tag}\n", *blocks])


def parse_vtt(text: str) -> list[tuple[float, float, str]]:
    """`(start, end, text)` of each cue of a WebVTT or SubRip text; what is not a cue is left out."""
    cues: list[tuple[float, float, str]] = []
    for block in re.split(r"\r?\n\s*\r?\n", text):
        lines = block.strip().splitlines()
        for number, line in enumerate(lines):
            match = re.match(r"((?:\d+:)?\d\d:\d\d[.,]\d{3})\s+-->\s+((?:\d+:)?\d\d:\d\d[.,]\d{3})", line)
            if match:
                content = re.sub(r"<[^>]*>", "", "\n".join(lines[number + 1 :]))
                cues.append((_seconds(match[1]), _seconds(match[2]), html.unescape(content)))
                break
    return cues


def coverage(narration: str, captions: str) -> float:
    """Share (0–1) of the narration's words that the captions say in the same order; 1 for an empty narration."""
    said = [w.casefold() for w in _WORD.findall(narration)]
    shown = [w.casefold() for w in _WORD.findall(captions)]
    if not said:
        return 1.0
    return _common(said, shown) / len(said)


def _common(a: list[str], b: list[str]) -> int:
    """Length of the longest common subsequence."""
    previous = [0] * (len(b) + 1)
    for x in a:
        row = [0]
        for j, y in enumerate(b):
            row.append(previous[j] + 1 if x == y else max(previous[j + 1], row[j]))
        previous = row
    return previous[-1]


def gaps_ok(cues: Sequence[Cue]) -> bool:
    """Whether no two cues overlap."""
    return all(a.end <= b.start + 1e-6 for a, b in pairwise(cues))


def _clock(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{mark}{rest % 1000:03d}"


def _seconds(clock: str) -> float:
    parts = clock.replace(",", ".").split(":")
    total = 0.0
    for part in parts:
        total = total * 60 + float(part)
    return total
