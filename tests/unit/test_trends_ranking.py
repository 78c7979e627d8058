"""Velocity, volume, merging and ranking: the rules that hold for any input."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera.domain.models import Trend
from chimera.domain.similarity import DIMENSIONS, cosine, coverage, embed, matches_query, same_topic
from chimera.domain.trends import (
    Observation,
    RawTrend,
    build_trends,
    combine,
    engagement,
    identity,
    in_timeframe,
    matches_categories,
    matches_keywords,
    merge,
    parse_timeframe,
    rise,
    select,
    trend_id,
    velocity,
    volume,
)
from chimera.errors import ChimeraError

NOW = datetime(2026, 5, 20, 12, 0, tzinfo=UTC)
counts = st.none() | st.integers(0, 10**9)
TITLES = [
    "Moss clock",
    "The moss clock",
    "Undersea cables break",
    "Why undersea cables break",
    "Octopus arms",
    "GPT 4 is out",
    "GPT 5 is out",
]


def raw(title: str = "Moss clock", **fields: Any) -> RawTrend:
    return RawTrend.model_validate({"platform": "hackernews", "title": title} | fields)


raws = st.builds(
    lambda title, platform, url, v, li, co, sh, age: raw(
        title,
        platform=platform,
        url=url,
        views=v,
        likes=li,
        comments=co,
        shares=sh,
        published_at=None if age is None else NOW - timedelta(hours=age),
    ),
    st.sampled_from(TITLES) | st.text(min_size=1, max_size=30).filter(lambda t: t.isalnum()),
    st.sampled_from(["hackernews", "wikipedia", "rss"]),
    st.sampled_from(["", "https://example.org/a", "https://www.example.org/a/", "https://example.org/b"]),
    counts,
    counts,
    counts,
    counts,
    st.none() | st.floats(-5, 500),
)


def build(items: Sequence[RawTrend], **more: Any) -> list[Trend]:
    options: dict[str, Any] = {
        "tenant_id": "t",
        "now": NOW,
        "known": lambda ids: [],
        "earlier": lambda ids: {},
        "sentiment": lambda text: 0.25,
    }
    return build_trends(items, **(options | more))


@given(raws)
def test_velocity_and_volume_stay_in_their_ranges(item: RawTrend) -> None:
    speed = velocity(item, NOW)
    assert 0 <= speed.value <= 10 and speed.value == round(speed.value, 2)
    assert 0 <= volume(item) <= 1_000_000


@given(raws, st.sampled_from(["views", "likes", "comments", "shares"]), st.integers(1, 10**6))
def test_more_engagement_never_rises_slower(item: RawTrend, metric: str, more: int) -> None:
    if getattr(item, metric) is None:
        return
    louder = item.model_copy(update={metric: getattr(item, metric) + more})
    assert velocity(louder, NOW).value >= velocity(item, NOW).value


@given(st.integers(0, 10**6), st.floats(1, 200), st.floats(1, 200))
def test_the_same_engagement_in_less_time_never_rises_slower(likes: int, a: float, b: float) -> None:
    young, old = sorted((a, b))
    fast, slow = (velocity(raw(likes=likes, published_at=NOW - timedelta(hours=h)), NOW) for h in (young, old))
    assert fast.value >= slow.value


def test_the_formula_as_documented() -> None:
    item = raw(views=10_000, likes=100, comments=50, shares=10, published_at=NOW - timedelta(hours=4))
    assert engagement(item) == 100 + 100 + 100 + 30
    assert velocity(item, NOW).value == rise(330 / 4) == 3.84
    earlier = Observation(
        fetched_at=NOW - timedelta(hours=2),
        views=0,
        likes=100,
        comments=50,
        shares=10,
        platforms=("hackernews",),
    )
    assert velocity(item, NOW, earlier).value == rise(0.7 * 100 / 2 + 0.3 * 330 / 4)
    assert velocity(item, NOW, earlier).basis == "gain"
    assert [rise(r) for r in (0, 9, 99, 999, 10**9, -5)] == [0, 2, 4, 6, 10, 0]


def test_nothing_counted_is_judged_by_its_age_not_as_zero() -> None:
    fresh, day, unknown = (raw(published_at=at) for at in (NOW, NOW - timedelta(hours=24), None))
    assert [velocity(i, NOW).value for i in (fresh, day, unknown)] == [1.0, 0.5, 0.5]
    assert velocity(fresh, NOW).basis == "recency"
    assert velocity(raw(likes=0, published_at=NOW), NOW).value == 0, "counted, and nobody liked it"


@pytest.mark.parametrize("minutes", [1, 8 * 24 * 60])
def test_observations_that_are_too_near_or_too_old_do_not_count(minutes: int) -> None:
    earlier = Observation(fetched_at=NOW - timedelta(minutes=minutes), likes=0, platforms=("hackernews",))
    assert velocity(raw(likes=100, published_at=NOW - timedelta(days=9)), NOW, earlier).basis == "rate"


def test_a_gain_is_only_seen_on_the_same_platforms() -> None:
    earlier = Observation(fetched_at=NOW - timedelta(hours=1), likes=0, platforms=("hackernews", "reddit"))
    assert velocity(raw(likes=100), NOW, earlier).basis == "rate"


def test_what_a_source_states_itself_is_kept() -> None:
    item = raw(rising_velocity=7.254, volume=77, sentiment_score=-0.5, likes=1)
    (trend,) = build([item])
    assert (trend.rising_velocity, trend.volume, trend.sentiment_score) == (7.25, 77, -0.5)
    assert trend.metadata.extra["velocity_basis"] == "given"


@given(st.lists(raws, max_size=12), st.randoms(use_true_random=False))
def test_merging_loses_nothing_and_does_not_depend_on_the_order(items: list[RawTrend], shuffler: random.Random) -> None:
    groups = merge(items, NOW)
    together = [i.model_dump_json() for g in groups for i in g]
    assert sorted(together) == sorted(i.model_dump_json() for i in items)
    shuffled = list(items)
    shuffler.shuffle(shuffled)
    assert merge(shuffled, NOW) == groups
    for key in {identity(i) for i in items}:
        assert sum(any(identity(i) == key for i in g) for g in groups) == 1, "one identity is in one group"


@given(st.lists(raws, max_size=12), st.integers(1, 5), st.floats(0, 10))
def test_built_trends_keep_the_contract(items: list[RawTrend], limit: int, slowest: float) -> None:
    found = build(items, max_results=limit, min_velocity=slowest)
    assert len(found) <= limit
    assert len({t.trend_id for t in found}) == len(found)
    assert all(t.rising_velocity >= slowest and t.timestamp <= NOW for t in found)
    assert all(len(set(t.platforms)) == len(t.platforms) for t in found)
    for trend in found:
        assert Trend.model_validate_json(trend.model_dump_json()) == trend


def test_one_platform_counts_once_in_a_sum() -> None:
    group = [
        raw(likes=10, url="https://example.org/a"),
        raw(likes=30, url="https://example.org/a"),
        raw(platform="rss", description="The longer text."),
        raw(platform="mastodon", likes=5, shares=2),
    ]
    together = combine(group)
    assert (together.likes, together.shares, together.views) == (35, 2, None)
    assert together.description == "The longer text." and together.also_on == ["rss", "mastodon"]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Octopus nervous systems", "How the nervous system of an octopus works"),
        ("SpaceX launches Starship", "Starship launch by SpaceX succeeds"),
        ("space telescope", "Space telescope's camera spots new planet"),
        ("新しい宇宙望遠鏡", "新しい宇宙望遠鏡が惑星を発見"),
        ("Undersea cables", "WHY UNDERSEA CABLES BREAK!"),
    ],
)
def test_the_same_in_other_words(a: str, b: str) -> None:
    assert same_topic(a, b)[0] and same_topic(b, a)[0]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("GPT 4 released", "GPT 5 released"),
        ("Vitamin C and sleep", "Vitamin D and sleep"),
        ("Machine learning in Julia", "Machine learning in Rust"),
        ("Apple earnings", "Apple pie recipe"),
        ("Ask HN: what are you reading?", "Ask HN: who is hiring?"),
        ("Python 3.14 released", "Python snake found in Florida"),
        ("", "anything"),
    ],
)
def test_different_things_that_share_words(a: str, b: str) -> None:
    assert not same_topic(a, b)[0] and not same_topic(b, a)[0]


@given(st.text(max_size=80), st.text(max_size=80))
def test_similarity_is_symmetric_and_bounded(a: str, b: str) -> None:
    assert same_topic(a, b) == same_topic(b, a)
    assert same_topic(a, a) == (True, 1.0)
    assert len(embed(a)) == DIMENSIONS and -1 <= cosine(embed(a), embed(b)) <= 1
    assert 0 <= coverage(a, b) <= 1 and 0 <= matches_query(a, b) <= 1


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("24h", 24),
        ("7d", 168),
        ("30D", 720),
        ("PT90M", 2),
        ("P1D", 24),
        ("P1DT12H", 36),
        ("P2W", 336),
        ("pt1h", 1),
        (" 1h ", 1),
    ],
)
def test_timeframes(text: str, hours: int) -> None:
    assert parse_timeframe(text) == hours


@pytest.mark.parametrize(
    "text",
    ["", "24", "h", "0h", "-1h", "1.5h", "P", "PT", "P1Y", "P1M", "999999h", "366d", "24 h", "1h\n2d", "٢٤h"],
)
def test_wrong_timeframes_say_what_came(text: str) -> None:
    with pytest.raises(ChimeraError) as caught:
        parse_timeframe(text)
    assert caught.value.code == "VALIDATION_FAILED" and repr(text[:40]) in caught.value.message


@pytest.mark.parametrize(
    ("keywords", "title", "found"),
    [
        (["AI"], "AI writes", True),
        (["AI"], "She said so", False),
        (["robot"], "Robots dance", True),
        (["robot"], "Robotics", False),
        (["machine learning"], "On machine-learning", True),
        (["望遠鏡"], "新しい宇宙望遠鏡", True),
        (["C++"], "Modern C++ tips", True),
        (["cats", "DOGS"], "Dogs bark", True),
        ([], "Anything", True),
        (["", "  "], "Anything", True),
        (["!?"], "Anything", False),
    ],
)
def test_keywords(keywords: list[str], title: str, found: bool) -> None:
    assert matches_keywords(raw(title), keywords) is found


def test_categories_are_tags() -> None:
    item = raw(tags=["Science", "AI"])
    assert (
        matches_categories(item, [])
        and matches_categories(item, ["science"])
        and not matches_categories(item, ["sports"])
    )


def test_timeframe_of_daily_counts_reaches_a_window_back() -> None:
    daily = raw(published_at=NOW - timedelta(hours=36), extra={"window_hours": 24})
    assert in_timeframe(daily, NOW, 24) and not in_timeframe(daily, NOW, 6)
    assert not in_timeframe(raw(published_at=NOW - timedelta(hours=36)), NOW, 24)
    assert in_timeframe(raw(), NOW, 1), "an unknown date is not an old one"


def test_select_keeps_order_and_first_of_repetitions() -> None:
    items = [raw("B one", likes=1), raw("A two"), raw("b ONE!", likes=9)]
    assert select(items, keywords=[], now=NOW, timeframe_hours=None, limit=9) == items[:2]
    assert select(items, keywords=[], now=NOW, timeframe_hours=None, limit=1) == items[:1]


def test_ids_are_stable_and_belong_to_a_tenant() -> None:
    a = raw(url="https://example.org/a?utm_source=x")
    assert trend_id("t", a) == trend_id("t", raw("Other title", url="http://www.example.org/a/"))
    assert trend_id("t", a) != trend_id("u", a)
    search = {"identity": "topic"}
    assert trend_id("t", raw(url="https://example.org/1", extra=search)) == trend_id(
        "t", raw("moss CLOCK", extra=search)
    )


def test_raw_trend_without_any_visible_title_is_refused() -> None:
    for title in ("", "  ", "<b></b>", "\u200b", None):
        with pytest.raises(ValueError, match="title"):
            raw(title)  # type: ignore[arg-type]


def test_three_hundred_items_are_merged_without_comparing_everything() -> None:
    rng = random.Random(7)
    words = [f"{a}{b}" for a in ("mo", "ca", "ri", "lu", "te") for b in ("ss", "ble", "ver", "nar", "mple", "ctus")]
    items = [raw(" ".join(rng.sample(words, 6)), likes=i, url=f"https://example.org/{i}") for i in range(1000)]
    found = build(items, max_results=50)
    assert len(found) == 50
