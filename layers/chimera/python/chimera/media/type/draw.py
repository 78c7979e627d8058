"""Forms as ASS drawing code: built as skia paths, because strokes, turns and arcs are outlines there for the asking."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import skia


@dataclass(frozen=True)
class Drawing:
    """Drawing code from its own origin, and where that origin lies."""

    code: str
    x: float
    y: float
    width: float
    height: float


def drawing(path: Any) -> Drawing | None:
    """A filled path as a drawing; None for an empty one. Curves become cubics, the only ones that ASS has."""
    bounds = path.computeTightBounds()
    if path.isEmpty() or not path.isFinite() or bounds.width() < 0.05 or bounds.height() < 0.05:
        return None
    left, top = bounds.left(), bounds.top()
    parts: list[str] = []

    def at(x: float, y: float) -> str:
        return f"{_short(x - left)} {_short(y - top)}"

    for verb, points in skia.Path.Iter(path, True):
        if verb == skia.Path.kMove_Verb:
            parts.append(f"m {at(points[0].x(), points[0].y())}")
        elif verb == skia.Path.kLine_Verb:
            parts.append(f"l {at(points[1].x(), points[1].y())}")
        elif verb == skia.Path.kQuad_Verb:
            parts.append(_cubic(points[0], points[1], points[2], at))
        elif verb == skia.Path.kConic_Verb:
            # a conic of a circle's quarter as two quads is exact to a thousandth of its radius
            start, control, end = points[0], points[1], points[2]
            quads = skia.Path.ConvertConicToQuads(start, control, end, math.sqrt(0.5), 1)
            parts += [_cubic(quads[i], quads[i + 1], quads[i + 2], at) for i in range(0, len(quads) - 2, 2)]
        elif verb == skia.Path.kCubic_Verb:
            parts.append("b " + " ".join(at(p.x(), p.y()) for p in points[1:4]))
    return Drawing(" ".join(parts), left, top, bounds.width(), bounds.height())


def _cubic(start: Any, control: Any, end: Any, at: Any) -> str:
    first = (start.x() + 2 * (control.x() - start.x()) / 3, start.y() + 2 * (control.y() - start.y()) / 3)
    second = (end.x() + 2 * (control.x() - end.x()) / 3, end.y() + 2 * (control.y() - end.y()) / 3)
    return f"b {at(*first)} {at(*second)} {at(end.x(), end.y())}"


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def stroked(path: Any, width: float, *, round_ends: bool = True) -> Any:
    """The outline of a line of that width along the path."""
    paint = skia.Paint(Style=skia.Paint.kStroke_Style, StrokeWidth=width)
    if round_ends:
        paint.setStrokeCap(skia.Paint.kRound_Cap)
        paint.setStrokeJoin(skia.Paint.kRound_Join)
    out = skia.Path()
    paint.getFillPath(path, out, None, 4.0)
    return winding(out)


def winding(path: Any) -> Any:
    """The same area without overlaps, holes turned the other way, as libass fills (non-zero)."""
    try:
        return skia.AsWinding(skia.Simplify(path))
    except RuntimeError:  # skia gives up on some degenerate curves; the outline as it is draws the same or nearly so
        return path


def turned(path: Any, degrees: float, x: float, y: float) -> Any:
    """The path turned clockwise about a point."""
    if degrees:
        matrix = skia.Matrix()
        matrix.setRotate(degrees, x, y)
        path.transform(matrix)
    return path


def placed(path: Any, *, x: float, y: float, scale: float) -> Any:
    """The path made larger by `scale`, then moved."""
    matrix = skia.Matrix()
    matrix.setScaleTranslate(scale, scale, x, y)
    path.transform(matrix)
    return path


def rounded_box(x: float, y: float, width: float, height: float, radius: float) -> Any:
    """A rectangle with round corners."""
    path = skia.Path()
    radius = min(radius, width / 2, height / 2)
    path.addRoundRect(skia.Rect.MakeXYWH(x, y, width, height), radius, radius)
    return path


def arc(x: float, y: float, radius: float, width: float, start: float, sweep: float, *, round_ends: bool = True) -> Any:
    """A stroked arc; degrees clockwise from the top. A whole turn is a ring."""
    path = skia.Path()
    if abs(sweep) >= 359.9:
        path.addCircle(x, y, radius)
    else:
        path.addArc(skia.Rect.MakeXYWH(x - radius, y - radius, radius * 2, radius * 2), start - 90, sweep)
    return stroked(path, width, round_ends=round_ends)


def polyline(points: list[tuple[float, float]], *, closed: bool = False) -> Any:
    """Straight lines through the points."""
    path = skia.Path()
    path.moveTo(*points[0])
    for point in points[1:]:
        path.lineTo(*point)
    if closed:
        path.close()
    return path
