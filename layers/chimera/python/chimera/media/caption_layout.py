"""Where each word of a caption stands: lines measured as libass shapes them, words in visual order, on whole pixels.

Words that carry a plate or move are set one by one, so the order of right-to-left lines is worked out here (the
Unicode bidi rules at the level of words; within a word libass does it).
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from chimera.media import ass
from chimera.media.cues import Cue, glued, joined
from chimera.media.fonts import EMOJI, Family, ascent, ass_size, descent, family_name, real_weight, runs, text_width
from chimera.media.models import Word
from chimera.media.text import clean, graphemes

CAP = 0.70  # cap height of the bundled families in ems
_SMALLEST = 0.5  # of the size asked for; what is still too long is cut with an ellipsis
RLM = "\u200f"


@dataclass(frozen=True)
class Type:
    """A face at a size: family, weight, em in script pixels."""

    family: Family
    weight: int
    size: float

    def width(self, text: str) -> float:
        """Width of one line of text in script pixels."""
        return text_width(text, self.family, self.weight, self.size)

    @property
    def blank(self) -> float:
        """Width of a blank."""
        return self.width(" ")

    def parts(self, texts: Sequence[tuple[str, str]], emoji: str, base: Type) -> list[tuple[str, str]]:
        """(text, colour) pairs as (overrides, piece): each run in a font that has it, emoji in the colour `emoji`.

        Overrides name only what changes from the style `base`: each one costs libass a look-up in every frame.
        """
        found: list[tuple[str, str]] = []
        now, tint_now = (base.family, base.size), ""
        for text, tint in texts:
            for family, piece in runs(text, self.family):
                colour = emoji if family == EMOJI else tint
                tags = ""
                if (family, self.size) != now:
                    now = family, self.size
                    tags += f"\\fn{family_name(family)}\\b{real_weight(family, self.weight)}"
                    tags += f"\\fs{ass_size(family, self.size):.2f}"
                if colour != tint_now and piece.strip():
                    tint_now = colour
                    tags += f"\\1c{ass.inline(colour)}"
                drawn = piece.replace("\ufe0f", "").replace("\ufe0e", "") if family == EMOJI else piece
                if tags or not found:
                    found.append((tags, drawn))
                else:
                    found[-1] = (found[-1][0], found[-1][1] + drawn)
        return found

    def middle(self, text: str, baseline: float) -> float:
        """Where `\\an5` sets the text so that its baseline is at `baseline`: the middle of its tallest run's line."""
        families = {family for family, _ in runs(text, self.family)} or {self.family}
        up, down = max(ascent(f) for f in families), max(descent(f) for f in families)
        return baseline + (down - up) / 2 * self.size


@dataclass(frozen=True)
class Spot:
    """A word on its line: what is drawn, where (left edge, width), from when it is the spoken one, until when."""

    text: str
    x: float
    width: float
    start: float
    stop: float
    strong: bool

    @property
    def centre(self) -> float:
        """The middle of the word."""
        return self.x + self.width / 2


@dataclass(frozen=True)
class Line:
    """A line: its words in reading order, its baseline, its text as one."""

    spots: tuple[Spot, ...]
    baseline: float
    text: str
    x: float
    width: float


@dataclass(frozen=True)
class Block:
    """A caption that is laid out: its lines, and the type at the size at which it fits."""

    type: Type
    lines: tuple[Line, ...]
    rtl: bool

    @property
    def dense(self) -> bool:
        """Whether words stand without blanks between them."""
        return any(glued(a.text, b.text) for line in self.lines for a, b in pairwise(line.spots))


def shown(text: str, *, upper: bool) -> str:
    """A word as it is drawn: cleaned, in capitals if asked for, without characters that no font has."""
    cleaned = clean(text, limit=400).replace("{", "(").replace("}", ")")
    return "".join(piece for _, piece in runs(cleaned.upper() if upper else cleaned, "Montserrat")).strip()


def frame_time(seconds: float, fps: int) -> float:
    """The time to write so that libass changes at the frame nearest to `seconds`.

    ASS counts hundredths and libass compares them with the frame's time in whole milliseconds, so the time written is
    the last hundredth before that frame, and after the frame before it (at 60 fps and below there always is one).
    """
    frame = math.floor(seconds * fps + 0.5)
    return max(math.floor((frame * 1000 / fps - 1) / 10), 0) / 100


