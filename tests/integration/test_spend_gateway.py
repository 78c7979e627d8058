"""No approval, no purse; no purse, no draw; no draw, no request on a vendor's wire. And every crash keeps the money drawn."""

from __future__ import annotations

import contextlib
import logging
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chimera.adapters.local.clock import SystemClock
from chimera.adapters.local.keys import KeyFolderVerifier
from chimera.adapters.local.media import FolderMediaStore
from chimera.adapters.paid.http import PaidFactory, PaidHttp, Vault, Vendor
from chimera.adapters.postgres.allowances import PostgresAllowances
from chimera.adapters.postgres.controls import PostgresControls
from chimera.adapters.postgres.database import Database
from chimera.domain.allowance import CallItem, Draw
from chimera.domain.approval import ApprovalToken
from chimera.domain.ids import stable_id
from chimera.domain.models import CostLine
from chimera.errors import ChimeraError
from chimera.media.models import SceneSpec
from chimera.plugins.hookspecs import ProviderContext
from chimera.purse import PaidCall, Purse
from chimera.settings import Settings
from chimera.usecases.cfo import Cfo
from chimera.usecases.costs import metered, noted
from chimera.usecases.spend_gateway import SpendGateway
from tests.fakes.paid_vendor import IMAGE_MICROS, KEY, TOKEN_MICROS, PaidVendor, Trouble, paid_vendor

MakeCfo = Callable[..., Cfo]


def code(call: Callable[[], object]) -> str:
    with pytest.raises(ChimeraError) as caught:
        call()
    return caught.value.code


class Desk:
    """A tenant's CFO, store and gateway."""

    def __init__(self, cfo: Cfo, db: Database, tenant: str, keys: Path) -> None:
        self.cfo, self.tenant = cfo, tenant
        self.store = PostgresAllowances(db, tenant)
        self.controls = PostgresControls(db, tenant)
        self.artist = stable_id(tenant, "artist")
        self.gateway = SpendGateway(cfo, self.store, KeyFolderVerifier(keys), SystemClock())

    def approve(self, cost: str = "1.00", agent: str = "artist") -> dict[str, Any]:
        answer = self.cfo.approve(
            {
                "request_id": str(uuid.uuid4()),
                "agent_id": stable_id(self.tenant, agent),
                "request_type": "api_call",
                "request_cost": cost,
                "projected_roi": "9",
                "justification": "a test",
                "currency": "USD",
            }
        )
        assert answer["approved"], answer
        return answer

    def purse(self, cost: str = "1.00") -> Purse:
        return self.gateway.open(self.approve(cost)["token"], agent_id=self.artist, spender="run-1")

    def left(self, purse: Purse) -> int:
        return self.store.get(purse.request_id).remaining_micros

    def draws(self, purse: Purse) -> dict[str, tuple[str, int]]:
        return {draw.call_id: (draw.state, draw.charged_micros) for draw in self.store.draws(purse.request_id)}


@pytest.fixture
def desk(make_cfo: MakeCfo, db: Database, tenant: str, cfo_keys: Path) -> Desk:
    return Desk(make_cfo(tenant), db, tenant, cfo_keys)


@pytest.fixture
def vendor() -> Iterator[PaidVendor]:
    with paid_vendor() as made:
        yield made


def client_of(vendor: PaidVendor, purse: Purse | None, **changes: Any) -> tuple[PaidFactory, PaidHttp]:
    """What a provider has: the factory from its context, and its vendor's client."""
    about = {"name": "acme", "base_url": vendor.url, "secret": "ACME_API_KEY", "timeout_seconds": 5.0, **changes}
    paid = PaidFactory(lambda: Vault({"ACME_API_KEY": KEY}.get), purse)
    return paid, paid.vendor(Vendor(**about))


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


# --- vendors


def chat(client: PaidHttp, call: PaidCall, tokens: int = 100) -> Any:
    return client.post("/v1/chat/completions", call, json={"model": "m", "max_tokens": tokens}).json()


