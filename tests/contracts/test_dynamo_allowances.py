"""What real DynamoDB tables do and moto does not: conflicts, lost answers, twins; and what moto does and tables do not."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from chimera.adapters.aws.dynamo import ATTEMPTS
from tests.fakes.allowance_worlds import (
    ITEM,
    USD,
    DynamoWorld,
    audited,
    check_exact,
    code,
    race,
)
from tests.fakes.locked_moto import Conflicting, dynamo_client, moto_server


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def dynamo(moto: str) -> Iterator[DynamoWorld]:
    client = dynamo_client(moto)
    yield DynamoWorld(client)
    client.close()


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


def test_a_twin_that_comes_between_reading_and_writing_is_noticed(dynamo: DynamoWorld) -> None:
    class Between(Conflicting):
        """Lets a twin act once, just before the next write."""

        twin: Callable[[], object] | None = None

        def __getattr__(self, operation: str) -> Callable[..., Any]:
            if operation == "transact_write_items" and self.twin is not None:
                act, self.twin = self.twin, None
                act()
            return super().__getattr__(operation)

    client = Between(dynamo.client)
    store, other, request_id = dynamo.store(client), dynamo.store(), str(uuid.uuid4())
    store.open(request_id, 1000, dynamo.switch("RUN"), dynamo.clock.now() + timedelta(hours=1))

    def both(mine: Callable[[], object], twin: Callable[[], object]) -> str:
        client.twin = twin
        answer = code(mine)
        assert client.twin is None
        audited(store, request_id)
        return answer

    # the same call drawn by both: one draw
    client.twin = lambda: other.draw(request_id, "a", 300, ITEM)
    assert not store.draw(request_id, "a", 300, ITEM).first
    # corrected by both: the first one's amount holds, and the rest goes back once
    assert both(
        lambda: store.correct(request_id, "a", 200), lambda: other.correct(request_id, "a", 100)
    ) == "CONFLICT"  # fmt: skip
    assert store.get(request_id).used_micros == 100
    # given back by both, and drawn anew in between
    draw = store.draw(request_id, "b", 300, ITEM)

    def again() -> None:
        other.give_back(request_id, "b", draw.attempt)
        other.draw(request_id, "b", 300, ITEM)

    assert both(lambda: store.give_back(request_id, "b", draw.attempt), again) == "CONFLICT"
    assert store.get(request_id).used_micros == 400
    # drawn anew by both
    other.give_back(request_id, "b", draw.attempt + 1)
    client.twin = lambda: other.draw(request_id, "b", 250, ITEM)
    assert code(lambda: store.draw(request_id, "b", 300, ITEM)) == "CONFLICT"
    assert store.get(request_id).used_micros == 350
    # the last of the money is drawn, or the allowance closed, in between
    assert both(lambda: store.draw(request_id, "c", 650, ITEM), lambda: other.draw(request_id, "d", 1, ITEM)) == (
        "BUDGET_EXCEEDED"
    )
    assert both(lambda: store.draw(request_id, "c", 1, ITEM), lambda: other.close(request_id)) == "CONFLICT"
    assert store.close(request_id).used_micros == 351


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
