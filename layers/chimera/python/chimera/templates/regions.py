"""Where things stand: named regions of a frame, and the small grammar that cuts areas from them.

An area is a region's name, `[x, y, width, height]` as fractions of the safe area, or a mapping: `from` a region take a
`part` (fractions of it), or one cell of `rows` × `columns` with a `gap`, then `inset` it (reference pixels); with
`mirror` the cut lies at the other side of its region where the video runs from right to left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Rect = tuple[float, float, float, float]
KEYS = ("from", "part", "row", "rows", "column", "columns", "gap", "inset", "mirror")
ASPECTS = ("9:16", "16:9", "1:1")


class AreaError(ValueError):
    """An area that cannot be: the message says what came and what was expected."""


def area(spec: Any, regions: Mapping[str, Rect], *, rtl: bool = False) -> Rect:
    """The rectangle of an area, in reference pixels; `rtl`: the video runs from right to left. Raises `AreaError`."""
    if isinstance(spec, str):
        if spec not in regions:
            raise AreaError(f"unknown region {spec[:60]!r}")
        return regions[spec]
    if isinstance(spec, list | tuple):
        return _part(regions["safe"], spec, "a box")
    if not isinstance(spec, Mapping):
        raise AreaError(f"got {spec!r}, expected a region's name, [x, y, width, height] or a mapping with `from`")
    unknown = [key for key in spec if key not in KEYS]
    if unknown:
        raise AreaError(f"unknown key {unknown[0]!r} in a box; known: {', '.join(KEYS)}")
    whole = rect = area(spec.get("from", "safe"), regions, rtl=rtl)
    if spec.get("part") is not None:
        rect = _part(rect, spec["part"], "part")
    gap = _number(spec.get("gap", 0), "gap", least=0)
    for low, size, name in ((1, 3, "row"), (0, 2, "column")):
        if spec.get(name + "s") is not None:
            rect = _cell(rect, spec, name, gap, low, size)
    rect = _inset(rect, spec.get("inset", 0))
    mirror = spec.get("mirror", False)
    if not isinstance(mirror, bool):
        raise AreaError(f"mirror: got {mirror!r}, expected true or false")
    return (2 * whole[0] + whole[2] - rect[0] - rect[2], *rect[1:]) if mirror and rtl else rect


def _part(rect: Rect, part: Any, name: str) -> Rect:
    if not isinstance(part, list | tuple) or len(part) != 4:
        raise AreaError(f"{name}: got {part!r}, expected [x, y, width, height] as fractions")
    x, y, width, height = (_number(p, name) for p in part)
    if width <= 0 or height <= 0:
        raise AreaError(f"{name}: width and height must be above 0, got {width:g} and {height:g}")
    return (rect[0] + x * rect[2], rect[1] + y * rect[3], width * rect[2], height * rect[3])


def _cell(rect: Rect, spec: Mapping[str, Any], name: str, gap: float, low: int, size: int) -> Rect:
    count = int(_number(spec[name + "s"], name + "s", least=1))
    place = int(_number(spec.get(name, 0), name, least=0))
    if place >= count:
        raise AreaError(f"{name}: got {place}, expected 0 to {count - 1} ({name}s: {count})")
    length = (rect[size] - gap * (count - 1)) / count
    if length <= 0:
        raise AreaError(f"{count} {name}s with gaps of {gap:g} do not fit into {rect[size]:.0f} pixels")
    cut = list(rect)
    cut[low], cut[size] = rect[low] + place * (length + gap), length
    return (cut[0], cut[1], cut[2], cut[3])


def _inset(rect: Rect, inset: Any) -> Rect:
    sides = [inset] * 4 if not isinstance(inset, list | tuple) else list(inset)
    if len(sides) != 4:
        raise AreaError(f"inset: got {inset!r}, expected pixels or [left, top, right, bottom]")
    left, top, right, bottom = (_number(side, "inset") for side in sides)
    width, height = rect[2] - left - right, rect[3] - top - bottom
    if width <= 0 or height <= 0:
        raise AreaError(f"inset {inset!r} leaves nothing of {rect[2]:.0f}x{rect[3]:.0f} pixels")
    return (rect[0] + left, rect[1] + top, width, height)


def _number(value: Any, name: str, *, least: float = -1e5) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= 1e5:
        raise AreaError(
            f"{name}: got {value!r}, expected a number" + (f" of at least {least:g}" if least > -1e5 else "")
        )
    return float(value)


def merged(
    base: Mapping[str, Rect], own: Mapping[str, Any], *, rtl: bool = False
) -> tuple[dict[str, Rect], dict[str, str]]:
    """The regions of `base` with a pack's own on top, which may build on each other; and what is wrong, by name."""
    found: dict[str, Rect] = dict(base)
    wrong: dict[str, str] = {}
    waiting = dict(own)
    while waiting:
        ready = [n for n, spec in waiting.items() if not (_origin(spec) in waiting and _origin(spec) != n)]
        if not ready:
            wrong |= {name: f"it is built on itself by way of {_origin(spec)!r}" for name, spec in waiting.items()}
            break
        made: dict[str, Rect] = {}
        for name in ready:
            spec = waiting.pop(name)
            try:
                made[name] = area(spec, found, rtl=rtl)  # `from` its own name means the one below
            except AreaError as error:
                wrong[name] = str(error)
        found |= made
    return found, wrong


def _origin(spec: Any) -> str:
    if isinstance(spec, str):
        return spec
    inner = spec.get("from", "safe") if isinstance(spec, Mapping) else "safe"
    return inner if isinstance(inner, str) else "safe"