def test_a_paid_call_reaches_the_vendor_with_key_and_call_id(desk: Desk, vendor: PaidVendor) -> None:
    purse = desk.purse()
    paid, client = client_of(vendor, purse.at("judge"))
    with paid.call(client, "verdict", 100 * TOKEN_MICROS, "tokens of m", quantity="100", unit="token") as call:
        used = chat(client, call)["usage"]["completion_tokens"]
        call.used(used * TOKEN_MICROS, str(used))
        assert client.get("/v1/jobs/1", call).json() == {"status": "done"}
    with paid.call(client, "picture", IMAGE_MICROS, "image") as call:
        client.post("/v1/images/generations", call, json={"n": 1})
        call.used(IMAGE_MICROS)
    first, poll, second = vendor.asked
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert first.headers["idempotency-key"] == "judge/acme/verdict"
    assert "idempotency-key" not in poll.headers and second.headers["idempotency-key"] == "judge/acme/picture"
    assert desk.draws(purse)["judge/acme/verdict"] == ("CORRECTED", 20 * TOKEN_MICROS)
    assert desk.store.get(purse.request_id).used_micros == vendor.billed_micros == 20 * TOKEN_MICROS + IMAGE_MICROS


def test_without_an_open_draw_nothing_reaches_the_vendor(desk: Desk, vendor: PaidVendor) -> None:
    purse = desk.purse("0.01")
    paid, client = client_of(vendor, purse)
    with pytest.raises(ChimeraError) as caught, paid.call(client, "big", 10_001, "image") as call:
        chat(client, call)
    assert caught.value.code == "BUDGET_EXCEEDED"
    with paid.call(client, "a", 100, "tokens") as call:
        pass
    assert code(lambda: chat(client, call)) == "FORBIDDEN"  # the draw has ended
    with paid.call(client, "b", 100, "tokens") as call:
        call.not_made()
        assert code(lambda: chat(client, call)) == "FORBIDDEN"
    nobody, unpaid = client_of(vendor, None)
    with pytest.raises(ChimeraError) as caught, nobody.call(unpaid, "a", 1, "tokens"):
        raise AssertionError("a call without a purse ran")
    assert caught.value.code == "FORBIDDEN"
    fake: Any = type("Fake", (), {"live": True, "sent": False, "call_id": "x", "not_made": lambda self: None})()
    assert code(lambda: chat(client, fake)) == "FORBIDDEN"
    desk.controls.set("STOP", by="Ada", reason="a test")
    with pytest.raises(ChimeraError) as caught, paid.call(client, "c", 100, "tokens") as call:
        chat(client, call)
    assert caught.value.code == "SYSTEM_STOPPED"
    assert vendor.asked == [] and vendor.billed_micros == 0


def test_nothing_can_be_made_directly(vendor: PaidVendor) -> None:
    about = Vendor(name="acme", base_url=vendor.url, secret="ACME_API_KEY")
    draw = Draw(
        request_id=str(uuid.uuid4()), call_id="a", item=CallItem(step="s", item="i"), drawn_micros=10**9
    )  # from nowhere
    assert code(lambda: PaidCall(object(), draw)) == "FORBIDDEN"
    assert code(lambda: PaidHttp(object(), about, lambda: Vault({"ACME_API_KEY": KEY}.get))) == "FORBIDDEN"
    with pytest.raises(TypeError):
        Vendor(name="acme", base_url=vendor.url, secret="ACME_API_KEY", key=KEY)  # type: ignore[call-arg]
    context = ProviderContext(settings=Settings())
    client = context.paid.vendor(about)
    with pytest.raises(ChimeraError) as caught, context.paid.call(client, "a", 1, "tokens"):
        raise AssertionError("paid from nothing")
    assert caught.value.code == "FORBIDDEN"
    assert vendor.asked == []


def test_the_vault_gives_a_vendors_key_to_its_own_client_only(desk: Desk, vendor: PaidVendor) -> None:
    paid, client = client_of(vendor, desk.purse())
    other = paid.vendor(Vendor(name="evil", base_url="https://evil.example", secret="ACME_API_KEY"))
    vault = Vault({"ACME_API_KEY": KEY, "BAD": "two words"}.get)
    with paid.call(client, "a", 1, "tokens") as call:
        assert vault.key(client.vendor, call, client) == KEY
        assert code(lambda: vault.key(client.vendor, call, other)) == "FORBIDDEN"
        missing = paid.vendor(Vendor(name="x", base_url=vendor.url, secret="NOT_SET"))
        assert code(lambda: vault.key(missing.vendor, call, missing)) == "PROVIDER_REJECTED"
        spaced = paid.vendor(Vendor(name="x", base_url=vendor.url, secret="BAD"))
        assert code(lambda: vault.key(spaced.vendor, call, spaced)) == "PROVIDER_REJECTED"
    assert code(lambda: vault.key(client.vendor, call, client)) == "FORBIDDEN"


