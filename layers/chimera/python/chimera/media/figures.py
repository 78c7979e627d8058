"""Finds the one number of a sentence worth showing big: "37 %", "$4.2 billion", "1,250 people"; never a year or a version."""

from __future__ import annotations

import re
from dataclasses import dataclass

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


def _score(text: str, match: re.Match[str]) -> tuple[int, Figure] | None:
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
    return None


def _noun(text: str, end: int) -> str:
    match = _NOUN.match(text, end)
    word = match[1] if match else ""
    return "" if word in _NOT_A_UNIT else word
