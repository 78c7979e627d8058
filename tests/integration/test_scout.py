"""The scout end to end: real servers, real media folder, real database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chimera.adapters.local.media import FolderMediaStore
from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.trends import PostgresTrends, trend_of
from chimera.adapters.sources.registry import open_source
from chimera.adapters.sources.sample import SampleSource
from chimera.adapters.sources.sentiment import sentiment
from chimera.domain.ids import new_id
from chimera.domain.models import EngagementMetrics
from chimera.domain.options import RunOptions
from chimera.domain.trends import RawTrend
from chimera.errors import ChimeraError
from chimera.plugins.hookspecs import ProviderContext
from chimera.settings import Settings
from chimera.usecases.scout import (
    FetchSource,
    RankTrends,
    ScoutAnswer,
    ScoutRequest,
    analyze,
    fetch_source,
    rank,
    read_cause,
)
from tests.fakes.http_server import FakeServer, Reply, fake_server

NOW = datetime(2026, 5, 20, 6, 0, tzinfo=UTC)


class FixedClock:
    def __init__(self, now: datetime = NOW) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


class ListSource:
    """A source of given items."""

    def __init__(self, name: str, items: Sequence[RawTrend]) -> None:
        self.name, self.items = name, list(items)

    def fetch(self, *, keywords: Sequence[str], timeframe_hours: int, limit: int) -> list[RawTrend]:
        return self.items[:limit]


def raw(title: str, platform: str = "hackernews", **fields: Any) -> RawTrend:
    base = {"platform": platform, "title": title, "published_at": NOW - timedelta(hours=2)}
    return RawTrend.model_validate(base | fields)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_server() as running:
        yield running


@pytest.fixture
def media(tmp_path: Path) -> FolderMediaStore:
    return FolderMediaStore(tmp_path / "media")


@pytest.fixture
def trends(db: Database, tenant: str) -> PostgresTrends:
    return PostgresTrends(db, tenant)


@pytest.fixture
def scan(media: FolderMediaStore, trends: PostgresTrends, tenant: str) -> Callable[..., ScoutAnswer]:
    """Fetches every given source, as the state machine does, then ranks."""

    def run(
        *sources: Any, run_id: str = "", at: datetime = NOW, failures: Sequence[Any] = (), **options: Any
    ) -> ScoutAnswer:
        run_id = run_id or new_id()
        wanted = RunOptions(**options)
        clock = FixedClock(at)
        batches = [
            fetch_source(FetchSource(tenant_id=tenant, run_id=run_id, source=s.name, options=wanted), s, media, clock)
            for s in sources
        ]
        event = RankTrends(tenant_id=tenant, run_id=run_id, options=wanted, batches=[*batches, *failures])
        return rank(event, media=media, trends=trends, sample=SampleSource(), sentiment=sentiment, clock=clock)

    return run


def failed(platform: str, error: ChimeraError) -> dict[str, str]:
    """What the state machine notes of a source that raised."""
    cause = json.dumps({"errorMessage": str(error), "errorType": type(error).__name__})
    return {"platform": platform, "error": type(error).__name__, "cause": cause}


def test_what_the_state_machine_carries_is_small(media: FolderMediaStore, tenant: str) -> None:
    items = [raw(f"Story number {i}", description="x " * 2000, url=f"https://example.org/{i}") for i in range(100)]
    event = FetchSource(tenant_id=tenant, run_id="r1", source="hackernews")
    summary = fetch_source(event, ListSource("hackernews", items), media, FixedClock())
    assert summary["items"] == 100 and summary["key"] == f"tenants/{tenant}/runs/r1/scan/hackernews.json"
    assert len(json.dumps(summary)) < 1000
    assert summary["bytes"] == len(media.get_bytes(summary["key"]))


def test_scan_merges_ranks_and_stores(scan: Callable[..., ScoutAnswer], trends: PostgresTrends) -> None:
    answer = scan(
        ListSource(
            "hackernews",
            [
                raw("Moss clock keeps perfect time", likes=300, comments=50, url="https://example.org/moss"),
                raw("Quiet story", likes=1, url="https://example.org/quiet"),
            ],
        ),
        ListSource("google_trends", [raw("moss clock", "google_trends", views=20_000, extra={"identity": "topic"})]),
    )
    first, second = answer.trends
    assert set(first.platforms) == {"hackernews", "google_trends"} and second.platforms == ["hackernews"]
    assert first.engagement_metrics == EngagementMetrics(views=20_000, likes=300, comments=50, engagement_rate=0.0175)
    assert first.rising_velocity > second.rising_velocity
    assert answer.metadata.total_results == 2 and not answer.metadata.used_sample
    assert answer.metadata.platforms_used == ["hackernews", "google_trends"]
    assert trends.get(first.trend_id) == first
    assert [t.trend_id for t in trends.many([second.trend_id, "no-uuid", first.trend_id])] == [
        second.trend_id,
        first.trend_id,
    ]
    assert len(json.dumps(answer.brief("k"))) < 16_000


def test_ranking_again_gives_the_first_answer_and_stores_nothing_twice(
    scan: Callable[..., ScoutAnswer], db: Database, tenant: str
) -> None:
    source = ListSource("hackernews", [raw("Moss clock", likes=300)])
    first = scan(source, run_id="r1")
    again = scan(source, run_id="r1", at=NOW + timedelta(hours=1))
    assert again == first
    with db.transaction(tenant) as tx:
        row = tx.execute("SELECT count(*) AS n FROM trend_observations").fetchone()
    assert row is not None and row["n"] == 1


def test_same_scan_stored_twice_changes_nothing(scan: Callable[..., ScoutAnswer], trends: PostgresTrends) -> None:
    (trend,) = scan(ListSource("hackernews", [raw("Moss clock", likes=300)])).trends
    changed = trend.model_copy(update={"title": "Other"})
    trends.upsert_scan([changed], NOW)
    trends.upsert_scan([changed], NOW - timedelta(hours=1))
    assert trends.get(trend.trend_id) == trend
    trends.upsert_scan([changed], NOW + timedelta(hours=1))
    assert trends.get(trend.trend_id).title == "Other"


def test_velocity_uses_what_was_counted_before(scan: Callable[..., ScoutAnswer]) -> None:
    def items(likes: int) -> ListSource:
        return ListSource("hackernews", [raw("Moss clock", likes=likes, url="https://example.org/moss")])

    (before,) = scan(items(300)).trends
    (idle,) = scan(items(300), at=NOW + timedelta(hours=3)).trends
    (rising,) = scan(items(3000), at=NOW + timedelta(hours=6)).trends
    assert before.trend_id == idle.trend_id == rising.trend_id
    assert before.metadata.extra["velocity_basis"] == "rate"
    assert idle.metadata.extra["velocity_basis"] == rising.metadata.extra["velocity_basis"] == "gain"
    assert idle.rising_velocity < before.rising_velocity < rising.rising_velocity


def test_a_merged_trend_keeps_its_id_whoever_leads(scan: Callable[..., ScoutAnswer]) -> None:
    hn = raw("Moss clock", likes=300, url="https://example.org/moss")
    (alone,) = scan(ListSource("hackernews", [hn])).trends
    loud = raw("Moss clock", "wikipedia", views=900_000, url="https://en.wikipedia.org/wiki/Moss_clock")
    (merged,) = scan(
        ListSource("wikipedia", [loud]), ListSource("hackernews", [hn]), at=NOW + timedelta(hours=1)
    ).trends
    assert merged.platforms[0] == "wikipedia" and merged.trend_id == alone.trend_id


def test_one_failing_source_is_noted_and_does_not_fail_the_scan(scan: Callable[..., ScoutAnswer]) -> None:
    error = ChimeraError("RATE_LIMITED", "wikipedia: too many requests (HTTP 429)")
    answer = scan(ListSource("hackernews", [raw("Moss clock")]), failures=[failed("wikipedia", error)])
    assert [t.title for t in answer.trends] == ["Moss clock"]
    assert answer.metadata.platforms_queried == ["hackernews", "wikipedia"]
    (noted,) = answer.metadata.platforms_failed
    assert noted.platform == "wikipedia" and noted.error == "RATE_LIMITED: wikipedia: too many requests (HTTP 429)"
    assert not answer.metadata.used_sample


@pytest.mark.parametrize("empty", [True, False])
def test_sample_stands_in_and_says_so(scan: Callable[..., ScoutAnswer], empty: bool) -> None:
    error = ChimeraError("PROVIDER_TIMEOUT", "hackernews: cannot find example.org")
    sources = [ListSource("wikipedia", [])] if empty else []
    answer = scan(*sources, failures=[failed("hackernews", error)], min_velocity=5)
    assert answer.metadata.used_sample and answer.metadata.platforms_used == ["sample"]
    assert [f.platform for f in answer.metadata.platforms_failed] == ["hackernews"]
    assert len(answer.trends) >= 12
    assert all(t.platforms == ["sample"] and t.metadata.extra["sample"] is True for t in answer.trends)


def test_sample_does_not_stand_in_for_nothing_about_these_keywords(scan: Callable[..., ScoutAnswer]) -> None:
    answer = scan(ListSource("hackernews", []), keywords=["octopus"])
    assert answer.trends == [] and not answer.metadata.used_sample


def test_offline_with_keywords_the_sample_is_searched(scan: Callable[..., ScoutAnswer]) -> None:
    answer = scan(failures=[failed("hackernews", ChimeraError("PROVIDER_TIMEOUT", "x"))], keywords=["AI"])
    assert answer.metadata.used_sample and len(answer.trends) == 1


@pytest.mark.parametrize("cut", [100_000, 160])
def test_a_wrong_file_is_an_error_not_the_sample(scan: Callable[..., ScoutAnswer], cut: int) -> None:
    error = ChimeraError("VALIDATION_FAILED", "file:a.csv has wrong columns", {"got": ["name"], "expected": "title"})
    note = failed("file:a.csv", error)
    note["cause"] = note["cause"][:cut]
    with pytest.raises(ChimeraError) as caught:
        scan(failures=[note])
    assert (caught.value.code, caught.value.message) == ("VALIDATION_FAILED", "file:a.csv has wrong columns")
    answer = scan(ListSource("hackernews", [raw("Moss clock")]), failures=[note])
    assert len(answer.trends) == 1, "another source found something: the mistake is noted"


@pytest.mark.parametrize(
    "cause", ["", "null", "[]", "Traceback …", '{"errorMessage": "boom", "errorType": "KeyError"}']
)
def test_any_cause_can_be_read(cause: str) -> None:
    assert read_cause("KeyError", cause).code == "PROVIDER_REJECTED"
    assert "KeyError" in read_cause("KeyError", cause).message


def test_filters_and_limits(scan: Callable[..., ScoutAnswer]) -> None:
    source = ListSource(
        "hackernews",
        [
            raw(f"AI {name}", likes=10**i, url=f"https://example.org/{i}")
            for i, name in enumerate(["novels", "orchestras", "doctors", "robots", "chess", "weather"])
        ],
    )
    assert len(scan(source, max_results=3).trends) == 3
    fast = scan(source, min_velocity=6).trends
    assert fast and all(t.rising_velocity >= 6 for t in fast)
    assert scan(source, keywords=["cats"]).trends == []


def test_asked_topic_is_among_the_results_however_slow_it_rises(scan: Callable[..., ScoutAnswer]) -> None:
    loud = [
        raw(f"Loud {name} event", likes=10_000, url=f"https://example.org/{name}")
        for name in ("alpha", "beta", "gamma")
    ]
    quiet = raw("Moss clock", url="https://example.org/moss")
    answer = scan(ListSource("hackernews", [*loud, quiet]), max_results=2, topic="moss clocks")
    assert answer.trends[-1].title == "Moss clock" and len(answer.trends) == 2


def test_wrong_timeframe_is_an_error(scan: Callable[..., ScoutAnswer]) -> None:
    with pytest.raises(ChimeraError) as caught:
        scan(timeframe="tomorrow", failures=[failed("hackernews", ChimeraError("PROVIDER_TIMEOUT", "x"))])
    assert caught.value.code == "VALIDATION_FAILED"


def test_hostile_text_is_stored_and_read_back(scan: Callable[..., ScoutAnswer], trends: PostgresTrends) -> None:
    title = "مدينة 👩\u200d🚀 <script>x</script>\x00\ud800 new\u202e"
    item = raw(
        title,
        description="x" * 3_000_000,
        tags=["\x00a", "b" * 500],
        extra={"note": "\x00\ud800", "n": float("nan")},
    )
    (trend,) = scan(ListSource("rss", [item])).trends
    assert trend.title == "مدينة 👩\u200d🚀 new"
    assert trends.get(trend.trend_id) == trend


def test_tenants_do_not_see_each_others_trends(
    scan: Callable[..., ScoutAnswer], db: Database, new_tenant: Callable[..., str]
) -> None:
    (trend,) = scan(ListSource("hackernews", [raw("Moss clock")])).trends
    other = PostgresTrends(db, new_tenant())
    assert other.page(10, None) == [] and other.known([trend.trend_id]) == [] and other.similar("Moss clock") == []
    with pytest.raises(ChimeraError) as caught:
        other.get(trend.trend_id)
    assert caught.value.code == "NOT_FOUND"


def test_pages_filters_and_similar(scan: Callable[..., ScoutAnswer], trends: PostgresTrends) -> None:
    names = ["moss clock", "undersea cables", "octopus arms", "roman concrete", "100% _literal"]
    scan(ListSource("hackernews", [raw(n, likes=10**i, url=f"https://example.org/{i}") for i, n in enumerate(names)]))
    seen: list[str] = []
    before = None
    while rows := trends.page(2, before):
        seen += [trend_of(row).topic for row in rows]
        before = (rows[-1]["created_at"].isoformat(), str(rows[-1]["id"]))
    assert sorted(seen) == sorted(names)
    assert [r["topic"] for r in trends.page(9, None, keyword="CABLE")] == ["undersea cables"]
    assert [r["topic"] for r in trends.page(9, None, keyword="%")] == ["100% _literal"]
    assert trends.page(9, None, keyword="_l")[0]["topic"] == "100% _literal"
    assert len(trends.page(9, None, min_velocity=5)) < len(names)
    nearest, score = trends.similar("cables under the sea")[0]
    assert nearest.topic == "undersea cables" and 0 < score <= 1
    assert trends.similar("") == [] or all(isinstance(s, float) for _, s in trends.similar(""))


def test_analyze_asks_all_at_once_over_http(server: FakeServer, trends: PostgresTrends, tenant: str) -> None:
    hits = [{"objectID": "1", "title": "Moss clock", "points": 90, "created_at_i": int(NOW.timestamp())}]
    server.answer("/api/v1/search", Reply(json.dumps({"hits": hits})))
    server.answer("/trending/rss", Reply("<html>blocked", status=429, headers={"Retry-After": "60"}))
    settings = Settings(
        hackernews_url=server.url, google_trends_url=server.url, wikimedia_url="http://no-such-host.invalid"
    )
    answer = analyze(
        ScoutRequest(timeframe="P365D"),
        platforms=["hackernews", "wikipedia", "google_trends"],
        open_source=lambda name: open_source(name, ProviderContext(settings=settings), allow_files=False),
        tenant_id=tenant,
        trends=trends,
        sample=SampleSource(),
        sentiment=sentiment,
        clock=FixedClock(),
    )
    assert [t.title for t in answer.trends] == ["Moss clock"]
    assert {f.platform: f.error.split(":")[0] for f in answer.metadata.platforms_failed} == {
        "wikipedia": "PROVIDER_TIMEOUT",
        "google_trends": "RATE_LIMITED",
    }


def test_sentiment_is_bounded_and_advisory() -> None:
    assert sentiment("This is wonderful, great news!") > 0.5 > -0.5 > sentiment("A terrible, horrible disaster")
    assert sentiment("") == sentiment("اكتشاف مدينة") == 0.0
    assert -1 <= sentiment("bad " * 100_000) <= 1
