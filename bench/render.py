"""Renders the same piece at several sizes and prints JSON: CPU per output second, ratio to bare x264, memory, previews.

`python bench/render.py [--heights 360p,1080p] [--repeats 5] [--qualities standard,high] [--keep DIR]`. The floor is x264
at the same preset, alone, on the very frames the render made, decoded first to a file of raw pictures (in parts, so that
it fits on a disk). Render and floor are measured one after the other in each repeat, and the ratio is the median of the
repeats' ratios. The changed line is one of ten scenes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import ffmpeg
import psutil

from chimera.adapters.canvases.cards import CardCanvas
from chimera.adapters.voices.espeak import EspeakVoice
from chimera.media import process
from chimera.media.encode import VideoSettings
from chimera.media.models import RenderJob, RenderResult, RenderScene, SceneSpec, frame_size
from chimera.media.render import render

TITLE = "How a small town learned to store the summer sun"
PIECE = [
    ("A small town in the north has found a way to keep the heat of July until the middle of winter, under a football field.",
     "Summer heat, kept until winter", "Sun over a small town"),
    ("Its solar panels warm water to ninety degrees, and pumps push that water into 1,400 holes drilled in solid rock.",
     "1,400 holes in solid rock", "Solar energy and water pumps"),
    ("The rock warms up slowly, and it cools down slowly too. By January it still gives back almost 60% of what it was given.",
     "60% comes back in January", "Heat battery chart"),
    ("Seven hundred homes are connected. Their heating bills have fallen every year since the pumps were switched on.",
     "700 homes, falling bills", "Homes and families"),
    ("The idea is not new, and it is not cheap. The holes cost $12 million, and the town will need twenty years to earn that back.",
     "A $12 million bet", "Money and investors"),
    ("Other towns are watching closely. Would you dig up your football field to keep warm?",
     "Would your town do it?", "People asking a question"),
]  # fmt: skip


def piece(folder: Path, aspect: str, height: str, *, scenes_wanted: int = len(PIECE)) -> RenderJob:
    """The job, with its voice and pictures made; with more scenes than the piece has, it begins again."""
    folder.mkdir(parents=True, exist_ok=True)
    size = frame_size(aspect, height)  # type: ignore[arg-type]
    scenes = []
    for index in range(scenes_wanted):
        said, shown, prompt = PIECE[index % len(PIECE)]
        spec = SceneSpec(narration=said, on_screen_text=shown, visual_prompt=prompt)
        voice = EspeakVoice().synthesize(said, speed_wpm=175, out_wav=folder / f"{index}.wav")
        image = CardCanvas().paint(
            spec, index=index, count=len(PIECE), title=TITLE, seed=7, size=size, out_png=folder / f"{index}.png"
        )
        scenes.append(RenderScene(**spec.model_dump(), image=image, audio=folder / f"{index}.wav", words=voice.words))
    closing = CardCanvas().paint(
        SceneSpec(), index=len(PIECE), count=len(PIECE), title=TITLE, seed=7, size=size, out_png=folder / "closing.png"
    )
    return RenderJob.model_validate(
        {"title": TITLE, "scenes": tuple(scenes), "sources": ("https://example.org/sun",), "aspect": aspect,
         "height": height, "seed": 7, "outro_image": closing}
    )  # fmt: skip


class PeakMemory:
    """The largest proportional set size of this process's children together, sampled twenty times a second."""

    def __init__(self) -> None:
        self.peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        me = psutil.Process()
        while not self._over.wait(0.05):
            total = 0
            for one in me.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, OSError):
                    total += _proportional(one.pid)
            self.peak = max(self.peak, total)


def _proportional(pid: int) -> int:
    """Bytes a process answers for: its own pages and its share of those it shares (Linux); elsewhere what is resident."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except FileNotFoundError:
        return int(psutil.Process(pid).memory_info().rss)
    return int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1]) * 1024


def floor_seconds(video: Path, settings: VideoSettings, seconds: float, folder: Path) -> dict[int, float]:
    """CPU seconds of x264 alone on the finished frames, ten seconds of video at a time: by its number of threads."""
    used = {1: 0.0, 2: 0.0}
    part = 10.0
    for number in range(int(seconds // part) + 1):
        raw = folder / "raw.yuv"
        source = ffmpeg.input(str(video), ss=number * part, t=part).video
        process.run(process.command(ffmpeg.output(source, str(raw), f="rawvideo", pix_fmt="yuv420p")))
        if raw.stat().st_size == 0:
            break
        frames = ffmpeg.input(
            str(raw), f="rawvideo", pix_fmt="yuv420p", s=f"{settings.width}x{settings.height}", framerate=settings.fps
        )
        for threads in used:
            bare = ffmpeg.output(
                frames, "-", format="null", vcodec="libx264", preset=settings.preset, crf=settings.crf, threads=threads,
                maxrate=settings.maxrate, bufsize=settings.maxrate * 2, g=settings.fps * 2,
            )  # fmt: skip
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            process.run(process.command(bare))
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used[threads] += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        raw.unlink()
    return used


def rendered(job: RenderJob, folder: Path) -> RenderResult:
    """The render in a new process, which has drawn no pictures before."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(render, job, folder).result()


