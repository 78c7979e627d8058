"""Canvases that are paid: each against a stand-in of its vendor, paid from a real allowance in Postgres."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chimera.adapters.canvases.openai_images import OpenAiCanvas
from chimera.adapters.canvases.runway import RunwayCanvas
from chimera.adapters.local.media import FolderMediaStore
from chimera.adapters.postgres.database import Database
from chimera.errors import ChimeraError
from chimera.purse import Purse
from chimera.usecases.cfo import Cfo
from chimera.usecases.picture_keeping import KeptWork
from chimera.usecases.scope import Scope
from tests.fakes.picture_vendors import KEY, PictureVendors, Trouble
from tests.fakes.spending import Desk

KINDS = [OpenAiCanvas, RunwayCanvas]
SCOPE = Scope(tenant_id="t", run_id="r", task_id="k", content_id="c")


@pytest.fixture
def vendors(picture_shops: PictureVendors) -> PictureVendors:
    return picture_shops


@pytest.fixture
def desk(make_cfo: Callable[..., Cfo], db: Database, tenant: str, cfo_keys: Path) -> Desk:
    return Desk(make_cfo(tenant), db, tenant, cfo_keys)


def kept(folder: Path, name: str = "scene-000-x") -> KeptWork:
    return KeptWork(FolderMediaStore(folder / "media"), SCOPE, name, "f" * 64)


def make(canvas: Any, folder: Path, prompt: str = "a quiet harbour", **more: Any) -> Path:
    about = {"call_id": "scene-0", "aspect": "9:16", "seconds": 4.2, "folder": folder, "kept": kept(folder), **more}
    return Path(canvas.make(prompt, **about))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_made_is_paid_as_drawn_and_kept(
    kind: type, vendors: PictureVendors, desk: Desk, tmp_path: Path
) -> None:
    purse = desk.purse()
    canvas = kind(vendors.context(purse.at("pictures")))
    worst = canvas.worst_case("a quiet harbour", aspect="9:16", seconds=4.2)
    path = make(canvas, tmp_path)
    assert path.stat().st_size > 1000 and len(vendors.billed) == 1
    ((call_id, (state, micros)),) = desk.draws(purse).items()
    assert call_id == f"pictures/{canvas.name}/scene-0" and state == "CORRECTED" and 0 < micros <= worst
    assert kept(tmp_path).found(tmp_path) is not None, "what was paid for survives a kill"
    assert canvas.licence and canvas.origin == "trained_model" and KEY not in str(vars(canvas))


def test_openai_is_asked_as_documented_and_paid_by_tokens(vendors: PictureVendors, desk: Desk, tmp_path: Path) -> None:
    purse = desk.purse()
    canvas = OpenAiCanvas(vendors.context(purse.at("pictures")))
    make(canvas, tmp_path)
    (_, path, headers, body) = vendors.asked[0]
    assert path == "/v1/images/generations" and headers["idempotency-key"] == "pictures/openai/scene-0"
    assert body == {
        "model": "gpt-image-1", "prompt": "a quiet harbour", "n": 1, "size": "1024x1536", "quality": "medium", "output_format": "png",
    }  # fmt: skip
    # 12 tokens in at 5 USD, 1584 out at 40 USD a million
    assert desk.store.get(purse.request_id).used_micros == 60 + 63_360
    assert canvas.worst_case("x" * 90, aspect="9:16") == 770 + 63_360


def test_runway_is_asked_as_documented_and_paid_by_seconds(vendors: PictureVendors, desk: Desk, tmp_path: Path) -> None:
    purse = desk.purse()
    make(RunwayCanvas(vendors.context(purse.at("pictures"))), tmp_path, aspect="16:9")
    assert vendors.asked[0][1] == "/v1/text_to_video"
    assert vendors.asked[0][3] == {
        "model": "gen4.5",
        "promptText": "a quiet harbour",
        "ratio": "1280:720",
        "duration": 5,
    }
    assert len(vendors.paths("/v1/tasks/")) == 3
    assert desk.store.get(purse.request_id).used_micros == 600_000
    assert vendors.asked[-1][2].get("authorization") is None, "the key does not go to where the file is"


def test_runway_makes_footage_from_a_still(vendors: PictureVendors, desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "s.png").write_bytes(b"\x89PNG0123")
    make(RunwayCanvas(vendors.context(desk.purse().at("pictures"))), tmp_path, still=tmp_path / "s.png", aspect="1:1")
    (_, path, _, body) = vendors.asked[0]
    assert (
        path == "/v1/image_to_video"
        and body["promptImage"].startswith("data:image/png;base64,")
        and body["ratio"] == "960:960"
    )


def test_a_killed_wait_asks_for_the_same_task_and_pays_nothing_more(
    vendors: PictureVendors, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    purse = desk.purse()
    canvas = RunwayCanvas(vendors.context(purse.at("pictures")))
    monkeypatch.setattr(canvas, "patience_seconds", 0.0, raising=False)
    with pytest.raises(ChimeraError) as caught:
        make(canvas, tmp_path)
    assert caught.value.code == "PROVIDER_TIMEOUT" and kept(tmp_path).found(tmp_path) is None
    monkeypatch.setattr(canvas, "patience_seconds", 60.0, raising=False)
    assert make(canvas, tmp_path).exists() and vendors.billed == ["runway 5 s"]
    assert desk.store.get(purse.request_id).used_micros == 600_000


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_prompt_is_one_clear_error(kind: type, vendors: PictureVendors, desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(ChimeraError) as caught:
        make(kind(vendors.context(desk.purse().at("pictures"))), tmp_path, "something forbidden")
    assert caught.value.code == "PROVIDER_REJECTED" and kept(tmp_path).found(tmp_path) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", [b"{}", b'{"data": [{"b64_json": "***"}], "id": 7}', b"not json"])
def test_an_answer_without_a_result_keeps_its_worst_case(
    kind: type, body: bytes, vendors: PictureVendors, desk: Desk, tmp_path: Path
) -> None:
    purse = desk.purse()
    canvas = kind(vendors.context(purse.at("pictures")))
    vendors.trouble = [Trouble("/v1/", 200, body)]
    with pytest.raises(ChimeraError) as caught:
        make(canvas, tmp_path)
    assert caught.value.code == "PROVIDER_REJECTED"
    worst = canvas.worst_case("a quiet harbour", aspect="9:16", seconds=4.2)
    assert [charged for _, charged in desk.draws(purse).values()] == [worst]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_asked_without_money(kind: type, vendors: PictureVendors, desk: Desk, tmp_path: Path) -> None:
    purse: Purse = desk.purse("0.01")
    with pytest.raises(ChimeraError) as caught:
        make(kind(vendors.context(purse.at("pictures"))), tmp_path)
    assert caught.value.code == "BUDGET_EXCEEDED" and vendors.asked == []
    with pytest.raises(ChimeraError) as caught:
        make(kind(vendors.context()), tmp_path)
    assert caught.value.code == "FORBIDDEN" and vendors.asked == []


def test_a_model_without_a_price_cannot_be_asked(vendors: PictureVendors) -> None:
    with pytest.raises(ChimeraError, match="no price"):
        OpenAiCanvas(vendors.context(picture_model="gpt-image-99")).worst_case("x", aspect="1:1")
