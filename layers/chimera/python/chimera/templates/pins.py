"""Which template a persona uses: pinned, and taken back step by step; the history is never shortened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def stack(history: Sequence[Mapping[str, Any]], now: str) -> list[str]:
    """The pins that lie on each other, the one in force last. Each change laid one on top or, as a rollback, took one off.

    `history` is oldest first, each with `before`, `after` and `rollback`; `now` is what the persona uses.
    """
    pins: list[str] = []
    for change in history:
        if not pins or pins[-1] != change["before"]:
            pins.append(str(change["before"]))  # it was changed by other means in between
        if change["rollback"] and len(pins) > 1 and pins[-2] == change["after"]:
            pins.pop()
        else:
            pins.append(str(change["after"]))
    if not pins or pins[-1] != now:
        pins.append(now)
    return pins


def earlier(history: Sequence[Mapping[str, Any]], now: str) -> str | None:
    """What a rollback goes back to, or None."""
    pins = stack(history, now)
    return pins[-2] if len(pins) > 1 else None
