"""No approval, no purse; no purse, no draw. And every crash keeps the money drawn until it is settled."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chimera.adapters.local.clock import SystemClock
from chimera.adapters.local.media import FolderMediaStore
from chimera.adapters.postgres.database import Database
from chimera.domain.allowance import CallItem
from chimera.domain.approval import ApprovalToken
from chimera.domain.ids import stable_id
from chimera.domain.models import CostLine
from chimera.errors import ChimeraError
from chimera.usecases.cfo import Cfo
from chimera.usecases.costs import metered, noted
from tests.fakes.spending import Desk, code

MakeCfo = Callable[..., Cfo]


@pytest.fixture
def desk(make_cfo: MakeCfo, db: Database, tenant: str, cfo_keys: Path) -> Desk:
    return Desk(make_cfo(tenant), db, tenant, cfo_keys)


# --- approvals become purses


def test_an_approval_opens_a_purse_of_its_amount_once(desk: Desk) -> None:
    answer = desk.approve("0.25")
    purse = desk.gateway.open(
        answer["token"], agent_id=desk.artist, spender="run-1", request_id=answer["request_id"], amount_micros=250_000
    )
    assert purse.request_id == answer["request_id"] and desk.left(purse) == 250_000
    assert desk.cfo.state(answer["request_id"]) == "DISPATCHED"
    with purse.call("a", 100_000, "image"):
        pass
    again = desk.gateway.open(answer["token"], agent_id=desk.artist, spender="run-1")  # the same work after a crash
    assert desk.left(again) == 150_000
    assert code(lambda: desk.gateway.open(answer["token"], agent_id=desk.artist, spender="run-2")) == "CONFLICT"


def test_what_does_not_fit_the_approval_opens_nothing(desk: Desk, new_tenant: Callable[..., str]) -> None:
    answer = desk.approve("0.25")
    token = answer["token"]

    def opened(token: Any, **changes: Any) -> str:
        asked = {"agent_id": desk.artist, "spender": "run-1", **changes}
        return code(lambda: desk.gateway.open(token, **asked))

    forged = {**token, "claims": {**token["claims"], "amount_micros": "999999999"}}
    turned = {**token, "sig": token["sig"][::-1]}
    foreign = {**token, "claims": {**token["claims"], "tenant_id": new_tenant()}}
    for bad in (None, {}, forged, turned, foreign, {**token, "kid": "x" * 43}):
        assert opened(bad) == "INVALID_SIGNATURE"
    assert opened(token, agent_id=stable_id(desk.tenant, "scout")) == "INVALID_SIGNATURE"
    assert opened(token, request_id=str(uuid.uuid4())) == "INVALID_SIGNATURE"
    assert opened(token, amount_micros=250_001) == "INVALID_SIGNATURE"
    assert desk.cfo.state(answer["request_id"]) == "SIGNED"
    assert code(lambda: desk.store.get(answer["request_id"])) == "NOT_FOUND"
    desk.controls.set("STOP", by="Ada", reason="a test")
    assert opened(ApprovalToken.model_validate(token)) == "SYSTEM_STOPPED"
    desk.controls.set("RUN", by="Ada", reason="a test")
    assert opened(token) == "CONFLICT"  # approved in an epoch before the stop
    assert code(lambda: desk.store.get(answer["request_id"])) == "NOT_FOUND"


def test_no_allowance_comes_from_nowhere(desk: Desk) -> None:
    """An allowance without a reservation in Postgres behind it cannot be opened, not even by whoever has the store."""
    soon = SystemClock().now()
    assert code(lambda: desk.store.open(str(uuid.uuid4()), 10**12, 1, soon)) == "NOT_FOUND"


# --- calls


def test_a_call_that_reports_is_corrected_and_one_that_does_not_keeps_its_worst_case(desk: Desk) -> None:
    purse = desk.purse()
    with purse.at("pictures").call("scene-1", 50_000, "image 1024x1536", quantity="1", unit="image") as call:
        assert desk.left(purse) == 950_000
        call.used(40_000, "1")
    with purse.at("pictures").call("scene-2", 50_000, "image 1024x1536"):
        pass
    with pytest.raises(RuntimeError), purse.at("pictures").call("scene-3", 50_000, "image 1024x1536"):
        raise RuntimeError("the answer was lost")
    with pytest.raises(RuntimeError), purse.call("voice", 50_000, "speech") as call:
        call.used(10_000)
        raise RuntimeError("after the bill was known")
    with pytest.raises(RuntimeError), purse.call("other", 50_000, "speech") as call:
        call.not_made()
        raise RuntimeError("never sent")
    assert desk.draws(purse) == {
        "pictures/scene-1": ("CORRECTED", 40_000),
        "pictures/scene-2": ("OPEN", 50_000),
        "pictures/scene-3": ("OPEN", 50_000),
        "voice": ("CORRECTED", 10_000),
        "other": ("RETURNED", 0),
    }
    assert desk.left(purse) == 850_000
    assert {draw.item.step for draw in desk.store.draws(purse.request_id)} == {"pictures", "voice", "other"}


def test_an_attempt_after_one_that_may_be_billed_is_drawn_for_again(desk: Desk) -> None:
    purse = desk.purse()
    for _ in range(3):
        with contextlib.suppress(RuntimeError), purse.call("a", 100_000, "image"):
            raise RuntimeError("lost")
    assert desk.draws(purse) == dict.fromkeys(("a", "a~2", "a~3"), ("OPEN", 100000))
    with contextlib.suppress(RuntimeError), purse.call("b", 100_000, "image", repeatable=True):
        raise RuntimeError("lost")
    with purse.call("b", 100_000, "image", repeatable=True) as call:  # the vendor bills both as one
        assert call.call_id == "b"
        call.used(100_000)
    assert desk.left(purse) == 600_000
    with pytest.raises(ChimeraError) as caught, purse.call("c", 600_001, "image"):
        raise AssertionError("the body of a refused call ran")
    assert caught.value.code == "BUDGET_EXCEEDED"


def test_a_failing_booking_never_hides_why_the_call_failed(desk: Desk) -> None:
    purse = desk.purse()
    with pytest.raises(ZeroDivisionError), purse.call("a", 100_000, "image") as call:
        call.used(1)
        desk.store.close(purse.request_id)  # the run was ended meanwhile
        raise ZeroDivisionError
    assert desk.draws(purse)["a"] == ("OPEN", 100_000)
    assert desk.store.get(purse.request_id).used_micros == 100_000


def test_a_cost_that_is_known_already_is_booked_once(desk: Desk) -> None:
    purse = desk.purse()
    item = CallItem(step="brief", item="vCPU and memory", quantity="1.5", unit="vCPU second", category="compute")
    for _ in range(2):
        purse.book("brief", 1234, item)
    assert desk.draws(purse) == {"brief": ("CORRECTED", 1234)} and desk.left(purse) == 998_766


# --- steps that are metered


def test_a_step_draws_before_it_begins_and_is_corrected_to_what_was_measured(desk: Desk, tmp_path: Path) -> None:
    media, purse, prefix = FolderMediaStore(tmp_path), desk.purse(), "tenants/t/content/c"
    with metered(media, prefix, "voice", gigabytes=0.5, purse=purse, worst_case_micros=400_000):
        assert desk.draws(purse) == {"voice": ("OPEN", 400_000)}
        sum(i * i for i in range(200_000))
    (line,) = noted(media, prefix)
    assert desk.draws(purse) == {"voice": ("CORRECTED", line.amount_micros)} and line.amount_micros > 0
    with (
        pytest.raises(ValueError),
        metered(media, prefix, "voice", gigabytes=1, purse=purse, worst_case_micros=400_000),
    ):
        raise ValueError("broke")  # measured all the same; the finished first run keeps its own line
    lines = {line.call_id: line for line in noted(media, prefix)}
    assert lines["voice"].complete and not lines["voice~2"].complete
    states = desk.draws(purse)
    assert states["voice~2"] == ("CORRECTED", lines["voice~2"].amount_micros)
    bill = desk.gateway.bill(purse.request_id, media, prefix)
    assert sum(line.amount_micros for line in bill) == sum(line.amount_micros for line in lines.values())


def test_a_killed_step_goes_on_under_its_draw_and_is_not_paid_twice(desk: Desk, tmp_path: Path) -> None:
    media, purse, prefix = FolderMediaStore(tmp_path), desk.purse(), "tenants/t/content/c"
    desk.store.draw(
        purse.request_id,
        "render",
        900_000,
        CallItem(step="render", item="vCPU and memory", quantity="0", unit="vCPU second", category="compute"),
    )
    killed = CostLine(
        step="render",
        item="vCPU and memory",
        quantity="3.5",
        unit="vCPU second",
        amount_micros=70_000,
        complete=False,
        call_id="render",
    )
    media.put_bytes(f"{prefix}/costs/render.json", killed.model_dump_json().encode())
    with metered(media, prefix, "render", gigabytes=4, purse=purse, worst_case_micros=900_000):
        pass
    state, charged = desk.draws(purse)["render"]
    assert state == "CORRECTED" and 70_000 <= charged < 80_000
    assert list(desk.draws(purse)) == ["render"]


def test_a_step_that_is_refused_does_not_run(desk: Desk, tmp_path: Path) -> None:
    media, purse, ran = FolderMediaStore(tmp_path), desk.purse("0.01"), []
    with pytest.raises(ChimeraError), metered(media, "t", "render", gigabytes=4, purse=purse, worst_case_micros=10_001):
        ran.append(1)
    desk.controls.set("STOP", by="Ada", reason="a test")
    paid = metered(media, "t", "render", gigabytes=4, purse=purse, worst_case_micros=1)
    with pytest.raises(ChimeraError) as caught, paid:
        ran.append(2)
    assert caught.value.code == "SYSTEM_STOPPED" and ran == [] and desk.draws(purse) == {}


# --- the bill


def test_the_bill_is_the_sum_of_actuals_and_of_worst_cases_that_were_never_corrected(
    desk: Desk, tmp_path: Path
) -> None:
    media, purse, prefix = FolderMediaStore(tmp_path), desk.purse(), "tenants/t/content/c"
    with purse.call("voice", 300_000, "speech") as call:
        call.used(120_000, "800")
    with contextlib.suppress(RuntimeError), purse.call("pictures", 200_000, "image"):
        raise RuntimeError("crash")
    with contextlib.suppress(RuntimeError), purse.call("judge", 100_000, "tokens") as call:
        call.not_made()
    for _ in range(2):  # settling again, after a crash, is the same
        lines = desk.gateway.bill(purse.request_id, media, prefix)
        assert {line.call_id: (line.amount_micros, line.complete) for line in lines} == {
            "voice": (120_000, True),
            "pictures": (200_000, False),
        }
        settled = desk.cfo.settle(purse.request_id, lines)
        assert (settled["actual_micros"], settled["released"]) == (320_000, "0.68")
    details = desk.cfo.answer(purse.request_id)
    assert details["amount"] == "1.00"
    assert code(lambda: desk.gateway.open(details["token"], agent_id=desk.artist, spender="run-1")) == "CONFLICT"


def test_a_finished_measurement_corrects_a_draw_that_a_crash_left_open(desk: Desk, tmp_path: Path) -> None:
    media, purse, prefix = FolderMediaStore(tmp_path), desk.purse(), "tenants/t/content/c"
    item = CallItem(step="voice", item="vCPU and memory", quantity="0", unit="vCPU second", category="compute")
    for name, complete in (("voice", True), ("pictures", False)):
        desk.store.draw(purse.request_id, name, 300_000, item)
        line = CostLine(
            step=name,
            item="vCPU and memory",
            quantity="2",
            unit="vCPU second",
            amount_micros=5_000,
            complete=complete,
            call_id=name,
        )
        media.put_bytes(f"{prefix}/costs/{name}.json", line.model_dump_json().encode())
    bill = {line.call_id: line.amount_micros for line in desk.gateway.bill(purse.request_id, media, prefix)}
    assert bill == {"voice": 5_000, "pictures": 300_000}


def test_a_crash_between_dispatch_and_opening_is_billed_at_what_the_brief_used(desk: Desk, tmp_path: Path) -> None:
    media, prefix, answer = FolderMediaStore(tmp_path), "tenants/t/content/c", desk.approve()
    desk.cfo.dispatch(answer["token"], "run-1")
    brief = CostLine(step="brief", item="vCPU", quantity="1", unit="vCPU second", amount_micros=700)
    media.put_bytes(f"{prefix}/costs/brief.json", brief.model_dump_json().encode())
    assert desk.gateway.bill(answer["request_id"], media, prefix) == [brief]
    # a dispatch that was asleep meanwhile does not get a purse any more
    assert code(lambda: desk.gateway.open(answer["token"], agent_id=desk.artist, spender="run-1")) == "CONFLICT"
