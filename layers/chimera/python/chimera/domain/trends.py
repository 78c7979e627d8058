"""Trends: what a source gives, how fast it rises, which reports are one trend, and in what order they come.

All formulas are here and pure; the time and earlier observations are arguments.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field, field_validator, model_validator

from chimera.domain import cleaning
from chimera.domain.ids import stable_id
from chimera.domain.models import EngagementMetrics, Model, Trend, TrendMetadata
from chimera.domain.similarity import matches_query, same_topic
from chimera.errors import ChimeraError

VOLUME_MAX = 1_000_000
TOPIC_MATCH = 0.6
MERGE_LIMIT = 300
"""So many of the strongest items are compared with each other; merging is quadratic and 50 trends at most are
given.
"""
UNKNOWN_AGE_HOURS = 24.0
MIN_AGE_HOURS = 1.0
MIN_GAIN_HOURS = 1 / 6
MAX_GAIN_HOURS = 7 * 24.0

_HN_PREFIX = re.compile(r"^(?:show|ask|tell|launch) hn\s*[:–—-]\s*", re.IGNORECASE)
_TIMEFRAME = re.compile(r"(\d{1,5})([hd])\Z", re.IGNORECASE | re.ASCII)
_ISO_DURATION = re.compile(
    r"P(?=\d|T\d)(?:(\d{1,4})W)?(?:(\d{1,4})D)?(?:T(?=\d)(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?\Z",
    re.IGNORECASE | re.ASCII,
)


class RawTrend(Model):
    """One thing as one platform shows it. Every text is cleaned when it comes in; a missing metric is None,
    never 0.
    """

    platform: str = Field(min_length=1, max_length=100)
    topic: str = Field(min_length=1, max_length=cleaning.TOPIC_LIMIT)
    title: str = Field(min_length=1, max_length=cleaning.TITLE_LIMIT)
    description: str = Field(default="", max_length=cleaning.DESCRIPTION_LIMIT)
    views: int | None = None
    likes: int | None = None
    comments: int | None = None
    shares: int | None = None
    published_at: datetime | None = None
    url: str = ""
    tags: list[str] = Field(default=[])
    also_on: list[str] = Field(default=[], description="Further platforms that the source itself names")
    volume: int | None = Field(default=None, description="Where the source itself states it (a file of Trends)")
    sentiment_score: float | None = None
    rising_velocity: float | None = None
    extra: dict[str, Any] = Field(
        default={},
        description="window_hours: the span that the metrics count (default: since published_at) · "
        "identity: 'topic' where the address changes while the topic stays · top_posts, influencers: lists · "
        "sample: true for bundled text",
    )

    @model_validator(mode="before")
    @classmethod
    def _clean(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        row = dict(data)
        row["title"] = cleaning.clean_text(row.get("title"), cleaning.TITLE_LIMIT)
        topic = cleaning.clean_text(row.get("topic"), cleaning.TOPIC_LIMIT)
        row["topic"] = topic or cleaning.cut(_HN_PREFIX.sub("", row["title"]), cleaning.TOPIC_LIMIT)
        row["title"] = row["title"] or row["topic"]
        row["description"] = cleaning.clean_text(row.get("description"), cleaning.DESCRIPTION_LIMIT)
        row["url"] = cleaning.clean_url(row.get("url"))
        row["tags"] = cleaning.clean_tags(row.get("tags"))
        row["extra"] = cleaning.plain_json(row.get("extra") or {})
        for name in ("views", "likes", "comments", "shares"):
            row[name] = cleaning.clean_count(row.get(name))
        return row

    @field_validator("published_at")
    @classmethod
    def _utc(cls, value: datetime | None) -> datetime | None:
        try:
            return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))
        except OverflowError:
            return None


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What was counted of a trend at an earlier time, on these platforms."""

    fetched_at: datetime
    views: int | None = None
    likes: int | None = None
    comments: int | None = None
    shares: int | None = None
    platforms: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Velocity:
    """0–10, and its basis: `gain`, `rate`, `recency` (nothing was counted) or `given` (by the source)."""

    value: float
    basis: str


def parse_timeframe(text: str) -> int:
    """Whole hours of `24h`, `7d` or an ISO 8601 duration (`PT90M`: rounded up); 1 hour to 365 days, else
    VALIDATION_FAILED.
    """
    hours = 0
    if match := _TIMEFRAME.match(text.strip()):
        hours = int(match[1]) * (24 if match[2].lower() == "d" else 1)
    elif match := _ISO_DURATION.match(text.strip()):
        weeks, days, whole, minutes, seconds = (int(group or 0) for group in match.groups())
        hours = math.ceil(weeks * 168 + days * 24 + whole + minutes / 60 + seconds / 3600)
    if not 1 <= hours <= 365 * 24:
        expected = "<n>h, <n>d or an ISO 8601 duration (24h, 7d, P1DT12H), from 1 hour to 365 days"
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"timeframe: got {text[:40]!r}, expected {expected}",
            {"timeframe": {"got": text[:40], "expected": expected}},
        )
    return hours


