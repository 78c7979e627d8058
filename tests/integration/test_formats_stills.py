"""Image posts, carousels and threads through the same steps as a video: brief, voice, pictures, render, inspect, judge."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from chimera.adapters.checks.licences import LicencesCheck
from chimera.adapters.checks.technical import TechnicalCheck
from chimera.domain.bill import BillOfMaterials
from chimera.domain.cards import card_kinds, set_sha256
from chimera.domain.judge import Subject
from chimera.domain.money import to_micros
from chimera.domain.prices import production_upper_bound, step_worst_case, still_upper_bound
from chimera.errors import ChimeraError
from chimera.media.card_checks import text_contrast
from chimera.media.provenance import read
from chimera.usecases.verdict import judge
from tests.fakes.still_posts import SAID, Pen, StillPost, still_post


def technical_answers(report: dict[str, Any]) -> dict[str, bool | None]:
    made = {
        "title": "t", "script": "s", "scenes": [{"narration": "n", "visual_prompt": "p"}], "technical": report,
        "material": {"trend": {"trend_id": "t", "topic": "t", "title": "t", "platforms": ["x"], "volume": 1,
                               "sentiment_score": 0, "rising_velocity": 0, "timestamp": "2026-11-21T00:00:00Z"},
                     "profile": {"name": "p"}},
        "profile": {"name": "p"}, "aspect": "1:1",
    }  # fmt: skip
    return {check.name: check.passed for check in TechnicalCheck().run(Subject.model_validate(made))}


def test_a_carousel_from_brief_to_judge(tmp_path: Path) -> None:
    with still_post(tmp_path, "carousel") as post:
        request = post.brief()
        assert post.made.brief().format == "carousel" and request["left_out"] == []
        assert "carousel, 7 cards" in request["request"]["justification"]
        asked = to_micros(request["request"]["request_cost"], "cost")
        assert asked == still_upper_bound(7, 360) < production_upper_bound(45, 360)

        report = post.produce()
        # nobody speaks: no draw, no cost, an honest file
        assert set(post.money.drawn) == {"pictures", "render"}
        voice = post.made.read("audio", "voice.json")
        assert voice["provider"] == "" and {s["audio"] for s in voice["scenes"]} == {""}
        kinds = card_kinds(report["files"])
        assert kinds == [f"card_{n:02d}" for n in range(1, 8)] and report["format"] == "carousel"
        assert report["cards"][-1]["kind"] == "outro" and report["posts"] == []
        assert report["cards"][1]["words"] == SAID[1][0]

        # one hash stands for every card, its order, and what is said of it
        hashes = [hashlib.sha256(post.bytes_of(report, kind)).hexdigest() for kind in kinds]
        assert hashes == [report["files"][kind]["sha256"] for kind in kinds]
        whole = set_sha256(hashes, posts=[], post_media=[], alt=report["alt"])
        assert report["sha256"] == whole != set_sha256(hashes[::-1], posts=[], post_media=[], alt=report["alt"])

        # each card says by itself where it comes from, and of which picture it is made
        bill = BillOfMaterials.model_validate_json(post.bytes_of(report, "bom"))
        assert bill.video is not None and bill.video.sha256 == whole and bill.video.manifest
        assert [f.sha256 for f in bill.files] == hashes
        assert {item.kind for item in bill.items} == {"script", "picture", "font", "source"}
        for kind, number in (("card_01", 0), ("card_04", 3)):
            (tmp_path / f"{kind}.jpg").write_bytes(post.bytes_of(report, kind))
            found = read(tmp_path / f"{kind}.jpg", roots=post.signer.root)
            assert (found.state, found.title) == ("ours", "Why the night ferry is back")
            assert [part["title"] for part in found.ingredients] == [f"scene-{number:03d}.png"]

        # in words, in order
        told = json.loads(post.bytes_of(report, "post"))
        assert [image["kind"] for image in told["images"]] == kinds
        alt = report["alt"]["card_03"]
        assert alt.startswith("Card 3 of 7. ") and SAID[2][0].rstrip(".") in alt and "Picture: a ferry 2." in alt
        assert "example.org, example.com" in report["alt"]["card_07"] and "Made with AI" in report["alt"]["card_07"]

        technical = post.inspect()
        assert technical["measurements"]["cards"] == 7 and technical["quality"]["score"] >= 0.8
        assert technical["sha256"] == whole
        answers = technical_answers(technical)
        assert set(answers.values()) == {True} and "quality.score" in answers and "technical.aspect" in answers
        judge(post.made, [LicencesCheck(), TechnicalCheck()], post.purse)
        checks = post.made.read("reports", "judge.json")["checks"]
        assert [c["name"] for c in checks if c["passed"] is False] == []

        again = post.render()
        assert again == json.loads(json.dumps(report)), "made and signed once"


def test_no_step_draws_more_than_the_approval_covers(tmp_path: Path) -> None:
    with still_post(tmp_path, "image") as post:
        request = post.brief()
        post.produce()
        post.inspect()
        limits, asked = request["limits"], to_micros(request["request"]["request_cost"], "cost")
        for step in ("pictures", "render", "inspect"):
            assert post.money.drawn[step] == step_worst_case(step, limits[f"{step}_seconds"])
            assert post.money.spent[step] <= post.money.drawn[step]
        once = sum(post.money.drawn.values())
        again = sum(
            step_worst_case(s, request["retry_limits"][f"{s}_seconds"]) for s in ("pictures", "render", "inspect")
        )
        rest = 2 * step_worst_case("judge", 120) + step_worst_case("brief", 120)
        assert once + again + rest <= asked


def test_an_image_is_the_opening_with_the_strongest_line(tmp_path: Path) -> None:
    with still_post(tmp_path, "image") as post:
        post.brief()
        board = post.made.storyboard()
        assert board is not None and len(board.scenes) == 1
        assert board.scenes[0].narration == "In 2022 the boats carried 12,400 people."
        report = post.produce()
        assert card_kinds(report["files"]) == ["card_01"]
        assert report["cards"][0]["words"] == "In 2022 the boats carried 12,400 people."
        assert len(report["left_out"]) == 6, "the other scenes, by their keys"
        assert set(technical_answers(post.inspect()).values()) == {True}


def test_a_thread_has_posts_in_order_with_cards_where_there_is_something_to_see(tmp_path: Path) -> None:
    with still_post(tmp_path, "thread", platform="bluesky") as post:
        post.brief()
        report = post.produce()
        posts, media = report["posts"], report["post_media"]
        assert len(posts) == len(media) >= 3 and media[0] == "card_01"
        assert posts[0].startswith("Why the night ferry is back\n\nThe night ferry is back, and it is full.")
        assert posts[-1].startswith("Sources:\nhttps://example.org/ferries\nhttps://example.com/union\nMade with AI ")
        assert all(text.endswith(f" {n}/{len(posts)}") for n, text in enumerate(posts, 1))
        used = [kind for kind in media if kind]
        assert used == card_kinds(report["files"]) and len(used) >= 2
        number = next(i for i, text in enumerate(posts) if "31,500" in text)
        assert media[number].startswith("card_") or media[0]
        whole = set_sha256(
            [report["files"][k]["sha256"] for k in used], posts=posts, post_media=media, alt=report["alt"]
        )
        assert report["sha256"] == whole
        changed = set_sha256(
            [report["files"][k]["sha256"] for k in used], posts=["x", *posts[1:]], post_media=media, alt=report["alt"]
        )
        assert changed != whole
        assert set(technical_answers(post.inspect()).values()) == {True}


def test_more_scenes_than_cards_keep_the_opening_the_first_and_the_sources(tmp_path: Path) -> None:
    said = (*SAID, *((f"Line {n} says that the ferries sail on and on every night.", f"Line {n}") for n in range(8)))
    with still_post(tmp_path, "carousel") as post:
        request = post.brief(Pen(said=said))
        board = post.made.storyboard()
        assert board is not None and len(board.scenes) == 10
        assert [s.key for s in board.scenes] == ["title", *(f"point-{n}" for n in range(1, 9)), "sources"]
        assert request["left_out"] == [f"point-{n}" for n in range(9, 14)]
        marks = [layer for s in board.scenes for layer in s.layers if layer.kind == "progress"]
        assert {layer.count for layer in marks} <= {10} and [layer.number for layer in marks] == list(range(len(marks)))


def test_a_carousel_needs_two_cards(tmp_path: Path) -> None:
    with still_post(tmp_path, "carousel") as post:
        with pytest.raises(ChimeraError) as caught:
            post.brief(Pen(said=(("word " * 110 + ".", "One"),), sources=[]))
        assert caught.value.code == "VALIDATION_FAILED" and "got one card, expected 2–10" in caught.value.message
        assert post.made.read_or_none("brief", "request.json") is None


def damaged(post: StillPost, report: dict[str, Any], kind: str, how: str) -> None:
    data = post.bytes_of(report, kind)
    if how == "truncated":
        data = data[: len(data) // 2]
    elif how == "flat":
        data = cv2.imencode(".jpg", np.full((360, 360, 3), 90, np.uint8))[1].tobytes()
    elif how == "small":
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        data = cv2.imencode(".jpg", cv2.resize(picture, (180, 180)))[1].tobytes()
    post.made.media.put_bytes(report["files"][kind]["key"], data)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A good carousel of three cards, made once: its folder and report."""
    folder = tmp_path_factory.mktemp("carousel")
    with still_post(folder, "carousel") as post:
        said = tuple((f"{text} It was the same in all of the years before, and it will be so again next year.", shown)
                     for text, shown in (*SAID[:2],))  # fmt: skip
        long = "They say that the boats are full on most of the evenings of a week in summer. " * 5
        post.brief(Pen(said=(said[0], (said[1][0] + " " + long, said[1][1]))))
        report = post.produce()
        assert set(technical_answers(post.inspect()).values()) == {True}
    return folder, report


