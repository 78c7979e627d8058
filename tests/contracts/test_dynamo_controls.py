"""The switch that draws check is never more permissive than the one in Postgres; the budgets' read model only moves on."""

from __future__ import annotations

import contextlib
import random
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chimera.adapters.aws.dynamo import Table
from chimera.adapters.aws.dynamo_allowances import DynamoAllowances
from chimera.adapters.aws.dynamo_budgets import DynamoBudgets
from chimera.adapters.aws.dynamo_controls import DynamoControls, MirroredControls
from chimera.adapters.postgres.allowances import PostgresAllowances
from chimera.adapters.postgres.budget_rows import PostgresBudgetRows
from chimera.adapters.postgres.controls import PostgresControls
from chimera.adapters.postgres.database import Database
from chimera.bootstrap import App
from chimera.domain.allowance import CallItem
from chimera.domain.budget_view import BudgetView
from chimera.domain.cfo import SPENDING_STATES
from chimera.domain.ids import stable_id
from chimera.errors import ChimeraError
from chimera.settings import Settings
from chimera.usecases.budget_projection import project_budgets
from chimera.usecases.scope import Scope
from tests.fakes.locked_moto import Conflicting, dynamo_client, make_table, moto_server


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with moto_server() as url, contextlib.closing(dynamo_client(url)) as made:
        yield made


@pytest.fixture
def table(client: Any) -> Table:
    return Table(client=client, name=make_table(client, f"t-{uuid.uuid4().hex[:12]}"), sleep=lambda _: None)


def test_no_switch_and_half_a_switch_are_stops(table: Table, client: Any) -> None:
    controls = DynamoControls(table, "t1")
    assert controls.get() is None and controls.read() == (None, 0)
    client.put_item(
        TableName=table.name, Item={**table.key("t1#control", "switch"), "state": {"S": "RUN"}, "revision": {"N": "1"}}
    )
    assert controls.get() is None
    broken = Conflicting(client)
    assert controls.put("RUN", 3, 1) and controls.get() == ("RUN", 3)
    broken.fail("get_item", code="AccessDeniedException", times=2)
    unreadable = DynamoControls(replace(table, client=broken), "t1")
    assert unreadable.get() is None
    with pytest.raises(ChimeraError):
        unreadable.read()


def test_whoever_saw_an_older_revision_does_not_write(table: Table) -> None:
    controls = DynamoControls(table, "t1")
    assert controls.put("RUN", 1, 0)
    assert not controls.put("RUN", 1, 0)
    _, revision = controls.read()
    controls.stop()
    assert not controls.put("RUN", 1, revision), "a stop that came in between is not overwritten"
    assert controls.get() == ("STOP", 1)


def test_the_mirror_follows_every_change(table: Table, db: Database, tenant: str) -> None:
    mirror = DynamoControls(table, tenant)
    switch = MirroredControls(PostgresControls(db, tenant), mirror)
    switch.sync()
    assert mirror.get() == ("RUN", 1)
    for state in ("PAUSE_PUBLISH", "PAUSE_SPEND", "STOP", "STOP", "RUN", "STOP", "RUN"):
        row = switch.set(state, by="Ada", reason="a test")
        assert mirror.get() == (state, row["epoch"]) == (switch.get()["state"], switch.get()["epoch"])
    switch.set("STOP", by="Ada", reason="a test")
    with pytest.raises(ChimeraError) as caught:
        switch.set("PAUSE_SPEND", by="Ada", reason="weaker than a stop")
    assert caught.value.code == "CONFLICT"
    assert mirror.get() == ("STOP", switch.get()["epoch"])


def test_a_stop_reaches_the_draws_when_postgres_is_away(table: Table) -> None:
    class Away:
        def get(self) -> dict[str, Any]:
            raise ChimeraError("DATABASE_WAKING", "away")

        def set(self, state: Any, *, by: str, reason: str) -> dict[str, Any]:
            raise ChimeraError("DATABASE_WAKING", "away")

    mirror = DynamoControls(table, "t1")
    assert mirror.put("RUN", 7, 0)
    switch = MirroredControls(Away(), mirror)
    with pytest.raises(ChimeraError):
        switch.set("PAUSE_PUBLISH", by="Ada", reason="leaves spending as it is")
    assert mirror.get() == ("RUN", 7)
    with pytest.raises(ChimeraError):
        switch.set("STOP", by="Ada", reason="now")
    assert mirror.get() == ("STOP", 7)
    with pytest.raises(ChimeraError):
        switch.set("RUN", by="Ada", reason="leave needs Postgres")
    assert mirror.get() == ("STOP", 7)


