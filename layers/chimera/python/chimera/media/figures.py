"""Finds the one number of a sentence worth showing big: "37 %", "$4.2 billion", "1,250 people"; never a year or a version."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_MAGNITUDE = r"(?:thousand|million|billion|trillion|bn|mln|[mMkKB](?![a-zA-Z]))"
_FIGURE = re.compile(
    rf"""(?<![\w.,:/#-])
    (?P<currency>US\$|[$€£¥₹])?\s?
    (?P<number>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?)
    (?:(?P<percent>\s?(?:%|percent\b|per\ cent\b)) | (?P<times>x\b|\s?times\b) | \s?(?P<magnitude>{_MAGNITUDE}) )?
    (?![\w:/]|[.,]\d|-\w)
    """,
    re.VERBOSE,
)
_NOUN = re.compile(r"\s+(?:new\s+|more\s+)?([a-z][a-z-]{2,})\b")
_NOT_A_UNIT = frozenset(
    [
        "and",
        "the",
        "that",
        "than",
        "then",
        "for",
        "from",
        "with",
        "was",
        "were",
        "are",
        "has",
        "had",
        "have",
        "will",
        "can",
        "could",
        "would",
        "should",
        "but",
        "not",
        "you",
        "his",
        "her",
        "its",
        "who",
        "which",
        "when",
        "where",
        "while",
        "after",
        "before",
        "about",
        "into",
        "over",
        "under",
        "out",
        "per",
        "to",
        "of",
        "in",
        "on",
        "at",
        "by",
        "as",
        "or",
        "is",
        "if",
        "so",
    ]
)
_UNITS = frozenset(
    [
        "people",
        "users",
        "days",
        "hours",
        "years",
        "months",
        "weeks",
        "minutes",
        "seconds",
        "points",
        "comments",
        "views",
        "votes",
        "countries",
        "cities",
        "companies",
        "jobs",
        "stars",
        "songs",
        "games",
        "goals",
        "tons",
        "tonnes",
        "miles",
        "kilometres",
        "kilometers",
        "metres",
        "meters",
        "degrees",
        "dollars",
        "euros",
        "pounds",
        "students",
        "children",
        "women",
        "men",
        "workers",
        "deaths",
        "cases",
        "homes",
        "cars",
        "planes",
        "flights",
        "stores",
        "books",
        "films",
        "episodes",
        "downloads",
        "subscribers",
        "followers",
        "customers",
        "patients",
        "members",
        "players",
        "teams",
        "states",
        "pages",
        "lines",
        "tokens",
        "parameters",
    ]
)


@dataclass(frozen=True)
class Figure:
    """A number as it is shown: `prefix` + `number` + `suffix` big, `unit` small below; `share` 0–1 for a percentage."""

    prefix: str
    number: str
    suffix: str
    unit: str
    share: float | None
    decimals: int
    value: float

    @property
    def big(self) -> str:
        """What is set in the largest type."""
        return f"{self.prefix}{self.number}{self.suffix}"

    def at(self, progress: float) -> str:
        """The big text while it counts up, `progress` 0–1; the last one is the number exactly as it was written."""
        if progress >= 1:
            return self.big
        grouped = f"{self.value * max(progress, 0):,.{self.decimals}f}"
        return f"{self.prefix}{grouped if ',' in self.number else grouped.replace(',', '')}{self.suffix}"


def key_figure(text: str) -> Figure | None:
    """The most telling number in the text, or None. It is shown as written; nothing is computed or rounded."""
    best: tuple[int, Figure] | None = None
    for match in _FIGURE.finditer(text[:2000]):
        scored = _score(text, match)
        if scored is not None and (best is None or scored[0] > best[0]):
            best = scored
    return best[1] if best else None


def _score(text: str, match: re.Match[str], *, counted: bool = False) -> tuple[int, Figure] | None:
    """How telling a number is, or None. `counted`: any noun in the plural is a unit, not only the well-known ones."""
    number = match["number"]
    value = float(number.replace(",", ""))
    decimals = len(number.partition(".")[2])
    prefix = match["currency"] or ""
    if match["percent"]:
        share = value / 100 if value <= 100 else None
        return 5, Figure(prefix, number, "%", "", share, decimals, value)
    if match["times"]:
        return 4, Figure(prefix, number, "×", "", None, decimals, value)
    if match["magnitude"]:
        magnitude = match["magnitude"]
        short = len(magnitude) == 1
        noun = "" if prefix else _noun(text, match.end())
        unit = "" if short else f"{magnitude} {noun}".strip()
        return 5, Figure(prefix, number, magnitude if short else "", unit, None, decimals, value)
    if prefix:
        return 4, Figure(prefix, number, "", "", None, decimals, value)
    noun = _noun(text, match.end())
    is_year = "," not in number and 1800 <= value <= 2100 and decimals == 0
    if noun in _UNITS and not (is_year and noun not in {"people", "users"}):
        return 3, Figure("", number, "", noun, None, decimals, value)
    if "," in number and value >= 1000:
        return 3, Figure("", number, "", noun, None, decimals, value)
    if counted and len(noun) > 3 and noun.endswith("s") and not is_year:
        return 2, Figure("", number, "", noun, None, decimals, value)
    return None


def _noun(text: str, end: int) -> str:
    match = _NOUN.match(text, end)
    word = match[1] if match else ""
    return "" if word in _NOT_A_UNIT else word


# --- figures with labels, and series of them


@dataclass(frozen=True)
class SeriesPoint:
    """A figure of a series: what it stands for, its value, how it is written, and the text that it is from."""

    label: str
    value: float
    shown: str
    text: int


@dataclass(frozen=True)
class Series:
    """Figures of one unit in the order in which they are told. `dated`: the labels are years or months, rising."""

    unit: str
    points: tuple[SeriesPoint, ...]
    share: bool
    dated: bool

    @property
    def scenes(self) -> tuple[int, ...]:
        """The numbers of the texts that the figures are from, each once."""
        return tuple(dict.fromkeys(p.text for p in self.points))


_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_DATE = rf"(?:(?:{_MONTHS})(?:\s+(?:18|19|20)\d\d)?|(?:18|19|20)\d\d(?:/\d\d)?)"
_DATE_AFTER = re.compile(rf"^[\w\s%-]{{0,40}}?\b(?:in|by|for|during|at the end of)\s+({_DATE})\b")
_DATE_BEFORE = re.compile(rf"\b({_DATE})\b(?:[:,]|\s+[a-z]+)*[^.!?]{{0,60}}$")
_NAME_BEFORE = re.compile(
    r"(?:^|[,;:.]\s+|\b(?:and|while|but|in|for|against|than)\s+|^[^A-Z]*)((?:the\s+)?[A-Z][\w’'&-]*(?:\s+[A-Z][\w’'&-]*){0,3})[^,;.!?]{0,40}$"
)
_NAME_AFTER = re.compile(
    r"^(?:\s+[a-z]+){0,3}?\s+(?:in|for|at|from)\s+((?:the\s+)?[A-Z][\w’'&-]*(?:\s+[A-Z][\w’'&-]*){0,3})"
)
_SENTENCE = re.compile(r"[.!?](?=\s|$)|\n")
# capitalised only because a sentence begins with them
_NO_NAMES = frozenset(
    [
        "A", "About", "After", "Again", "All", "Almost", "Also", "An", "And", "Another", "As", "At", "Before", "But", "By",
        "Even", "Every", "Few", "For", "From", "He", "Her", "Here", "His", "However", "I", "If", "In", "It", "Its", "Just",
        "Last", "Many", "More", "Most", "My", "Nearly", "Next", "No", "Now", "Of", "On", "One", "Only", "Our", "Over", "She",
        "So", "Some", "Still", "That", "The", "Their", "Then", "There", "These", "They", "This", "Those", "To", "Today",
        "Tomorrow", "Under", "Until", "Up", "We", "What", "When", "Where", "While", "Who", "With", "Yesterday", "Yet", "You",
        "Your",
    ]
)  # fmt: skip
_CLAUSE = re.compile(r"(?<=[a-z%\d])[,;](?=\s)|[.!?](?=\s|$)|\n")


def as_data(figure: Figure | None) -> dict[str, Any] | None:
    """A figure as plain data: `text` as it is written, and its parts."""
    if figure is None:
        return None
    return {
        "text": figure.big, "prefix": figure.prefix, "number": figure.number, "suffix": figure.suffix,
        "unit": figure.unit, "share": figure.share, "value": figure.value,
    }  # fmt: skip


def figures_of(text: str, *, counted: bool = False) -> list[tuple[Figure, str]]:
    """Every telling figure of a text, each once, in order, with the label that the text gives it (or "").

    `counted` takes numbers of anything in the plural: for series, where the same noun must come again.
    """
    found: list[tuple[Figure, str]] = []
    seen: set[tuple[str, str, str]] = set()
    text = text[:4000]
    scored = [(m, f[1]) for m in _FIGURE.finditer(text) if (f := _score(text, m)) is not None]
    since = 0
    for number, (match, figure) in enumerate(scored):
        until = scored[number + 1][0].start() if number + 1 < len(scored) else len(text)
        label, used = _label(text, match, since, until)
        since = used  # a date that stands after one figure is not the next one's
        key = (figure.big, figure.unit, label)
        if key not in seen:
            seen.add(key)
            found.append((figure, label))
    return found


def _label(text: str, match: re.Match[str], since: int, until: int) -> tuple[str, int]:
    """A year or month nearby, else a name in the same clause, as it is written; and where what was used of the text ends."""
    sentence = _SENTENCE.split(text[since : match.start()])[-1]
    clause = _CLAUSE.split(sentence)[-1]
    after = _CLAUSE.split(text[match.end() : until])[0]
    for pattern, part, behind in (
        (_DATE_AFTER, after, True),
        (_DATE_BEFORE, sentence, False),
        (_NAME_AFTER, after, True),
        (_NAME_BEFORE, clause, False),
    ):
        named = pattern.search(part)
        if named and named[1].strip() not in _NO_NAMES:
            return named[1].strip()[:60], match.end() + (named.end() if behind else 0)
    return "", match.end()


def series_of(texts: Sequence[str]) -> list[Series]:
    """What a chart can be drawn of: figures of the same unit, two to twelve, each with a label of its own.

    Values are as they are written; nothing is computed, converted, filled in or sorted. The longest series first.
    """
    groups: dict[tuple[str, str, str], list[SeriesPoint]] = {}
    for index, text in enumerate(texts):
        for figure, label in figures_of(text, counted=True):
            points = groups.setdefault((figure.prefix, figure.suffix, figure.unit), [])
            if label and label not in {p.label for p in points} and len(points) < 12:
                points.append(SeriesPoint(label, figure.value, f"{figure.big}", index))
    made = [
        Series(unit, tuple(points), suffix == "%", _dated(points))
        for (_prefix, suffix, unit), points in groups.items()
        if len(points) >= 2
    ]
    return sorted(made, key=lambda series: -len(series.points))


def _dated(points: Sequence[SeriesPoint]) -> bool:
    years = [re.search(r"(?:18|19|20)\d\d", p.label) for p in points]
    values = [int(y[0]) for y in years if y is not None]
    return len(values) == len(points) and values == sorted(values)