def engagement(item: RawTrend | Observation | EngagementMetrics) -> float | None:
    """Weighted acts of an audience: views/100 + likes + 2·comments + 3·shares of those that are known; None
    if none is.

    A comment costs its author more than a like, a share brings a new audience; a view is worth a hundredth of
    a like.
    """
    parts = [(item.views, 0.01), (item.likes, 1.0), (item.comments, 2.0), (item.shares, 3.0)]
    known = [count * weight for count, weight in parts if count is not None]
    return sum(known) if known else None


def rise(per_hour: float) -> float:
    """Engagement per hour on a scale from 0 to 10: 2·log10(1 + rate), so each two points are ten times as
    much.
    """
    return round(min(10.0, max(0.0, 2.0 * math.log10(1.0 + max(0.0, per_hour)))), 2)


def velocity(item: RawTrend, now: datetime, earlier: Observation | None = None) -> Velocity:
    """How fast it rises, 0.00–10.00.

    rate   engagement ÷ hours it took (the metrics' window, else the age, at least 1 h; 24 h if the age is
    unknown)
    gain   with an observation from 10 minutes to 7 days ago on the same platforms: 0.7·(gain per hour since
    then) + 0.3·rate
    then   2·log10(1 + that), at most 10
    Nothing counted: 2^(−age/24 h), so fresh news of a feed stands at 1.0 and a day later at 0.5; 0.5 for an
    unknown age.
    """
    if item.rising_velocity is not None:
        return Velocity(value=round(min(10.0, max(0.0, item.rising_velocity)), 2), basis="given")
    age = None if item.published_at is None else max(0.0, (now - item.published_at).total_seconds() / 3600)
    total = engagement(item)
    if total is None:
        return Velocity(value=round(2.0 ** -((UNKNOWN_AGE_HOURS if age is None else age) / 24.0), 2), basis="recency")
    window = item.extra.get("window_hours")
    span = float(window) if isinstance(window, int | float) and window > 0 else age
    rate = total / max(MIN_AGE_HOURS, UNKNOWN_AGE_HOURS if span is None else span)
    if earlier is not None and window is None:
        hours = (now - earlier.fetched_at).total_seconds() / 3600
        before = engagement(earlier)
        same = set(earlier.platforms) == {item.platform, *item.also_on}
        if before is not None and same and MIN_GAIN_HOURS <= hours <= MAX_GAIN_HOURS:
            return Velocity(value=rise(0.7 * max(0.0, total - before) / hours + 0.3 * rate), basis="gain")
    return Velocity(value=rise(rate), basis="rate")


def volume(item: RawTrend) -> int:
    """Size of the audience, 0–1,000,000: as the source states it, else views, else likes + comments + shares;
    0 if unknown.
    """
    acts = [count for count in (item.likes, item.comments, item.shares) if count is not None]
    known = next((v for v in (item.volume, item.views) if v is not None), sum(acts))
    return max(0, min(VOLUME_MAX, known))


def in_timeframe(item: RawTrend, now: datetime, hours: int) -> bool:
    """Whether it belongs to the last `hours`; unknown dates do. Daily counts appear up to a window late and
    still count.
    """
    if item.published_at is None:
        return True
    window = item.extra.get("window_hours", 0)
    late = float(window) if isinstance(window, int | float) else 0.0
    return now - item.published_at <= timedelta(hours=hours + late)


def matches_keywords(item: RawTrend, keywords: Sequence[str]) -> bool:
    """Whether any keyword stands as a word (its end may be inflected by up to two letters) in topic, title,
    description or tags.

    Short keywords must match exactly ("AI" is not in "said"); in scripts without spaces a part of the text is
    enough.
    """
    wanted = [key for word in keywords if (key := cleaning.topic_key(word))]
    if not wanted:
        return not any(word.strip() for word in keywords)
    text = cleaning.topic_key(" \u2022 ".join([item.topic, item.title, item.description, *item.tags]))
    return any(_keyword_pattern(key).search(text) is not None for key in wanted)


def _keyword_pattern(key: str) -> re.Pattern[str]:
    if any("\u0e00" <= c <= "\u0eff" or "\u3040" <= c <= "\u9fff" for c in key):
        return re.compile(re.escape(key))
    inflected = r"[^\W\d_]{0,2}" if len(key) >= 4 else ""
    return re.compile(rf"(?<!\w){re.escape(key)}{inflected}(?!\w)")


