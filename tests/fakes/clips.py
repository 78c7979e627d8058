"""Small clips for the technical gate, good ones and ones made bad on purpose, and captions that fit the good ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ffmpeg

from chimera.media import process

SIZE = {"width": 320, "height": 568, "fps": 30}
SECONDS = 4
# speech-like: a buzz of many partials that starts at 0.3 s and at 2.2 s, soft between, peaks well under full scale
VTT = "WEBVTT\n\n1\n00:00:00.300 --> 00:00:01.900\nOne two three\n\n2\n00:00:02.200 --> 00:00:03.800\nfour five six\n"
NARRATION = "One two three four five six"
MOVING = "testsrc2=size=320x568:rate=30:duration=4"
_BUZZ = "+".join(f"sin(2*PI*{180 * n}*t)/{n}" for n in range(1, 9))
_WHEN = "(0.04+between(t,0.3,1.9)+between(t,2.2,3.8))*(0.6+0.4*sin(2*PI*4*t))"
_ONE = f"0.277*({_BUZZ})*{_WHEN}"
VOICE = f"aevalsrc='{_ONE}|{_ONE}':s=48000:d=4"


def make(
    path: Path,
    *,
    picture: str = MOVING,
    sound: str = VOICE,
    layout: str = "stereo",
    tags: str = "bt709",
    level: float = 0,
    **output: Any,
) -> Path:
    """A clip of `SECONDS`, good unless something is asked for that is not. `level`: dB louder than −14 LUFS."""
    video = ffmpeg.input(picture, f="lavfi")
    audio = ffmpeg.input(sound, f="lavfi").audio.filter("aformat", channel_layouts=layout)
    if level:
        audio = audio.filter("volume", f"{level}dB")
    video = video.filter("setparams", color_primaries=tags, color_trc=tags, colorspace=tags, range="tv")
    options = {
        "vcodec": "libx264", "preset": "ultrafast", "crf": 21, "g": 60, "pix_fmt": "yuv420p", "acodec": "aac",
        "audio_bitrate": "192k", "movflags": "+faststart", "t": SECONDS, **output,
    }  # fmt: skip
    process.run(process.command(ffmpeg.output(video, audio, str(path), **options), options=("-loglevel", "error")))
    return path
