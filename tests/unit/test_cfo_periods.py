"""Days, ISO weeks and months in UTC, at the edges where they disagree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera.domain.cfo import KINDS, period_bounds, periods_of


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        (datetime(2026, 11, 21, 9, tzinfo=UTC), {"D": "2026-11-21", "W": "2026-W47", "M": "2026-11"}),
        (datetime(2027, 1, 1, tzinfo=UTC), {"D": "2027-01-01", "W": "2026-W53", "M": "2027-01"}),
        (
            datetime(2027, 1, 3, 23, 59, 59, 999999, tzinfo=UTC),
            {"D": "2027-01-03", "W": "2026-W53", "M": "2027-01"},
        ),
        (datetime(2027, 1, 4, tzinfo=UTC), {"D": "2027-01-04", "W": "2027-W01", "M": "2027-01"}),
        (datetime(2024, 12, 30, tzinfo=UTC), {"D": "2024-12-30", "W": "2025-W01", "M": "2024-12"}),
        (datetime(2028, 2, 29, 12, tzinfo=UTC), {"D": "2028-02-29", "W": "2028-W09", "M": "2028-02"}),
    ],
)
def test_edges(instant: datetime, expected: dict[str, str]) -> None:
    assert periods_of(instant) == expected


def test_the_day_is_the_utc_day() -> None:
    tokyo = datetime(2026, 12, 1, 8, 59, tzinfo=timezone(timedelta(hours=9)))
    assert periods_of(tokyo) == {"D": "2026-11-30", "W": "2026-W49", "M": "2026-11"}


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        periods_of(datetime(2026, 1, 1))


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)), st.sampled_from(KINDS))
def test_bounds_hold_the_instant_and_nothing_else(instant: datetime, kind: str) -> None:
    period = periods_of(instant)[kind]
    start, end = period_bounds(kind, period)
    assert start <= instant < end
    assert periods_of(start)[kind] == period
    assert periods_of(end - timedelta(microseconds=1))[kind] == period
    assert periods_of(end)[kind] > period  # ids sort as time does
    assert periods_of(start - timedelta(microseconds=1))[kind] < period