def matches_categories(item: RawTrend, categories: Sequence[str]) -> bool:
    """Whether one of its tags is one of the categories, whatever the case; no categories mean all."""
    wanted = {cleaning.topic_key(c) for c in categories if c.strip()}
    return not wanted or bool(wanted & {cleaning.topic_key(tag) for tag in item.tags})


def identity(item: RawTrend) -> str:
    """What stays the same from scan to scan: the canonical address, else (or where the source says so) the
    topic.
    """
    canonical = "" if item.extra.get("identity") == "topic" else cleaning.canonical_url(item.url)
    return f"url:{canonical}" if canonical else f"topic:{cleaning.topic_key(item.topic)}"


def trend_id(tenant_id: str, item: RawTrend) -> str:
    """The trend's id: the same for the same tenant and identity, in every scan."""
    return stable_id("trend", tenant_id, identity(item))


def select(
    items: Iterable[RawTrend],
    *,
    keywords: Sequence[str],
    now: datetime,
    timeframe_hours: int | None,
    limit: int,
) -> list[RawTrend]:
    """What a source gives back: in its order, without repetitions, of these keywords and hours, at most
    `limit`.
    """
    kept: dict[str, RawTrend] = {}
    for item in items:
        fresh = timeframe_hours is None or in_timeframe(item, now, timeframe_hours)
        if fresh and matches_keywords(item, keywords):
            kept.setdefault(identity(item), item)
        if len(kept) >= limit:
            break
    return list(kept.values())


def strength(item: RawTrend, now: datetime) -> tuple[float, int, str, str, str]:
    """Sort key, strongest first, total: two different items never tie."""
    return (
        -velocity(item, now).value,
        -volume(item),
        cleaning.topic_key(item.topic),
        item.platform,
        item.model_dump_json(),
    )


def merge(items: Iterable[RawTrend], now: datetime) -> list[list[RawTrend]]:
    """Groups of items that are one trend, strongest first; in each group the strongest item first.

    Same identity, or same topic as *every* item of the group (titles or topics by `same_topic`), so that
    chains of slightly different stories do not grow together. The order of the input does not matter.
    """
    groups: list[list[RawTrend]] = []
    by_identity: dict[str, list[RawTrend]] = {}
    for item in sorted(items, key=lambda i: strength(i, now)):
        key = identity(item)
        if (known := by_identity.get(key)) is None:
            if len(groups) >= MERGE_LIMIT:
                continue
            known = next((g for g in groups if all(_same(item, other) for other in g)), None)
            if known is None:
                known = []
                groups.append(known)
            by_identity[key] = known
        known.append(item)
    return groups


def _same(a: RawTrend, b: RawTrend) -> bool:
    if a.platform == b.platform and a.extra.get("identity") == b.extra.get("identity") == "topic":
        return same_topic(a.topic, b.topic)[0]
    return same_topic(a.title, b.title)[0] or (a.topic != a.title and same_topic(a.topic, b.title)[0])


def combine(group: Sequence[RawTrend]) -> RawTrend:
    """One item that stands for a group: the strongest one's words, the longest description, metrics summed
    over platforms.

    Two reports from one platform count once, with the larger figure.
    """
    lead = group[0]

    def total(metric: Callable[[RawTrend], int | None]) -> int | None:
        best: dict[str, int] = {}
        for item in group:
            value = metric(item)
            if value is not None:
                best[item.platform] = max(best.get(item.platform, 0), value)
        return sum(best.values()) if best else None

    platforms = list(dict.fromkeys(p for item in group for p in (item.platform, *item.also_on)))
    posts = [p for i in group for u in (i.url, *_texts(i.extra.get("top_posts"))) if (p := cleaning.clean_url(u))]
    people = [p for i in group for p in _texts(i.extra.get("influencers"))]
    extra = {
        **lead.extra,
        "top_posts": list(dict.fromkeys(posts))[:10],
        "influencers": list(dict.fromkeys(people))[:10],
    }
    if len(group) > 1:
        extra["merged"] = len(group)
    dates = [i.published_at for i in group if i.published_at is not None]
    return lead.model_copy(
        update={
            "description": max((i.description for i in group), key=len),
            "url": next((i.url for i in group if i.url), ""),
            "views": total(lambda i: i.views),
            "likes": total(lambda i: i.likes),
            "comments": total(lambda i: i.comments),
            "shares": total(lambda i: i.shares),
            "volume": total(lambda i: i.volume),
            "published_at": lead.published_at or (min(dates) if dates else None),
            "tags": cleaning.clean_tags([tag for item in group for tag in item.tags]),
            "also_on": [p for p in platforms if p != lead.platform],
            "extra": extra,
        }
    )


