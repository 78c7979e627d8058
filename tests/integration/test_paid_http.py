"""No draw, no request on a vendor's wire; no key where it does not belong; nothing given back that may be billed."""

from __future__ import annotations

import contextlib
import logging
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chimera.adapters.paid.http import PaidFactory, PaidHttp, Vault, Vendor
from chimera.adapters.postgres.database import Database
from chimera.domain.allowance import CallItem, Draw
from chimera.errors import ChimeraError
from chimera.media.models import SceneSpec
from chimera.plugins.hookspecs import ProviderContext
from chimera.purse import PaidCall, Purse
from chimera.settings import Settings
from chimera.usecases.cfo import Cfo
from tests.fakes.paid_vendor import IMAGE_MICROS, KEY, TOKEN_MICROS, PaidVendor, Trouble, paid_vendor
from tests.fakes.spending import Desk, code

MakeCfo = Callable[..., Cfo]


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
