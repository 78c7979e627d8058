"""Ten minutes of video: memory as for one minute, under 100 MB, and picture and sound together to the last scene."""

from __future__ import annotations

import contextlib
import threading
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import psutil

from chimera.media.models import RenderJob, RenderResult, RenderScene
from chimera.media.render import render
from chimera.media.timeline import LEAD_SECONDS

FPS = 24


class Memory(threading.Thread):
    """The largest proportional set size of this process and its children together, in MB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.over = 0.0, threading.Event()

    def run(self) -> None:
        me = psutil.Process()
        while not self.over.wait(0.05):
            total = 0
            for one in [me, *me.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    total += one.memory_full_info().pss
            self.peak = max(self.peak, total / 1e6)


def job(folder: Path, scenes: int) -> RenderJob:
    """Scenes that are black and white in turn, cut hard; each voice is a short tone at its begin, then nothing."""
    rate, seconds = 48_000, 2.4
    t = np.arange(round(rate * seconds)) / rate
    sound = np.where(t < 0.15, np.sin(2 * np.pi * 700 * t), 0) * 20_000
    with wave.open(str(folder / "tone.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(sound.astype("<i2").tobytes())
    for name, value in (("black", 0), ("white", 255)):
        cv2.imwrite(str(folder / f"{name}.png"), np.full((400, 400, 3), value, np.uint8))
    made = tuple(
        RenderScene(
            image=folder / ("white.png" if n % 2 else "black.png"), audio=folder / "tone.wav", transition="cut",
            motion="still", layers=(),
        )
        for n in range(scenes)
    )  # fmt: skip
    return RenderJob.model_validate(
        {"title": "", "scenes": made, "height": "360p", "fps": FPS, "aspect": "1:1", "music": "off"}
    )


def rendered(folder: Path, scenes: int) -> tuple[RenderResult, float]:
    folder.mkdir()
    memory = Memory()
    memory.start()
    result = render(job(folder, scenes), folder / "work")
    memory.over.set()
    memory.join()
    return result, memory.peak


def brightness(video: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    with av.open(str(video)) as container:
        return np.array([f.to_ndarray(format="gray")[100:260, 100:260].mean() for f in container.decode(video=0)])


def onsets(video: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    """When each tone begins, in seconds."""
    pieces = []
    with av.open(str(video)) as container:
        for frame in container.decode(audio=0):
            pieces.append(np.abs(frame.to_ndarray()).max(axis=0))
        rate = container.streams.audio[0].rate
    loud = np.concatenate(pieces) > 0.1
    starts = np.flatnonzero(loud[1:] & ~loud[:-1]) / rate
    return starts[np.insert(np.diff(starts) > 1.0, 0, True)]


def test_ten_minutes(tmp_path: Path, evidence: Callable[[dict[str, Any]], None]) -> None:
    _, short = rendered(tmp_path / "short", 20)
    result, long = rendered(tmp_path / "long", 200)
    light = brightness(result.video)
    changes = (np.flatnonzero(np.abs(np.diff(light)) > 100) + 1) / FPS
    heard = onsets(result.video)
    off = heard[1:] - changes - LEAD_SECONDS
    evidence(
        {
            "soak": "render_long", "seconds": result.duration_seconds, "peak_mb_one_minute": round(short),
            "peak_mb": round(long), "megabytes": round(result.size_bytes / 1e6, 1),
            "off_seconds": [round(float(off.min()), 4), round(float(off.max()), 4)],
        }
    )  # fmt: skip
    assert 585 < result.duration_seconds <= 600 and result.size_bytes <= 100_000_000
    assert len(light) == round(result.duration_seconds * FPS)
    assert len(changes) == 199 and len(heard) == 200
    assert np.abs(off).max() <= 1 / FPS and abs(off[-1] - off[0]) <= 0.005
    assert long - short <= 100, "sound alone, held whole, would be 1,400 MB more"
