"""From brief, storyboard, voice and pictures to the job, its timeline, its chapters and its bill of materials."""

from __future__ import annotations

import json
import uuid
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from chimera.adapters.local.media import FolderMediaStore
from chimera.domain.allowance import CallItem, Draw
from chimera.domain.bill import BillOfMaterials, unlicensed
from chimera.domain.prices import production_limits
from chimera.errors import ChimeraError
from chimera.media.fonts import font_file
from chimera.media.layers import Area, CaptionLook, SourcesLayer, TextLayer
from chimera.media.layout import layout_of
from chimera.media.theme import THEMES
from chimera.media.timeline import Timeline, build
from chimera.purse import Purse
from chimera.templates.storyboard import PictureWish, Storyboard, StoryScene
from chimera.usecases.bill import bill_of_materials
from chimera.usecases.containers import Rendering, render_content
from chimera.usecases.production import MadeContent
from chimera.usecases.render_job import job_of
from chimera.usecases.scope import Scope

BOX = Area(x=120, y=400, width=700, height=300)
LINES = ["The bridge closes in March.", "It opens again in May."]


class Money:
    """An allowance store that gives every draw."""

    def draw(self, request_id: str, call_id: str, micros: int, item: CallItem) -> Draw:
        return Draw(request_id=request_id, call_id=call_id, item=item, drawn_micros=micros)

    def correct(self, request_id: str, call_id: str, actual_micros: int, quantity: str | None = None) -> None:
        """Every amount is fine."""


def wav(path: Path, seconds: float) -> Path:
    t = np.arange(round(seconds * 22_050)) / 22_050
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(22_050)
        out.writeframes((np.sin(2 * np.pi * 190 * t) * 9000).astype("<i2").tobytes())
    return path


def spoken(line: str, name: str) -> dict[str, Any]:
    words = [{"text": w, "start": 0.25 * i, "end": 0.25 * i + 0.2} for i, w in enumerate(line.split())]
    return {"audio": name, "duration": 1.3, "words": words}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MadeContent]:
    """All that a production's earlier steps leave, with a storyboard of four scenes for a brief of two."""
    scope = Scope(tenant_id="t", run_id="r", task_id="k", content_id=str(uuid.uuid4()))
    found = MadeContent(FolderMediaStore(tmp_path / "media"), scope)
    store(found)
    for number in range(4):
        image = np.full((64, 36, 3), 40 + number * 30, np.uint8)
        path = tmp_path / f"p{number}.png"
        cv2.imwrite(str(path), image)
        found.media.put_file(scope.key("pictures", f"scene-{number:03d}.png"), path)
        found.media.put_file(scope.key("audio", f"scene-{number:03d}.wav"), wav(tmp_path / "a.wav", 1.3))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield found


def store(
    found: MadeContent, *, options: dict[str, Any] | None = None, guidelines: dict[str, Any] | None = None
) -> None:
    found.write(
        "brief",
        "material.json",
        {
            "options": {"resolution": "360p", "fps": 24, "quality_preset": "draft", "music": "off", **(options or {})},
            "persona": {"brand_guidelines": guidelines or {}},
        },
    )
    found.write("brief", "request.json", {"limits": production_limits(20, 360)})
    scenes = [{"narration": line, "visual_prompt": f"picture {i}"} for i, line in enumerate(LINES)]
    brief = {
        "brief_id": "b", "trend_id": "t", "title": "A bridge", "script": " ".join(LINES), "estimated_cost": "0.01",
        "scenes": scenes, "projected_engagement": 0.1, "projected_roi": 0.1, "sources": ["https://city.example/b"],
        "writer": {"provider": "offline", "model": "m", "prompt_version": "1"}, "duration_seconds": 15,
    }  # fmt: skip
    found.write("brief", "brief.json", brief)
    board = Storyboard(
        template="news@1.2.0", title="A bridge", aspect="9:16", platform="tiktok", theme=THEMES[0],
        sources=("https://city.example/b",), captions=CaptionLook(style="pop", box=BOX),
        scenes=(
            StoryScene(key="open", seconds=1, layers=(TextLayer(box=BOX, text="Opening"),), marker="Start"),
            StoryScene(key="a", brief_scene=0, narration=LINES[0], picture=PictureWish(scrim=0.3), transition="cut"),
            StoryScene(key="b", brief_scene=1, narration=LINES[1], marker="May", motion="left"),
            StoryScene(key="end", seconds=1, layers=(SourcesLayer(box=BOX),)),
        ),
    )  # fmt: skip
    found.write("brief", "storyboard.json", board.model_dump(mode="json"))
    silent = {"audio": "", "duration": 0.0, "words": []}
    voices = [silent, spoken(LINES[0], "scene-001.wav"), spoken(LINES[1], "scene-002.wav"), silent]
    found.write("audio", "voice.json", {"fingerprint": "v", "provider": "espeak-ng", "scenes": voices})
    pictures = [
        {"image": f"scene-{i:03d}.png", "provider": "cards", "prompt": "p"} if i != 2 else
        {"image": "scene-002.png", "provider": "library", "licence": "CC0-1.0", "author": "Ann", "source": "https://p.example/1",
         "origin": "person", "scrim": 0.3}
        for i in range(4)
    ]  # fmt: skip
    found.write("pictures", "pictures.json", {"fingerprint": "p", "provider": "mixed", "seed": 7, "scenes": pictures,
                                              "outro": pictures[-1]})  # fmt: skip


