"""Type over a scene as patches: libass draws it once for each change, not once for each frame.

Between two changes (a word that is said, a line that comes in) type stands still, and blending the same patch again
costs a twentieth of drawing it. An ASS script says itself when anything in it can change; `changes` reads that.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from chimera.media import process
from chimera.media.patches import Patch, drawn
from chimera.media.planes import planes_of

# Drawn as patches up to this share of changed frames: one such drawing costs about twice what burning in a frame does.
MOST_CHANGES = 0.45
_BLOCK = re.compile(r"\{([^}]*)\}")
_KARAOKE = re.compile(r"\\(kf|ko|kt|k|K)\s*(\d+(?:\.\d+)?)")
_MOVE = re.compile(r"\\move\(([^)]*)\)")
_FAD = re.compile(r"\\fad\(([^)]*)\)")
_FADE = re.compile(r"\\fade\(([^)]*)\)")
_TRANSFORM = re.compile(r"\\t\(([^\\)]*)")


@dataclass(frozen=True)
class _Event:
    """When an event is shown (milliseconds), when something in it moves, and when it changes at once."""

    start: float
    end: float
    moving: tuple[tuple[float, float], ...]
    steps: tuple[float, ...]


def changes(script: str, *, fps: int, first: int, frames: int) -> tuple[int, ...]:
    """Frames (from `first`, counted from there; the first is always one) that may show other type than the one before."""
    events = _events(script)
    found, known = [0], _state(events, first * 1000 / fps, first)
    for number in range(first + 1, first + frames):
        now = _state(events, number * 1000 / fps, number)
        if now != known:
            found.append(number - first)
            known = now
    return tuple(found)


def _state(events: list[_Event], at: float, number: int) -> tuple[object, ...]:
    """Equal for two frames that certainly show the same type. A millisecond's rounding is allowed for."""
    shown: list[object] = []
    for index, event in enumerate(events):
        if not event.start - 1 <= at <= event.end + 1:
            continue
        near = any(a - 1 <= at <= b + 1 for a, b in event.moving)
        edge = min(abs(at - event.start), abs(at - event.end)) <= 1
        shown.append((index, number if near or edge else bisect_right(event.steps, at)))
    return tuple(shown)


def _events(script: str) -> list[_Event]:
    found = []
    for line in script.splitlines():
        if line.startswith("Dialogue:"):
            fields = line[len("Dialogue:") :].split(",", 9)
            start, end = _milliseconds(fields[1]), _milliseconds(fields[2])
            moving, steps = _moves(fields[9], end - start)
            if fields[8].strip():  # Banner, Scroll up, Scroll down
                moving = [(0.0, end - start)]
            found.append(
                _Event(start, end, tuple((start + a, start + b) for a, b in moving), tuple(start + s for s in steps))
            )
    return found


def _milliseconds(clock: str) -> float:
    hours, minutes, seconds = clock.strip().split(":")
    return (int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * 1000


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",") if re.fullmatch(r"\s*-?\d+(\.\d+)?\s*", part)]


def _moves(text: str, length: float) -> tuple[list[tuple[float, float]], list[float]]:
    """Intervals and moments of change in an event, in its own time. All of ASS that moves is named here."""
    tags = "".join(_BLOCK.findall(text))
    moving: list[tuple[float, float]] = []

    def interval(times: list[float]) -> None:
        moving.append((times[0], times[1]) if len(times) == 2 and times[1] > 0 else (0.0, length))

    for match in _MOVE.finditer(tags):
        interval(_numbers(match[1])[4:6])
    for match in _TRANSFORM.finditer(tags):
        numbers = _numbers(match[1])
        interval(numbers[:2] if len(numbers) >= 2 else [])
    for match in _FAD.finditer(tags):
        numbers = [*_numbers(match[1]), 0.0, 0.0]
        moving += [(0.0, numbers[0]), (length - numbers[1], length)]
    for match in _FADE.finditer(tags):
        numbers = _numbers(match[1])
        moving += [(a, b) for a, b in (numbers[3:5], numbers[5:7])] if len(numbers) == 7 else [(0.0, length)]
    steps, at = [], 0.0
    for match in _KARAOKE.finditer(tags):
        lasts = float(match[2]) * 10
        if match[1] == "kt":
            at = lasts
            continue
        if match[1] in {"kf", "K"}:
            moving.append((at, at + lasts))
        steps += [at, at + lasts]
        at += lasts
    return [(a, b) for a, b in moving if b > a], sorted(set(steps))


class Lettering:
    """The type of a stretch of a scene, frame by frame. Use it as an iterator over patches: one item for each frame."""

    def __init__(
        self, script: str, *, size: tuple[int, int], fps: int, first: int, frames: int, folder: Path, fonts: Path
    ) -> None:
        self._size, self._frames = size, frames
        self._changes = changes(script, fps=fps, first=first, frames=frames)
        self._folder, self._fonts = folder, fonts
        self._command = self._arguments(fps, first)
        self._script = script

    def _arguments(self, fps: int, first: int) -> list[str]:
        runs: list[list[int]] = []
        for number in self._changes:
            if runs and runs[-1][1] == number - 1:
                runs[-1][1] = number
            else:
                runs.append([number, number])
        chosen = "+".join(f"between(n,{a},{b})" for a, b in runs)
        width, height = self._size
        source = f"color=c=black@0:s={width}x{height}:r={fps}:d={self._frames / fps + 1:.3f},format=yuva420p"
        graph = (
            f"{source},setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709,"
            f"trim=end_frame={self._frames},select='{chosen}',setpts=PTS+{first}/{fps}/TB,"
            "ass=type.ass:alpha=1[out]"
        )
        return [
            process.executable(), "-hide_banner", "-nostats", "-loglevel", "error", "-filter_complex_threads", "1",
            "-filter_complex", graph, "-map", "[out]", "-fps_mode", "passthrough", "-f", "rawvideo",
            "-pix_fmt", "yuva420p", "pipe:1",
        ]  # fmt: skip

    def __iter__(self) -> Iterator[tuple[Patch, ...]]:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "type.ass").write_text(self._script, "utf-8")
        width, height = self._size
        luma = width * height
        buffer = np.empty(luma * 5 // 2, np.uint8)
        view = memoryview(buffer)
        with process.reading(self._command, cwd=self._folder, fonts=self._fonts) as pipe:
            for begin, end in pairwise([*self._changes, self._frames]):
                process.read_exactly(pipe, view)
                alpha = buffer[luma * 3 // 2 :].reshape(height, width)
                patches = drawn(planes_of(buffer[: luma * 3 // 2], self._size), alpha)
                for _ in range(begin, end):
                    yield patches


def is_worth_it(script: str, *, fps: int, first: int, frames: int) -> bool:
    """Whether drawing a scene's type by changes costs less than burning it into every frame."""
    return len(changes(script, fps=fps, first=first, frames=frames)) <= max(frames * MOST_CHANGES, 1)