def test_leave_and_stop_that_cross_end_as_postgres_says(table: Table, database_urls: Any, new_tenant: Any) -> None:
    """At no instant after a stop was acknowledged do draws see leave from before it; at the end both places agree."""
    tenant_id = new_tenant()
    mirror = DynamoControls(table, tenant_id)

    def work(number: int) -> None:
        chance = random.Random(number)
        with contextlib.closing(Database(database_urls.app)) as database:
            switch = MirroredControls(PostgresControls(database, tenant_id), mirror)
            for _ in range(6):
                with contextlib.suppress(ChimeraError):
                    switch.set(chance.choice(["RUN", "STOP", "PAUSE_PUBLISH", "PAUSE_SPEND"]), by="x", reason="race")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    with contextlib.closing(Database(database_urls.app)) as database:
        rows = PostgresControls(database, tenant_id)
        row = rows.get()
        assert mirror.get() == (row["state"], row["epoch"])
        MirroredControls(rows, mirror).set("STOP", by="x", reason="the end")
        known = mirror.get()
        assert known is not None and known[0] not in SPENDING_STATES


# --- the read model


VIEW = BudgetView(
    period="daily",
    category="total",
    period_id="2026-11-21",
    ver=5,
    limit_micros=10,
    reserved_micros=4,
    spent_micros=3,
)


def test_an_older_version_never_replaces_a_newer_one(table: Table) -> None:
    budgets = DynamoBudgets(table, "t1")
    assert budgets.put(VIEW)
    assert not budgets.put(replace(VIEW, spent_micros=9))  # the same version twice
    assert not budgets.put(replace(VIEW, ver=4, spent_micros=1))
    assert budgets.all() == [VIEW]
    newer = replace(VIEW, ver=6, spent_micros=4, frozen=True)
    assert budgets.put(newer) and budgets.all() == [newer]
    assert DynamoBudgets(table, "t2").all() == []


def test_any_order_of_delivery_ends_the_same(table: Table) -> None:
    versions = [replace(VIEW, ver=ver, spent_micros=ver) for ver in range(1, 21)]
    for seed in range(3):
        budgets = DynamoBudgets(table, f"t{seed}")
        late = [*versions, *versions, *versions]
        random.Random(seed).shuffle(late)
        for view in late:
            budgets.put(view)
        assert budgets.all() == [versions[-1]]


def test_what_changed_is_projected_and_nothing_else(table: Table, db: Database, make_cfo: Any, tenant: str) -> None:
    source, mirror = PostgresBudgetRows(db, tenant), DynamoBudgets(table, tenant)
    cfo = make_cfo(tenant)
    assert project_budgets(source, mirror) == 0  # no period has begun

    def ask() -> None:
        request = {
            "request_id": str(uuid.uuid4()),
            "agent_id": stable_id(tenant, "artist"),
            "request_type": "compute",
            "request_cost": "1.25",
            "projected_roi": "9",
            "justification": "a test",
            "currency": "USD",
        }
        assert cfo.approve(request)["approved"]

    ask()
    assert project_budgets(source, mirror) == 6  # day, week and month of compute and of the total
    assert project_budgets(source, mirror) == 0
    ask()
    assert project_budgets(source, mirror) == 6
    assert {view.reserved_micros for view in mirror.all()} == {2_500_000}
    assert sorted(mirror.all(), key=str) == sorted(source.rows(), key=str)


# --- as it is wired


def test_on_aws_draws_come_from_dynamodb_and_obey_the_mirrored_switch(
    client: Any,
    table: Table,
    db: Database,
    tenant: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    settings = Settings(world="aws", aws_endpoint=client.meta.endpoint_url, dynamo_table=table.name)
    app = App(settings, db=db)
    store, request_id, item = app.allowances(tenant), str(uuid.uuid4()), CallItem(step="voice", item="speech")
    assert isinstance(store, DynamoAllowances)
    store.open(request_id, 1000, 1, datetime.now(UTC) + timedelta(hours=1))
    with pytest.raises(ChimeraError) as caught:  # a new tenant whose switch was never mirrored
        store.draw(request_id, "a", 1, item)
    assert caught.value.code == "SYSTEM_STOPPED"
    app.mirror(tenant)
    assert store.draw(request_id, "a", 1, item).first
    app.controls(tenant).set("STOP", by="Ada", reason="now")
    with pytest.raises(ChimeraError) as caught:
        app.purse(Scope(tenant_id=tenant, run_id="r", task_id="t", content_id="c"), request_id).book("b", 1, item)
    assert caught.value.code == "SYSTEM_STOPPED"
    local = App(Settings(), db=db)
    assert isinstance(local.allowances(tenant), PostgresAllowances) and local.mirror(tenant) == 0
