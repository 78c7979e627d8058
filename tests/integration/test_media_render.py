"""Rendering for real: small videos, measured; killed and resumed; odd text; a full disk; stopped by SIGTERM."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import av
import cv2
import numpy as np
import psutil
import pytest

from chimera.adapters.canvases.cards import CardCanvas
from chimera.errors import ChimeraError
from chimera.media.captions import parse_vtt
from chimera.media.inspect import inspect
from chimera.media.models import RenderJob, RenderResult, RenderScene, SceneSpec, Word
from chimera.media.render import render

TEXTS = ["A small start here.", "It rose by 40% in a year.", "And that is the whole story, they say."]


def tone(path: Path, seconds: float, frequency: float = 190.0) -> Path:
    """A voice-like tone with partials where speech has its power, syllables at 5 Hz."""
    t = np.arange(round(seconds * 22_050)) / 22_050
    voiced = sum(np.sin(2 * np.pi * frequency * k * t) / k for k in range(1, 9)) / 2
    sound = voiced * (0.6 + 0.4 * np.sin(2 * np.pi * 5 * t)) * 0.4
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(22_050)
        out.writeframes((sound * 32767).astype("<i2").tobytes())
    return path


def make_job(folder: Path, texts: list[str] | None = None, **changes: object) -> RenderJob:
    folder.mkdir(parents=True, exist_ok=True)
    texts = TEXTS if texts is None else texts
    scenes = []
    for i, text in enumerate(texts):
        words = text.split()
        seconds = max(0.3 * len(words), 0.4)
        spec = SceneSpec(narration=text, on_screen_text=f"Headline {i}", visual_prompt="chart")
        image = CardCanvas().paint(
            spec, index=i, count=len(texts), title="T", seed=1, size=(360, 640), out_png=folder / f"{i}.png"
        )
        scenes.append(
            RenderScene(
                **spec.model_dump(), image=image, audio=tone(folder / f"{i}.wav", seconds) if text else None,
                words=tuple(Word(text=w, start=j * 0.3, end=j * 0.3 + 0.28) for j, w in enumerate(words)),
            )
        )  # fmt: skip
    values = {
        "title": "A small title", "scenes": tuple(scenes), "sources": ("https://example.org/a",), "height": "360p", "fps": 24,
        "quality_preset": "draft", "seed": 4, **changes,
    }  # fmt: skip
    return RenderJob.model_validate(values)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[RenderJob, RenderResult, list[float]]:
    folder = tmp_path_factory.mktemp("render")
    job = make_job(folder / "in")
    shares: list[float] = []
    return job, render(job, folder / "work", shares.append), shares


def frame_at(video: Path, seconds: float) -> np.ndarray:
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= seconds:
                return frame.to_ndarray(format="bgr24")
    raise AssertionError(f"no frame at {seconds}")


def test_the_file_passes_the_technical_gate(finished: tuple[RenderJob, RenderResult, list[float]]) -> None:
    job, result, shares = finished
    narration = " ".join(s.narration for s in job.scenes)
    expected = {"width": 360, "height": 640, "fps": 24, "expected_seconds": result.duration_seconds}
    report = inspect(result.video, vtt=result.vtt, narration=narration, expected=expected)
    assert [f"{c.name}: {c.evidence}" for c in report.problems] == []
    assert report.measurements["profile"] == "High" and report.measurements["sample_rate"] == 48_000
    assert result.loudness_lufs == pytest.approx(-14, abs=1) and (result.true_peak_dbtp or 0) <= -1
    assert (result.caption_coverage, result.segments_total, result.segments_reused) == (1.0, 7, 0)
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert result.cpu_seconds > 0 and len(result.sha256) == 64


def test_colours_are_tagged_and_come_out_as_bt709(tmp_path: Path) -> None:
    blue, green, red = 60, 40, 200
    cv2.imwrite(str(tmp_path / "flat.png"), np.full((640, 360, 3), (blue, green, red), np.uint8))
    scene = RenderScene(image=tmp_path / "flat.png")
    result = render(RenderJob(title="", scenes=(scene,), height="360p", fps=24, music="off"), tmp_path / "work")
    with av.open(str(result.video)) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        frame = next(container.decode(video=0))
        planes = [np.frombuffer(p, np.uint8).reshape(p.height, -1)[p.height // 2, p.width // 2] for p in frame.planes]
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    wanted = (16 + 219 * luma / 255, 128 + 224 * (blue - luma) / 1.8556 / 255, 128 + 224 * (red - luma) / 1.5748 / 255)
    assert planes == pytest.approx(wanted, abs=1.5)


def test_type_is_burned_in_with_the_bundled_fonts(finished: tuple[RenderJob, RenderResult, list[float]]) -> None:
    _, result, _ = finished
    with_title = frame_at(result.video, 1.0).astype(int)
    assert (with_title[240:430].min(axis=2) > 225).mean() > 0.02, "white letters stand in the title's place"
    text = result.ass.read_text("utf-8")
    assert "A small title" in text and "Montserrat" in text and "Sources" in text
    conf = result.video.parent / "fonts" / "fonts.conf"
    assert conf.is_absolute() and "fontpkg_montserrat" in conf.read_text("utf-8")


def test_side_files(finished: tuple[RenderJob, RenderResult, list[float]]) -> None:
    _, result, _ = finished
    cues = parse_vtt(result.vtt.read_text("utf-8"))
    assert " ".join(text for *_, text in cues).split() == " ".join(TEXTS).split()
    assert cues == parse_vtt(result.srt.read_text("utf-8"))
    for path, size in ((result.thumbnail, (640, 360)), (result.poster, (320, 180))):
        picture = cv2.imread(str(path))
        assert picture is not None and picture.shape[:2] == size and picture.std() > 20
    assert not list(result.video.parent.glob("*.tmp*")) and not list(result.video.parent.glob("render-*"))


def test_rendered_again_nothing_is_encoded_twice_and_the_bytes_are_the_same(
    finished: tuple[RenderJob, RenderResult, list[float]],
) -> None:
    job, result, _ = finished
    again = render(job, result.video.parent)
    assert again.segments_reused == again.segments_total
    assert again.sha256 == result.sha256


def test_the_same_job_elsewhere_gives_the_same_bytes_and_a_changed_line_costs_few_segments(
    tmp_path: Path, finished: tuple[RenderJob, RenderResult, list[float]]
) -> None:
    job, result, _ = finished
    fresh = render(job, tmp_path / "work")
    assert fresh.sha256 == result.sha256
    last = job.scenes[-1].model_copy(update={"on_screen_text": "Another headline"})
    changed = job.model_copy(update={"scenes": (*job.scenes[:-1], last)})
    # of the changed scene both segments, and the way in of the closing card, which shows the scene's end: its type is not in it
    assert render(changed, tmp_path / "work").segments_reused == 5


@pytest.mark.parametrize(
    ("title", "said", "shown"),
    [
        ("", "", ""),
        ("x" * 2_000_000, "word " * 30, "y" * 3000),
        ("مرحبا بالعالم 😀", "שלום עולם שלום", "日本語のニュース 🚀"),
        ("<script>alert(1)</script>{\\p1}", "a {\\fs999} b \\N c", "<b>bold</b> & %{eif\\:t} ':;[out]"),
    ],
    ids=["empty", "long", "scripts", "markup"],
)
def test_odd_text_renders(tmp_path: Path, title: str, said: str, shown: str) -> None:
    words = tuple(Word(text=w, start=i * 0.1, end=i * 0.1 + 0.1) for i, w in enumerate(said.split()))
    scene = RenderScene(narration=said, on_screen_text=shown, words=words)
    job = RenderJob(
        title=title,
        scenes=(scene,),
        height="360p",
        fps=24,
        quality_preset="draft",
        sources=(title[:50],),
        music="off",
    )
    result = render(job, tmp_path / "w o'r:k,[x]")
    assert result.duration_seconds > 3 and result.loudness_lufs is None
    with av.open(str(result.video)) as container:
        assert sum(1 for _ in container.decode(video=0)) == round(result.duration_seconds * 24)


@pytest.mark.parametrize(("aspect", "size"), [("16:9", (640, 360)), ("1:1", (360, 360))])
def test_other_shapes(tmp_path: Path, aspect: str, size: tuple[int, int]) -> None:
    result = render(make_job(tmp_path / "in", ["One two three."], aspect=aspect, fps=30), tmp_path / "work")
    with av.open(str(result.video)) as container:
        context = container.streams.video[0].codec_context
        assert (context.width, context.height) == size == (result.width, result.height)


def test_unreadable_inputs_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"nope")
    (tmp_path / "bad.wav").write_bytes(b"nope")
    for scene in (
        RenderScene(image=tmp_path / "bad.png"),
        RenderScene(audio=tmp_path / "bad.wav"),
        RenderScene(image=tmp_path / "none.png"),
    ):
        with pytest.raises(ChimeraError) as error:
            render(RenderJob(title="t", scenes=(scene,), height="360p"), tmp_path / "work")
        assert error.value.code == "VALIDATION_FAILED"
    long = tuple(RenderScene(narration="x" * 900) for _ in range(30))
    with pytest.raises(ChimeraError) as too_long:
        render(RenderJob(title="t", scenes=long, height="360p"), tmp_path / "work")
    assert too_long.value.code == "VIDEO_TOO_LONG"


def test_over_the_size_limit_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ChimeraError) as error:
        render(make_job(tmp_path / "in", ["One two three."], max_bytes=1000), tmp_path / "work")
    assert error.value.code == "FILE_TOO_LARGE" and not (tmp_path / "work/video.mp4").exists()


RENDERER = """
import json, sys
from pathlib import Path
from chimera.errors import ChimeraError
from chimera.media.models import RenderJob
from chimera.media.process import ends_on_sigterm
from chimera.media.render import render
job = RenderJob.model_validate_json(Path(sys.argv[1]).read_text())
if len(sys.argv) > 3:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    with ends_on_sigterm():
        result = render(job, Path(sys.argv[2]), lambda share: print(share, flush=True))
