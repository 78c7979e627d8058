"""The technical gate's rules, on measurements alone."""

from __future__ import annotations

import pytest

from chimera.media.technical import Limits, evaluate, problems

GOOD = {
    "container": "mp4", "video_codec": "h264", "audio_codec": "aac", "pix_fmt": "yuv420p", "faststart": True,
    "constant_frame_rate": True, "size_bytes": 6_000_000, "duration_seconds": 45.0, "av_difference_seconds": 0.01,
    "longest_black_seconds": 0.0, "longest_freeze_seconds": 0.9, "longest_silence_seconds": 0.4, "clipped_share": 0.0,
    "loudness_lufs": -14.2, "true_peak_dbtp": -1.2, "caption_coverage": 1.0, "max_chars_per_second": 18.0,
    "median_chars_per_second": 14.0, "shortest_cue_seconds": 0.8, "width": 1080, "height": 1920, "fps": 30,
    "colour": "bt709/bt709/bt709/tv", "missing_seconds": 0.0, "damaged": 0, "general_flashes_per_second": 0.5,
    "red_flashes_per_second": 0.0, "channels": 2, "channel_difference_db": 0.3, "captions_beyond_seconds": 0.0,
    "captions_off_seconds": 0.02, "longest_uncaptioned_seconds": 0.2,
}  # fmt: skip
LIMITS = Limits(width=1080, height=1920, fps=30, expected_seconds=45.0)


def test_a_good_file_passes_every_check() -> None:
    checks = evaluate(GOOD, LIMITS)
    assert len(checks) == 34 and all(c.passed and c.category == "technical" for c in checks)
    assert problems(GOOD, LIMITS) == []


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("longest_black_seconds", 0.8, "black_frames"),
        ("longest_freeze_seconds", 2.4, "frozen_picture"),
        ("longest_silence_seconds", 3.0, "silence"),
        ("clipped_share", 0.01, "clipping"),
        ("loudness_lufs", -15.1, "loudness"),
        ("loudness_lufs", -12.9, "loudness"),
        ("true_peak_dbtp", -0.2, "true_peak"),
        ("width", 1920, "width"),
        ("fps", 29.97, "fps"),
        ("duration_seconds", 601.0, "duration_maximum"),
        ("duration_seconds", 0.5, "duration_minimum"),
        ("duration_seconds", 44.0, "duration_expected"),
        ("size_bytes", 100_000_001, "file_size"),
        ("caption_coverage", 0.9, "caption_coverage"),
        ("max_chars_per_second", 31.0, "reading_speed"),
        ("shortest_cue_seconds", 0.1, "shortest_caption"),
        ("container", "matroska", "container"),
        ("faststart", False, "faststart"),
        ("pix_fmt", "yuv444p", "pixel_format"),
        ("colour", "smpte170m/bt709/smpte170m/tv", "colour"),
        ("missing_seconds", 0.5, "complete"),
        ("damaged", 1, "decodable"),
        ("av_difference_seconds", 0.04, "av_sync"),
        ("general_flashes_per_second", 3.5, "flashes"),
        ("red_flashes_per_second", 3.5, "red_flashes"),
        ("channels", 1, "stereo"),
        ("channel_difference_db", 40.0, "dead_channel"),
        ("captions_beyond_seconds", 0.4, "captions_within"),
        ("captions_off_seconds", 0.2, "captions_in_time"),
        ("longest_uncaptioned_seconds", 1.2, "speech_captioned"),
    ],
)
def test_each_fault_is_named(key: str, value: object, name: str) -> None:
    failed = {c.name: c for c in problems({**GOOD, key: value}, LIMITS)}
    assert f"technical.{name}" in failed
    assert failed[f"technical.{name}"].passed is False
    assert "expected" in failed[f"technical.{name}"].evidence


@pytest.mark.parametrize("key", sorted(GOOD))
def test_what_could_not_be_measured_is_no_pass(key: str) -> None:
    failed = problems({**GOOD, key: None}, LIMITS)
    assert failed and all(c.passed is None for c in failed)


def test_a_whole_report_brings_its_own_limits_and_a_platform_goes_over_them() -> None:
    report = {"measurements": {**GOOD, "width": 720}, "limits": {"width": 1080}}
    assert [c.name for c in problems(report)] == ["technical.width"]
    strict = problems(report, {"max_seconds": 30, "title_characters": 100})
    assert {c.name for c in strict} == {"technical.width", "technical.duration_maximum"}
