"""Calibrates the technical gate: good videos of several seeds, and one made bad on purpose for each check; prints the table.

`python bench/gate.py [--seeds 8] [--also VIDEO …] [--speed VIDEO]`. `--also` takes finished videos of a home
(`…/video/video.mp4`, its captions beside it in `../captions`). `--speed` measures the CPU seconds a minute of one video.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import ffmpeg

from bench.render import PIECE, TITLE
from chimera.adapters.canvases.cards import CardCanvas
from chimera.adapters.voices.espeak import EspeakVoice
from chimera.media import process
from chimera.media.inspect import TechnicalReport, inspect
from chimera.media.models import RenderJob, RenderScene, SceneSpec, frame_size
from chimera.media.render import render
from chimera.media.technical import Limits

SAID = " ".join(said for said, *_ in PIECE[:3])
SIZE = {"width": 360, "height": 640, "fps": 30}
# check, measurement, threshold, for the table; the measurement of an exact check is shown as it stands
ROWS = (
    ("black_frames", "longest_black_seconds", "at most 0.5 s"),
    ("frozen_picture", "longest_freeze_seconds", "at most 2 s"),
    ("flashes", "general_flashes_per_second", "at most 3"),
    ("red_flashes", "red_flashes_per_second", "at most 3"),
    ("silence", "longest_silence_seconds", "at most 2 s"),
    ("clipping", "clipped_share", "at most 0.0002"),
    ("loudness", "loudness_lufs", "−14 ± 1 LUFS"),
    ("true_peak", "true_peak_dbtp", "at most −0.9 dBTP"),
    ("stereo", "channels", "2"),
    ("dead_channel", "channel_difference_db", "at most 20 dB"),
    ("av_sync", "av_difference_seconds", "at most a frame"),
    ("constant_frame_rate", "constant_frame_rate", "True"),
    ("colour", "colour", "bt709/bt709/bt709/tv"),
    ("faststart", "faststart", "True"),
    ("complete", "missing_seconds", "at most a frame"),
    ("decodable", "damaged", "0 frames"),
    ("width", "width", "as asked for"),
    ("fps", "fps", "as asked for"),
    ("pixel_format", "pix_fmt", "yuv420p"),
    ("file_size", "size_bytes", "at most 100,000,000"),
    ("caption_coverage", "caption_coverage", "at least 0.98"),
    ("reading_speed", "max_chars_per_second", "at most 25"),
    ("reading_speed_median", "median_chars_per_second", "at most 20"),
    ("shortest_caption", "shortest_cue_seconds", "at least 0.3 s"),
    ("captions_within", "captions_beyond_seconds", "at most 0.1 s"),
    ("captions_in_time", "captions_off_seconds", "at most 0.15 s"),
    ("speech_captioned", "longest_uncaptioned_seconds", "at most 1 s"),
)


@dataclass(frozen=True)
class Bad:
    """One fault: what is done to a good file (`filters` of picture and sound, `output` options, or its bytes or captions)."""

    check: str
    picture: str = ""
    sound: str = ""
    output: tuple[tuple[str, Any], ...] = ()
    data: Callable[[bytes], bytes] | None = None
    vtt: Callable[[str], str] | None = None
    limits: tuple[tuple[str, Any], ...] = ()


def _moved(text: str, seconds: float) -> str:
    """WebVTT with every cue later by so much."""
    lines = []
    for line in text.splitlines():
        if "-->" in line:
            clocks = [clock.strip() for clock in line.split("-->")]
            times = [int(c[:2]) * 3600 + int(c[3:5]) * 60 + float(c[6:]) + seconds for c in clocks]
            line = " --> ".join(f"{int(t // 3600):02d}:{int(t // 60) % 60:02d}:{t % 60:06.3f}" for t in times)
        lines.append(line)
    return "\n".join(lines) + "\n"


def _without(text: str, cue: int) -> str:
    """WebVTT without its cue of this number, whose words the cue before says too."""
    blocks = text.strip().split("\n\n")
    gone = blocks.pop(cue).split("\n", 2)[2]
    blocks[cue - 1] += "\n" + gone
    return "\n\n".join(blocks) + "\n"


def _hurried(text: str) -> str:
    """WebVTT with every cue cut to a fifth of a second."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if "-->" in line:
            start = line.split(" --> ")[0]
            seconds = float(start[6:]) + 0.2
            lines[number] = f"{start} --> {start[:6]}{seconds:06.3f}" if seconds < 60 else line
    return "\n".join(lines) + "\n"


