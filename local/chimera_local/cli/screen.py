"""How results look on a terminal: amounts that fit a column, colour only where there is a terminal to show it."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from chimera.domain.money import MICROS, to_micros, usd

_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
LEVEL_STYLES = {"ok": "", "notice": "cyan", "warning": "yellow", "critical": "bold red", "frozen": "bold magenta"}


def show(value: Any, *, as_json: bool, text: Text) -> None:
    """The result on stdout: one JSON object, or the text; styles are dropped without a terminal and with NO_COLOR."""
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False, default=str))
    else:
        Console(highlight=False, emoji=False).print(text, soft_wrap=True)


def inline(text: Any) -> str:
    """Text from outside on one line, without what could steer a terminal or turn the reading direction."""
    line = " ".join(str(text).split())
    return "".join("�" if unicodedata.category(c) == "Cc" or c in _BIDI else c for c in line)


def micros(amount: str) -> int:
    """Micros of an amount as `usd` writes it, zero included."""
    return 0 if not amount.strip("0.") else to_micros(amount, "amount")


def compact(amount: str, *, up: bool = True) -> str:
    """An amount with 2 decimals from 1 USD on, rounded up (or down: what is left is never shown larger than it is)."""
    value = micros(amount)
    if value < MICROS:
        return usd(value)
    cents = -(-value // 10_000) if up else value // 10_000
    return usd(cents * 10_000)


def span(seconds: float) -> str:
    """A length of time in its largest unit: 45s, 12m, 7h, 3d."""
    left = max(0, int(seconds))
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if left >= size:
            return f"{left // size}{unit}"
    return f"{left}s"


def clock(iso: str) -> str:
    """`2026-11-21T12:05:02Z` -> `2026-11-21 12:05:02`."""
    return iso[:19].replace("T", " ")