@pytest.mark.parametrize(
    "url",
    ["http://example.com", "ftp://example.com", "https://", "https://u:p@example.com", "https://example.com/",
     "https://example.com?x=1", "example.com", ""],
)  # fmt: skip
def test_a_key_travels_only_encrypted(url: str) -> None:
    assert code(lambda: PaidFactory().vendor(Vendor(name="x", base_url=url, secret="S"))) == "VALIDATION_FAILED"


@pytest.mark.parametrize(
    "path", ["", "v1", "//evil.example/x", "https://evil.example", "/../x", "/a b", "/a?k=v", "/a\n"]
)
def test_a_path_cannot_lead_elsewhere(desk: Desk, vendor: PaidVendor, path: str) -> None:
    paid, client = client_of(vendor, desk.purse())
    with paid.call(client, "a", 1, "tokens") as call:
        assert code(lambda: client.post(path, call, json={})) == "VALIDATION_FAILED"
    assert vendor.asked == []


def test_a_draw_is_for_one_request(desk: Desk, vendor: PaidVendor) -> None:
    paid, client = client_of(vendor, desk.purse())
    _, twin = client_of(vendor, None)
    with paid.call(client, "a", 1000, "tokens") as call:
        chat(client, call)
        assert code(lambda: chat(client, call)) == "CONFLICT"
        assert code(lambda: chat(twin, call)) == "CONFLICT"
    assert len(vendor.asked) == 1


@pytest.mark.parametrize(
    ("trouble", "expected", "state"),
    [
        (Trouble(status=401), "PROVIDER_REJECTED", "RETURNED"),
        (Trouble(status=403), "PROVIDER_REJECTED", "RETURNED"),
        (Trouble(status=404), "PROVIDER_REJECTED", "RETURNED"),
        (Trouble(status=429, headers={"Retry-After": "7"}), "RATE_LIMITED", "RETURNED"),
        (Trouble(status=400), "PROVIDER_REJECTED", "OPEN"),
        (Trouble(status=500, serve=True), "PROVIDER_TIMEOUT", "OPEN"),
        (Trouble(status=503), "PROVIDER_TIMEOUT", "OPEN"),
        (Trouble(hang_up=True, serve=True), "PROVIDER_TIMEOUT", "OPEN"),
        (Trouble(silent=True, serve=True), "PROVIDER_TIMEOUT", "OPEN"),
        (Trouble(status=302, headers={"Location": "/elsewhere"}), "PROVIDER_REJECTED", "OPEN"),
        (Trouble(body=b"<html>"), "PROVIDER_REJECTED", "OPEN"),
    ],
)
def test_only_what_is_known_not_to_be_billed_goes_back(
    desk: Desk, vendor: PaidVendor, trouble: Trouble, expected: str, state: str
) -> None:
    purse = desk.purse()
    paid, client = client_of(vendor, purse, timeout_seconds=0.5)
    vendor.trouble = [trouble]
    with pytest.raises(ChimeraError) as caught, paid.call(client, "a", 1000, "tokens") as call:
        chat(client, call)
    assert caught.value.code == expected
    assert desk.draws(purse)["acme/a"][0] == state
    assert len(vendor.asked) == 1, "nothing is tried again by itself"
    if expected == "RATE_LIMITED":
        assert caught.value.retry_after_seconds == 7 and caught.value.retryable
    with paid.call(client, "a", 1000, "tokens") as call:  # the state machine asks again
        call.used(chat(client, call)["usage"]["completion_tokens"] * TOKEN_MICROS)
        assert call.call_id == ("acme/a" if state == "RETURNED" else "acme/a~2")
    assert vendor.billed_micros <= desk.store.get(purse.request_id).used_micros


