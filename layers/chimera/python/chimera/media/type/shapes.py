"""Drawn forms and icons that fill their boxes."""

from __future__ import annotations

import math
import re
from typing import Any

import skia

from chimera.media.icons import shapes_of
from chimera.media.layers import Area, IconLayer, ShapeLayer
from chimera.media.text import is_rtl
from chimera.media.type.draw import arc, placed, polyline, rounded_box, stroked, turned
from chimera.media.type.sheet import Sheet

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_COMMAND = re.compile(r"([MmLlHhVvCcSsQqAaZz])([^MmLlHhVvCcSsQqAaZz]*)")
_TAKES = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "A": 7}
_ICON_UNITS = 24.0
_ICON_STROKE = 1.7


def draw(sheet: Sheet, layer: ShapeLayer) -> None:
    """Draws a shape layer."""
    start, stop = sheet.span(layer)
    box = layer.box
    path = turned(form(layer), layer.turn, box.x + box.width / 2, box.y + box.height / 2)
    enter = "grow-right" if layer.enter == "grow-x" and is_rtl(sheet.page.title) else layer.enter
    sheet.form(path, sheet.colour(layer.colour), start=start, stop=stop, depth=layer.depth, over=1,
               opacity=layer.opacity, enter=enter)  # fmt: skip


def form(layer: ShapeLayer) -> Any:
    """The layer's form as a filled path."""
    box, stroke = layer.box, layer.stroke
    x, y, w, h = box.x, box.y, box.width, box.height
    short = min(w, h)
    if layer.form in ("ring", "line", "arrow", "check", "corner"):
        width = stroke or max(short * {"ring": 0.10, "line": 1.0}.get(layer.form, 0.16), 2.0)
        half = width / 2
        if layer.form == "ring":
            return arc(x + w / 2, y + h / 2, max((short - width) / 2, 1.0), min(width, short / 2), 0, 360)
        if layer.form == "line":
            if stroke:
                return stroked(polyline([(x + half, y + h / 2), (x + max(w - half, half), y + h / 2)]), width)
            return rounded_box(x, y, w, h, short / 2)
        if layer.form == "arrow":
            head = min(h / 2 - half, w * 0.45)
            line = polyline([(x + half, y + h / 2), (x + w - half, y + h / 2)])
            line.moveTo(x + w - half - head, y + h / 2 - head)
            line.lineTo(x + w - half, y + h / 2)
            line.lineTo(x + w - half - head, y + h / 2 + head)
            return stroked(line, width)
        if layer.form == "check":
            return stroked(
                polyline([(x + half, y + h * 0.55), (x + w * 0.38, y + h - half), (x + w - half, y + half)]), width
            )
        return stroked(polyline([(x + half, y + h - half), (x + half, y + half), (x + w - half, y + half)]), width)
    path = _filled(layer, x, y, w, h)
    return stroked(path, stroke) if stroke else path


def _filled(layer: ShapeLayer, x: float, y: float, w: float, h: float) -> Any:
    if layer.form == "circle":
        path = skia.Path()
        path.addOval(skia.Rect.MakeXYWH(x, y, w, h))
        return path
    if layer.form == "triangle":
        return polyline([(x + w / 2, y), (x + w, y + h), (x, y + h)], closed=True)
    if layer.form == "burst":
        points = []
        for corner in range(32):
            angle, reach = math.pi * corner / 16, 1.0 if corner % 2 == 0 else 0.84
            points.append((x + w / 2 * (1 + reach * math.sin(angle)), y + h / 2 * (1 - reach * math.cos(angle))))
        return polyline(points, closed=True)
    if layer.form == "quote":
        path = skia.Path()
        for number in range(2):
            path.addPath(_quote_mark(x + number * w * 0.54, y, w * 0.46, h))
        return path
    if layer.form == "rectangle":
        return polyline([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], closed=True)
    return rounded_box(x, y, w, h, layer.radius)


def _quote_mark(x: float, y: float, w: float, h: float) -> Any:
    """One comma-shaped opening mark: a ball at the foot, a tail that swings up to the right."""
    ball = min(w / 2, h * 0.32)
    middle = y + h - ball
    path = skia.Path()
    path.moveTo(x + w * 0.92, y)
    path.cubicTo(x + w * 0.40, y + h * 0.10, x, y + h * 0.34, x, middle)
    path.cubicTo(x, y + h - ball * 0.45, x + ball * 0.45, y + h, x + ball, y + h)
    path.cubicTo(x + ball * 1.55, y + h, x + ball * 2, y + h - ball * 0.45, x + ball * 2, middle)
    path.cubicTo(x + ball * 2, middle - ball * 0.60, x + ball * 1.50, middle - ball, x + ball * 0.95, middle - ball)
    path.cubicTo(x + w * 0.36, y + h * 0.30, x + w * 0.66, y + h * 0.16, x + w, y + h * 0.12)
    path.close()
    return path


