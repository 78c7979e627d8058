"""What every store of allowances keeps to, whichever database it is in: an approval's paid calls cannot exceed it.

Postgres is the real one. DynamoDB is moto behind a lock, over a real socket; the last test shows that the same check
finds out moto without the lock.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

import pytest

from chimera.adapters.aws.dynamo import ATTEMPTS, Table
from chimera.adapters.aws.dynamo_allowances import DynamoAllowances
from chimera.adapters.aws.dynamo_controls import DynamoControls
from chimera.adapters.postgres.allowances import PostgresAllowances
from chimera.adapters.postgres.controls import PostgresControls
from chimera.adapters.postgres.database import Database
from chimera.allowance_ports import AllowanceStore
from chimera.domain.allowance import Allowance, CallItem, Draw
from chimera.domain.cfo import SPENDING_STATES
from chimera.domain.ids import stable_id
from chimera.errors import ChimeraError
from chimera.usecases.cfo import Cfo
from tests.fakes.locked_moto import Conflicting, dynamo_client, make_table, moto_server
from tests.integration.conftest import (  # noqa: F401 - fixtures
    DatabaseUrls,
    cfo_keys,
    database_urls,
    make_cfo,
    new_database,
    new_tenant,
    postgres_server,
)

ITEM = CallItem(step="pictures", item="image", quantity="1", unit="image")
USD = 1_000_000


@dataclass
class TestClock:
    """A clock that a test sets."""

    __test__ = False
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        """An aware UTC datetime."""
        return self.at


class World(Protocol):
    """A kind of store, with a tenant of its own and the switch that its draws check."""

    tenant: str
    clock: TestClock

    def store(self) -> AllowanceStore:
        """One for each thread."""
        ...

    def approved(self, amount_micros: int) -> str:
        """A request that was approved for this much and dispatched."""
        ...

    def switch(self, state: str | None) -> int:
        """Set the switch (None: take it away); its epoch."""
        ...


class PostgresWorld:
    """Postgres: the reservation behind an allowance is made by a real CFO."""

    def __init__(self, url: str, tenant: str, cfo: Cfo) -> None:
        self.tenant, self.clock = tenant, TestClock()
        self._url, self._cfo = url, cfo
        self.databases = [Database(url)]

    def store(self) -> AllowanceStore:
        database = Database(self._url)
        self.databases.append(database)
        return PostgresAllowances(database, self.tenant, now=lambda _: self.clock.now())

    def approved(self, amount_micros: int) -> str:
        answer = self._cfo.approve(
            {
                "request_id": str(uuid.uuid4()),
                "agent_id": stable_id(self.tenant, "artist"),
                "request_type": "compute",
                "request_cost": str(Decimal(amount_micros) / USD),
                "projected_roi": "9",
                "justification": "a test",
                "currency": "USD",
            }
        )
        assert answer["approved"], answer
        self._cfo.dispatch(answer["token"], "test")
        return str(answer["request_id"])

    def switch(self, state: Any) -> int:
        if state is None:
            with self.databases[0].transaction(self.tenant) as c:
                c.execute("UPDATE controls SET state = 'STOP'")  # the role cannot take the row away, which is as well
            return 0
        return int(PostgresControls(self.databases[0], self.tenant).set(state, by="test", reason="test")["epoch"])


class DynamoWorld:
    """DynamoDB's API: the switch is mirrored by hand."""

    def __init__(self, client: Any) -> None:
        self.tenant, self.clock = str(uuid.uuid4()), TestClock()
        self.client = client
        self.pauses: list[float] = []
        self._table = make_table(client, f"t-{uuid.uuid4().hex[:12]}")
        self.switch("RUN")

    def table(self, client: Any = None) -> Table:
        """The table, through a client that a test may have prepared."""
        return Table(client=client or self.client, name=self._table, sleep=self.pauses.append)

    def store(self, client: Any = None) -> DynamoAllowances:
        return DynamoAllowances(self.table(client), self.tenant, self.clock)

    def approved(self, amount_micros: int) -> str:
        return str(uuid.uuid4())

    def switch(self, state: str | None) -> int:
        controls = DynamoControls(self.table(), self.tenant)
        if state is None:
            self.client.delete_item(TableName=self._table, Key=self.table().key(f"{self.tenant}#control", "switch"))
            return 0
        known, revision = controls.read()
        before, epoch = known or ("STOP", 0)
        epoch += (before in SPENDING_STATES) != (state in SPENDING_STATES)
        assert controls.put(state, epoch, revision)
        return epoch


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def dynamo(moto: str) -> Iterator[DynamoWorld]:
    client = dynamo_client(moto)
    yield DynamoWorld(client)
    client.close()


