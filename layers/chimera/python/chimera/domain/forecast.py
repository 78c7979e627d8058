"""What a budget counter will come to at its period's end, and when that is worth a warning; pure, whole micros.

The forecast is what is used now plus an expected rest. Two views of the rest are blended:

- pace: what was spent in this period so far, going on as fast; so that a few minutes do not become a day, at least 1/24
  of the period counts as gone
- weekdays: for each day that is left, the mean of the same weekday in the last 4 weeks; the day that runs counts by its part

The pace weighs as much as part of the period is gone, the weekdays the rest; without earlier days the pace is all there is.
It is a forecast of demand: it may lie above the limit, which the CFO holds whatever is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from math import ceil, floor, isqrt
from typing import Literal

HISTORY_DAYS = 28
ENOUGH_DAYS = 14
"""With fewer days of history the band is half to double the expected rest; with more it follows how the days varied."""
SPREAD = Fraction(128, 100)
"""Standard deviations on either side of the expected rest: 80 % of a normal distribution."""
LEAST_GONE = Fraction(1, 24)

Level = Literal["ok", "notice", "warning", "critical", "frozen"]
LEVELS: tuple[Level, ...] = ("ok", "notice", "warning", "critical", "frozen")
"""From calm to stopped."""
THRESHOLDS: tuple[tuple[int, Level], ...] = ((95, "critical"), (80, "warning"), (50, "notice"))
"""Per cent of the limit that is used (reserved + spent) from which a level holds."""

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Forecast:
    """Use at the period's end in micros: expected, and a band that holds it about 4 times in 5."""

    expected_micros: int
    low_micros: int
    high_micros: int
    basis: Literal["pace", "pace and weekdays"]
    runs_out_at: datetime | None
    """About when the limit is reached if it goes on as expected; None if it is not in this period."""


def level(used_micros: int, limit_micros: int, *, frozen: bool = False) -> Level:
    """The warning level of a counter: 50, 80 and 95 % of the limit used are `notice`, `warning` and `critical`."""
    if frozen:
        return "frozen"
    return next((name for percent, name in THRESHOLDS if used_micros * 100 >= limit_micros * percent), "ok")


def used_percent(used_micros: int, limit_micros: int) -> Decimal:
    """Used in per cent of the limit with one decimal, rounded down, so that it never shows a threshold too early."""
    if limit_micros <= 0:
        return Decimal(100)
    return (Decimal(used_micros) * 100 / limit_micros).quantize(Decimal("0.1"), rounding=ROUND_FLOOR)


def forecast(
    *,
    start: datetime,
    end: datetime,
    now: datetime,
    spent_micros: int,
    reserved_micros: int,
    limit_micros: int,
    daily: Mapping[date, int],
) -> Forecast:
    """The forecast of one counter for the period from `start` (inclusive) to `end`.

    `daily`: micros spent by UTC day in this scope; days before the first are no history, days missing after it were 0.
    Open reservations count in full for what is expected and for the upper bound, and not at all for the lower one.
    `ValueError` for naive times, an empty period or negative amounts.
    """
    if start.tzinfo is None or end.tzinfo is None or now.tzinfo is None or start >= end:
        raise ValueError(f"expected aware times with start before end, got {start!r}, {end!r}, {now!r}")
    if min(spent_micros, reserved_micros, limit_micros) < 0:
        raise ValueError(f"expected amounts >= 0, got {spent_micros}, {reserved_micros}, {limit_micros}")
    at = min(max(now, start), end)
    whole, left = _micros(end - start), _micros(end - at)
    gone = whole - left
    pace = Fraction(spent_micros * left) / max(Fraction(gone), whole * LEAST_GONE)
    history = _history(daily, at)
    rest, views = pace, [pace]
    if history:
        by_weekday = sum((_usual(history, day) * part for day, part in _days(at, end)), Fraction(0))
        rest = (pace * gone + by_weekday * left) / whole
        views.append(by_weekday)
    low, high = _band(rest, views, history, Fraction(left, _micros(_DAY)))
    used = spent_micros + reserved_micros
    expected = used + ceil(rest)
    return Forecast(
        expected_micros=expected,
        low_micros=spent_micros + floor(low),
        high_micros=used + ceil(high),
        basis="pace and weekdays" if history else "pace",
        runs_out_at=_runs_out(at, end, used, expected, limit_micros),
    )


def _history(daily: Mapping[date, int], at: datetime) -> dict[date, int]:
    """Micros of each whole day before the running one, 4 weeks at most, from the first day that is known."""
    today = at.astimezone(UTC).date()
    known = [day for day in daily if day < today]
    if not known:
        return {}
    first = max(min(known), today - _DAY * HISTORY_DAYS)
    days = [first + _DAY * n for n in range((today - first).days)]
    return {day: daily.get(day, 0) for day in days}


def _usual(history: Mapping[date, int], day: date) -> Fraction:
    """The mean of the same weekday; of all days where none is known."""
    same = [micros for other, micros in history.items() if other.weekday() == day.weekday()]
    chosen = same or list(history.values())
    return Fraction(sum(chosen), len(chosen))


def _days(at: datetime, end: datetime) -> list[tuple[date, Fraction]]:
    """The days that are left, each with its part that is left."""
    found = []
    begin = at.astimezone(UTC)
    while begin < end:
        midnight = datetime(begin.year, begin.month, begin.day, tzinfo=UTC) + _DAY
        until = min(midnight, end)
        found.append((begin.date(), Fraction(_micros(until - begin), _micros(_DAY))))
        begin = until
    return found


def _band(
    rest: Fraction, views: Sequence[Fraction], history: Mapping[date, int], days_left: Fraction
) -> tuple[Fraction, Fraction]:
    """Low and high rest: both views lie within it, and what the days varied by around their weekday's mean."""
    if len(history) < ENOUGH_DAYS:
        return min(*views, rest / 2), max(*views, rest * 2)
    squares = sum(((micros - _usual(history, day)) ** 2 for day, micros in history.items()), Fraction(0))
    spread = isqrt(ceil(squares / len(history) * days_left * SPREAD**2))
    return max(Fraction(0), min(*views, rest - spread)), max(*views, rest + spread)


def _runs_out(at: datetime, end: datetime, used: int, expected: int, limit: int) -> datetime | None:
    if used >= limit:
        return at
    if expected <= limit:
        return None
    left = _micros(end - at)
    return at + _MICROSECOND * (left * (limit - used) // (expected - used))


def _micros(span: timedelta) -> int:
    return span // _MICROSECOND
