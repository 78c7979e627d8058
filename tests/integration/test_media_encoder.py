"""Which encoder makes the picture: NVENC where one frame shows that it works, x264 elsewhere, never two in one video.

There is no GPU here, so a stand-in for ffmpeg says yes or no to NVENC; what it says yes to, the real one encodes with x264.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg
import pytest

from chimera.errors import ChimeraError
from chimera.media import encode, process
from chimera.media.models import RenderJob, RenderScene
from chimera.media.render import render

REAL = imageio_ffmpeg.get_ffmpeg_exe()
STAND_IN = """#!{python}
import json, os, sys
arguments = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(json.dumps(arguments) + "\\n")
if "h264_nvenc" in arguments:
    if not {has_gpu}:
        sys.exit("[h264_nvenc @ 0x1] Cannot load libcuda.so.1")
    pairs, kept, index = {{"-preset": "superfast", "-pix_fmt": "yuv420p"}}, [], 0
    while index < len(arguments):
        word = arguments[index]
        if word in ("-rc", "-cq", "-b:v", "-rc-lookahead", "-spatial-aq"):
            index += 2
            continue
        kept.append(pairs.get(arguments[index - 1], word) if index and "h264_nvenc" not in word else word)
        index += 1
    arguments = ["libx264" if word == "h264_nvenc" else word for word in kept]
os.execv({real!r}, [{real!r}, *arguments])
"""


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], Path]]:
    """Put a stand-in where ffmpeg is looked for; gives the file in which it notes what it was asked."""

    def put(has_gpu: bool) -> Path:
        program, log = tmp_path / f"ffmpeg-{has_gpu}", tmp_path / f"asked-{has_gpu}.jsonl"
        program.write_text(STAND_IN.format(python=sys.executable, log=str(log), has_gpu=has_gpu, real=REAL))
        program.chmod(0o755)
        monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
        process.executable.cache_clear()
        return log

    encode.nvenc_works.cache_clear()
    yield put
    monkeypatch.undo()
    process.executable.cache_clear()
    encode.nvenc_works.cache_clear()


def asked(log: Path) -> list[list[str]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def job() -> RenderJob:
    scenes = tuple(RenderScene(narration="", on_screen_text=f"Scene {i}") for i in range(2))
    return RenderJob(title="T", scenes=scenes, height="360p", fps=24, quality_preset="draft", music="off")


def test_a_machine_that_refuses_the_trial_uses_x264_and_tries_once(ffmpeg: Callable[[bool], Path]) -> None:
    log = ffmpeg(False)
    assert [encode.choose_encoder() for _ in range(3)] == ["x264"] * 3
    assert len(asked(log)) == 1 and "h264_nvenc" in asked(log)[0]
    with pytest.raises(ChimeraError) as refused:
        encode.choose_encoder("nvenc")
    assert refused.value.code == "VALIDATION_FAILED" and "auto or x264" in refused.value.message


def test_a_machine_that_accepts_it_uses_nvenc_unless_told_otherwise(ffmpeg: Callable[[bool], Path]) -> None:
    log = ffmpeg(True)
    assert encode.choose_encoder("x264") == "x264" and not log.exists(), "told so, it does not even try"
    assert encode.choose_encoder() == encode.choose_encoder("nvenc") == "nvenc"
    assert len(asked(log)) == 1


def test_on_this_machine_the_real_ffmpeg_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    encode.nvenc_works.cache_clear()
    works = encode.nvenc_works(process.executable())
    assert encode.choose_encoder() == ("nvenc" if works else "x264")
    if not list(Path("/dev").glob("nvidia*")):
        assert not works, "there is no GPU here"


def test_nvenc_renders_with_its_own_settings_and_never_joins_segments_of_x264(
    ffmpeg: Callable[[bool], Path], tmp_path: Path
) -> None:
    log = ffmpeg(True)
    first = render(job(), tmp_path / "work", encoder="x264")
    again = render(job(), tmp_path / "work", encoder="x264")
    assert (first.encoder, first.segments_reused, again.segments_reused) == ("x264", 0, first.segments_total)
    assert not [words for words in asked(log) if "h264_nvenc" in words]
    other = render(job(), tmp_path / "work")
    assert (other.encoder, other.segments_reused) == ("nvenc", 0)
    made = [words for words in asked(log) if "h264_nvenc" in words and "segment.mp4" in words]
    assert len(made) == other.segments_total
    for words in made:
        options = dict(pairwise(words))
        assert (options["-preset"], options["-rc"], options["-cq"], options["-b:v"]) == ("p2", "vbr", "30", "0")
        assert (options["-pix_fmt"], options["-profile:v"]) == ("nv12", "high")
        assert int(options["-bufsize"]) == 2 * int(options["-maxrate"]) and options["-g"] == "48"


def test_the_choice_of_an_encoder_leaves_the_keys_of_x264_as_they_were() -> None:
    settings = encode.VideoSettings.plan(size=(360, 640), fps=24, quality="draft", seconds=10, max_bytes=10**8)
    assert "encoder" not in settings.key()
    codec = {"vcodec": "libx264", "preset": "superfast", "crf": 27, "maxrate": 750_000, "bufsize": 1_500_000, "g": 48}
    assert settings.codec() == {**codec, "pix_fmt": "yuv420p", "x264-params": "sync-lookahead=0"}