def measured(job: RenderJob, folder: Path, *, with_floor: bool = True) -> dict[str, Any]:
    """One fresh render of a job, and the floor on its frames."""
    shutil.rmtree(folder, ignore_errors=True)
    with PeakMemory() as memory:
        result = rendered(job, folder)
    found: dict[str, Any] = {
        "seconds": result.duration_seconds, "cpu": result.cpu_seconds, "wall": result.wall_seconds, "bytes": result.size_bytes,
        "peak": memory.peak / 1e6, "loudness": result.loudness_lufs, "true_peak": result.true_peak_dbtp,
    }  # fmt: skip
    if with_floor:
        settings = VideoSettings.plan(
            size=job.size,
            fps=job.fps,
            quality=job.quality_preset,
            seconds=result.duration_seconds,
            max_bytes=job.max_bytes,
        )
        floors = floor_seconds(result.video, settings, result.duration_seconds, folder)
        found |= {"floor": floors[1], "floor_of_two": floors[2]}
        found |= {"ratio": result.cpu_seconds / floors[1], "ratio_of_two": result.cpu_seconds / floors[2]}
    return found


def at_size(folder: Path, aspect: str, height: str, qualities: list[str], repeats: int) -> dict[str, Any]:
    """All figures of one size."""
    job = piece(folder / "in", aspect, height)
    runs: dict[str, list[dict[str, Any]]] = {quality: [] for quality in [*qualities, "preview"]}
    for _ in range(repeats):
        for quality, found in runs.items():
            wanted = job.model_copy(update={"quality_preset": quality})
            found.append(measured(wanted, folder / "work", with_floor=quality != "preview"))
    shown: dict[str, Any] = {"repeats": repeats, "size": "x".join(map(str, job.size)), "fps": job.fps}
    for quality, found in runs.items():
        median = {
            name: statistics.median(run[name] for run in found) for name in found[0] if found[0][name] is not None
        }
        shown[quality] = {
            "video_seconds": median["seconds"],
            "cpu_seconds": round(median["cpu"], 2),
            "cpu_seconds_per_output_second": round(median["cpu"] / median["seconds"], 3),
            "wall_seconds": round(median["wall"], 2),
            "peak_memory_mb": round(max(run["peak"] for run in found)),
            "bytes": round(median["bytes"]),
            "loudness_lufs": median.get("loudness"),
            "true_peak_dbtp": median.get("true_peak"),
        }
        if "floor" in median:
            shown[quality]["floor_cpu_seconds"] = round(median["floor"], 2)
            shown[quality]["ratio_to_floor"] = round(median["ratio"], 3)
            shown[quality]["floor_of_two_threads_cpu_seconds"] = round(median["floor_of_two"], 2)
            shown[quality]["ratio_to_floor_of_two_threads"] = round(median["ratio_of_two"], 3)
    if "standard" in shown:
        pairs = zip(runs["preview"], runs["standard"], strict=True)
        shown["preview_wall_share"] = round(statistics.median(a["wall"] / b["wall"] for a, b in pairs), 3)
    shown["changed_line"] = changed_line(folder, aspect, height, repeats)
    return shown


def changed_line(folder: Path, aspect: str, height: str, repeats: int) -> dict[str, Any]:
    """What changing what stands in one scene of ten costs, as a share of the whole; sound and joining included."""
    job = piece(folder / "ten", aspect, height, scenes_wanted=10)
    shares, reused = [], 0
    for number in range(repeats):
        whole = measured(job, folder / "work", with_floor=False)
        other = job.scenes[4].model_copy(update={"on_screen_text": f"Another line {number}"})
        changed = job.model_copy(update={"scenes": (*job.scenes[:4], other, *job.scenes[5:])})
        result = rendered(changed, folder / "work")
        shares.append(result.cpu_seconds / whole["cpu"])
        reused = result.segments_reused
    return {"scenes": 10, "cpu_share": round(statistics.median(shares), 3), "segments_reused": reused}


def main() -> int:
    """Runs the bench and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aspect", default="9:16", choices=["9:16", "16:9", "1:1"])
    parser.add_argument("--heights", default="360p", help="comma-separated: 360p, 720p, 1080p, 4k")
    parser.add_argument("--qualities", default="standard,high", help="comma-separated: draft, standard, high")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="keep the files in this folder")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-render-") as temporary:
        folder = (asked.keep or Path(temporary)).resolve()
        sizes = {
            height: at_size(folder / height, asked.aspect, height, asked.qualities.split(","), asked.repeats)
            for height in asked.heights.split(",")
        }
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    version = subprocess.run([process.executable(), "-version"], capture_output=True, text=True, check=True).stdout
    about = {"bench": "render", "cores": cores, "ffmpeg": version.split("\n", 1)[0], "python": sys.version.split()[0]}
    print(json.dumps({**about, "sizes": sizes}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
