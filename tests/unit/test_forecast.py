"""The forecast of a budget: what it must be for regular spending, and what holds for any."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera.domain.cfo import period_bounds, periods_of
from chimera.domain.forecast import LEVELS, Forecast, forecast, level, used_percent

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)  # a Saturday
MICROS = 1_000_000
amounts = st.integers(0, 10**12)
histories = st.dictionaries(st.integers(1, 40).map(lambda n: NOW.date() - timedelta(days=n)), amounts, max_size=40)
times = st.datetimes(datetime(2020, 1, 1), datetime(2032, 12, 31)).map(lambda t: t.replace(tzinfo=UTC))
kinds = st.sampled_from("DWM")


def of(
    kind: str,
    now: datetime = NOW,
    *,
    spent: int = 0,
    reserved: int = 0,
    limit: int = 1000 * MICROS,
    daily: dict[date, int] | None = None,
) -> Forecast:
    start, end = period_bounds(kind, periods_of(now)[kind])
    return forecast(
        start=start,
        end=end,
        now=now,
        spent_micros=spent,
        reserved_micros=reserved,
        limit_micros=limit,
        daily=daily or {},
    )


def days_before(now: datetime, values: list[int]) -> dict[date, int]:
    return {now.date() - timedelta(days=n + 1): micros for n, micros in enumerate(values)}


# --- what it must be


def test_without_a_history_half_a_day_becomes_a_day() -> None:
    found = of("D", spent=3 * MICROS)
    assert (found.expected_micros, found.basis) == (6 * MICROS, "pace")
    assert (found.low_micros, found.high_micros) == (4_500_000, 9 * MICROS)


def test_the_same_every_day_is_foreseen_to_the_micro() -> None:
    month = of("M", spent=7 * 20 * MICROS + 3_500_000, daily=days_before(NOW, [7 * MICROS] * 28))
    assert month.expected_micros == 7 * 30 * MICROS
    assert (month.low_micros, month.high_micros) == (month.expected_micros, month.expected_micros)


def test_a_weekday_is_like_the_same_weekday_before() -> None:
    """Work is done on Mondays to Fridays; on a Saturday at noon nothing more is expected of the week."""
    daily = {day: (0 if day.weekday() >= 5 else 10 * MICROS) for day in days_before(NOW, [0] * 28)}
    week = of("W", spent=50 * MICROS, daily=daily)
    paced = of("W", spent=50 * MICROS)
    assert week.expected_micros < paced.expected_micros
    assert week.low_micros == 50 * MICROS
    monday = datetime(2026, 11, 16, tzinfo=UTC)
    assert of("W", monday, daily={d: m for d, m in daily.items() if d < monday.date()}).expected_micros == 50 * MICROS


def test_the_first_minutes_do_not_become_a_day() -> None:
    morning = datetime(2026, 11, 21, 0, 1, tzinfo=UTC)
    assert of("D", morning, spent=MICROS).expected_micros < 25 * MICROS


def test_days_before_the_first_known_one_are_not_taken_for_empty() -> None:
    yesterday = {NOW.date() - timedelta(days=1): 24 * MICROS}
    found = of("D", spent=12 * MICROS, daily=yesterday)
    assert (found.expected_micros, found.basis) == (24 * MICROS, "pace and weekdays")


def test_open_reservations_count_for_what_is_expected_but_not_for_the_least() -> None:
    found = of("D", reserved=9 * MICROS)
    assert (found.low_micros, found.expected_micros, found.high_micros) == (0, 9 * MICROS, 9 * MICROS)


def test_it_says_when_the_limit_is_reached() -> None:
    found = of("D", spent=6 * MICROS, limit=9 * MICROS)
    assert found.runs_out_at == datetime(2026, 11, 21, 18, tzinfo=UTC)
    assert of("D", spent=6 * MICROS, limit=12 * MICROS).runs_out_at is None
    assert of("D", spent=6 * MICROS, limit=6 * MICROS).runs_out_at == NOW


def test_days_that_vary_widen_the_band() -> None:
    calm = of("M", spent=150 * MICROS, daily=days_before(NOW, [7 * MICROS] * 28))
    wild = of(
        "M", spent=150 * MICROS, daily=days_before(NOW, [0] * 7 + [14 * MICROS] * 7 + [0] * 7 + [14 * MICROS] * 7)
    )
    assert wild.high_micros - wild.low_micros > calm.high_micros - calm.low_micros
    assert wild.expected_micros == calm.expected_micros


@pytest.mark.parametrize("changes", [{"spent": -1}, {"reserved": -1}, {"limit": -1}, {"now": NOW.replace(tzinfo=None)}])
def test_what_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        start, end = period_bounds("D", "2026-11-21")
        given = {"now": NOW, "spent": 0, "reserved": 0, "limit": 1, **changes}
        forecast(
            start=start,
            end=end,
            now=given["now"],  # type: ignore[arg-type]
            spent_micros=given["spent"],  # type: ignore[arg-type]
            reserved_micros=given["reserved"],  # type: ignore[arg-type]
            limit_micros=given["limit"],  # type: ignore[arg-type]
            daily={},
        )


# --- what holds for any


@given(kinds, times, amounts, amounts, amounts, histories)
def test_the_band_holds_what_is_expected_and_nothing_is_forgotten(
    kind: str, now: datetime, spent: int, reserved: int, limit: int, daily: dict[date, int]
) -> None:
    shifted = {now.date() - (NOW.date() - day): micros for day, micros in daily.items()}
    found = of(kind, now, spent=spent, reserved=reserved, limit=limit, daily=shifted)
    assert spent <= found.low_micros <= found.expected_micros <= found.high_micros
    assert found.expected_micros >= spent + reserved
    assert found == of(kind, now, spent=spent, reserved=reserved, limit=limit, daily=shifted)
    start, end = period_bounds(kind, periods_of(now)[kind])
    if found.runs_out_at is not None:
        assert start <= found.runs_out_at <= end
    assert (found.runs_out_at is None) == (found.expected_micros <= limit and spent + reserved < limit)


@given(kinds, amounts, amounts, amounts, histories)
def test_at_the_end_the_forecast_is_what_was_used(
    kind: str, spent: int, reserved: int, limit: int, daily: dict[date, int]
) -> None:
    start, end = period_bounds(kind, periods_of(NOW)[kind])
    for now in (end, end + timedelta(days=1)):
        found = forecast(
            start=start,
            end=end,
            now=now,
            spent_micros=spent,
            reserved_micros=reserved,
            limit_micros=limit,
            daily=daily,
        )
        assert (found.low_micros, found.expected_micros) == (spent, spent + reserved)


@given(kinds, times, amounts, st.integers(0, 10**9), histories)
def test_who_spends_more_is_not_expected_to_end_with_less(
    kind: str, now: datetime, spent: int, more: int, daily: dict[date, int]
) -> None:
    less, found = of(kind, now, spent=spent, daily=daily), of(kind, now, spent=spent + more, daily=daily)
    assert found.expected_micros >= less.expected_micros + more


@given(kinds, times, st.integers(0, 10**6), st.integers(1, 1000), st.integers(0, 27))
def test_it_grows_in_proportion(kind: str, now: datetime, spent: int, times_as_much: int, days: int) -> None:
    daily = days_before(now, [spent] * days)
    one = of(kind, now, spent=spent, daily=daily)
    many = of(
        kind, now, spent=spent * times_as_much, daily={day: micros * times_as_much for day, micros in daily.items()}
    )
    assert abs(many.expected_micros - one.expected_micros * times_as_much) <= times_as_much  # rounded up to a micro


# --- warnings


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        (0, "ok"),
        (49_999_999, "ok"),
        (50_000_000, "notice"),
        (79_999_999, "notice"),
        (80_000_000, "warning"),
        (94_999_999, "warning"),
        (95_000_000, "critical"),
        (100_000_000, "critical"),
    ],
)
def test_a_level_begins_at_its_share_of_the_limit(used: int, expected: str) -> None:
    assert level(used, 100_000_000) == expected
    assert level(used, 100_000_000, frozen=True) == "frozen"


@given(st.integers(0, 10**15), st.integers(1, 10**15))
def test_the_share_that_is_shown_never_reaches_a_threshold_before_the_level_does(used: int, limit: int) -> None:
    shown = used_percent(used, limit)
    for percent, name in ((50, "notice"), (80, "warning"), (95, "critical")):
        assert (shown >= percent) == (LEVELS.index(level(used, limit)) >= LEVELS.index(name))


def test_a_limit_of_nothing_is_used_up() -> None:
    assert (used_percent(0, 0), level(0, 0)) == (Decimal(100), "critical")