@pytest.fixture(params=["postgres", "dynamo"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "dynamo":
        yield request.getfixturevalue("dynamo")
        return
    urls = request.getfixturevalue("database_urls")
    tenant = request.getfixturevalue("new_tenant")()
    made = PostgresWorld(urls.app, tenant, request.getfixturevalue("make_cfo")(tenant))
    yield made
    for database in made.databases:
        database.close()


@dataclass
class Opened:
    """An open allowance and the store it is in."""

    world: World
    store: AllowanceStore
    request_id: str
    epoch: int

    def draw(self, call_id: str, micros: int, item: CallItem = ITEM) -> Draw:
        return self.store.draw(self.request_id, call_id, micros, item)

    def left(self) -> int:
        return self.store.get(self.request_id).remaining_micros


Open = Callable[..., Opened]


@pytest.fixture
def opened(world: World) -> Open:
    """Opens an allowance of so many micros for an hour."""

    def make(amount: int = USD, hours: float = 1) -> Opened:
        epoch = world.switch("RUN")
        store, request_id = world.store(), world.approved(amount)
        store.open(request_id, amount, epoch, world.clock.now() + timedelta(hours=hours))
        return Opened(world, store, request_id, epoch)

    return make


def code(call: Callable[[], object]) -> str:
    """The error's code, or "" when there was none."""
    try:
        call()
    except ChimeraError as error:
        return error.code
    return ""


def audited(store: AllowanceStore, request_id: str) -> Allowance:
    """The allowance, after checking A1 and A2 of `domain.allowance` on what is stored."""
    allowance, draws = store.get(request_id), store.draws(request_id)
    assert allowance.used_micros == sum(draw.charged_micros for draw in draws), "used is not the sum of the draws"
    assert allowance.used_micros <= allowance.amount_micros or allowance.overrun_micros > 0, "overspent"
    assert allowance.remaining_micros == max(0, allowance.amount_micros - allowance.used_micros)
    return allowance


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


def race(world: World, request_id: str, threads: int, calls: Callable[[int], list[tuple[str, int]]]) -> list[str]:
    """Every thread draws its calls, all beginning at once; gives each call's code ("" when it was drawn)."""
    start = threading.Barrier(threads)

    def work(number: int) -> list[str]:
        store = world.store()
        start.wait(30)
        return [_code_of_any(store, request_id, call_id, micros) for call_id, micros in calls(number)]

    with ThreadPoolExecutor(threads) as pool:
        return [answer for answers in pool.map(work, range(threads)) for answer in answers]


def _code_of_any(store: AllowanceStore, request_id: str, call_id: str, micros: int) -> str:
    try:
        return "" if store.draw(request_id, call_id, micros, ITEM).first else "again"
    except ChimeraError as error:
        return error.code


def check_exact(store: AllowanceStore, request_id: str, answers: list[str], expected: int) -> None:
    """Exactly so many draws were granted, the store holds these and no others, and nothing else was answered."""
    granted = answers.count("")
    assert granted == expected, f"{granted} draws granted, the allowance covers {expected}"
    assert set(answers) <= {"", "BUDGET_EXCEEDED"}, f"answers: {sorted(set(answers))}"
    assert len(store.draws(request_id)) == expected, "the store holds other draws than were granted"
    assert audited(store, request_id).used_micros == store.get(request_id).amount_micros


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


# --- DynamoDB: what real tables do and moto does not


def test_conflicts_are_tried_again_with_a_pause(dynamo: DynamoWorld) -> None:
    client = Conflicting(dynamo.client)
    store = dynamo.store(client)
    epoch = dynamo.switch("RUN")
    request_id = str(uuid.uuid4())
    store.open(request_id, USD, epoch, dynamo.clock.now() + timedelta(hours=1))
    client.fail("transact_write_items", "TransactionConflict", "None", "None", times=3)
    client.fail("transact_write_items", "None", "ThrottlingError", "TransactionConflict")
    client.fail("transact_get_items", code="ProvisionedThroughputExceededException")
    assert store.draw(request_id, "a", 1000, ITEM).first
    assert len(dynamo.pauses) == 5 and all(0 <= pause <= 1 for pause in dynamo.pauses)
    client.fail("transact_write_items", "TransactionConflict")
    client.fail("update_item", code="TransactionConflictException")
    store.correct(request_id, "a", 10)
    assert store.close(request_id).used_micros == 10
    assert client.plan == []
    assert audited(store, request_id).used_micros == 10


def test_a_conflict_without_end_draws_nothing(dynamo: DynamoWorld) -> None:
    client = Conflicting(dynamo.client)
    store = dynamo.store(client)
    request_id = str(uuid.uuid4())
    store.open(request_id, USD, dynamo.switch("RUN"), dynamo.clock.now() + timedelta(hours=1))
    client.fail("transact_write_items", "TransactionConflict", times=ATTEMPTS)
    assert code(lambda: store.draw(request_id, "a", 1000, ITEM)) == "DATABASE_WAKING"
    assert audited(store, request_id).used_micros == 0


def test_a_lost_answer_is_found_again_and_not_drawn_twice(dynamo: DynamoWorld) -> None:
    client = Conflicting(dynamo.client)
    store = dynamo.store(client)
    request_id = str(uuid.uuid4())
    store.open(request_id, USD, dynamo.switch("RUN"), dynamo.clock.now() + timedelta(hours=1))
    client.fail("transact_write_items", code="InternalServerError", status=500, done=True)
    assert code(lambda: store.draw(request_id, "a", 1000, ITEM)) == "DATABASE_WAKING"  # it may have been drawn
    assert not store.draw(request_id, "a", 1000, ITEM).first  # it was; an earlier attempt may have made the call
    # a conflict that is told although the write took effect: the store knows its own draw by its mark
    client.fail("transact_write_items", "TransactionConflict", done=True)
    assert store.draw(request_id, "b", 1000, ITEM).first
    assert audited(store, request_id).used_micros == 2000


def test_what_another_try_cannot_mend_is_told_at_once(dynamo: DynamoWorld) -> None:
    client = Conflicting(dynamo.client)
    store = dynamo.store(client)
    request_id = str(uuid.uuid4())
    store.open(request_id, USD, dynamo.switch("RUN"), dynamo.clock.now() + timedelta(hours=1))
    client.fail("transact_write_items", "ValidationError", "None", "TransactionConflict")
    assert code(lambda: store.draw(request_id, "a", 1, ITEM)) == "INTERNAL"
    client.fail("transact_get_items", code="AccessDeniedException")
    assert code(lambda: store.draw(request_id, "a", 1, ITEM)) == "INTERNAL"  # unreadable: no money
    client.fail("transact_get_items", code="ServiceUnavailable", status=503)
    assert code(lambda: store.draw(request_id, "a", 1, ITEM)) == "DATABASE_WAKING"
    assert dynamo.pauses == [] and audited(store, request_id).used_micros == 0


def test_the_switch_is_checked_inside_the_draw_itself(dynamo: DynamoWorld) -> None:
    class StopsLast(Conflicting):
        """The stop comes between the draw's read and its write."""

        def __getattr__(self, operation: str) -> Callable[..., Any]:
            if operation == "transact_write_items":
                dynamo.switch("STOP")
            return super().__getattr__(operation)

    store = dynamo.store(StopsLast(dynamo.client))
    request_id = str(uuid.uuid4())
    store.open(request_id, USD, dynamo.switch("RUN"), dynamo.clock.now() + timedelta(hours=1))
    assert code(lambda: store.draw(request_id, "a", 1, ITEM)) == "SYSTEM_STOPPED"
    assert audited(dynamo.store(), request_id).used_micros == 0


def test_time_to_live_decides_nothing_and_no_request_token_does(dynamo: DynamoWorld) -> None:
    client = Conflicting(dynamo.client)
    store = dynamo.store(client)
    request_id, end = str(uuid.uuid4()), dynamo.clock.now() + timedelta(hours=1)
    store.open(request_id, USD, dynamo.switch("RUN"), end)
    store.draw(request_id, "a", 1, ITEM)
    items = dynamo.client.scan(TableName=dynamo.table().name)["Items"]
    kept = [int(item["ttl"]["N"]) for item in items if "ttl" in item]
    assert len(kept) == 2 and min(kept) > (end + timedelta(days=80)).timestamp()
    assert not any("ClientRequestToken" in arguments for _, arguments in client.calls)


# --- the negative control


@contextlib.contextmanager
def widened_window(seconds: float) -> Iterator[threading.Event]:
    """Makes moto's window sure to be hit: between an update's condition and its writing, a request waits for another
    one to come as far. Nothing else is changed, and behind the lock no other one can come.
    """
    from moto.dynamodb.parsing.executors import UpdateExpressionExecutor

    original = UpdateExpressionExecutor.execute
    lock, met, inside = threading.Lock(), threading.Event(), 0

    def execute(self: Any, node: Any = None) -> None:
        nonlocal inside
        if node is None and "remaining" in self.item.attrs:
            with lock:
                inside += 1
                if inside == 2:
                    met.set()
            met.wait(seconds)
            with lock:
                inside -= 1
        original(self, node)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UpdateExpressionExecutor, "execute", execute)
        yield met


@pytest.mark.parametrize(("locked", "seconds"), [(False, 20.0), (True, 0.3)])
def test_the_check_finds_out_moto_without_its_lock(locked: bool, seconds: float) -> None:
    """T11: a concurrency test that passes on a store known to overspend would be worth nothing."""
    with moto_server(locked=locked) as url, contextlib.closing(dynamo_client(url)) as client:
        world = DynamoWorld(client)
        store, request_id = world.store(), str(uuid.uuid4())
        store.open(request_id, 1000, world.switch("RUN"), world.clock.now() + timedelta(hours=1))
        with widened_window(seconds) as met:
            answers = race(world, request_id, 2, lambda n: [(f"call-{n}", 1000)])
        if locked:
            assert not met.is_set()
            check_exact(store, request_id, answers, expected=1)
        else:
            assert met.is_set()
            with pytest.raises(AssertionError, match="2 draws granted, the allowance covers 1"):
                check_exact(store, request_id, answers, expected=1)
