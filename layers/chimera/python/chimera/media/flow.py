"""Sets words on lines: the largest size that fits, lines evenly filled; Chinese and Japanese break between characters."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from chimera.media.fonts import Family, text_width
from chimera.media.text import graphemes
from chimera.media.word_breaks import word_ends

_EMPHASIS = re.compile(r"\*(\S(?:[^*]*\S)?)\*")
# Han, kana, hangul-free CJK punctuation and full-width forms: a line may break between any two of them.
_DENSE = re.compile(r"[\u2e80-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
# What must not begin a line (closing marks), and what must not end one (opening marks).
_NO_START = frozenset("、。，．・：；！？）］｝」』】〕〉》…ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ,.!?;:)]}%”’»")
_NO_END = frozenset("（［｛「『【〔〈《([{“‘«")


@dataclass(frozen=True)
class Token:
    """A word, or one character of Chinese or Japanese. `space`: a blank stands before it within a line."""

    text: str
    strong: bool = False
    space: bool = True


Line = tuple[Token, ...]


def tokens(text: str, *, marks: bool = False) -> tuple[Token, ...]:
    """The words of a text; with `marks` those between asterisks are `strong` and the asterisks are gone."""
    found: list[Token] = []
    parts = _EMPHASIS.split(text) if marks else [text]
    for number, part in enumerate(parts):
        blank = number == 0 or parts[number - 1][-1:].isspace()
        for place, word in enumerate(part.split()):
            spaced = blank or place > 0 or part[:1].isspace()
            for piece in _pieces(word):
                found.append(Token(piece, number % 2 == 1, spaced))
                spaced = False
    return tuple(found)


def _pieces(word: str) -> list[str]:
    ends = word_ends(word)
    if not ends and not _DENSE.search(word):
        return [word]
    pieces: list[str] = []
    for at, char in enumerate(word):
        joins = bool(pieces) and (
            char in _NO_START
            or pieces[-1][-1] in _NO_END
            or not (at in ends or _DENSE.match(char) or _DENSE.match(pieces[-1][-1]))
        )
        if joins:
            pieces[-1] += char
        else:
            pieces.append(char)
    return pieces


def line_text(line: Sequence[Token]) -> str:
    """A line as it is read."""
    return "".join((" " if t.space and i else "") + t.text for i, t in enumerate(line))


def fit(
    words: Sequence[Token],
    *,
    family: Family,
    weight: int,
    width: float,
    sizes: Sequence[int],
    max_lines: int,
    spacing: float = 0.0,
    lines_at: dict[int, int] | None = None,
) -> tuple[int, list[Line]]:
    """The largest of `sizes` (em pixels, falling) at which the words fit, and their lines, evenly filled.

    `lines_at` says how many lines a size has room for, where that is fewer than `max_lines`. At the smallest size what
    does not fit is cut with an ellipsis; a word longer than a line is broken. Only a letter wider than the box makes the
    type smaller still.
    """
    if not words:
        return sizes[0], []
    wide = [text_width(t.text, family, weight, 1.0) for t in words]
    blank = text_width(" ", family, weight, 1.0)
    for size in sizes:
        count = min(max_lines, (lines_at or {}).get(size, max_lines))
        lines = _balanced(words, [w * size + spacing * len(t.text) for w, t in zip(wide, words, strict=True)],
                          blank * size + spacing, width, count)  # fmt: skip
        if lines is not None:
            return size, lines
    size = sizes[-1]
    count = max(min(max_lines, (lines_at or {}).get(size, max_lines)), 1)

    def measure(text: str) -> float:
        return text_width(text, family, weight, size, spacing)

    lines = _greedy(words, measure, width, count)
    while size > 4 and any(text_width(line_text(line), family, weight, size, spacing) > width for line in lines):
        size -= 1  # a single letter that is wider than the box
    return size, lines


def wrap(
    text: str, *, family: Family, weight: int, width: float, sizes: tuple[int, ...], max_lines: int
) -> tuple[int, list[str]]:
    """`fit` for a plain text."""
    size, lines = fit(tokens(text), family=family, weight=weight, width=width, sizes=sizes, max_lines=max_lines)
    return size, [line_text(line) for line in lines]


def _balanced(
    words: Sequence[Token], widths: list[float], blank: float, width: float, max_lines: int
) -> list[Line] | None:
    if max(widths) > width or sum(widths) > width * max_lines:
        return None
    for count in range(1, max_lines + 1):
        lines = _even(words, widths, blank, width, count)
        if lines is not None:
            return lines
    return None


def _even(words: Sequence[Token], widths: list[float], blank: float, measure: float, count: int) -> list[Line] | None:
    """The words on exactly `count` lines with the least sum of squared gaps, or None if they do not fit."""
    total = len(words)
    if count > total:
        return None
    best: dict[tuple[int, int], tuple[float, int]] = {(0, 0): (0.0, 0)}
    for line in range(1, count + 1):
        for end in range(line, total + 1):
            used = -1.0
            for start in range(end - 1, line - 2, -1):
                behind = blank if start + 1 < end and words[start + 1].space else 0.0
                used = widths[start] if used < 0 else used + behind + widths[start]
                if used > measure:
                    break
                before = best.get((line - 1, start))
                if before is not None:
                    cost = before[0] + (measure - used) ** 2
                    if end - start == 1 and count > 1:
                        cost += (0.25 * measure) ** 2  # a word alone on a line looks lost
                    if cost < best.get((line, end), (float("inf"), 0))[0]:
                        best[line, end] = (cost, start)
    if (count, total) not in best:
        return None
    lines: list[Line] = []
    end = total
    for line in range(count, 0, -1):
        start = best[line, end][1]
        lines.insert(0, tuple(words[start:end]))
        end = start
    return lines


def _greedy(words: Sequence[Token], measure: Callable[[str], float], width: float, count: int) -> list[Line]:
    """Fills line after line; a word that is too long is broken, and what is left after `count` lines is cut off."""
    lines: list[list[Token]] = []
    used = 0.0
    for word in _broken(words, measure, width):
        own = measure(word.text)
        joined = used + own + (measure(" ") if word.space else 0.0)
        if lines and joined <= width:
            lines[-1].append(word)
            used = joined
        elif len(lines) == count:
            _cut(lines[-1], measure, width)
            break
        else:
            lines.append([word])
            used = own
    return [tuple(line) for line in lines]


def _broken(words: Sequence[Token], measure: Callable[[str], float], width: float) -> Iterator[Token]:
    for word in words:
        text, space = word.text, word.space
        while measure(text) > width and len(clusters := graphemes(text)) > 1:
            count = bisect_left(range(2, len(clusters) + 1), True, key=lambda n: measure("".join(clusters[:n])) > width)
            take = len("".join(clusters[: count + 1]))
            yield replace(word, text=text[:take], space=space)
            text, space = text[take:], False
        yield replace(word, text=text, space=space)


def _cut(line: list[Token], measure: Callable[[str], float], width: float) -> None:
    """Ends a line with an ellipsis that still fits."""
    while True:
        text = line[-1].text.rstrip(" ,;:.…")
        line[-1] = replace(line[-1], text=text + "…")
        if measure(line_text(line)) <= width or (len(line) == 1 and len(text) <= 1):
            return
        if len(text) > 1:
            line[-1] = replace(line[-1], text=text[:-1])
        else:
            line.pop()