def _struck(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(range(1, 251)) * 16 + data[middle + 4000 :]


_BLINK = "enable='lt(mod(t,0.2),0.1)':t=fill"
BAD = (
    Bad("black_frames", picture="drawbox=enable='between(t,2,3.2)':color=black:t=fill"),
    Bad("frozen_picture", picture="loop=loop=90:size=1:start=60,trim=duration=25"),
    Bad("flashes", picture=f"drawbox=color=white:{_BLINK}"),
    Bad("red_flashes", picture=f"drawbox=color=gray:t=fill,drawbox=color=red:{_BLINK}"),
    Bad("silence", sound="volume=enable='between(t,4,7)':volume=0"),
    Bad("clipping", sound="volume=18dB,aformat=sample_fmts=s16"),
    Bad("loudness", sound="volume=-6dB"),
    Bad("true_peak", sound="volume=4dB"),
    Bad("stereo", sound="aformat=channel_layouts=mono"),
    Bad("dead_channel", sound="pan=stereo|c0=c0|c1=0*c1"),
    Bad("av_sync", sound="asetpts=PTS+0.1/TB"),
    Bad("constant_frame_rate", picture="settb=1/90000,setpts='N/30/TB+if(mod(N,7),0,0.01/TB)'",
        output=(("fps_mode", "vfr"), ("video_track_timescale", 90_000), ("enc_time_base", "1/90000"))),
    Bad("colour", picture="setparams=color_primaries=smpte170m:color_trc=smpte170m:colorspace=smpte170m"),
    Bad("faststart", output=(("movflags", "0"),)),
    Bad("complete", data=lambda data: data[: len(data) * 9 // 10]),
    Bad("decodable", data=_struck),
    Bad("width", picture="scale=270:480"),
    Bad("fps", picture="fps=25"),
    Bad("pixel_format", output=(("pix_fmt", "yuv444p"),)),
    Bad("file_size", limits=(("max_bytes", 1_000_000),)),
    Bad("caption_coverage", vtt=lambda text: text[: len(text) // 2]),
    Bad("reading_speed", vtt=_hurried),
    Bad("reading_speed_median", vtt=_hurried),
    Bad("shortest_caption", vtt=_hurried),
    Bad("captions_within", vtt=lambda text: _moved(text, 2.0)),
    Bad("captions_in_time", vtt=lambda text: _moved(text, 0.3)),
    Bad("speech_captioned", vtt=lambda text: _without(text, 3)),
)  # fmt: skip


def good(folder: Path, seed: int) -> tuple[Path, Path]:
    """A video and its captions at 360p; pictures, motion and music follow the seed."""
    folder.mkdir(parents=True)
    scenes = []
    for index, (said, shown, prompt) in enumerate(PIECE[:3]):
        spec = SceneSpec(narration=said, on_screen_text=shown, visual_prompt=prompt)
        voice = EspeakVoice().synthesize(said, speed_wpm=175, out_wav=folder / f"{index}.wav")
        image = CardCanvas().paint(
            spec,
            index=index,
            count=3,
            title=TITLE,
            seed=seed,
            size=frame_size("9:16", "360p"),
            out_png=folder / f"{index}.png",
        )
        scenes.append(RenderScene(**spec.model_dump(), image=image, audio=folder / f"{index}.wav", words=voice.words))
    job = RenderJob(title=TITLE, scenes=tuple(scenes), height="360p", seed=seed, quality_preset="draft")
    done = render(job, folder / "work")
    return done.video, done.vtt


def spoil(video: Path, vtt: Path, bad: Bad, folder: Path) -> TechnicalReport:
    """The good video, made bad, as the gate sees it."""
    folder.mkdir(parents=True)
    spoiled, captions = folder / "bad.mp4", folder / "bad.vtt"
    if bad.picture or bad.sound or bad.output:
        source = ffmpeg.input(str(video))
        options = {
            "vcodec": "libx264",
            "preset": "ultrafast",
            "crf": 23,
            "acodec": "aac",
            "ar": 48_000,
            "movflags": "+faststart",
        }
        if bad.picture:
            options["vf"] = bad.picture
        if bad.sound:
            options["af"] = bad.sound
        process.run(process.command(ffmpeg.output(source, str(spoiled), **{**options, **dict(bad.output)})))
    else:
        spoiled.write_bytes((bad.data or bytes)(video.read_bytes()))
    text = vtt.read_text("utf-8")
    captions.write_text((bad.vtt or str)(text), encoding="utf-8")
    return inspect(spoiled, vtt=captions, narration=SAID, expected=Limits(**{**SIZE, **dict(bad.limits)}))


def _also(video: Path) -> TechnicalReport:
    home = video.parents[1]
    brief = json.loads((home / "brief/brief.json").read_text("utf-8"))
    said = " ".join(scene["narration"] for scene in brief["scenes"])
    return inspect(video, vtt=home / "captions/captions.vtt", narration=said)


def _range(values: list[Any]) -> str:
    known = [value for value in values if value is not None]
    if not known or isinstance(known[0], bool | str):
        return ", ".join(sorted({str(value) for value in values}))
    low, high = min(known), max(known)
    return f"{low:g}" if low == high else f"{low:g} … {high:g}"


def speed(video: Path) -> dict[str, float]:
    """CPU seconds of this process and ffmpeg for a minute of the video; the median of five."""

    def used() -> float:
        own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime

    cpu, wall = [], []
    for _ in range(5):
        before, begun = used(), time.monotonic()
        report = inspect(video)
        minutes = report.measurements["duration_seconds"] / 60
        cpu.append((used() - before) / minutes)
        wall.append((time.monotonic() - begun) / minutes)
    return {"cpu_seconds_a_minute": round(median(cpu), 2), "wall_seconds_a_minute": round(median(wall), 2)}


def main() -> int:
    """Prints the table; 1 if a good video failed or a bad one passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--also", type=Path, nargs="*", default=[])
    parser.add_argument("--speed", type=Path)
    asked = parser.parse_args()
    if asked.speed:
        print(json.dumps(speed(asked.speed)))
        return 0
    wrong = []
    with tempfile.TemporaryDirectory(prefix="bench-gate-") as temporary:
        folder = Path(temporary)
        made = [good(folder / f"good-{seed}", seed) for seed in range(1, asked.seeds + 1)]
        reports = [inspect(video, vtt=vtt, narration=SAID, expected=Limits(**SIZE)) for video, vtt in made]
        reports += [_also(video) for video in asked.also]
        for number, report in enumerate(reports, 1):
            wrong += [f"good {number}: {check.name}, {check.evidence}" for check in report.problems]
        found = {bad.check: spoil(*made[0], bad, folder / f"bad-{n}") for n, bad in enumerate(BAD)}
    print("| check | measured | good | threshold | bad |\n| --- | --- | --- | --- | --- |")
    for check, key, threshold in ROWS:
        report = found[check]
        failed = {problem.name.removeprefix("technical.") for problem in report.problems}
        wrong += [] if check in failed else [f"bad {check} passed"]
        values = _range([one.measurements.get(key) for one in reports])
        print(f"| `{check}` | `{key}` | {values} | {threshold} | {_range([report.measurements.get(key)])} |")
    parts = sorted({name for report in reports for name in report.quality.parts})
    print(f"\nquality of {len(reports)} good ones: {_range([report.quality.score for report in reports])}; parts:")
    for part in parts:
        print(f"  {part}: {_range([report.quality.parts[part] for report in reports if part in report.quality.parts])}")
    print("\n".join(wrong) or "no false alarm, and every fault was found")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
