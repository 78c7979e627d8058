"""Measuring: one row for each due time, no data is not zero, the projected is held against what came."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from pydantic import ValidationError

from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.engagement import PostgresEngagement
from chimera.adapters.postgres.tenancy import persona_id
from chimera.domain.ids import new_id
from chimera.domain.models import EngagementMetrics
from chimera.errors import ChimeraError
from chimera.usecases import analyst as a


class Counting:
    """A platform that says what it is told to, or nothing."""

    name = "local"
    dedupes_by_key = True

    def __init__(self) -> None:
        self.numbers: dict[str, EngagementMetrics | ChimeraError] = {}
        self.asked: list[str] = []

    def metrics(self, post_id: str) -> EngagementMetrics:
        self.asked.append(post_id)
        answer = self.numbers.get(post_id, EngagementMetrics())
        if isinstance(answer, ChimeraError):
            raise answer
        return answer


class Lab:
    """One tenant's analyst."""

    def __init__(self, db: Database, tenant: str) -> None:
        self.db, self.tenant = db, tenant
        self.rows = PostgresEngagement(db, tenant)
        self.platform: Any = Counting()

    def published(self, ago: timedelta, *, state: str = "CONFIRMED", **brief: Any) -> tuple[str, str]:
        """A publication of some time ago: its id and its post's."""
        content_id, task_id, trend_id, publication_id = new_id(), new_id(), new_id(), new_id()
        post_id = "post-" + publication_id[-12:]
        with self.db.transaction(self.tenant) as tx:
            tx.execute(
                "INSERT INTO trends (id, topic, title, volume, sentiment_score, rising_velocity, published_at,"
                " fetched_at) VALUES (%s, 'sea', 'sea', 1, 0, 0, now(), now())",
                (trend_id,),
            )
            tx.execute("INSERT INTO tasks (id, type) VALUES (%s, 'generate_video')", (task_id,))
            tx.execute(
                "INSERT INTO content_pipeline (id, task_id, trend_source_id, persona_id, stage, format, brief,"
                " estimated_cost_micros, production_cost_micros)"
                " VALUES (%s, %s, %s, %s, 'published', 'video', %s, 100, 90)",
                (content_id, task_id, trend_id, persona_id(self.tenant), Jsonb(brief)),
            )
            tx.execute(
                "INSERT INTO publications (id, content_id, content_hash, platform, channel_id, idempotency_key,"
                " title, state, post_id, published_at) VALUES (%s, %s, 'h', 'local', 'local', %s, 't', %s, %s, %s)",
                (publication_id, content_id, publication_id, state, post_id, datetime.now(UTC) - ago),
            )
        return publication_id, post_id

    def catch_up(self) -> int:
        return a.measure_due(self.rows, {"local": self.platform}, self.tenant)

    def measured(self, publication_id: str) -> dict[str, Any]:
        return {row["due"]: row["views"] for row in self.rows.of_publication(publication_id)}


@pytest.fixture
def lab(db: Database, tenant: str) -> Lab:
    return Lab(db, tenant)


HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def test_due_times_are_those_of_the_contract() -> None:
    published = datetime(2026, 11, 21, tzinfo=UTC)
    assert a.due_times(published) == {
        "1h": published + HOUR,
        "24h": published + DAY,
        "72h": published + 3 * DAY,
        "7d": published + 7 * DAY,
    }


def test_nothing_is_measured_before_it_is_due(lab: Lab) -> None:
    publication_id, _ = lab.published(timedelta(minutes=59))
    assert lab.catch_up() == 0
    assert lab.measured(publication_id) == {}


def test_a_due_time_is_measured_once(lab: Lab) -> None:
    publication_id, post_id = lab.published(HOUR)
    lab.platform.numbers[post_id] = EngagementMetrics(views=7)
    assert [lab.catch_up(), lab.catch_up()] == [1, 0]
    lab.platform.numbers[post_id] = EngagementMetrics(views=8)
    event = a.RecordEngagement.model_validate(
        {"tenant_id": lab.tenant, "publication_id": publication_id, "due": "1h", "metrics": {"views": 8}}
    )
    assert a.record(event, lab.rows)["views"] == 7  # the first count stays
    assert lab.measured(publication_id) == {"1h": 7}


def test_no_data_is_null_not_zero(lab: Lab) -> None:
    publication_id, post_id = lab.published(HOUR)
    zero, zero_post = lab.published(HOUR)
    lab.platform.numbers[zero_post] = EngagementMetrics(views=0)
    lab.catch_up()
    (row,) = lab.rows.of_publication(publication_id)
    assert [row[name] for name in ("views", "likes", "comments", "shares", "engagement_rate")] == [None] * 5
    assert lab.measured(zero) == {"1h": 0}
    assert post_id in lab.platform.asked


