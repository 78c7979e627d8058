"""Every detector of the technical gate fires on a clip made bad on purpose, and on nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chimera.errors import ChimeraError
from chimera.media.inspect import inspect
from tests.fakes.clips import MOVING, NARRATION, SECONDS, SIZE, VOICE, VTT, make


def failed(video: Path, tmp_path: Path, *, vtt: str = VTT, **limits: Any) -> set[str]:
    (tmp_path / "c.vtt").write_text(vtt)
    expected = {
        **SIZE,
        "expected_seconds": float(SECONDS),
        "max_black_seconds": 0.5,
        "max_freeze_seconds": 1.5,
        "loudness_tolerance": 2.0,
    }
    report = inspect(video, vtt=tmp_path / "c.vtt", narration=NARRATION, expected={**expected, **limits})
    return {c.name.removeprefix("technical.") for c in report.problems}


def test_a_good_clip_has_no_problem(tmp_path: Path) -> None:
    assert failed(make(tmp_path / "good.mp4"), tmp_path) == set()


def test_black_is_seen_and_a_dark_picture_is_not_black(tmp_path: Path) -> None:
    black = "color=black:size=320x568:rate=30:duration=4"
    assert "black_frames" in failed(make(tmp_path / "black.mp4", picture=black), tmp_path)
    # a good dark clip: its whites are at a third
    dark = "testsrc2=size=320x568:rate=30:duration=4,lutyuv=y='16+(val-16)*0.3'"
    assert failed(make(tmp_path / "dark.mp4", picture=dark), tmp_path) == set()


def test_a_frozen_picture_is_seen_even_across_key_frames(tmp_path: Path) -> None:
    still = "testsrc2=size=320x568:rate=30:duration=4,noise=alls=6:allf=p,loop=loop=-1:size=1,setpts=N/30/TB"
    assert failed(make(tmp_path / "frozen.mp4", picture=still), tmp_path) == {"frozen_picture"}


def test_silence_is_seen_and_speech_pauses_are_not(tmp_path: Path) -> None:
    gap = VOICE.replace("d=4", "d=4,volume=enable='between(t,1,3.5)':volume=0")
    assert "silence" in failed(make(tmp_path / "gap.mp4", sound=gap), tmp_path)
    assert "silence" not in failed(make(tmp_path / "speech.mp4"), tmp_path)
    nothing = failed(make(tmp_path / "mute.mp4", sound="anullsrc=r=48000:cl=stereo"), tmp_path)
    assert {"silence", "loudness"} <= nothing


def test_clipping_and_wrong_loudness_are_seen(tmp_path: Path) -> None:
    clipped = VOICE + ",volume=24dB,aformat=sample_fmts=s16"
    found = failed(make(tmp_path / "clipped.mp4", sound=clipped), tmp_path)
    assert {"clipping", "loudness", "true_peak"} <= found
    quiet = failed(make(tmp_path / "quiet.mp4", sound=VOICE + ",volume=-20dB"), tmp_path)
    assert quiet == {"loudness"}


def test_wrong_size_rate_length_and_container_are_seen(tmp_path: Path) -> None:
    small = make(tmp_path / "small.mp4", picture=MOVING.replace("320x568", "240x426"))
    assert failed(small, tmp_path) == {"width", "height"}
    slow = make(tmp_path / "slow.mp4", picture=MOVING.replace("rate=30", "rate=24"))
    assert failed(slow, tmp_path) == {"fps"}
    good = make(tmp_path / "good.mp4")
    assert failed(good, tmp_path, expected_seconds=6.0) == {"duration_expected"}
    assert failed(good, tmp_path, max_seconds=3.0) == {"duration_maximum"}
    assert failed(good, tmp_path, min_seconds=10.0) == {"duration_minimum"}
    assert failed(good, tmp_path, max_bytes=1000) == {"file_size"}
    assert "faststart" in failed(make(tmp_path / "late.mp4", movflags="0"), tmp_path)
    assert {"container", "faststart"} <= failed(make(tmp_path / "x.mkv", movflags="0"), tmp_path)
    assert "pixel_format" in failed(make(tmp_path / "444.mp4", pix_fmt="yuv444p"), tmp_path)


def test_missing_and_hurried_captions_are_seen(tmp_path: Path) -> None:
    video = make(tmp_path / "good.mp4")
    (tmp_path / "half.vtt").write_text(VTT.split("2\n00:00:02")[0])
    (tmp_path / "fast.vtt").write_text(VTT.replace("00:00:03.800", "00:00:02.200"))
    half = {c.name for c in inspect(video, vtt=tmp_path / "half.vtt", narration=NARRATION).problems}
    fast = {c.name for c in inspect(video, vtt=tmp_path / "fast.vtt", narration=NARRATION).problems}
    none = {c.name: c.passed for c in inspect(video, narration=NARRATION).problems}
    assert "technical.caption_coverage" in half
    assert {"technical.reading_speed", "technical.shortest_caption"} <= fast
    assert none["technical.caption_coverage"] is False and none["technical.reading_speed"] is None


def test_what_is_no_video_is_never_a_pass(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"not a video at all" * 100)
    report = inspect(tmp_path / "x.mp4")
    assert {c.name for c in report.problems} >= {"technical.container", "technical.video_codec", "technical.loudness"}
    cut = tmp_path / "cut.mp4"
    whole = make(tmp_path / "good.mp4").read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    assert inspect(cut).problems
    with pytest.raises(ChimeraError) as missing:
        inspect(tmp_path / "none.mp4")
    assert missing.value.code == "NOT_FOUND"
    with pytest.raises(ChimeraError) as unknown:
        inspect(cut, expected={"widht": 3})
    assert unknown.value.code == "VALIDATION_FAILED"
