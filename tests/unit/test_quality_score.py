"""The quality score: each part's formula, what a failed check does to it, and what is not known."""

from __future__ import annotations

from typing import Any

import pytest

from chimera.domain.models import Check
from chimera.media.quality import FAILED_AT_MOST, THRESHOLD, WEIGHTS, score

GOOD: dict[str, Any] = {
    "duration_seconds": 45.0, "caption_coverage": 1.0, "caption_cues": 19, "captions_off_seconds": 0.02,
    "shortest_cue_seconds": 1.2, "median_chars_per_second": 14.0, "max_chars_per_second": 19.0, "loudness_lufs": -14.0,
    "true_peak_dbtp": -1.5, "silent_seconds": 0.4, "picture_sharpness": 0.2, "picture_contrast": 0.17,
    "picture_detail": 0.75, "picture_variety": 0.06,
}  # fmt: skip


def check(passed: bool | None, name: str = "technical.x") -> Check:
    return Check(name=name, category="technical", score=0, threshold=1, passed=passed, provider="technical")


PASSED = [check(True)] * 30


def test_the_weights_are_a_whole() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)


def test_a_good_video_has_all_of_it_with_or_without_a_fit() -> None:
    assert score(GOOD, PASSED).score == 1.0
    assert score(GOOD, PASSED, fits=[1.0, 1.0]).score == 1.0
    assert "fit" not in score(GOOD, PASSED).parts


@pytest.mark.parametrize(
    ("changes", "part", "value"),
    [
        ({"caption_coverage": 0.95}, "captions", 0.5),
        ({"captions_off_seconds": 0.3}, "captions", 0.5),
        ({"shortest_cue_seconds": 0.2}, "captions", 0.0),
        ({"median_chars_per_second": 21.0}, "reading", 0.5),
        ({"max_chars_per_second": 28.0}, "reading", 0.5),
        ({"loudness_lufs": -16.25}, "loudness", 0.5),
        ({"loudness_lufs": -11.75}, "loudness", 0.5),
        ({"true_peak_dbtp": 1.0}, "loudness", 0.0),
        ({"silent_seconds": 6.75}, "dead_air", 0.5),
        ({"picture_sharpness": 0.06}, "sharpness", 0.5),
        ({"picture_contrast": 0.08}, "contrast", 0.5),
        ({"picture_detail": 0.4}, "detail", 0.5),
        ({"picture_variety": 0.025}, "variety", 0.5),
    ],
)
def test_each_part_follows_its_formula(changes: dict[str, Any], part: str, value: float) -> None:
    found = score({**GOOD, **changes}, PASSED)
    assert found.parts[part] == pytest.approx(value, abs=1e-4)
    assert all(v == 1 for name, v in found.parts.items() if name != part)
    without_fit = 1 - WEIGHTS["fit"]
    assert found.score == pytest.approx(1 - WEIGHTS[part] / without_fit * (1 - value), abs=0.011)


@pytest.mark.parametrize("key", [key for key in GOOD if key not in {"duration_seconds", "caption_cues"}])
def test_what_could_not_be_measured_is_no_quality(key: str) -> None:
    assert score({**GOOD, key: None}, PASSED).score < 1


def test_a_failed_check_keeps_a_video_below_the_threshold_and_an_open_one_only_weighs() -> None:
    failed = score(GOOD, [*PASSED, check(False, "technical.flashes")])
    assert failed.score == FAILED_AT_MOST < THRESHOLD and failed.failed == ["technical.flashes"]
    assert score(GOOD, [*PASSED, check(None)]).score > 0.98


def test_nobody_speaks_and_the_captions_are_no_part() -> None:
    silent = {**GOOD, "caption_cues": 0, "captions_off_seconds": 0.0}
    assert "captions" not in score(silent, PASSED).parts and score(silent, PASSED).score == 1.0
    missing = {**GOOD, "caption_cues": None, "caption_coverage": 0.0}
    assert score(missing, PASSED).parts["captions"] == 0.0


def test_pictures_that_fit_badly_cost_their_weight() -> None:
    assert score(GOOD, PASSED, fits=[0.5, 0.5]).score == pytest.approx(1 - WEIGHTS["fit"] / 2)
    assert score(GOOD, PASSED, fits=[7.0, -3.0]).parts["fit"] == 0.5


def test_the_score_is_rounded_down_so_that_a_shown_threshold_is_a_reached_one() -> None:
    near = score({**GOOD, "picture_variety": 0.0399}, PASSED)
    assert near.score == 0.99 and 0 < near.parts["variety"] < 1


def test_nothing_measured_is_nothing() -> None:
    assert score({}, []).score == 0.0