def test_after_a_pause_a_missed_due_time_gets_no_number_of_another_time(lab: Lab) -> None:
    publication_id, post_id = lab.published(3 * DAY + HOUR)
    lab.platform.numbers[post_id] = EngagementMetrics(views=500)
    assert lab.catch_up() == 3
    assert lab.measured(publication_id) == {"1h": None, "24h": None, "72h": 500}
    assert lab.platform.asked == [post_id]


def test_a_step_that_was_late_records_no_data(lab: Lab) -> None:
    publication_id, _ = lab.published(2 * DAY)
    for due, views in (("1h", None), ("24h", 500)):
        event = a.RecordEngagement.model_validate(
            {"tenant_id": lab.tenant, "publication_id": publication_id, "due": due, "metrics": {"views": 500}}
        )
        assert a.record(event, lab.rows)["views"] == views


def test_a_platform_that_does_not_answer_is_asked_again_later(lab: Lab) -> None:
    publication_id, post_id = lab.published(HOUR)
    lab.platform.numbers[post_id] = ChimeraError("RATE_LIMITED", "later")
    assert lab.catch_up() == 0
    lab.platform.numbers[post_id] = EngagementMetrics(views=3)
    assert lab.catch_up() == 1
    assert lab.measured(publication_id) == {"1h": 3}


def test_only_confirmed_publications_are_measured(lab: Lab) -> None:
    publication_id, _ = lab.published(DAY, state="AMBIGUOUS")
    assert lab.catch_up() == 0
    with pytest.raises(ChimeraError) as refused:
        lab.rows.record(publication_id, "1h", EngagementMetrics(views=1), valid_for_seconds=None)
    assert refused.value.code == "NOT_FOUND"


@pytest.mark.parametrize(
    ("numbers", "rate"),
    [
        ({"views": 200, "likes": 8, "comments": 1, "shares": 1}, 0.05),
        ({"views": 100, "likes": 5}, 0.05),
        ({"views": 100}, None),
        ({"views": 0, "likes": 0}, None),
        ({"likes": 5}, None),
        ({"views": 100, "likes": 5, "engagement_rate": 0.5}, 0.5),
    ],
)
def test_the_rate_is_computed_only_from_what_is_known(numbers: dict[str, Any], rate: float | None) -> None:
    assert a.with_rate(EngagementMetrics.model_validate(numbers)).engagement_rate == rate


def test_what_was_projected_is_held_against_what_came(lab: Lab) -> None:
    first, first_post = lab.published(DAY, projected_engagement=0.05, projected_roi=2.0)
    second, second_post = lab.published(DAY, projected_engagement=0.03, projected_roi=3.0)
    lab.published(timedelta(0), projected_engagement=0.9, projected_roi=4.0)  # not measured yet
    lab.platform.numbers[first_post] = EngagementMetrics(views=100, likes=2)
    lab.platform.numbers[second_post] = EngagementMetrics(views=300, likes=12)
    lab.catch_up()
    (learnt,) = lab.rows.learning()
    assert (learnt["persona"], learnt["format"], learnt["platform"]) == ("Chimera Daily", "video", "local")
    assert (learnt["publications"], learnt["measured"], learnt["views"]) == (3, 2, 200)
    assert learnt["projected_engagement"] == pytest.approx(0.04)
    assert learnt["actual_engagement"] == pytest.approx(0.03)
    assert (learnt["estimated_cost_micros"], learnt["production_cost_micros"]) == (300, 270)
    assert learnt["projected_roi"] == pytest.approx(3.0)
    assert {first, second} == {str(row["publication_id"]) for row in lab.rows.page(9, None) if row["views"]}


def test_without_measurements_a_mean_is_none(lab: Lab) -> None:
    assert lab.rows.learning() == []
    lab.published(HOUR, projected_engagement=0.05)
    lab.catch_up()  # the platform says nothing
    (learnt,) = lab.rows.learning()
    assert (learnt["measured"], learnt["views"], learnt["actual_engagement"]) == (0, None, None)
    assert lab.rows.learning(since=datetime.now(UTC)) == []


def test_another_tenant_measures_nothing_of_it(lab: Lab, new_tenant: Callable[..., str]) -> None:
    publication_id, _ = lab.published(HOUR)
    stranger = PostgresEngagement(lab.db, new_tenant())
    assert stranger.open_dues(a.DUES, 10) == []
    with pytest.raises(ChimeraError):
        stranger.record(publication_id, "1h", EngagementMetrics(views=1), valid_for_seconds=None)


def test_bad_input_is_refused(lab: Lab) -> None:
    with pytest.raises(ChimeraError) as refused:
        a.measure(a.Measure(platform="nowhere", post_id="x"), {"local": lab.platform})
    assert refused.value.code == "NOT_FOUND"
    with pytest.raises(ValidationError):
        a.RecordEngagement.model_validate(
            {"tenant_id": lab.tenant, "publication_id": new_id(), "due": "2h", "metrics": {"views": -1}}
        )
