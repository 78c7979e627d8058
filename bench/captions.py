"""Measures captions and prints JSON: timing against the voice, reading speed, and what burning them in costs.

`python bench/captions.py [--only timing|cost]`. Timing: six scripts are spoken by espeak-ng; the captions are burned
into small frames, and a word's change is the frame in which the picture really changes. It is compared with the
voice's own word times and, independently, with a forced alignment of the sound. Cost: CPU of the `ass` filter for ten
seconds at 1080x1920, as a share of x264 veryfast on the same frames; medians of five, taken in turns.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import wave
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt

from chimera.adapters.voices.alignment import align
from chimera.adapters.voices.espeak import EspeakVoice
from chimera.adapters.voices.normalise import spoken_words
from chimera.media import ass, process
from chimera.media.caption_styles import cue_options, draw
from chimera.media.captions import Cue, make_cues, parse_vtt, reading, srt
from chimera.media.fonts import write_fontconfig
from chimera.media.layers import Area, CaptionLook
from chimera.media.models import Word
from chimera.media.theme import THEMES

FPS = 30
SCRIPTS = (
    "A small town in the north has found a way to keep the heat of July until the middle of winter, under a football field.",
    "Its solar panels warm water to ninety degrees, and pumps push that water into 1,400 holes drilled in solid rock.",
    "The rock warms up slowly, and it cools down slowly too. By January it still gives back almost 60% of what it was given.",
    "The idea is not new, and it is not cheap. The holes cost $12 million, and the town needs twenty years to earn that back.",
    "Never before has a computer been this fast. Dr. Smith says it will double by 2030, but nobody knows who will pay.",
    "Stop. Look at your phone. How many of these apps did you open today? Most people use only three of them.",
)
STYLES = ("karaoke", "pop", "box", "minimal")


def look_of(style: str) -> CaptionLook:
    """The look as templates use it in 9:16."""
    return CaptionLook.model_validate({"style": style, "box": Area(x=84, y=1318, width=912, height=180)})


def timing(folder: Path) -> dict[str, object]:
    """Errors in milliseconds: of word changes on screen and of cue starts in SRT."""
    errors: dict[str, list[float]] = {key: [] for key in ("word_voice", "word_sound", "cue_voice", "cue_sound")}
    cues_all: list[Cue] = []
    for number, text in enumerate(SCRIPTS):
        wav = folder / f"{number}.wav"
        voice = EspeakVoice().synthesize(text, speed_wpm=175, out_wav=wav)
        samples, rate = sound(wav)
        heard = align(spoken_words(text, "en"), samples, rate, "en")
        look, limit = look_of("karaoke"), voice.duration_seconds + 0.3
        cues = make_cues(voice.words, limit=limit, **cue_options(look, "en", THEMES[0]))
        cues_all += cues
        changes = changed_frames(cues, look, limit, folder)
        pairs = list(zip(voice.words, heard.words, strict=True))
        for spoken, aligned in pairs:
            shown = min(changes, key=lambda at: abs(at - spoken.start))
            errors["word_voice"].append(abs(shown - spoken.start))
            if heard.matched:
                errors["word_sound"].append(abs(shown - aligned.start))
        by_start = {word.start: other for word, other in pairs}
        for (start, _, _), cue in zip(parse_vtt(srt(cues)), cues, strict=True):
            errors["cue_voice"].append(abs(start - cue.words[0].start))
            errors["cue_sound"].append(abs(start - by_start[cue.words[0].start].start))
    speed = reading(cues_all)
    return {
        **{
            f"{key}_ms": {"count": len(e), "median": round(median(e) * 1000, 1), "worst": round(max(e) * 1000, 1)}
            for key, e in errors.items()
        },
        "reading": {
            "cues": speed.cues, "median": speed.median, "fastest": speed.fastest, "over_20": speed.over,
            "over_20_by_the_voice": speed.voice_too_fast,
        },
    }  # fmt: skip


def sound(path: Path) -> tuple[npt.NDArray[np.float32], int]:
    """A mono 16-bit WAV as samples, and its rate."""
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32), file.getframerate()


def changed_frames(cues: list[Cue], look: CaptionLook, limit: float, folder: Path) -> list[float]:
    """The times of the frames whose picture differs from the one before, captions burned in on black."""
    width, height = 270, 480
    script = ass.Script(1080, 1920, [])
    draw(script, cues, look, THEMES[0], limit, fps=FPS)
    (folder / "timing.ass").write_text(script.text(), "utf-8")
    command = [
        process.executable(), "-loglevel", "error", "-f", "lavfi", "-i", f"color=black:s={width}x{height}:r={FPS}:d={limit}",
        "-vf", "ass=timing.ass", "-pix_fmt", "rgb24", "-f", "rawvideo", "-",
    ]  # fmt: skip
    fonts = write_fontconfig(folder / "fonts")
    raw = subprocess.run(
        command, cwd=folder, env={"FONTCONFIG_FILE": str(fonts), "LANG": "C.UTF-8"}, capture_output=True, check=True
    ).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(-1, height * width * 3).astype(np.int16)
    differs = [number for number in range(1, len(frames)) if np.abs(frames[number] - frames[number - 1]).max() > 40]
    return [number / FPS for number in differs] + ([0.0] if frames[0].max() > 40 else [])


def cost(folder: Path) -> dict[str, object]:
    """CPU seconds of each style for 10 s of 1080x1920, and as a share of x264 veryfast."""
    words = []
    for number in range(33):
        said = SCRIPTS[number // 17].split()[number % 17]
        words.append(Word(text=said, start=0.1 + number * 0.3, end=0.38 + number * 0.3))
    fonts = write_fontconfig(folder / "fonts")
    raw = folder / "frames.yuv"
    run = [process.executable(), "-y", "-loglevel", "error", "-threads", "1", "-filter_threads", "1"]
    source = "gradients=s=1080x1920:n=4:speed=0.01:r=30:d=10,noise=alls=2:all_seed=3"
    subprocess.run([*run, "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", "-f", "rawvideo", str(raw)], check=True)
    read = [*run, "-f", "rawvideo", "-s", "1080x1920", "-r", "30", "-pix_fmt", "yuv420p", "-i", str(raw)]
    nowhere = ["-f", "rawvideo", "/dev/null"]
    commands = {"read": [*read, *nowhere]}
    commands["x264"] = [
        *read,
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-crf",
        "21",
        "-threads",
        "1",
        "-f",
        "null",
        "-",
    ]
    (folder / "nothing.ass").write_text(ass.Script(1080, 1920, []).text(), "utf-8")
    commands["nothing"] = [*read, "-vf", "ass=nothing.ass", *nowhere]
    for style in STYLES:
        script = ass.Script(1080, 1920, [])
        cues = make_cues(words, limit=10.0, **cue_options(look_of(style), "en", THEMES[0]))
        draw(script, cues, look_of(style), THEMES[0], 10.0, fps=FPS)
        (folder / f"{style}.ass").write_text(script.text(), "utf-8")
        commands[style] = [*read, "-vf", f"ass={style}.ass", *nowhere]
    used: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(5):
        for name, command in commands.items():
            before = _children()
            subprocess.run(command, cwd=folder, env={"FONTCONFIG_FILE": str(fonts), "LANG": "C.UTF-8"}, check=True)
            used[name].append(_children() - before)
    raw.unlink()
    reading_cpu = median(used["read"])
    encoder = median(used["x264"]) - reading_cpu
    seconds = {name: round(median(used[name]) - reading_cpu, 3) for name in ("nothing", *STYLES)}
    return {
        "x264_veryfast_cpu_s": round(encoder, 2),
        "ass_cpu_s": seconds,  # `nothing`: the filter without a single event, which titles need in any case
        "share_of_x264": {style: round(seconds[style] / encoder, 4) for style in STYLES},
        "share_beyond_nothing": {style: round((seconds[style] - seconds["nothing"]) / encoder, 4) for style in STYLES},
    }


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    """Runs what was asked for; 0 always: the numbers are for a person to judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("timing", "cost"))
    chosen = parser.parse_args().only
    with tempfile.TemporaryDirectory(prefix="bench-captions-") as name:
        result: dict[str, object] = {"bench": "captions"}
        if chosen != "cost":
            result["timing"] = timing(Path(name))
        if chosen != "timing":
            result["cost"] = cost(Path(name))
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
