"""The gate's detectors on clips made bad on purpose: flashes, time, colour, channels, damage, captions against the sound."""

from __future__ import annotations

from pathlib import Path

import pytest

from chimera.media.inspect import inspect
from tests.fakes.clips import MOVING, NARRATION, SECONDS, SIZE, VOICE, VTT, make

EXPECTED = {**SIZE, "expected_seconds": float(SECONDS), "max_freeze_seconds": 10.0, "loudness_tolerance": 2.0}


def failed(video: Path, *, vtt: str = VTT, narration: str = NARRATION) -> set[str]:
    captions = video.with_suffix(".vtt")
    captions.write_text(vtt)
    report = inspect(video, vtt=captions, narration=narration, expected=EXPECTED)
    return {check.name.removeprefix("technical.") for check in report.problems}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("gate") / "good.mp4")


def blinking(hertz: float, share: float = 1.0) -> str:
    """Luma 200 and 40 in turn, `hertz` times a second, in the left `share` of the picture."""
    on = f"lt(mod(T,{1 / hertz}),{0.5 / hertz})*lt(X,W*{share})"
    return (
        f"color=black:size=64x112:rate=30:duration={SECONDS},"
        f"geq=lum='if({on},200,40)':cb=128:cr=128,scale=320:568:flags=neighbor"
    )


@pytest.mark.parametrize(
    ("hertz", "share", "fails"), [(5, 1.0, True), (5, 0.35, True), (5, 0.15, False), (2.5, 1.0, False)]
)
def test_more_than_three_flashes_a_second_on_a_quarter_of_the_picture_are_seen(
    tmp_path: Path, hertz: float, share: float, fails: bool
) -> None:
    assert ("flashes" in failed(make(tmp_path / "f.mp4", picture=blinking(hertz, share)))) is fails


def test_red_flashes_are_seen_even_at_one_luminance(tmp_path: Path) -> None:
    red = "lt(mod(T,0.2),0.1)"
    picture = (
        f"color=black:size=64x112:rate=30:duration={SECONDS},format=gbrp,"
        f"geq=r='if({red},255,127)':g='if({red},0,127)':b='if({red},0,127)',"
        "scale=320:568:flags=neighbor:out_color_matrix=bt709:out_range=tv,format=yuv420p"
    )
    assert failed(make(tmp_path / "red.mp4", picture=picture)) == {"red_flashes"}


def test_quick_cuts_are_no_flashes(tmp_path: Path) -> None:
    cuts = f"{MOVING},hue=h='floor(t*3)*97':b='2*mod(floor(t*3),2)-1'"  # three cuts a second, bright and dim in turn
    assert failed(make(tmp_path / "cuts.mp4", picture=cuts)) == set()


def test_a_changing_frame_rate_is_seen(tmp_path: Path) -> None:
    uneven = f"{MOVING},settb=1/90000,setpts='N/30/TB+if(mod(N,7),0,0.012/TB)'"
    video = make(
        tmp_path / "vfr.mp4", picture=uneven, fps_mode="vfr", video_track_timescale=90_000, enc_time_base="1/90000"
    )
    assert "constant_frame_rate" in failed(video)


def test_wrong_colour_tags_are_seen(tmp_path: Path) -> None:
    assert failed(make(tmp_path / "tags.mp4", tags="smpte170m")) == {"colour"}


def test_mono_and_a_dead_channel_are_seen(tmp_path: Path) -> None:
    assert failed(make(tmp_path / "mono.mp4", layout="mono")) == {"stereo"}
    left = VOICE.split("|")[0] + "|0':s=48000:d=4"
    assert failed(make(tmp_path / "left.mp4", sound=left, level=3)) == {"dead_channel"}


def test_sound_that_begins_later_than_the_picture_is_seen(tmp_path: Path) -> None:
    late = VOICE.replace(":d=4", ":d=3.7") + ",asetpts=PTS+0.3/TB"
    assert "av_sync" in failed(make(tmp_path / "late.mp4", sound=late))


def test_sound_that_ends_before_the_picture_is_seen(tmp_path: Path) -> None:
    assert "av_sync" in failed(make(tmp_path / "short.mp4", sound=VOICE.replace(":d=4", ":d=3.9")))


def test_a_file_that_was_cut_off_is_seen(good: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    whole = good.read_bytes()
    cut.write_bytes(whole[: len(whole) * 6 // 10])
    assert {"complete", "av_sync"} <= failed(cut)


def test_damaged_frames_are_seen(good: Path, tmp_path: Path) -> None:
    data = bytearray(good.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(range(1, 251)) * 16
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(data)
    assert "decodable" in failed(damaged)


def moved(seconds: float) -> str:
    """The captions, later by so much."""
    starts = [(0.3, 1.9, "One two three"), (2.2, 3.8, "four five six")]
    cues = [
        f"{n}\n00:00:{start + seconds:06.3f} --> 00:00:{end + seconds:06.3f}\n{text}\n"
        for n, (start, end, text) in enumerate(starts, 1)
    ]
    return "\n".join(["WEBVTT\n", *cues])


@pytest.mark.parametrize("seconds", [-0.25, 0.25, 0.6])
def test_captions_that_drift_from_the_voice_are_seen(good: Path, seconds: float) -> None:
    assert "captions_in_time" in failed(good, vtt=moved(seconds))


def test_captions_in_time_are_not_blamed(good: Path) -> None:
    assert failed(good, vtt=moved(0.08)) == set()


def test_speech_without_a_cue_is_seen_even_where_all_words_are_there(good: Path) -> None:
    once = "WEBVTT\n\n1\n00:00:00.300 --> 00:00:01.900\nOne two three four five six\n"
    assert failed(good, vtt=once) == {"speech_captioned"}


def test_captions_after_the_end_are_seen(good: Path) -> None:
    assert failed(good, vtt=VTT.replace("00:00:03.800", "00:00:04.600")) == {"captions_within"}


def test_a_clip_in_which_nobody_speaks_needs_no_captions(tmp_path: Path, good: Path) -> None:
    assert failed(good, vtt="WEBVTT\n", narration="") == set()
    silent = make(tmp_path / "mute.mp4", sound="anullsrc=r=48000:cl=stereo")
    assert "captions_in_time" in failed(silent)  # cues, and no voice to hold them against
