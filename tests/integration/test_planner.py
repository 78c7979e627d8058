"""The planner over the real database: quota, budget, cool-down, and the same plan again."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.personas import PostgresPersonas
from chimera.adapters.postgres.runs import PostgresRuns
from chimera.adapters.postgres.tasks import PostgresTasks
from chimera.adapters.postgres.trends import PostgresTrends
from chimera.domain.ids import new_id, stable_id
from chimera.domain.models import Trend
from chimera.domain.options import RunOptions
from chimera.errors import ChimeraError
from chimera.usecases.planner import PlanAnswer, PlanTasks, plan

NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
TOPICS = [
    "Moss clock keeps time",
    "Undersea cables break",
    "Octopus arms think",
    "Roman concrete heals",
    "Bees vote on homes",
]


class FixedClock:
    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


def trend(tenant: str, topic: str) -> Trend:
    return Trend(
        trend_id=stable_id(tenant, topic),
        topic=topic,
        title=topic,
        platforms=["hackernews"],
        volume=10,
        sentiment_score=0,
        rising_velocity=2.0,
        timestamp=NOW,
    )


class Studio:
    """A tenant with stored trends."""

    def __init__(self, db: Database, tenant: str) -> None:
        self.db, self.tenant = db, tenant
        self.trends, self.tasks = PostgresTrends(db, tenant), PostgresTasks(db, tenant)
        self.personas, self.runs = PostgresPersonas(db, tenant), PostgresRuns(db, tenant)

    def plan(
        self,
        topics: Sequence[str] = TOPICS,
        *,
        run_id: str = "",
        at: datetime = NOW,
        force: bool = False,
        budget: int | None = None,
        each: int = 0,
        **options: Any,
    ) -> PlanAnswer:
        run_id = run_id or new_id()
        self.runs.begin(run_id, "execution", {})
        stored = [trend(self.tenant, t) for t in topics]
        self.trends.upsert_scan(stored, NOW)
        event = PlanTasks(
            tenant_id=self.tenant,
            run_id=run_id,
            options=RunOptions(**options),
            trend_ids=[t.trend_id for t in stored],
            force=force,
            trace_id="trace-1",
        )
        return plan(
            event,
            trends=self.trends,
            personas=self.personas,
            tasks=self.tasks,
            clock=FixedClock(at),
            budget_left_micros=budget,
            task_upper_bound_micros=each,
        )

    def sql(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        with self.db.transaction(self.tenant) as tx:
            done = tx.execute(statement, values)
            return done.fetchall() if done.description else []


@pytest.fixture
def studio(db: Database, tenant: str) -> Studio:
    return Studio(db, tenant)


def topics(answer: PlanAnswer) -> list[str]:
    return [str(task.payload["topic"]) for task in answer.tasks]


def test_the_best_trend_becomes_one_task(studio: Studio) -> None:
    answer = studio.plan(max_tasks=1, duration_seconds=30)
    (task,) = answer.tasks
    assert task.type == "generate_video" and task.tenant_id == studio.tenant and task.state_version == 0
    assert task.payload["topic"] == TOPICS[0] and task.payload["options"]["duration_seconds"] == 30
    assert task.trace_id == "trace-1"
    row = studio.tasks.get(task.task_id)
    assert (row["status"], str(row["trend_id"]), str(row["persona_id"])) == (
        "queued",
        task.payload["trend_id"],
        task.persona_id,
    )
    assert studio.tasks.message(task.task_id) == task
    assert [str(r["id"]) for r in studio.tasks.page(9, None)] == [task.task_id]
    assert len(json.dumps(answer.brief())) < 16_000 and answer.brief()["reasons"] == []


def test_the_same_run_gets_the_same_plan(studio: Studio) -> None:
    run_id = new_id()
    first = studio.plan(run_id=run_id, max_tasks=3)
    again = studio.plan(list(reversed(TOPICS)), run_id=run_id, max_tasks=5, at=NOW + timedelta(hours=1))
    assert again.tasks == first.tasks and len(first.tasks) == 3
    assert topics(first) == TOPICS[:3]
    assert len(studio.sql("SELECT id FROM tasks")) == 3


def test_what_was_covered_lately_is_passed_over_also_in_other_words(studio: Studio) -> None:
    assert topics(studio.plan(["Moss clock keeps time"], max_tasks=5)) == ["Moss clock keeps time"]
    answer = studio.plan(["Why the moss clock is keeping time", "Undersea cables break"], max_tasks=5)
    assert topics(answer) == ["Undersea cables break"]
    (skipped,) = answer.skipped
    assert skipped.kind == "cooldown" and "Moss clock keeps time" in skipped.reason and "72 h" in skipped.reason
    assert skipped.similarity is not None and skipped.similarity >= 0.3


def test_after_the_cooldown_it_may_be_made_again(studio: Studio) -> None:
    studio.plan(["Moss clock keeps time"])
    studio.sql("UPDATE personas SET daily_quota = 1000")
    assert studio.plan(["Moss clock keeps time"], at=NOW + timedelta(hours=71)).tasks == []
    assert len(studio.plan(["Moss clock keeps time"], at=NOW + timedelta(hours=73)).tasks) == 1


def test_a_video_that_failed_covers_nothing_and_costs_no_quota(studio: Studio) -> None:
    studio.sql("UPDATE personas SET daily_quota = 1")
    studio.plan(["Moss clock keeps time"])
    studio.sql("UPDATE tasks SET status = 'failed'")
    assert len(studio.plan(["Moss clock keeps time"]).tasks) == 1


def test_everything_within_the_cooldown_says_so(studio: Studio) -> None:
    studio.plan(max_tasks=5)
    answer = studio.plan(max_tasks=5)
    assert answer.tasks == [] and len(answer.skipped) == 5
    error = answer.error()
    assert error is not None and error.code == "CONFLICT" and "--topic" in error.message
    assert len(answer.brief()["reasons"]) == 5


def test_force_and_a_named_topic_go_past_the_cooldown(studio: Studio) -> None:
    studio.plan(max_tasks=5)
    assert topics(studio.plan(force=True)) == TOPICS[:1]
    (task,) = studio.plan(topic="bees").tasks
    assert task.payload["topic"] == "Bees vote on homes" and task.priority == "high"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("octopus", 2),
        ("OCTOPUS ARMS", 2),
        ("concrete of the Romans", 3),
        ("octopuss", 2),
        ("undersea cable", 1),
        ("Bees vote on homes", 4),
    ],
)
def test_a_topic_is_found_by_its_words(studio: Studio, asked: str, found: int) -> None:
    assert topics(studio.plan(topic=asked)) == [TOPICS[found]]


@pytest.mark.parametrize("asked", ["stock market", "🦑", "?", "the"])
def test_an_unknown_topic_names_the_nearest(studio: Studio, asked: str) -> None:
    with pytest.raises(ChimeraError) as caught:
        studio.plan(topic=asked)
    assert caught.value.code == "NOT_FOUND"
    assert len(caught.value.details["nearest"]) == 5 and TOPICS[0] in caught.value.message


def test_the_daily_quota_holds(studio: Studio) -> None:
    studio.sql("UPDATE personas SET daily_quota = 2")
    assert len(studio.plan(max_tasks=5).tasks) == 2
    answer = studio.plan(max_tasks=5)
    assert answer.tasks == [] and {s.kind for s in answer.skipped} == {"quota"}
    error = answer.error()
    assert error is not None and error.code == "CONFLICT" and "daily quota of 2" in error.message
    assert len(studio.plan(max_tasks=5, at=NOW + timedelta(days=1)).tasks) == 2, "a new UTC day"


@pytest.mark.parametrize(("budget", "made"), [(0, 0), (999, 0), (1000, 1), (2500, 2), (10**12, 5)])
def test_the_budget_that_is_left_limits_the_number(studio: Studio, budget: int, made: int) -> None:
    answer = studio.plan(max_tasks=5, budget=budget, each=1000)
    assert len(answer.tasks) == made
    assert (made < 5) == any(s.kind == "budget" for s in answer.skipped)
    if not made:
        error = answer.error()
        assert error is not None and error.code == "BUDGET_EXCEEDED"


def test_no_trends_and_no_personas_say_so(studio: Studio) -> None:
    error = studio.plan([]).error()
    assert error is not None and error.code == "NOT_FOUND"
    studio.sql("DELETE FROM personas")
    error = studio.plan().error()
    assert error is not None and "no persona" in error.message


def test_personas_take_turns_and_one_may_be_named(studio: Studio) -> None:
    second = new_id()
    studio.sql("INSERT INTO personas (id, name, tone, target_audience) VALUES (%s, 'Second', 'dry', 'all')", second)
    first = next(p.persona_id for p in studio.personas.all() if p.persona_id != second)
    answer = studio.plan(max_tasks=4)
    assert [t.persona_id for t in answer.tasks] == [first, second, first, second]
    assert topics(answer) == [TOPICS[0], TOPICS[0], TOPICS[1], TOPICS[1]]
    assert {t.persona_id for t in studio.plan(max_tasks=2, persona_id=second).tasks} == {second}
    with pytest.raises(ChimeraError):
        studio.plan(persona_id=new_id())


def test_one_plan_never_takes_two_of_a_kind(studio: Studio) -> None:
    answer = studio.plan(
        ["Moss clock keeps time", "A moss clock that keeps the time", "Roman concrete heals"], max_tasks=5
    )
    assert topics(answer) == ["Moss clock keeps time", "Roman concrete heals"]


def test_two_planners_at_once_keep_the_quota(studio: Studio, database_urls: Any) -> None:
    studio.sql("UPDATE personas SET daily_quota = 3")
    planned: list[int] = []
    start = threading.Barrier(4)

    def work(offset: int) -> None:
        with closing(Database(database_urls.app)) as own:
            start.wait()
            planned.append(len(Studio(own, studio.tenant).plan(TOPICS[offset:] + TOPICS[:offset], max_tasks=3).tasks))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(planned) == 3 == len(studio.sql("SELECT id FROM tasks")) and len(planned) == 4


def test_a_run_that_is_not_there_is_not_found(studio: Studio) -> None:
    studio.plan()
    event = PlanTasks(tenant_id=studio.tenant, run_id=new_id(), trend_ids=[trend(studio.tenant, TOPICS[1]).trend_id])
    with pytest.raises(ChimeraError) as caught:
        plan(event, trends=studio.trends, personas=studio.personas, tasks=studio.tasks, clock=FixedClock(NOW))
    assert caught.value.code == "NOT_FOUND"


def test_tenants_do_not_see_each_others_tasks(studio: Studio, db: Database, new_tenant: Callable[..., str]) -> None:
    (task,) = studio.plan().tasks
    other = PostgresTasks(db, new_tenant())
    assert other.page(9, None) == []
    for identifier in (task.task_id, "no uuid"):
        with pytest.raises(ChimeraError) as caught:
            other.get(identifier)
        assert caught.value.code == "NOT_FOUND"