def draw_icon(sheet: Sheet, layer: IconLayer) -> None:
    """Draws an icon: its lines whole, its pale shapes at a fifth."""
    start, stop = sheet.span(layer)
    colour = sheet.colour(layer.colour)
    pale, lines = icon_paths(layer.name, layer.box)
    common = {"start": start, "stop": stop, "depth": layer.depth, "enter": layer.enter}
    if layer.enter == "pop":  # parts that scale about their own middles would fall apart
        bounds = lines.computeTightBounds()
        pale.addRect(skia.Rect.MakeXYWH(bounds.left(), bounds.top(), 0.01, 0.01))
        pale.addRect(skia.Rect.MakeXYWH(bounds.right() - 0.01, bounds.bottom() - 0.01, 0.01, 0.01))
    sheet.form(pale, colour, over=1, opacity=layer.opacity * 0.22, **common)  # type: ignore[arg-type]
    sheet.form(lines, colour, over=2, opacity=layer.opacity, **common)  # type: ignore[arg-type]


def icon_paths(name: str, box: Area) -> tuple[Any, Any]:
    """The icon's pale shapes and its lines, fitted into the box. `NOT_FOUND` for a name that is none."""
    scale = min(box.width, box.height) / _ICON_UNITS
    pale, lines = skia.Path(), skia.Path()
    for code, filled in shapes_of(name):
        path = svg_path(code)
        if filled:
            pale.addPath(path)
        lines.addPath(path)
    x = box.x + (box.width - _ICON_UNITS * scale) / 2
    y = box.y + (box.height - _ICON_UNITS * scale) / 2
    return placed(pale, x=x, y=y, scale=scale), placed(stroked(lines, _ICON_STROKE), x=x, y=y, scale=scale)


def svg_path(code: str) -> Any:
    """An SVG path (SVG 1.1, section 8.3, all commands but T) as a skia path."""
    path = skia.Path()
    last = (0.0, 0.0)
    start = (0.0, 0.0)
    control: tuple[float, float] | None = None
    for command, rest in _COMMAND.findall(code):
        kind, relative = command.upper(), command.islower()
        if kind == "Z":
            path.close()
            last, control = start, None
            continue
        numbers = _arguments(rest, kind)
        size = _TAKES[kind]
        for at in range(0, len(numbers) - size + 1, size):
            n = numbers[at : at + size]
            x0, y0 = last if relative else (0.0, 0.0)
            if kind == "H":
                last = (x0 + n[0], last[1])
            elif kind == "V":
                last = (last[0], (last[1] if relative else 0.0) + n[0])
            else:
                last, before = (x0 + n[-2], y0 + n[-1]), last
            if kind == "M" and at == 0:
                path.moveTo(*last)
                start = last
            elif kind in "MLHV":
                path.lineTo(*last)
            elif kind == "A":
                path.arcTo(n[0], n[1], n[2], skia.Path.kLarge_ArcSize if n[3] else skia.Path.kSmall_ArcSize,
                           skia.PathDirection.kCW if n[4] else skia.PathDirection.kCCW, *last)  # fmt: skip
            elif kind == "Q":
                path.quadTo(x0 + n[0], y0 + n[1], *last)
            else:
                second = (x0 + n[-4], y0 + n[-3])
                first = (x0 + n[0], y0 + n[1])
                if kind == "S":
                    first = (2 * before[0] - control[0], 2 * before[1] - control[1]) if control else before
                path.cubicTo(*first, *second, *last)
                control = second
            if kind not in "CS":
                control = None
    return path


def _arguments(text: str, kind: str) -> list[float]:
    if kind != "A":
        return [float(n) for n in _NUMBER.findall(text)]
    values: list[float] = []  # the two flags of an arc may stand without anything between them
    rest = text
    while (rest := rest.lstrip(" ,\t\n")) != "":
        match = re.match(r"[01]", rest) if len(values) % 7 in (3, 4) else _NUMBER.match(rest)
        if match is None:
            break
        values.append(float(match[0]))
        rest = rest[match.end() :]
    return values