@pytest.mark.parametrize(
    ("how", "fails"),
    [
        ("truncated", {"technical.cards_decodable"}),
        ("flat", {"technical.cards_blank", "technical.cards_readable"}),
        ("small", {"technical.cards_same_size", "technical.width", "technical.height", "technical.aspect"}),
        ("no alt", {"technical.cards_alt"}),
        ("long post", {"technical.posts_length", "technical.posts_count"}),
        ("too many", {"technical.cards_count"}),
    ],
)
def test_every_fault_is_found(tmp_path: Path, finished: tuple[Path, dict[str, Any]], how: str, fails: set[str]) -> None:
    folder, report = finished
    shutil.copytree(folder / "media", tmp_path / "media")
    with still_post(tmp_path, "carousel") as post:
        if how == "no alt":
            report = {**report, "alt": {**report["alt"], "card_02": " "}}
        elif how == "long post":
            report = {**report, "posts": ["字" * 141]}
        elif how == "too many":
            report = {**report, "format": "image"}
        else:
            damaged(post, report, "card_02", how)
        post.made.write("reports", "render.json", {**report, "sha256": how})
        found = post.inspect()
        failed = {name for name, passed in technical_answers(found).items() if passed is not True}
        assert fails & failed and failed - fails <= {"quality.score", "technical.cards_readable"}, failed
        assert found["quality"]["score"] < 0.8


def test_contrast_is_measured_from_the_picture() -> None:
    picture = np.full((100, 300, 3), 255, np.uint8)
    cv2.putText(picture, "TEXT", (20, 70), cv2.FONT_HERSHEY_SIMPLEX, 2, (0, 0, 0), 6)
    assert (text_contrast(picture, (0, 0, 300, 100)) or 0) == pytest.approx(21, abs=0.2)
    grey = np.full((100, 300, 3), 150, np.uint8)
    cv2.putText(grey, "TEXT", (20, 70), cv2.FONT_HERSHEY_SIMPLEX, 2, (130, 130, 130), 6)
    assert (text_contrast(grey, (0, 0, 300, 100)) or 0) < 1.5
    assert text_contrast(grey, (0, 0, 2, 2)) is None