def test_a_vendor_that_dedupes_is_asked_again_under_the_same_key(desk: Desk) -> None:
    with paid_vendor(dedupes=True) as vendor:
        purse = desk.purse()
        paid, client = client_of(vendor, purse, timeout_seconds=0.5, dedupes_by_key=True)
        vendor.trouble = [Trouble(hang_up=True, serve=True)]
        with contextlib.suppress(ChimeraError), paid.call(client, "a", 1000, "tokens") as call:
            chat(client, call)
        with paid.call(client, "a", 1000, "tokens") as call:
            call.used(chat(client, call)["usage"]["completion_tokens"] * TOKEN_MICROS)
        assert {asked.headers["idempotency-key"] for asked in vendor.asked} == {"acme/a"}
        assert vendor.billed_micros == desk.store.get(purse.request_id).used_micros == 20 * TOKEN_MICROS


def test_an_unreachable_vendor_costs_nothing(desk: Desk) -> None:
    purse = desk.purse()
    with paid_vendor() as vendor:
        paid, client = client_of(vendor, purse)
    with pytest.raises(ChimeraError) as caught, paid.call(client, "a", 1000, "tokens") as call:
        chat(client, call)
    assert caught.value.code == "AGENT_OFFLINE" and desk.left(purse) == 1_000_000


def test_the_key_is_in_no_log_and_no_error_and_goes_nowhere_else(
    desk: Desk, vendor: PaidVendor, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    with paid_vendor() as elsewhere:
        vendor.trouble = [
            Trouble(status=307, headers={"Location": f"{elsewhere.url}/v1/chat/completions"}),
            Trouble(status=308, headers={"Location": f"//localhost:{elsewhere.url.rpartition(':')[2]}/x"}),
            Trouble(status=401, body=f"invalid key {KEY} given".encode()),
            Trouble(status=500, body=KEY.encode()),
            Trouble(hang_up=True),
        ]
        paid, client = client_of(vendor, desk.purse())
        for number in range(5):
            with pytest.raises(ChimeraError) as caught, paid.call(client, f"n{number}", 10, "tokens") as call:
                chat(client, call)
            error: BaseException | None = caught.value
            while error is not None:  # what a traceback would show
                told += [str(error), repr(error), *(repr(a) for a in error.args)]
                error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        assert elsewhere.asked == []
    told += [repr(client), repr(client.vendor), repr(vars(client)), str(vars(paid)), caplog.text, *capfd.readouterr()]
    assert len(vendor.asked) == 5 and not [text for text in told if KEY in text]


def test_own_headers_cannot_be_replaced(desk: Desk, vendor: PaidVendor) -> None:
    paid, client = client_of(vendor, desk.purse())
    with paid.call(client, "a", 1000, "tokens") as call:
        extra = {"authorization": "Bearer other", "IDEMPOTENCY-KEY": "other", "X-Version": "1"}
        client.post("/v1/chat/completions", call, json={"max_tokens": 1}, headers=extra)
    assert vendor.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert vendor.asked[0].headers["idempotency-key"] == "acme/a" and vendor.asked[0].headers["x-version"] == "1"


def test_the_documented_provider_paints_and_pays(desk: Desk, vendor: PaidVendor, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "allowances.md").read_text(encoding="utf-8")
    code_shown = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[0]
    shown: dict[str, Any] = {}
    exec(code_shown.replace("https://api.acme.example", vendor.url), shown)
    purse = desk.purse()
    paid, _ = client_of(vendor, purse.at("pictures"))
    settings = Settings(price_list='{"acme/painter": {"image": "0.04"}}')
    canvas = shown["AcmeCanvas"](ProviderContext(settings=settings, paid=paid))
    canvas.paint(SceneSpec(visual_prompt="a tide"), index=3, out_png=tmp_path / "scene.png", seed=1)
    assert (tmp_path / "scene.png").stat().st_size == 3
    assert vendor.asked[0].body == {"prompt": "a tide", "n": 1}
    assert desk.draws(purse) == {"pictures/acme/scene-3": ("CORRECTED", IMAGE_MICROS)}
