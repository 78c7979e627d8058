"""Renders the same 45-second piece and prints JSON: wall time, CPU per output second, ratio to bare x264, peak memory.

`python bench/render.py [--aspect 9:16] [--height 1080p] [--keep DIR]`. The floor is x264 at the same preset, alone, on
the very frames the render made, decoded first to a file of raw pictures (in parts, so that it fits on a disk).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import ffmpeg
import psutil

from chimera.adapters.canvases.cards import CardCanvas
from chimera.adapters.voices.espeak import EspeakVoice
from chimera.media import process
from chimera.media.encode import VideoSettings
from chimera.media.inspect import inspect
from chimera.media.models import RenderJob, RenderScene, SceneSpec, frame_size
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


def piece(folder: Path, aspect: str, height: str) -> RenderJob:
    """The job, with its voice and pictures made."""
    size = frame_size(aspect, height)  # type: ignore[arg-type]
    scenes = []
    for index, (said, shown, prompt) in enumerate(PIECE):
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


class PeakMemory(threading.Thread):
    """The largest resident size of this process and its children together, sampled ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.over = threading.Event()

    def run(self) -> None:
        me = psutil.Process()
        while not self.over.wait(0.1):
            total = 0
            for one in [me, *me.children(recursive=True)]:
                try:
                    total += one.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.peak = max(self.peak, total)


def floor_seconds(video: Path, settings: VideoSettings, seconds: float, folder: Path) -> float:
    """CPU seconds of x264 alone on the finished frames, ten seconds of video at a time."""
    used = 0.0
    part = 10.0
    for number in range(int(seconds // part) + 1):
        raw = folder / "raw.yuv"
        source = ffmpeg.input(str(video), ss=number * part, t=part).video
        process.run(process.command(ffmpeg.output(source, str(raw), f="rawvideo", pix_fmt="yuv420p")))
        if raw.stat().st_size == 0:
            break
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        frames = ffmpeg.input(
            str(raw), f="rawvideo", pix_fmt="yuv420p", s=f"{settings.width}x{settings.height}", framerate=settings.fps
        )
        bare = ffmpeg.output(
            frames, "-", format="null", vcodec="libx264", preset=settings.preset, crf=settings.crf, threads=1,
            maxrate=settings.maxrate, bufsize=settings.maxrate * 2, g=settings.fps * 2,
        )  # fmt: skip
        process.run(process.command(bare))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        raw.unlink()
    return used


def main() -> int:
    """Runs the bench and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aspect", default="9:16", choices=["9:16", "16:9", "1:1"])
    parser.add_argument("--height", default="1080p", choices=["360p", "720p", "1080p", "4k"])
    parser.add_argument("--keep", type=Path, help="keep the files in this folder")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-render-") as temporary:
        folder = (asked.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        begun = time.monotonic()
        job = piece(folder, asked.aspect, asked.height)
        prepared = time.monotonic() - begun
        memory = PeakMemory()
        memory.start()
        result = render(job, folder / "work")
        memory.over.set()
        again = render(job, folder / "work")
        begun = time.monotonic()
        report = inspect(result.video, vtt=result.vtt, narration=" ".join(said for said, *_ in PIECE))
        inspected = time.monotonic() - begun
        settings = VideoSettings.plan(
            size=job.size,
            fps=job.fps,
            quality=job.quality_preset,
            seconds=result.duration_seconds,
            max_bytes=job.max_bytes,
        )
        floor = floor_seconds(result.video, settings, result.duration_seconds, folder)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        print(
            json.dumps(
                {
                    "cores": cores,
                    "video_seconds": result.duration_seconds,
                    "size": f"{result.width}x{result.height}@{result.fps}",
                    "voice_and_pictures_wall_seconds": round(prepared, 2),
                    "render_wall_seconds": result.wall_seconds,
                    "render_cpu_seconds": result.cpu_seconds,
                    "cpu_seconds_per_output_second": round(result.cpu_seconds / result.duration_seconds, 3),
                    "floor_cpu_seconds": round(floor, 2),
                    "ratio_to_floor": round(result.cpu_seconds / floor, 3),
                    "peak_memory_mb": round(memory.peak / 1e6),
                    "resume_wall_seconds": again.wall_seconds,
                    "inspect_wall_seconds": round(inspected, 2),
                    "bytes": result.size_bytes,
                    "loudness_lufs": result.loudness_lufs,
                    "true_peak_dbtp": result.true_peak_dbtp,
                    "problems": [check.name for check in report.problems],
                    "ffmpeg": subprocess.run(
                        [process.executable(), "-version"], capture_output=True, text=True, check=True
                    ).stdout.split("\n", 1)[0],
                    "python": sys.version.split()[0],
                },
                indent=1,
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
