"""What every store of allowances keeps to, whichever database it is in: an approval's paid calls cannot exceed it.

Postgres is the real one. DynamoDB is moto behind a lock, over a real socket; `test_dynamo_allowances.py` shows that the
same check finds out moto without the lock.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from chimera.adapters.aws.dynamo_allowances import DynamoAllowances
from chimera.adapters.postgres.allowances import PostgresAllowances
from chimera.adapters.postgres.controls import PostgresControls
from chimera.adapters.postgres.database import Database
from chimera.allowance_ports import AllowanceStore
from chimera.domain.allowance import CallItem
from chimera.errors import ChimeraError
from chimera.usecases.cfo import Cfo
from tests.conftest import DatabaseUrls
from tests.fakes.allowance_worlds import (
    ITEM,
    USD,
    DynamoWorld,
    Open,
    PostgresWorld,
    World,
    audited,
    check_exact,
    code,
    open_in,
    race,
)
from tests.fakes.locked_moto import dynamo_client, moto_server


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def dynamo(moto: str) -> Iterator[DynamoWorld]:
    client = dynamo_client(moto)
    yield DynamoWorld(client)
    client.close()


@pytest.fixture
def postgres(
    database_urls: DatabaseUrls,
    new_tenant: Callable[..., str],
    make_cfo: Callable[..., Cfo],
) -> Iterator[PostgresWorld]:
    tenant = new_tenant()
    made = PostgresWorld(database_urls.app, tenant, make_cfo(tenant))
    yield made
    for database in made.databases:
        database.close()


@pytest.fixture(params=["postgres", "dynamo"])
def world(request: pytest.FixtureRequest) -> World:
    made: World = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def opened(world: World) -> Open:
    """Opens an allowance in this world."""
    return lambda amount=USD, hours=1.0: open_in(world, amount, hours)


# --- open


def test_opening_again_is_the_same_allowance(opened: Open) -> None:
    it = opened(5 * USD)
    it.draw("a", USD)
    end = it.world.clock.now() + timedelta(days=3)
    again = it.store.open(it.request_id, 5 * USD, it.epoch, end)
    assert (again.amount_micros, again.used_micros, again.closed) == (5 * USD, USD, False)
    assert again.expires_at < end  # the first end holds
    assert code(lambda: it.store.open(it.request_id, 6 * USD, it.epoch, end)) == "CONFLICT"
    assert code(lambda: it.store.open(it.request_id, 5 * USD, it.epoch + 1, end)) == "CONFLICT"
    assert it.left() == 4 * USD


@pytest.mark.parametrize(
    ("request_id", "amount", "epoch"),
    [
        ("no uuid", 1, 1),
        (None, 0, 1),
        (None, -1, 1),
        (None, 10**16, 1),
        (None, True, 1),
        (None, 1, -1),
        (None, 1, True),
    ],
)
def test_bad_allowances_are_not_opened(world: World, request_id: Any, amount: Any, epoch: Any) -> None:
    store = world.store()
    what = request_id or str(uuid.uuid4())
    assert code(lambda: store.open(what, amount, epoch, world.clock.now())) == "VALIDATION_FAILED"
    assert code(lambda: store.get(what)) == "NOT_FOUND"


def test_what_was_never_opened_gives_nothing(world: World) -> None:
    store, stranger = world.store(), str(uuid.uuid4())
    assert code(lambda: store.draw(stranger, "a", 1, ITEM)) == "NOT_FOUND"
    assert code(lambda: store.draw("no uuid", "a", 1, ITEM)) == "NOT_FOUND"
    assert code(lambda: store.correct(stranger, "a", 1)) == "NOT_FOUND"
    assert code(lambda: store.give_back(stranger, "a", 1)) == "NOT_FOUND"
    assert code(lambda: store.close(stranger)) == "NOT_FOUND"
    assert code(lambda: store.get(stranger)) == "NOT_FOUND"
    assert store.draws(stranger) == []


# --- draw


def test_a_draw_takes_its_worst_case_and_all_of_it_can_be_drawn(opened: Open) -> None:
    it = opened(USD)
    first = it.draw("a", 400_000, CallItem(step="voice", item="tts-1", quantity="900", unit="character"))
    assert (first.first, first.state, first.charged_micros) == (True, "OPEN", 400_000)
    it.draw("b", 600_000)  # equal to what is left passes
    assert it.left() == 0
    with pytest.raises(ChimeraError) as caught:
        it.draw("c", 1)
    assert caught.value.code == "BUDGET_EXCEEDED"
    assert caught.value.details == {"asked": "0.000001", "remaining": "0.00", "approved": "1.00"}
    it.draw("free", 0)
    assert [d.call_id for d in it.store.draws(it.request_id)] == ["a", "b", "free"]
    assert it.store.draws(it.request_id)[0].item.item == "tts-1"
    audited(it.store, it.request_id)


def test_the_same_call_again_is_the_same_draw(opened: Open) -> None:
    it = opened(USD)
    it.draw("a", 700_000)
    again = it.draw("a", 700_000)
    assert (again.first, again.drawn_micros, it.left()) == (False, 700_000, 300_000)
    assert code(lambda: it.draw("a", 700_001)) == "CONFLICT"
    assert code(lambda: it.draw("a", 1)) == "CONFLICT"
    assert it.left() == 300_000


@pytest.mark.parametrize("call_id", ["", " a", "a b", "a\nb", "ü", "x" * 201, "#a", None])
def test_bad_call_ids_draw_nothing(opened: Open, call_id: Any) -> None:
    it = opened(USD)
    assert code(lambda: it.draw(call_id, 1)) == "VALIDATION_FAILED"
    assert it.left() == USD


@pytest.mark.parametrize("micros", [-1, 1.5, True, "1", None, 10**16, Decimal(1)])
def test_bad_amounts_draw_nothing(opened: Open, micros: Any) -> None:
    it = opened(USD)
    assert code(lambda: it.draw("a", micros)) == "VALIDATION_FAILED"
    it.draw("b", 5)
    assert code(lambda: it.store.correct(it.request_id, "b", micros)) == "VALIDATION_FAILED"
    assert it.left() == USD - 5


def test_an_expired_allowance_gives_nothing_more(opened: Open) -> None:
    it = opened(USD, hours=1)
    it.draw("a", 10)
    it.world.clock.at += timedelta(hours=1, microseconds=-1)
    it.draw("b", 10)
    it.world.clock.at += timedelta(microseconds=1)  # the very instant of its end
    assert code(lambda: it.draw("c", 10)) == "INVALID_SIGNATURE"
    assert code(lambda: it.draw("a", 10)) == "INVALID_SIGNATURE"  # the call may not be made any more either
    it.store.correct(it.request_id, "a", 4)  # what was made in time is booked all the same
    assert it.left() == USD - 14


def test_a_stopped_tenant_draws_nothing(opened: Open) -> None:
    it = opened(USD)
    it.draw("a", 10)
    it.store.correct(it.request_id, "a", 3)
    it.draw("b", 10)
    it.world.switch("STOP")
    assert code(lambda: it.draw("c", 10)) == "SYSTEM_STOPPED"
    assert code(lambda: it.draw("b", 10)) == "SYSTEM_STOPPED"  # drawn, but not to be spent now
    assert it.draw("a", 10).state == "CORRECTED"  # nothing is spent by telling what was
    it.store.correct(it.request_id, "b", 10)  # a stop does not lose what was spent
    assert it.left() == USD - 13
    it.world.switch("RUN")
    assert code(lambda: it.draw("c", 10)) == "INVALID_SIGNATURE"  # approved before the stop
    assert it.store.close(it.request_id).used_micros == 13


def test_a_pause_of_spending_and_a_missing_switch_are_stops(opened: Open) -> None:
    it = opened(USD)
    it.world.switch("PAUSE_PUBLISH")
    it.draw("a", 0)  # publishing is paused, spending is not
    it.world.switch("PAUSE_SPEND")
    assert code(lambda: it.draw("a", 0)) == "SYSTEM_STOPPED"
    it.world.switch(None)
    assert code(lambda: it.draw("a", 0)) == "SYSTEM_STOPPED"
    assert it.left() == USD


# --- correct, give back


def test_a_correction_gives_the_rest_back_once(opened: Open) -> None:
    it = opened(USD)
    it.draw("a", 900_000)
    done = it.store.correct(it.request_id, "a", 250_000, "12.5")
    assert (done.charged_micros, done.item.quantity, it.left()) == (250_000, "12.5", 750_000)
    it.store.correct(it.request_id, "a", 250_000)
    assert it.left() == 750_000
    assert code(lambda: it.store.correct(it.request_id, "a", 250_001)) == "CONFLICT"
    assert code(lambda: it.store.correct(it.request_id, "a", 0)) == "CONFLICT"
    assert code(lambda: it.store.correct(it.request_id, "b", 1)) == "NOT_FOUND"
    assert it.draw("a", 900_000).actual_micros == 250_000
    assert audited(it.store, it.request_id).remaining_micros == 750_000
    line = it.store.draws(it.request_id)[0].line()
    assert (line.step, line.item, line.unit, line.quantity) == ("pictures", "image", "image", "12.5")
    assert (line.call_id, line.drawn_micros, line.actual_micros, line.amount_micros) == ("a", 900_000, 250_000, 250_000)


def test_a_correction_to_nothing_is_not_a_gift(opened: Open) -> None:
    it = opened(USD)
    it.draw("a", USD)
    assert it.store.correct(it.request_id, "a", 0).charged_micros == 0
    assert it.left() == USD
    assert it.draw("a", USD).state == "CORRECTED"  # it was made, and was free: it is not drawn again
    assert it.left() == USD


def test_an_overrun_takes_what_remains_and_ends_drawing(opened: Open) -> None:
    it = opened(USD)
    it.draw("a", 100_000)
    it.draw("b", 100_000)
    it.store.correct(it.request_id, "a", 150_000)  # covered by what is left, but the cap was not enforced
    assert (it.left(), it.store.get(it.request_id).overrun_micros) == (750_000, 50_000)
    with pytest.raises(ChimeraError) as caught:
        it.draw("c", 1)
    assert (caught.value.code, caught.value.details["overrun"]) == ("BUDGET_EXCEEDED", "0.05")
    assert it.draw("b", 100_000).state == "OPEN"  # it has its money
    it.store.correct(it.request_id, "b", 2 * USD)  # more than there is
    after = audited(it.store, it.request_id)
    assert (after.remaining_micros, after.used_micros, after.overrun_micros) == (0, 2_150_000, 1_950_000)
    assert it.store.close(it.request_id).used_micros == 2_150_000


def test_a_call_that_was_not_made_goes_back_and_may_be_drawn_anew(opened: Open) -> None:
    it = opened(USD)
    first = it.draw("a", USD)
    assert it.store.give_back(it.request_id, "a", first.attempt).charged_micros == 0
    assert it.left() == USD
    it.store.give_back(it.request_id, "a", first.attempt)
    assert it.left() == USD
    second = it.draw("a", 600_000, CallItem(step="pictures", item="image", quantity="2", unit="image"))
    assert (second.first, second.attempt, it.left()) == (True, 2, 400_000)
    assert it.store.draws(it.request_id)[0].item.quantity == "2"
    # a late twin of the first attempt does not take the second one's money away
    assert code(lambda: it.store.give_back(it.request_id, "a", first.attempt)) == "CONFLICT"
    assert it.left() == 400_000
    it.store.correct(it.request_id, "a", 500_000)
    assert code(lambda: it.store.give_back(it.request_id, "a", second.attempt)) == "CONFLICT"
    assert audited(it.store, it.request_id).used_micros == 500_000


# --- close


def test_closing_fences_everything_and_counts_open_draws_in_full(opened: Open) -> None:
    it = opened(USD)
    for name, micros in (("a", 300_000), ("b", 200_000), ("c", 100_000)):
        it.draw(name, micros)
    it.store.correct(it.request_id, "a", 50_000)
    returned = it.draw("c", 100_000)
    it.store.give_back(it.request_id, "c", returned.attempt)
    assert it.store.close(it.request_id).used_micros == 250_000  # 50 000 measured, 200 000 never reported
    assert it.store.close(it.request_id).used_micros == 250_000
    for late in (
        lambda: it.draw("d", 1),
        lambda: it.draw("b", 200_000),
        lambda: it.draw("c", 100_000),
        lambda: it.store.correct(it.request_id, "b", 1),
        lambda: it.store.give_back(it.request_id, "b", 1),
    ):
        assert code(late) == "CONFLICT"
    assert it.store.correct(it.request_id, "a", 50_000).state == "CORRECTED"  # told again, nothing changes
    assert it.store.open(it.request_id, USD, it.epoch, it.world.clock.now()).closed
    assert audited(it.store, it.request_id).used_micros == 250_000
    lines = [d.line() for d in it.store.draws(it.request_id) if d.state != "RETURNED"]
    assert sum(line.amount_micros for line in lines) == 250_000
    assert [line.complete for line in lines] == [True, False]


def test_tenants_do_not_see_each_others_allowances(opened: Open, request: pytest.FixtureRequest) -> None:
    it = opened(USD)
    it.draw("a", 1)
    if isinstance(it.world, DynamoWorld):
        other: AllowanceStore = DynamoAllowances(it.world.table(), str(uuid.uuid4()), it.world.clock)
    else:
        database = Database(request.getfixturevalue("database_urls").app)
        request.addfinalizer(database.close)
        other = PostgresAllowances(database, request.getfixturevalue("new_tenant")())
    assert code(lambda: other.get(it.request_id)) == "NOT_FOUND"
    assert code(lambda: other.draw(it.request_id, "b", 1, ITEM)) == "NOT_FOUND"
    assert other.draws(it.request_id) == []
    assert code(lambda: other.close(it.request_id)) == "NOT_FOUND"
    assert it.left() == USD - 1


# --- concurrency


def test_32_threads_get_exactly_what_the_allowance_covers(opened: Open) -> None:
    it = opened(64_000)
    answers = race(it.world, it.request_id, 32, lambda n: [(f"call-{n}-{i}", 1000) for i in range(4)])
    check_exact(it.store, it.request_id, answers, expected=64)


def test_the_same_call_from_16_threads_is_one_draw(opened: Open) -> None:
    it = opened(64_000)
    answers = race(it.world, it.request_id, 16, lambda n: [("one", 40_000)])
    assert sorted(answers) == [""] + ["again"] * 15
    assert audited(it.store, it.request_id).used_micros == 40_000


def test_draws_corrections_and_the_end_may_cross(opened: Open) -> None:
    it = opened(100_000)
    start = threading.Barrier(9)

    def spend(number: int) -> int:
        store, spent = it.world.store(), 0
        start.wait(30)
        for index in range(6):
            with contextlib.suppress(ChimeraError):
                call_id = f"{number}-{index}"
                store.draw(it.request_id, call_id, 9_000, ITEM)
                spent += 9_000
                store.correct(it.request_id, call_id, 2_000 + number)
                spent += 2_000 + number - 9_000
        return spent

    def close() -> int:
        store = it.world.store()
        start.wait(30)
        while it.left() > 40_000 and not it.store.get(it.request_id).closed:
            if len(store.draws(it.request_id)) > 12:
                break
        return store.close(it.request_id).used_micros

    with ThreadPoolExecutor(9) as pool:
        end = pool.submit(close)
        spent = sum(pool.map(spend, range(8)))
    assert audited(it.store, it.request_id).used_micros == end.result() == spent <= 100_000


# --- Postgres: a stop that was acknowledged is not overtaken


def test_a_stop_waits_for_a_draw_that_had_read_the_switch(
    postgres: PostgresWorld,
    database_urls: DatabaseUrls,
) -> None:
    """The draw is held between its look at the switch and its commit: until it is through, no stop is acknowledged."""
    it = open_in(postgres)
    ended: list[str] = []

    def draw() -> None:
        it.draw("a", 1000)
        ended.append("draw")

    def stop() -> None:
        with contextlib.closing(Database(database_urls.app)) as database:
            PostgresControls(database, postgres.tenant).set("STOP", by="Ada", reason="now")
        ended.append("stop")

    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with (
        ThreadPoolExecutor(2) as pool,
        psycopg.connect(database_urls.super, autocommit=True) as watcher,
        psycopg.connect(database_urls.super) as holder,
    ):

        def until(count: int) -> None:
            deadline = time.monotonic() + 4
            while (watcher.execute(waiting).fetchone() or (0,))[0] < count and time.monotonic() < deadline:
                time.sleep(0.01)

        holder.execute("LOCK TABLE allowance_draw IN EXCLUSIVE MODE")  # readers pass, the draw's insert waits
        drawing = pool.submit(draw)
        until(1)
        stopping = pool.submit(stop)
        until(2)
        assert ended == [], "a stop was acknowledged while a draw that had not seen it was under way"
        holder.rollback()
        drawing.result(30)
        stopping.result(30)
    assert sorted(ended) == ["draw", "stop"]
    assert code(lambda: it.draw("b", 1000)) == "SYSTEM_STOPPED" and it.left() == USD - 1000


# --- the two stores against each other


@pytest.mark.parametrize("seed", range(5))
def test_both_stores_answer_every_sequence_alike(seed: int, postgres: PostgresWorld, dynamo: DynamoWorld) -> None:
    """The same random operations in both: the same answers, error codes and sums, whatever came before."""
    worlds: list[tuple[World, AllowanceStore, str]] = []
    for world in (postgres, dynamo):
        world.clock.at = postgres.clock.at
        epoch, store, request_id = world.switch("RUN"), world.store(), world.approved(100)
        store.open(request_id, 100, epoch, world.clock.at + timedelta(seconds=30))
        worlds.append((world, store, request_id))
    chance = random.Random(seed)
    for _ in range(45):
        do = random_operation(chance)
        first, second = [do(*each) for each in worlds]
        assert first == second
    first, second = [
        (audited(store, request_id).used_micros, store.close(request_id)) for _, store, request_id in worlds
    ]
    assert replace(second[1], request_id=first[1].request_id) == first[1]


def random_operation(chance: random.Random) -> Callable[[World, AllowanceStore, str], object]:
    """One operation, the same for both worlds; it gives what can be compared."""
    call_id, micros, attempt = chance.choice("abcd"), chance.choice((0, 1, 10, 10, 30, 45)), chance.randint(1, 2)
    kind = chance.choices(
        ("draw", "correct", "give_back", "switch", "clock", "close"), weights=(45, 20, 30, 2, 1, 0.4)
    )[0]
    state, seconds = chance.choice(("RUN", "PAUSE_PUBLISH", "RUN")), chance.randint(1, 20)

    def do(world: World, store: AllowanceStore, request_id: str) -> object:
        try:
            if kind == "switch":
                return world.switch(state)
            if kind == "clock":
                world.clock.at += timedelta(seconds=seconds)
                return None
            if kind == "close":
                return store.close(request_id).used_micros
            if kind == "draw":
                draw = store.draw(request_id, call_id, micros, ITEM)
            elif kind == "correct":
                draw = store.correct(request_id, call_id, micros)
            else:
                draw = store.give_back(request_id, call_id, attempt)
        except ChimeraError as error:
            return error.code, error.message.replace(request_id, "it")
        allowance = store.get(request_id)
        return (
            draw.state,
            draw.charged_micros,
            draw.attempt,
            draw.first,
            allowance.used_micros,
            allowance.overrun_micros,
        )

    return do
