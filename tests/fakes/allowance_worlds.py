"""Both kinds of allowance store as tests use them, and the checks that every test of them ends with."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from chimera.adapters.aws.dynamo import Table
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
from tests.fakes.locked_moto import make_table

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


def open_in(world: World, amount: int = USD, hours: float = 1) -> Opened:
    """An allowance of so many micros for so many hours."""
    epoch = world.switch("RUN")
    store, request_id = world.store(), world.approved(amount)
    store.open(request_id, amount, epoch, world.clock.now() + timedelta(hours=hours))
    return Opened(world, store, request_id, epoch)


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