def lay_out(
    cue: Cue, kind: Type, *, centre: tuple[float, float], width: float, leading: float, upper: bool, until: float,
) -> Block | None:  # fmt: skip
    """The cue's words on their lines around `centre`, at most `width` wide; None if nothing of it can be drawn.

    `leading` is in ems, `until` is when the last word stops being the spoken one.
    """
    words = [(w, shown(w.text, upper=upper), number) for line in cue.lines for number, w in enumerate(line)]
    starts = [w.start for w, _, _ in words] + [until]
    lines: list[list[tuple[Word, str, float, bool]]] = []
    for index, (word, text, number) in enumerate(words):
        if number == 0:
            lines.append([])
        if text:
            lines[-1].append((word, text, max(starts[index + 1], word.start), index in cue.emphasis))
    lines = [line for line in lines if line]
    if not lines:
        return None

    def long(used: Type, line: list[tuple[Word, str, float, bool]]) -> float:
        gaps = sum(not glued(a[1], b[1]) for a, b in pairwise(line))
        return sum(used.width(text) for _, text, _, _ in line) + gaps * used.blank

    widest = max(long(kind, line) for line in lines)
    fit = replace(kind, size=kind.size * min(1.0, max(width / max(widest, 1.0), _SMALLEST)))
    lines = [_cut(line, fit, width) if len(line) == 1 else line for line in lines]
    rtl = cue.rtl
    top = centre[1] - (CAP + (len(lines) - 1) * leading) * fit.size / 2
    placed = []
    for number, line in enumerate(lines):
        total = long(fit, line)
        baseline = top + (CAP + number * leading) * fit.size
        spots = _spots(line, fit, centre[0] - total / 2, rtl)
        placed.append(Line(spots, baseline, joined([t for _, t, _, _ in line]), centre[0] - total / 2, total))
    return Block(fit, tuple(placed), rtl)


def _cut(line: list[tuple[Word, str, float, bool]], kind: Type, width: float) -> list[tuple[Word, str, float, bool]]:
    """A single word that is too long even at the smallest size, cut with an ellipsis."""
    word, text, stop, strong = line[0]
    if kind.width(text) <= width + 1:
        return line
    clusters = graphemes(text)
    low, high = 1, len(clusters)
    while low < high:
        middle = (low + high + 1) // 2
        if kind.width("".join(clusters[:middle]) + "…") <= width:
            low = middle
        else:
            high = middle - 1
    return [(word, "".join(clusters[:low]) + "…", stop, strong)]


def _spots(line: list[tuple[Word, str, float, bool]], kind: Type, left: float, rtl: bool) -> tuple[Spot, ...]:
    texts = [text for _, text, _, _ in line]
    order = visual_order(texts, rtl)
    spots: dict[int, Spot] = {}
    x = left
    for place, index in enumerate(order):
        if place and not glued(*(texts[i] for i in sorted((order[place - 1], index)))):
            x += kind.blank
        word, text, stop, strong = line[index]
        width = kind.width(text)
        spots[index] = Spot(text, x, width, word.start, stop, strong)
        x += width
    return tuple(spots[i] for i in range(len(line)))


def visual_order(texts: Sequence[str], rtl: bool) -> list[int]:
    """The words' indices from left to right: runs against the line's direction are turned around.

    A figure goes with the run that it follows; in a right-to-left line it otherwise goes with the line.
    """
    against: list[bool] = []
    for text in texts:
        kind = _direction(text)
        against.append(kind == ("L" if rtl else "R") or (kind == "" and any(against[-1:]) and _figure(text)))
    order: list[int] = []
    run: list[int] = []
    for index in reversed(range(len(texts))) if rtl else range(len(texts)):
        if against[index]:
            run.insert(0, index)  # in both cases the run's own first word ends up on the side where it begins
        else:
            order += [*run, index]
            run = []
    return order + run


def _direction(text: str) -> str:
    for char in text:
        kind = unicodedata.bidirectional(char)
        if kind in {"R", "AL"}:
            return "R"
        if kind == "L":
            return "L"
    return ""


def _figure(text: str) -> bool:
    return any(c.isdigit() for c in text)


def directed(text: str, rtl: bool) -> str:
    """The text with marks that make it a part of a line of that direction: a full stop then stands where it should."""
    if rtl and _direction(text) != "L":
        return f"{RLM}{text}{RLM}"
    return f"{RLM}{text}" if rtl and _direction(text) == "L" and not text[-1].isalnum() else text
