"""The user's own pictures: found, ordered, fitted to the scenes, made safe; and what is told when they are not there."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from chimera.adapters.canvases.cards import CardCanvas
from chimera.adapters.local.media import FolderMediaStore
from chimera.errors import ChimeraError
from chimera.media.own.hashing import ALIKE, distance
from chimera.purse import Purse
from chimera.usecases.own_pictures import OwnAssets, own_assets
from chimera.usecases.picturing import PictureRules, paint
from chimera.usecases.production import MadeContent
from chimera.usecases.reporting import run_report
from chimera_local.cli.run import summary
from tests.fakes.own_media import film
from tests.fakes.picture_vendors import content, jpeg, storyboard
from tests.fakes.quick_purse import QuickStore

RULES = PictureRules(now=lambda: datetime(2026, 1, 2, tzinfo=UTC))


def done(made: MadeContent, rules: PictureRules = RULES) -> dict[str, Any]:
    paint(made, {"cards": CardCanvas()}, Purse(QuickStore(), "q"), rules)
    return made.read("pictures", "pictures.json")


def look(tmp_path: Path, *run: str, persona: tuple[str, ...] = (), allow_files: bool = True) -> OwnAssets:
    media = FolderMediaStore(tmp_path / "media")
    return own_assets(run, persona, tenant_id="t", media=media, allow_files=allow_files)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    for number, name in enumerate(["IMG_2.jpg", "IMG_10.jpg", "old steel bridge.jpg"]):
        (folder / name).write_bytes(jpeg(number + 1, 320, 240))
    return folder


def with_date(data: bytes, taken: str) -> bytes:
    """A JPEG whose EXIF says when it was taken."""
    tiff = (
        b"II*\0"
        + struct.pack("<I", 8)
        + struct.pack("<H", 1)
        + struct.pack("<HHII", 0x0132, 2, 20, 26)
        + struct.pack("<I", 0)
    )
    body = b"Exif\0\0" + tiff + taken.encode() + b"\0"
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


def test_a_folder_is_taken_in_natural_order_with_captions(photos: Path, tmp_path: Path) -> None:
    (photos / "IMG_2.jpg.txt").write_text("Ferry on\nthe bay", "utf-8")
    (photos / ".hidden.jpg").write_bytes(jpeg(9))
    (photos / "notes.txt").write_text("x")
    (photos / "broken.jpg").write_bytes(b"#EXTM3U\nhttp://example.org/")
    (photos / "link.jpg").symlink_to("/etc/passwd")
    (photos / "deck.pdf").write_bytes(b"%PDF-1.7")
    (photos / "more").mkdir()
    found = look(tmp_path, f"file:{photos}")
    assert [a.name for a in found.assets] == ["IMG_2.jpg", "IMG_10.jpg", "old steel bridge.jpg"]
    assert [a.text for a in found.assets] == ["Ferry on the bay", "", "old steel bridge"]
    told = {one.file: one.reason for one in found.left_out}
    assert set(told) == {"broken.jpg", "link.jpg", "deck.pdf", "more"}
    assert "playlist" in told["broken.jpg"] and "link" in told["link.jpg"]


def test_dates_order_what_cameras_made(tmp_path: Path) -> None:
    for name, taken in (
        ("a.jpg", "2024:05:02 10:00:00"),
        ("b.jpg", "2024:05:01 10:00:00"),
        ("c.jpg", "2023:01:01 00:00:00"),
    ):
        (tmp_path / name).write_bytes(with_date(jpeg(1, 80, 80), taken))
    assert [a.name for a in look(tmp_path, f"file:{tmp_path}").assets] == ["c.jpg", "b.jpg", "a.jpg"]


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM", b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x32\x01" * 40]
)
def test_a_broken_date_is_no_date(tmp_path: Path, exif: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(
        jpeg(1, 80, 80)[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg(1, 80, 80)[2:]
    )
    assert look(tmp_path, f"file:{tmp_path}/a.jpg").assets[0].taken == ""


def test_titles_inside_are_read_as_text(tmp_path: Path) -> None:
    xmp = b"<x:xmpmeta><dc:title><rdf:li xml:lang='x-default'>Harbour &amp; bridge</rdf:li></dc:title></x:xmpmeta>"
    (tmp_path / "IMG_1.jpg").write_bytes(jpeg(1, 80, 80) + xmp)
    assert look(tmp_path, f"file:{tmp_path}/IMG_1.jpg").assets[0].text == "Harbour & bridge"


@pytest.mark.parametrize(
    "entry", ["file:{}/none", "file:{}/empty", "file:{}/a.wav", "file:{}/list.jpg", "key:none", "key:x/../../y.jpg"]
)
def test_what_a_run_names_and_is_not_there_is_one_clear_error(tmp_path: Path, entry: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.wav").write_bytes(b"RIFF\0\0\0\0WAVEfmt ")
    (tmp_path / "list.jpg").write_bytes(b"#EXTM3U\n")
    with pytest.raises(ChimeraError) as caught:
        look(tmp_path, entry.format(tmp_path))
    assert caught.value.code in {"VALIDATION_FAILED", "FORBIDDEN"}
    assert look(tmp_path, persona=(entry.format(tmp_path),)).left_out, "of a persona it is noted"


def test_files_are_refused_on_aws_and_other_tenants_are_out_of_reach(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ChimeraError, match="laptop only"):
        look(tmp_path, f"file:{photos}", allow_files=False)
    with pytest.raises(ChimeraError) as caught:
        look(tmp_path, "key:tenants/other/uploads/a.jpg")
    assert caught.value.code == "FORBIDDEN"


def test_keys_of_the_media_store_are_taken(tmp_path: Path) -> None:
    media = FolderMediaStore(tmp_path / "media")
    for name, data in (("b.jpg", jpeg(2, 320, 240)), ("a.jpg", jpeg(1, 320, 240)), ("a.jpg.txt", b"harbour bridge")):
        media.put_bytes(f"tenants/t/uploads/{name}", data)
    found = look(tmp_path, "key:uploads", allow_files=False)
    assert [(a.name, a.text) for a in found.assets] == [("a.jpg", "harbour bridge"), ("b.jpg", "")]
    made = content(tmp_path / "media", assets=["key:uploads"])
    assert [s["source"] for s in done(made)["scenes"]][:2] == ["tenants/t/uploads/a.jpg", "tenants/t/uploads/b.jpg"]


def test_what_cannot_be_shown_is_told_with_its_reason_in_the_runs_report(tmp_path: Path) -> None:
    photos = tmp_path / "own"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(jpeg(1, 320, 240))
    (photos / "b.jpg").write_bytes(jpeg(2, 320, 240)[:40])  # begins as one, and is none
    (photos / "c.pdf").write_bytes(b"%PDF-1.7")
    made = content(tmp_path / "m", assets=[f"file:{photos}"])
    done(made)
    made.write("brief", "brief.json", made.brief().model_dump(mode="json"))
    made.write("brief", "request.json", {**made.read("brief", "request.json"), "pages_unread": []})
    scope, nothing = made.scope, {"entries": 0, "verified": True}
    row = {"id": scope.content_id, "tenant_id": "t", "task_id": "k", "production_cost_micros": None}
    report = run_report(
        run={"id": "r", "status": "running", "summary": {}}, content=row, trend=None, approvals=[], verdict=None,
        publications=[], ledger=nothing, stages=[], media=made.media, scan=None, elapsed_seconds=1.0,
    )  # fmt: skip
    told = {one["file"]: one["reason"] for one in report["assets_left_out"]}
    assert set(told) == {"b.jpg", "c.pdf"} and all(told.values())
    text = summary(report, "http://x")
    assert all(f"Left out   {name}: " in text for name in told)


def test_two_hundred_files_are_read_in_moments(tmp_path: Path) -> None:
    data = jpeg(1, 80, 80)
    for number in range(200):
        (tmp_path / f"p{number}.jpg").write_bytes(data)
    assert len(look(tmp_path, f"file:{tmp_path}").assets) == 200


def test_own_pictures_go_where_their_words_fit_and_then_in_order(photos: Path, tmp_path: Path) -> None:
    result = done(content(tmp_path / "m", assets=[f"file:{photos}"]))
    assert [s["source"] for s in result["scenes"]] == ["IMG_2.jpg", "IMG_10.jpg", "old steel bridge.jpg"]
    last = result["scenes"][2]
    assert (
        last["provider"] == "own"
        and last["fit"] > 0.8
        and last["origin"] == "person"
        and last["licence"] == "the user's own"
    )
    assert result["provider"] == "own" and result["outro"]["provider"] == "cards" and last["scrim"] == 0.0


def test_the_same_picture_twice_is_shown_once_and_a_card_stands_in(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    for name, quality in (("a.jpg", 95), ("b.jpg", 60)):
        picture = cv2.imdecode(np.frombuffer(jpeg(5, 320, 240), np.uint8), 1)
        cv2.imwrite(str(folder / name), picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    scenes = done(content(tmp_path / "m", assets=[f"file:{folder}"]))["scenes"]
    assert sorted(s["provider"] for s in scenes) == ["cards", "cards", "own"]
    assert any("looks like scene" in reason for s in scenes for reason in s["refused"])


def test_a_persona_does_not_show_its_pictures_again_within_ten_videos(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "old steel bridge.jpg").write_bytes(jpeg(5, 320, 240))
    own = {"assets": [f"file:{folder}"]}
    first = done(content(tmp_path / "m", guidelines=own))
    assert first["scenes"][2]["provider"] == "own"
    made = content(tmp_path / "m", guidelines=own)
    again = done(made)
    assert again["scenes"][2]["provider"] == "cards" and any(
        "was shown in content" in r for r in again["scenes"][2]["refused"]
    )
    assert distance(int(first["scenes"][2]["phash"], 16), int(first["outro"]["phash"], 16)) > ALIKE
    other = done(content(tmp_path / "m", guidelines=own, persona="p2"))
    assert other["scenes"][2]["provider"] == "own", "another persona may"
    names = FolderMediaStore(tmp_path / "m").keys("tenants/t/personas/p1/pictures")
    assert len(names) == 2
    done(made)
    assert FolderMediaStore(tmp_path / "m").keys("tenants/t/personas/p1/pictures") == names


def test_bad_files_are_refused_with_reasons_and_cards_stand_in(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    cv2.imwrite(str(folder / "1.png"), np.zeros((1, 1, 3), np.uint8))
    (folder / "2.jpg").write_bytes(jpeg(3)[:900])
    cv2.imwrite(str(folder / "3.png"), cv2.resize(cv2.imdecode(np.frombuffer(jpeg(4), np.uint8), 1), (20_000, 400)))
    scenes = done(content(tmp_path / "m", assets=[f"file:{folder}"]))["scenes"]
    assert [s["provider"] for s in scenes] == ["cards", "cards", "own"]
    assert (
        "1 x 1" in scenes[0]["refused"][0]
        and scenes[1]["refused"]
        and cv2.imread(str(_file(tmp_path, scenes[2]))).shape[:2] == (730, 410)
    )


def test_a_template_names_an_asset_and_frames_it_in_a_window(photos: Path, tmp_path: Path) -> None:
    window = {"x": 90, "y": 200, "width": 900, "height": 900}
    board = storyboard(
        {"want": "photo", "asset": "3", "window": window, "corner": 40}, {"want": "photo", "asset": "nobody.jpg"}, {"want": "plain"},
    )  # fmt: skip
    result = done(content(tmp_path / "m", assets=[f"file:{photos}"], storyboard=board))
    first, second, third = result["scenes"]
    assert first["source"] == "old steel bridge.jpg" and first["fit"] == 1.0 and first["image"].endswith(".png")
    assert second["provider"] == "own" and "nobody.jpg" in second["refused"][0]
    assert third["family"].startswith("plain.") and result["outro"] == third
    picture = cv2.imread(str(_file(tmp_path, first)))
    assert picture.shape[:2] == (730, 410)
    # in the window the photograph, around it the quiet ground
    assert picture[100:300, 80:330].std(axis=(0, 1)).max() > 3 * picture[600:720, 20:390].std(axis=(0, 1)).max()


def test_footage_is_cut_for_the_scene_also_in_a_window(tmp_path: Path) -> None:
    clip = film(tmp_path / "bay ferry.mp4", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=30:d=2", "-pix_fmt", "yuv420p")
    other = film(tmp_path / "b.mp4", "-f", "lavfi", "-i", "mandelbrot=s=320x240:r=30", "-t", "2", "-pix_fmt", "yuv420p")
    board = storyboard(
        {"want": "footage", "asset": "1"},
        {"want": "footage", "asset": "2", "window": {"x": 90, "y": 200, "width": 900, "height": 600}, "ground": "#204060"},
    )  # fmt: skip
    scenes = done(content(tmp_path / "m", assets=[f"file:{clip}", f"file:{other}"], storyboard=board))["scenes"]
    for scene in scenes:
        assert scene["footage"].endswith(".mp4") and 0 < scene["seconds"] <= 2.1 and scene["footage_start"] == 0
        reader = cv2.VideoCapture(str(_file(tmp_path, scene, "footage")))
        assert reader.isOpened() and (int(reader.get(3)), int(reader.get(4)), round(reader.get(5))) == (360, 640, 24)
        done_, frame = reader.read()
        assert done_
        reader.release()
    corner = frame[620, 20].astype(int)
    assert abs(corner - [0x60, 0x40, 0x20]).max() < 12, "the ground keeps its colour"
    poster = cv2.imread(str(_file(tmp_path, scenes[1])))
    assert poster.shape[:2] == (640, 360)


def _file(tmp_path: Path, scene: dict[str, Any], kind: str = "image") -> Path:
    (found,) = (tmp_path / "m").rglob(f"pictures/{scene[kind]}")
    return found


def test_a_card_that_a_template_left_open_takes_what_the_run_brought(photos: Path, tmp_path: Path) -> None:
    board = storyboard({"want": "card"}, {"want": "card", "style": "split"}, {"want": "photo"}, {"want": "plain"})
    made = content(tmp_path / "m", assets=[f"file:{photos}"], storyboard=board)
    scenes = done(made)["scenes"]
    assert [s["provider"] for s in scenes] == ["own", "cards", "own", "cards"]
    # who asked for a photograph has the one that fits; the open card takes the next in order
    assert [scenes[2]["source"], scenes[0]["source"]] == ["old steel bridge.jpg", "IMG_2.jpg"]
    assert scenes[1]["family"].startswith("split/") and scenes[3]["family"].startswith("plain.")
    nobody = done(content(tmp_path / "m", storyboard=board))["scenes"]
    assert {s["provider"] for s in nobody} == {"cards"}


def test_a_photograph_behind_type_is_held_back(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    cv2.imwrite(str(folder / "white.png"), np.full((640, 360, 3), 245, np.uint8))
    scene = done(content(tmp_path / "m", assets=[f"file:{folder}"], storyboard=storyboard({"want": "card"})))["scenes"][
        0
    ]
    picture = cv2.imread(str(_file(tmp_path, scene)))
    height = picture.shape[0]
    assert picture[: height // 4].mean() > 200 and picture[int(height * 0.55) : int(height * 0.62)].mean() < 110