def test_the_job_is_the_storyboard_with_its_voices_and_pictures(made: MadeContent) -> None:
    job = job_of(made)
    assert [s.key for s in job.scenes] == ["open", "a", "b", "end"]
    assert [s.audio is not None for s in job.scenes] == [False, True, True, False]
    assert all(s.image is not None and s.image.exists() for s in job.scenes)
    assert [s.scrim for s in job.scenes] == [0, 0, 0.3, 0], "as the pictures' step says: a card needs none"
    assert job.scenes[1].visual_prompt == "picture 0"
    assert (job.template, job.platform, job.theme, job.captions and job.captions.style) == (
        "news@1.2.0",
        "tiktok",
        THEMES[0],
        "pop",
    )
    assert job.scenes[2].motion == "left" and job.scenes[1].transition == "cut" and job.scenes[1].layers == ()
    assert job.logo is None and job.logo_box is None


def test_without_a_storyboard_the_brief_is_laid_out_plainly(made: MadeContent, tmp_path: Path) -> None:
    (board,) = (tmp_path / "media").rglob("storyboard.json")
    board.unlink()
    with pytest.raises(ChimeraError) as error:
        job_of(made)
    assert error.value.code == "CONFLICT" and "'scenes': 2" in error.value.message
    for kind, name in (("audio", "voice.json"), ("pictures", "pictures.json")):
        value = made.read(kind, name)
        made.write(kind, name, {**value, "scenes": value["scenes"][1:3]})
    job = job_of(made)
    assert [s.layers for s in job.scenes] == [None, None] and job.theme is None and job.outro_image is not None
    timeline = build(job, (1.3, 1.3), layout_of("9:16"))
    assert [c.kind for c in timeline.clips] == ["title", "statement", "outro"] and all(c.layers for c in timeline.clips)


def test_the_runs_wish_for_captions_comes_before_the_personas_and_the_templates(made: MadeContent) -> None:
    store(made, guidelines={"captions": "box"})
    assert job_of(made).captions == CaptionLook(style="box", box=BOX)
    store(
        made,
        guidelines={"captions": "box"},
        options={"captions": "minimal", "soft_captions": True, "mask_profanity": True},
    )
    assert job_of(made).captions == CaptionLook(style="minimal", box=BOX, soft=True, mask_profanity=True)


def test_a_logo_and_a_font_of_the_brand_are_used_and_named(made: MadeContent, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "logo.png"), np.full((20, 60, 4), 200, np.uint8))
    made.media.put_file("tenants/t/brand/face.ttf", font_file("Roboto"))
    store(made, guidelines={"theme": {"logo": f"file:{tmp_path / 'logo.png'}"}})
    board = made.read("brief", "storyboard.json")
    board["theme"]["display"] = "key:brand/face.ttf"
    made.write("brief", "storyboard.json", board)
    job = job_of(made)
    assert job.logo is not None and job.logo_box is not None and job.theme is not None
    shown = cv2.imread(str(job.logo), cv2.IMREAD_UNCHANGED)
    assert shown.shape == (20, 60, 4) and int(abs(shown.astype(int) - 200).max()) <= 1, "its pixels, not its file"
    assert Path(job.theme.display).exists() and job.theme.display.endswith(".ttf")
    bill, files = bill_of_materials(made, job, ())
    named = {(item.kind, item.name): item for item in bill.items}
    assert named["picture", "logo"].licence == "the user's own logo"
    assert named["font", "Roboto"] is not None and any("own font" in item.licence for item in bill.items)
    assert named["picture", "scene-002.png"].author == "Ann" and named["picture", "scene-002.png"].licence == "CC0-1.0"
    assert sum(item.kind == "voice" for item in bill.items) == 2 and unlicensed(bill.items) == []
    assert all(path.exists() for path in files.values())