def _texts(value: object) -> list[str]:
    return [v for v in value[:20] if isinstance(v, str) and v] if isinstance(value, list) else []


def group_velocity(group: Sequence[RawTrend], now: datetime, earlier: Observation | None = None) -> Velocity:
    """Of a merged trend: what all platforms gained together since the earlier observation, else its fastest
    member's.
    """
    if len(group) > 1 and earlier is not None and not any("window_hours" in i.extra for i in group):
        together = velocity(combine(group), now, earlier)
        if together.basis in {"gain", "given"}:
            return together
    return max((velocity(item, now, earlier) for item in group), key=lambda speed: speed.value)


def to_trend(group: Sequence[RawTrend], *, identifier: str, now: datetime, earlier: Observation | None) -> Trend:
    """The contract's Trend of a group; its sentiment is the stated one, else 0 until `build_trends` has read
    the text.
    """
    item = combine(group)
    speed = group_velocity(group, now, earlier)
    acts = [count for count in (item.likes, item.comments, item.shares) if count is not None]
    hidden = {"top_posts", "influencers", "identity"}
    extra = {key: value for key, value in item.extra.items() if key not in hidden}
    extra |= {
        "velocity_basis": speed.basis,
        "volume_known": item.volume is not None or item.views is not None or bool(acts),
    }
    return Trend(
        trend_id=identifier,
        topic=item.topic,
        title=item.title,
        description=item.description,
        platforms=[item.platform, *item.also_on],
        volume=volume(item),
        sentiment_score=round(max(-1.0, min(1.0, item.sentiment_score or 0.0)), 2),
        rising_velocity=speed.value,
        engagement_metrics=EngagementMetrics(
            views=item.views,
            likes=item.likes,
            comments=item.comments,
            shares=item.shares,
            engagement_rate=round(sum(acts) / item.views, 4) if item.views and acts else None,
        ),
        url=item.url,
        tags=item.tags,
        timestamp=min(item.published_at or now, now),
        metadata=TrendMetadata(
            top_posts=item.extra["top_posts"],
            influencers=item.extra["influencers"],
            extra=extra,
        ),
    )


def rank_key(trend: Trend) -> tuple[float, int, str, str]:
    """Sort key, best first: velocity + 0.5 for each further platform that shows it, then volume, then the
    topic.
    """
    seen = 0.5 * min(4, len(trend.platforms) - 1)
    return (-(trend.rising_velocity + seen), -trend.volume, cleaning.topic_key(trend.topic), trend.trend_id)


def topic_score(topic: str, trend: Trend) -> float:
    """How well a person's words name a trend, 0–1; from `TOPIC_MATCH` on they mean it."""
    return max(matches_query(topic, trend.topic), matches_query(topic, f"{trend.title} {' '.join(trend.tags)}"))


def build_trends(
    items: Sequence[RawTrend],
    *,
    tenant_id: str,
    now: datetime,
    known: Callable[[Sequence[str]], Sequence[str]],
    earlier: Callable[[Sequence[str]], Mapping[str, Observation]],
    sentiment: Callable[[str], float],
    min_velocity: float = 0.0,
    max_results: int = 20,
    topic: str = "",
) -> list[Trend]:
    """Merged, measured and ranked trends, at most `max_results`; the one that a given `topic` names is among
    them.

    `known` says which of these ids are stored already (a group keeps the id it had, whoever leads it today);
    `earlier` gives the last observation of each of these ids.
    """
    groups = merge(items, now)
    ids = [[trend_id(tenant_id, item) for item in group] for group in groups]
    stored = set(known(sorted({i for group in ids for i in group})))
    chosen = [next((i for i in group if i in stored), group[0]) for group in ids]
    before = earlier(sorted(set(chosen)))
    trends: dict[str, Trend] = {}
    stated: set[str] = set()
    for group, identifier in zip(groups, chosen, strict=True):
        trend = to_trend(group, identifier=identifier, now=now, earlier=before.get(identifier))
        if trend.rising_velocity >= min_velocity and trends.setdefault(identifier, trend) is trend:
            stated |= {identifier} if group[0].sentiment_score is not None else set()
    ranked = sorted(trends.values(), key=rank_key)
    best = ranked[:max_results]
    if topic and ranked:
        asked = max(ranked, key=lambda t: topic_score(topic, t))
        if asked not in best and topic_score(topic, asked) >= TOPIC_MATCH:
            best[-1] = asked
    return [t if t.trend_id in stated else _with_mood(t, sentiment) for t in best]


def _with_mood(trend: Trend, sentiment: Callable[[str], float]) -> Trend:
    mood = sentiment(f"{trend.title}. {trend.description[:1000]}")
    return trend.model_copy(update={"sentiment_score": round(max(-1.0, min(1.0, mood)), 2)})
