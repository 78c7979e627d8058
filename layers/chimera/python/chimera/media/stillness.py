"""When the type of an ASS script changes, and which of its events never stop: read from the script itself.

All that can move in ASS is named in it with its times (move, fad, fade, t, karaoke, scrolling), so what is not named
stands still.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

# An event that moves for more than this share of a stretch (and for a second at least) is one that never stops.
_RESTLESS, _RESTLESS_FRAMES = 0.3, 24
# Drawn by changes up to this share of changed frames: one such drawing costs about twice what burning in a frame does.
MOST_CHANGES = 0.45
_MARGIN = 4.0
_BLOCK = re.compile(r"\{([^}]*)\}")
_KARAOKE = re.compile(r"\\(kf|ko|kt|k|K)\s*(\d+(?:\.\d+)?)")
_MOVE = re.compile(r"\\move\(([^)]*)\)")
_FAD = re.compile(r"\\fad\(([^)]*)\)")
_FADE = re.compile(r"\\fade\(([^)]*)\)")
_TRANSFORM = re.compile(r"\\t\(([^\\)]*)")
_PLACE = re.compile(r"\\pos\((-?[\d.]+),(-?[\d.]+)\)")
# What makes the place of a drawing hard to tell.
_ELSEWHERE = re.compile(r"\\(move|org|fr[xyz]?-?\d|fsc[xy]|fa[xy]|shad[1-9]|xshad|yshad|blur|be|pbo)")
_DRAWING = re.compile(r"\\p1(?!\d)")

Area = tuple[float, float, float, float]


@dataclass(frozen=True)
class _Event:
    """When an event is shown (milliseconds), when something in it moves, and when it changes at once."""

    line: str
    layer: int
    start: float
    end: float
    moving: tuple[tuple[float, float], ...]
    steps: tuple[float, ...]


@dataclass(frozen=True)
class Parts:
    """A script in two: `still` is drawn by changes, `live` (perhaps empty) burned in above it, which is seen only if
    nothing of `still` lies in `areas` (shares of the frame: left, top, right, bottom)."""

    still: str
    live: str
    areas: tuple[Area, ...] = ()


def parted(script: str, *, fps: int, first: int, frames: int) -> Parts | None:
    """A script for a stretch of a scene, in two parts; None if all of it is better burned into every frame.

    Live is what never stops (a progress bar), with all that is drawn below it.
    """
    events = _events(script)
    begin, end = first * 1000 / fps, (first + frames) * 1000 / fps
    live = [event for event in events if _moves_for(event, begin, end) * fps / 1000 > max(_RESTLESS * frames, _RESTLESS_FRAMES)]
    if not live:
        few = len(changes(script, fps=fps, first=first, frames=frames)) <= max(frames * MOST_CHANGES, 1)
        return Parts(script, "") if few else None
    top = max(event.layer for event in live)
    below = [event for event in events if event.layer <= top]
    places = [_area(event, script) for event in below]
    areas = tuple(place for place in places if place is not None)
    if len(areas) < len(places) or len(below) == len(events):
        return None
    lines, lower = script.splitlines(), {event.line for event in below}
    still = "\n".join(line for line in lines if line not in lower) + "\n"
    upper = {event.line for event in events} - lower
    if len(changes(still, fps=fps, first=first, frames=frames)) > max(frames * MOST_CHANGES, 1):
        return None
    return Parts(still, "\n".join(line for line in lines if line not in upper) + "\n", areas)


def _moves_for(event: _Event, begin: float, end: float) -> float:
    """Milliseconds of its longest move within a stretch."""
    return max((min(b, end, event.end) - max(a, begin, event.start) for a, b in event.moving), default=0.0)


def _area(event: _Event, script: str) -> Area | None:
    """Where a plain drawing lies, as shares of the frame; None for anything else."""
    size = [re.search(rf"^PlayRes{axis}:\s*(\d+)", script, re.MULTILINE) for axis in "XY"]
    text = event.line.split(",", 9)[9]
    tags = "".join(_BLOCK.findall(text))
    place = _PLACE.search(tags)
    plain = "\\an7" in tags and _DRAWING.search(tags) and not _ELSEWHERE.search(tags)
    if not plain or place is None or size[0] is None or size[1] is None:
        return None
    values = [float(v) for v in re.findall(r"-?\d+(?:\.\d+)?", _BLOCK.sub("", text))]
    xs, ys = values[0::2], values[1::2]
    if not xs or len(xs) != len(ys):
        return None
    x, y, width, height = float(place[1]), float(place[2]), float(size[0][1]), float(size[1][1])
    return (
        (x + min(xs) - _MARGIN) / width, (y + min(ys) - _MARGIN) / height,
        (x + max(xs) + _MARGIN) / width, (y + max(ys) + _MARGIN) / height,
    )  # fmt: skip


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
                _Event(line, int(fields[0]), start, end, tuple((start + a, start + b) for a, b in moving), tuple(start + s for s in steps))
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