@pytest.mark.parametrize(
    ("logo", "code"),
    [("file:/nowhere/l.png", "VALIDATION_FAILED"), ("key:tenants/other/l.png", "FORBIDDEN"),
     ("key:../../x", "FORBIDDEN"), ("own", "VALIDATION_FAILED")],
)  # fmt: skip
def test_a_logo_that_is_none_or_not_ours_is_refused(made: MadeContent, tmp_path: Path, logo: str, code: str) -> None:
    if logo == "own":
        (tmp_path / "l.png").write_bytes(b"GIF89a")
        logo = f"file:{tmp_path / 'l.png'}"
    store(made, guidelines={"theme": {"logo": logo}})
    with pytest.raises(ChimeraError) as error:
        job_of(made)
    assert error.value.code == code


def test_footage_is_in_the_bill_and_its_still_is_not(made: MadeContent, tmp_path: Path) -> None:
    (tmp_path / "f.mp4").write_bytes(b"film")
    made.media.put_file(made.scope.key("pictures", "scene-001.mp4"), tmp_path / "f.mp4")
    value = made.read("pictures", "pictures.json")
    value["scenes"][1] |= {"footage": "scene-001.mp4", "footage_start": 1.5, "provider": "somebody", "scrim": 0.2}
    made.write("pictures", "pictures.json", value)
    job = job_of(made)
    assert job.scenes[1].footage is not None and job.scenes[1].footage_start == 1.5
    bill, _ = bill_of_materials(made, job, ())
    assert [item.name for item in bill.items if item.kind == "footage"] == ["scene-001.mp4"]
    assert "scene-001.png" not in {item.name for item in bill.items}
    assert unlicensed(bill.items) == ["footage scene-001.mp4"], "what nobody knows stays unknown"


def test_a_render_keeps_its_timeline_its_chapters_and_its_bill(made: MadeContent) -> None:
    report = render_content(made, Path("w"), lambda _share: None, Purse(Money(), "r"), Rendering(encoder="x264"))  # type: ignore[arg-type]
    assert report["chapters"] == [
        {"seconds": 0.0, "title": "Start"},
        {"seconds": report["chapters"][1]["seconds"], "title": "May"},
    ]
    timeline = Timeline.model_validate_json(made.media.get_bytes(report["files"]["timeline"]["key"]))
    assert report["files"]["timeline"]["key"].endswith("/video/timeline.json") and report["template"] == "news@1.2.0"
    assert timeline.seconds == pytest.approx(report["duration_seconds"], abs=0.001)
    assert str(made.media.get_bytes(report["files"]["timeline"]["key"])).count("/media/") == 0
    bill = BillOfMaterials.model_validate(made.read("reports", "bill.json"))
    assert {i.name for i in bill.items if i.kind == "picture"} == {f"scene-{i:03d}.png" for i in range(4)}
    vtt = made.media.get_bytes(report["files"]["vtt"]["key"]).decode()
    assert "bridge" in vtt and "Opening" not in vtt
    again = render_content(made, Path("w"), lambda _share: None, Purse(Money(), "r"), Rendering(encoder="x264"))  # type: ignore[arg-type]
    assert json.dumps(again, sort_keys=True) == json.dumps(report, sort_keys=True)
    board = made.read("brief", "storyboard.json")
    board["scenes"][0]["layers"][0]["text"] = "Another opening"
    made.write("brief", "storyboard.json", board)
    third = render_content(made, Path("w"), lambda _share: None, Purse(Money(), "r"), Rendering(encoder="x264"))  # type: ignore[arg-type]
    assert third["sha256"] != report["sha256"] and third["segments_reused"] >= 2
