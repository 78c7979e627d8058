"""The pictures' step as a whole: who delivers in which order, what is paid, what a killed step finds again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from chimera.adapters.canvases.cards import CardCanvas
from chimera.adapters.canvases.openai_images import OpenAiCanvas
from chimera.adapters.canvases.runway import RunwayCanvas
from chimera.adapters.libraries.collections import Openverse
from chimera.adapters.libraries.stock import Pexels, Unsplash
from chimera.domain.models import Draft
from chimera.domain.prices import production_limits, step_worst_case, waiting_cost, with_waiting
from chimera.errors import ChimeraError
from chimera.purse import Purse
from chimera.usecases import picturing
from chimera.usecases.casting import Policy
from chimera.usecases.paid_estimate import outside_work
from chimera.usecases.picturing import PictureRules, paint
from chimera.usecases.production import MadeContent
from tests.fakes.picture_vendors import SCENES, Item, PictureVendors, Trouble, content, storyboard
from tests.fakes.quick_purse import QuickStore

SHELF = [Item(11, "Harbour bridge"), Item(12, "Ferry boat on the bay"), Item(13, "Old steel bridge over a river")]


@pytest.fixture
def vendors(picture_shops: PictureVendors, monkeypatch: pytest.MonkeyPatch) -> PictureVendors:
    for name in ("OPENAI_API_KEY", "RUNWAY_API_KEY"):
        monkeypatch.setenv(name, "set; the vault of the test gives the key")
    picture_shops.shelf = list(SHELF)
    return picture_shops


class Studio:
    """The step with all providers, led to the stand-ins; `store` is what it paid from."""

    def __init__(self, vendors: PictureVendors, *, paid_pictures: bool = False) -> None:
        self.vendors, self.store = vendors, QuickStore()
        free = vendors.context()
        self.rules = PictureRules(
            now=lambda: datetime(2026, 1, 2, tzinfo=UTC), paid_pictures=paid_pictures,
            libraries={lib.name: lib for lib in (Pexels(free), Unsplash(free), Openverse(free))},
        )  # fmt: skip

    def run(self, made: MadeContent) -> dict[str, Any]:
        purse = Purse(self.store, "q")  # type: ignore[arg-type]
        context = self.vendors.context(purse.at("pictures"))
        canvases = {c.name: c for c in (CardCanvas(), OpenAiCanvas(context), RunwayCanvas(context))}
        paint(made, canvases, purse, self.rules)
        return made.read("pictures", "pictures.json")

    def bought(self) -> dict[str, int]:
        return {k: v for k, v in self.store.spent.items() if "/" in k}


def test_without_anything_every_scene_is_a_card_and_nobody_is_asked(vendors: PictureVendors, tmp_path: Path) -> None:
    result = Studio(vendors).run(content(tmp_path))
    families = [scene["family"] for scene in [*result["scenes"], result["outro"]]]
    assert result["provider"] == "cards" and len(set(families)) == 4 and vendors.asked == []
    assert all(scene["origin"] == "algorithm" and scene["refused"] == [] for scene in result["scenes"])


def test_a_library_delivers_what_fits_with_its_licence_and_credit(vendors: PictureVendors, tmp_path: Path) -> None:
    made = content(tmp_path, guidelines={"libraries": ["pexels", "unknown"]})
    result = Studio(vendors).run(made)
    assert [s["source"].rstrip("/").rsplit("/", 1)[-1] for s in result["scenes"]] == ["11", "12", "13"]
    for scene in result["scenes"]:
        assert scene["provider"] == "pexels" and scene["licence"] == "Pexels License" and scene["author"] == "Ada Ray"
        assert scene["origin"] == "person" and scene["fit"] >= 0.42 and scene["scrim"] == 0.0 and scene["licence_url"]
    assert (
        result["credits"][0] == "Photo by Ada Ray on Pexels (https://www.pexels.com/photo/11/)"
        and len(result["credits"]) == 3
    )


def test_what_does_not_fit_or_repeats_leaves_a_card(vendors: PictureVendors, tmp_path: Path) -> None:
    vendors.shelf = [
        Item(21, "Tennis court", looks=1),
        Item(22, "Harbour bridge", looks=2),
        Item(23, "Old steel bridge", looks=2),
    ]
    scenes = Studio(vendors).run(content(tmp_path, guidelines={"libraries": ["pexels"]}))["scenes"]
    assert [s["provider"] for s in scenes] in (["pexels", "cards", "cards"], ["cards", "cards", "pexels"])
    assert "none fits" in scenes[1]["refused"][0]
    assert any("looks like scene" in reason for s in scenes for reason in s["refused"])


def test_one_work_is_not_shown_twice_in_a_video_nor_in_the_personas_last_ten(
    vendors: PictureVendors, tmp_path: Path
) -> None:
    vendors.shelf = [Item(31, "Old steel harbour bridge and ferry boat on the bay")]
    studio = Studio(vendors)
    about = {"guidelines": {"libraries": ["pexels"]}}
    first = studio.run(content(tmp_path, **about))["scenes"]
    assert [s["provider"] for s in first].count("pexels") == 1
    again = studio.run(content(tmp_path, **about))["scenes"]
    assert {s["provider"] for s in again} == {"cards"} and any(
        "was shown in content" in r for s in again for r in s["refused"]
    )


def test_a_library_in_trouble_is_noted_and_the_next_is_asked(vendors: PictureVendors, tmp_path: Path) -> None:
    vendors.trouble = [Trouble("/v1/search", 429) for _ in SCENES[:1]]
    scenes = Studio(vendors).run(
        content(tmp_path, scenes=SCENES[:1], guidelines={"libraries": ["pexels", "unsplash"]})
    )["scenes"]
    assert {s["provider"] for s in scenes} == {"unsplash"} and "RATE_LIMITED" in scenes[0]["refused"][0]
    assert len(vendors.paths("/photos/")) == 1, "use is reported"


def test_a_file_that_is_no_picture_is_refused(vendors: PictureVendors, tmp_path: Path) -> None:
    vendors.trouble = [Trouble("/files/", 200, b"#EXTM3U\nfile:///etc/passwd\n") for _ in SCENES]
    scenes = Studio(vendors).run(content(tmp_path, guidelines={"libraries": ["openverse"]}))["scenes"]
    assert {s["provider"] for s in scenes} <= {"cards", "openverse"} and any(
        "playlist" in r for s in scenes for r in s["refused"]
    )


def test_generators_are_paid_only_when_named_and_counted(vendors: PictureVendors, tmp_path: Path) -> None:
    uncounted = Studio(vendors)
    assert {
        s["provider"] for s in uncounted.run(content(tmp_path, guidelines={"libraries": ["openai"]}))["scenes"]
    } == {"cards"}
    unnamed = Studio(vendors)
    assert {s["provider"] for s in unnamed.run(content(tmp_path, counted=10**6))["scenes"]} == {"cards"}
    assert vendors.billed == [] and uncounted.bought() == unnamed.bought() == {}
    studio = Studio(vendors)
    result = studio.run(content(tmp_path, scenes=SCENES[:2], guidelines={"libraries": ["openai"]}, counted=10**6))
    assert {s["provider"] for s in result["scenes"]} == {"openai"} and len(vendors.billed) == 2
    assert {s["origin"] for s in result["scenes"]} == {"trained_model"} and "OpenAI" in result["scenes"][0]["licence"]
    assert sorted(studio.bought()) == [f"pictures/openai/scene-{n}" for n in range(2)]
    prompts = [body["prompt"] for _, path, _, body in vendors.asked if path == "/v1/images/generations"]
    assert all("No text" in p and "calm" in p for p in prompts) and any(
        p.startswith("harbour bridge.") for p in prompts
    )


def test_no_more_is_bought_than_was_counted(vendors: PictureVendors, tmp_path: Path) -> None:
    studio = Studio(vendors, paid_pictures=True)
    made = content(tmp_path, counted=140_000)
    scenes = studio.run(made)["scenes"]
    assert [s["provider"] for s in scenes].count("openai") == 2 and sum(studio.bought().values()) <= 140_000
    assert any("did not count" in r for s in scenes for r in s["refused"])


def test_a_refused_prompt_goes_to_the_next_and_then_to_a_card(vendors: PictureVendors, tmp_path: Path) -> None:
    vendors.moderation = "ferry"
    scenes = Studio(vendors).run(content(tmp_path, guidelines={"libraries": ["openai"]}, counted=10**6))["scenes"]
    assert [s["provider"] for s in scenes] == ["openai", "cards", "openai"] and "PROVIDER_REJECTED" in scenes[1][
        "refused"
    ][-1]


def test_footage_is_found_bought_or_a_still_stands_in(vendors: PictureVendors, tmp_path: Path) -> None:
    board = storyboard({"want": "footage"}, {"want": "footage"}, {"want": "card", "style": "split"})
    vendors.shelf = [Item(41, "harbour bridge", "footage")]
    result = Studio(vendors).run(
        content(tmp_path, storyboard=board, guidelines={"libraries": ["pexels", "runway"]}, counted=10**7)
    )
    first, second, third = result["scenes"]
    # the library's clip and the generated one are the same here: whoever comes second may not show it again
    (shown,) = [s for s in (first, second) if s.get("footage")]
    assert shown["provider"] in {"pexels", "runway"} and shown["licence"] and shown["seconds"] > 0.5
    (other,) = [s for s in (first, second) if s is not shown]
    assert other["provider"] == "cards" and any("looks like scene-" in r for r in other["refused"])
    assert third["provider"] == "cards" and "runway 5 s" in vendors.billed
    assert made_file(tmp_path, shown, "image").suffix == ".png"


def test_a_killed_step_finds_its_scenes_and_pays_nothing_twice(
    vendors: PictureVendors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = content(tmp_path, guidelines={"libraries": ["openai"]}, counted=10**6)
    keep, kept = picturing.SceneCheckpoints.keep, []

    def dies(self: Any, name: str, *rest: Any) -> None:
        if name == "scene-001":
            raise SystemExit(143)  # the picture was paid for and kept; its entry never was
        kept.append(name)
        keep(self, name, *rest)

    monkeypatch.setattr(picturing.SceneCheckpoints, "keep", dies)
    with pytest.raises(SystemExit):
        Studio(vendors).run(made)
    monkeypatch.setattr(picturing.SceneCheckpoints, "keep", keep)
    billed = len(vendors.billed)
    result = Studio(vendors).run(made)
    assert {s["provider"] for s in result["scenes"]} == {"openai"} and len(vendors.billed) == 3 >= billed
    before = len(vendors.asked)
    assert Studio(vendors).run(made) == result and len(vendors.asked) == before


def test_another_attempt_at_the_video_shows_what_was_bought(vendors: PictureVendors, tmp_path: Path) -> None:
    made = content(tmp_path, scenes=SCENES[:1], guidelines={"libraries": ["openai"]}, counted=10**6)
    first = Studio(vendors).run(made)
    again = MadeContent(made.media, made.scope.model_copy(update={"attempt": 1}))
    second = Studio(vendors).run(again)
    assert len(vendors.billed) == 1 and [s["phash"] for s in first["scenes"]] == [s["phash"] for s in second["scenes"]]
    assert first["outro"]["phash"] != second["outro"]["phash"]


def test_a_changed_line_changes_one_scene(vendors: PictureVendors, tmp_path: Path) -> None:
    made = content(tmp_path, scenes=SCENES[:2], guidelines={"libraries": ["openai"]}, counted=10**6)
    Studio(vendors).run(made)
    brief = made.read("brief", "brief.json")
    brief["scenes"][1]["visual_prompt"] = "a lighthouse"
    made.write("brief", "brief.json", brief)
    Studio(vendors).run(made)
    assert len(vendors.billed) == 3


FOOTAGE: dict[str, Any] = {"guidelines": {"libraries": ["runway"]}, "counted": 10**7}


def filmed(folder: Path, vendors: PictureVendors, **more: Any) -> MadeContent:
    """Two scenes that ask for footage; the tasks they get are not done before `vendors.finish()`."""
    vendors.slow = True
    return content(folder, storyboard=storyboard({"want": "footage"}, {"want": "card"}), **{**FOOTAGE, **more})


def test_footage_that_takes_too_long_is_asked_for_again_by_its_task_and_paid_once(
    vendors: PictureVendors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunwayCanvas, "patience_seconds", 0.02)
    made, studio = filmed(tmp_path, vendors), Studio(vendors)
    with pytest.raises(ChimeraError) as caught:
        studio.run(made)
    assert caught.value.code == "PROVIDER_TIMEOUT" and caught.value.retryable
    assert made.read_or_none("pictures", "pictures.json") is None
    assert made.read("pictures", "scene-001.done.json")["entry"]["provider"] == "cards", "what is done is kept"
    vendors.finish()
    shown = studio.run(made)["scenes"][0]
    assert shown["provider"] == "runway" and shown["footage"] and shown["refused"] == []
    assert vendors.billed == ["runway 5 s"] and len(vendors.paths("/v1/text_to_video")) == 1
    assert {call: micros for call, micros in studio.store.drawn.items() if "/" in call} == {
        "pictures/runway/scene-0": 600_000, "pictures/runway/scene-0/again": 0,
    }  # fmt: skip


def test_a_kill_while_footage_is_waited_for_pays_nothing_twice(
    vendors: PictureVendors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, studio = filmed(tmp_path, vendors), Studio(vendors)

    def killed(_: float) -> None:
        raise SystemExit(143)

    with monkeypatch.context() as deadly:
        deadly.setattr("chimera.adapters.canvases.runway.time.sleep", killed)
        with pytest.raises(SystemExit):
            studio.run(made)
    assert vendors.billed == ["runway 5 s"] and "pictures/runway/scene-0" not in studio.bought(), "the draw stays open"
    vendors.finish()
    assert studio.run(made)["scenes"][0]["provider"] == "runway"
    assert vendors.billed == ["runway 5 s"] and len(vendors.paths("/v1/text_to_video")) == 1
    assert studio.store.drawn["pictures/runway/scene-0"] == 600_000
    assert studio.store.drawn["pictures/runway/scene-0/again"] == 0


def test_footage_that_never_comes_leaves_a_card_in_the_end(
    vendors: PictureVendors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunwayCanvas, "patience_seconds", 0.02)
    made, studio = filmed(tmp_path, vendors), Studio(vendors)
    for _ in range(picturing.MOST_WAITS):
        with pytest.raises(ChimeraError, match="are not done yet"):
            studio.run(made)
    shown = studio.run(made)["scenes"][0]
    assert shown["provider"] == "cards" and "PROVIDER_TIMEOUT" in shown["refused"][-1]
    assert vendors.billed == ["runway 5 s"]


def test_nobody_is_asked_who_could_not_answer_within_the_steps_limit(vendors: PictureVendors, tmp_path: Path) -> None:
    made, studio = filmed(tmp_path, vendors), Studio(vendors)
    request = made.read("brief", "request.json")
    request["limits"]["pictures_seconds"] = int(RunwayCanvas.longest_seconds)
    made.write("brief", "request.json", request)
    for _ in range(picturing.MOST_WAITS):
        with pytest.raises(ChimeraError, match="are not done yet"):
            studio.run(made)
    shown = studio.run(made)["scenes"][0]
    assert shown["provider"] == "cards" and "no time left" in shown["refused"][-1]
    assert vendors.billed == [] and studio.bought() == {}


def test_a_question_that_fails_is_asked_again(vendors: PictureVendors, tmp_path: Path) -> None:
    made = content(tmp_path, storyboard=storyboard({"want": "footage"}), **FOOTAGE)
    vendors.trouble = [Trouble("/v1/tasks/", 503), Trouble("/v1/tasks/", 429)]
    assert Studio(vendors).run(made)["scenes"][0]["provider"] == "runway" and vendors.billed == ["runway 5 s"]


def test_the_time_limit_counts_in_who_may_be_waited_for(vendors: PictureVendors) -> None:
    context = vendors.context()
    makers = {c.name: c for c in (OpenAiCanvas(context), RunwayCanvas(context))}
    draft = Draft.model_construct(scenes=[_scene({"narration": n, "visual_prompt": v}) for n, v in SCENES])  # type: ignore[arg-type]

    def waits(libraries: list[str], scenes: int = 3) -> int:
        persona = {"brand_guidelines": {"libraries": libraries}, "voice_id": "x"}
        ask = {"persona": persona, "options": {"aspect": "9:16", "format": "carousel"}}
        asked = draft.model_copy(update={"scenes": (draft.scenes * 9)[:scenes]})
        return outside_work(asked, ask, voices={}, policy=Policy(), makers=makers).seconds.get("pictures", 0)

    assert (waits([]), waits(["pexels"]), waits(["openai"])) == (0, 120, 240)
    assert (waits(["openai", "runway"]), waits(["openai", "runway"], 9)) == (630, 2 * 630)
    limits = production_limits(45)
    assert with_waiting(limits, {"pictures": 630}) == {**limits, "pictures_seconds": 165 + 630}
    longer = with_waiting(limits, {"pictures": 5000})
    assert longer["pictures_seconds"] == 900, "a Lambda's longest"
    assert waiting_cost(limits, longer) == step_worst_case("pictures", 900) - step_worst_case("pictures", 165) > 0


@pytest.mark.parametrize("code", ["SYSTEM_STOPPED", "DATABASE_WAKING"])
def test_a_stop_ends_the_step(
    vendors: PictureVendors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    studio = Studio(vendors)

    def stopped(*_: Any) -> None:
        raise ChimeraError(code, "stopped")

    made = content(tmp_path, guidelines={"libraries": ["openai"]}, counted=10**6)
    draw = studio.store.draw
    monkeypatch.setattr(studio.store, "draw", lambda r, c, m, i: stopped() if "openai" in c else draw(r, c, m, i))
    with pytest.raises(ChimeraError) as caught:
        studio.run(made)
    assert caught.value.code == code and made.read_or_none("pictures", "pictures.json") is None


def test_the_estimate_covers_what_is_bought(vendors: PictureVendors, tmp_path: Path) -> None:
    ask: dict[str, Any] = {
        "persona": {"brand_guidelines": {"libraries": ["openai", "runway", "pexels"]}, "voice_id": "x"}, "options": {"aspect": "9:16"},
    }  # fmt: skip
    scenes = [{"narration": n, "visual_prompt": v} for n, v in SCENES]
    about = {
        "title": "The bridge",
        "script": "x",
        "scenes": scenes,
        "sources": [],
        "writer": {"provider": "o", "model": "m", "prompt_version": "1"},
    }
    draft = Draft.model_construct(**{**about, "scenes": [_scene(s) for s in scenes]})
    context = vendors.context()
    makers = {c.name: c for c in (OpenAiCanvas(context), RunwayCanvas(context))}
    counted = outside_work(draft, ask, voices={}, policy=Policy(), makers=makers).micros["pictures"]
    assert counted == sum(
        maker.worst_case("x" * 990, aspect="9:16", seconds=2 + len(n.split()) * 60 / 140)
        for maker in makers.values()
        for n, _ in SCENES
    )
    ask["persona"]["brand_guidelines"]["libraries"] = ["pexels"]
    assert outside_work(draft, ask, voices={}, policy=Policy(), makers=makers).micros == {}
    assert (
        outside_work(draft, ask, voices={}, policy=Policy(), makers=makers, paid_pictures=True).micros["pictures"]
        == counted
    )
    board = storyboard({"want": "footage"}, {"want": "photo"})
    studio = Studio(vendors)
    studio.run(content(tmp_path, storyboard=board, guidelines={"libraries": ["runway", "openai"]}, counted=counted))
    assert 0 < sum(studio.bought().values()) <= counted


def _scene(value: dict[str, str]) -> Any:
    from chimera.domain.models import Scene

    return Scene(**value)


def test_a_video_opens_unlike_the_personas_last_ones(vendors: PictureVendors, tmp_path: Path) -> None:
    openings = [
        Studio(vendors).run(content(tmp_path, scenes=SCENES[:1]))["opening"].partition("/")[0] for _ in range(6)
    ]
    assert len(set(openings)) == 6, "the same seed, yet each opens with another family"


def test_windows_on_cards_and_colours(vendors: PictureVendors, tmp_path: Path) -> None:
    window = {"x": 140, "y": 260, "width": 800, "height": 600}
    board = storyboard(
        {"want": "photo", "window": window, "corner": 30, "ground": "surface"},
        {"want": "photo", "window": {**window, "x": 2000}},
    )
    scenes = Studio(vendors).run(content(tmp_path, storyboard=board, guidelines={"libraries": ["pexels"]}))["scenes"]
    picture = cv2.imread(str(made_file(tmp_path, scenes[0], "image")))
    assert np.abs(picture[5, 5].astype(int) - (0xA8, 0x2F, 0x2B)).max() <= 2
    assert scenes[1]["provider"] == "cards" and "window" in scenes[1]["refused"][-1]


def test_a_card_stands_in_its_window_too(vendors: PictureVendors, tmp_path: Path) -> None:
    board = storyboard(
        {"want": "card", "window": {"x": 140, "y": 260, "width": 800, "height": 600}, "ground": "accent"},
        {"want": "card"},
    )
    scenes = Studio(vendors).run(content(tmp_path, storyboard=board))["scenes"]
    picture = cv2.imread(str(made_file(tmp_path, scenes[0], "image")))
    around, inside = picture[-40:-4].reshape(-1, 3), picture[picture.shape[0] // 3, 100:200]
    assert np.ptp(around, axis=0).max() <= 2, "the ground is one colour"
    assert np.abs(inside.astype(int) - around[0]).max() > 20
    plain = cv2.imread(str(made_file(tmp_path, scenes[1], "image")))
    assert plain.shape == picture.shape


def test_answers_are_small_and_the_file_is_json(vendors: PictureVendors, tmp_path: Path) -> None:
    made = content(tmp_path)
    result = Studio(vendors).run(made)
    assert len(json.dumps(result)) < 20_000


def made_file(root: Path, scene: dict[str, Any], kind: str) -> Path:
    (found,) = root.rglob(f"pictures/{scene[kind]}")
    return found