except ChimeraError as error:
    print(json.dumps(error.body()), flush=True)
    sys.exit(1)
print(result.model_dump_json())
"""


def start(job: RenderJob, folder: Path, *more: str) -> subprocess.Popen[str]:
    (folder / "job.json").write_text(job.model_dump_json())
    command = [sys.executable, "-c", RENDERER, str(folder / "job.json"), str(folder / "work"), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_segment(folder: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not list((folder / "work/segments").glob("*.mp4")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_render_keeps_its_segments_and_goes_on_from_there(
    tmp_path: Path, how: signal.Signals, finished: tuple[RenderJob, RenderResult, list[float]]
) -> None:
    job = make_job(tmp_path / "in")
    process = start(job, tmp_path)
    wait_for_segment(tmp_path, process)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(how)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == (143 if how == signal.SIGTERM else -9), errors
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive, "no encoder outlives the render"
    assert not (tmp_path / "work/video.mp4").exists()
    kept = len(list((tmp_path / "work/segments").glob("*.mp4")))
    resumed = render(job, tmp_path / "work")
    assert resumed.segments_total > resumed.segments_reused == kept >= 1
    assert resumed.sha256 == finished[1].sha256, "the bytes of a render that nobody stopped"


def test_a_full_disk_is_said_and_leaves_no_partial_file(tmp_path: Path) -> None:
    """A limit on file sizes stands in for the full disk; ffmpeg and Python report both the same way."""
    job = make_job(tmp_path / "in", TEXTS[:1])
    process = start(job, tmp_path, "20000")
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    body = json.loads(out.splitlines()[-1])["error"]
    assert body["code"] == "INTERNAL" and body["details"]["reason"] == "disk_full"
    assert not (tmp_path / "work/video.mp4").exists()
    assert not list((tmp_path / "work").glob(".*tmp*"))
    assert render(job, tmp_path / "work").segments_total == 3


def test_only_ffmpeg_python_owns_the_package_ffmpeg() -> None:
    import importlib.metadata

    owners = set(importlib.metadata.packages_distributions().get("ffmpeg", []))
    assert owners == {"ffmpeg-python"}


def test_cpu_time_is_that_of_the_whole_tree(finished: tuple[RenderJob, RenderResult, list[float]]) -> None:
    _, result, _ = finished
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert 0 < result.cpu_seconds <= own.ru_utime + own.ru_stime + time.process_time() + 0.01
    assert result.video.stat().st_size == result.size_bytes
