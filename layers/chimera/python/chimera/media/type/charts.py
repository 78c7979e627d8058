"""Charts drawn from their numbers: columns, bars, a line, a donut, a comparison; axes from 0, values as they are given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import skia

from chimera.media import ass
from chimera.media.layers import Area, ChartLayer, Point
from chimera.media.theme import mix
from chimera.media.type.draw import arc, drawing, polyline, rounded_box, stroked
from chimera.media.type.sheet import CAP, Face, Sheet, fade, shortened, shown, side

_STEPS = 20


@dataclass(frozen=True)
class Plot:
    """A chart in the making: its layer, the area below the title, its times."""

    sheet: Sheet
    layer: ChartLayer
    area: Area
    start: float
    stop: float
    marked: int
    unit: float  # the size that its labels are set in, reference pixels

    def tint(self, index: int) -> str:
        """The marked point in the accent, the others stepped back."""
        theme = self.sheet.theme
        return theme.accent if index == self.marked else mix(theme.background, theme.ink, 0.42)

    def face(self, size: float, *, weight: int = 600, role: str = "text", colour: str = "") -> Face:
        """Type of the chart."""
        return self.sheet.face(role, weight, size, colour or self.sheet.on("ink"))

    def label(
        self, text: str, face: Face, x: float, baseline: float, *, align: str = "centre", at: float = 0.0,
        opacity: float = 1.0,
    ) -> None:  # fmt: skip
        """A label, `at` seconds after the chart."""
        if text:
            self.sheet.line(text, face, x=x, baseline=baseline, align=align, start=min(self.start + at, self.stop - 0.2),
                            stop=self.stop, enter="fade", depth=self.layer.depth,
                            opacity=self.layer.opacity * opacity)  # fmt: skip

    def form(self, path: Any, colour: str, *, enter: str = "none", at: float = 0.0, until: float = 0.0,
             over: int = 1, opacity: float = 1.0) -> None:  # fmt: skip
        """A form, `at` seconds after the chart."""
        stop = self.start + until if until else self.stop
        self.sheet.form(path, colour, start=self.start + at, stop=stop, depth=self.layer.depth, over=over,
                        opacity=self.layer.opacity * opacity, enter=enter)  # fmt: skip


def draw(sheet: Sheet, layer: ChartLayer) -> None:
    """Draws a chart layer."""
    start, stop = sheet.span(layer)
    if stop - start < 0.3:
        return
    values = [p.value for p in layer.points]
    marked = layer.marked if 0 <= layer.marked < len(values) else max(range(len(values)), key=lambda i: abs(values[i]))
    box = layer.box
    unit = max(min(box.width, box.height) * 0.054, 26.0)
    top = box.y
    title, small = shown(layer.title, limit=120), shown(layer.unit, limit=40)
    if title:
        face = sheet.face("display", 800, unit * 1.35, sheet.on("ink")).fitted(title, box.width, smallest=0.5)
        title = shortened(title, face, box.width)
        align = side("start", title)
        sheet.line(title, face, x=_edge(box, align), baseline=top + face.size * CAP, align=align, start=start, stop=stop,
                   enter="rise", depth=layer.depth, opacity=layer.opacity)  # fmt: skip
        top += face.size * 1.25
    if small:
        face = sheet.face("text", 500, unit * 0.9, sheet.on("ink")).fitted(small, box.width, smallest=0.5)
        small = shortened(small, face, box.width)
        align = side("start", small)
        sheet.line(small, face, x=_edge(box, align), baseline=top + face.size * CAP, align=align,
                   start=min(start + 0.1, stop), stop=stop, enter="fade", depth=layer.depth,
                   opacity=layer.opacity * 0.75)  # fmt: skip
        top += face.size * 1.2
    if title or small:
        top += unit * 0.7
    area = Area(x=box.x, y=top, width=box.width, height=max(box.y + box.height - top, 40.0))
    plot = Plot(sheet, layer, area, start, stop, marked, unit)
    kind = layer.form
    if kind == "donut" and (min(values) < 0 or sum(values) <= 1e-9):
        kind = "bar"  # a negative share has no piece of a ring
    {"column": _columns, "bar": _bars, "line": _line, "donut": _donut, "compare": _compare}[kind](plot)


def _edge(box: Area, align: str) -> float:
    return box.x + box.width if align == "right" else box.x


def value_text(point: Point) -> str:
    """A value as it is written: `shown`, else the number with its thousands apart."""
    if point.shown:
        return shown(point.shown, limit=30)
    text = f"{point.value:,.2f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def _span(low: float, high: float) -> float:
    """How much an axis shows; where all values are as good as zero, one."""
    return high - low if high - low > 1e-9 else 1.0


def _fitted(plot: Plot, texts: list[str], width: float, size: float, **more: Any) -> Face:
    """One face for all the labels of a row: as large as the longest allows, never under 18 px."""
    face = plot.face(size, **more)
    widest = max((face.width(t) for t in texts), default=0.0)
    return plot.face(max(min(size, size * width / widest if widest else size), 18.0), **more)


def _columns(plot: Plot) -> None:
    points, area, layer = plot.layer.points, plot.area, plot.layer
    slot = area.width / len(points)
    values = [value_text(p) for p in points]
    figures = _fitted(plot, values, slot * 0.94, plot.unit * 1.15, weight=800, role="display")
    texts = [shown(p.label, limit=60) for p in points]
    labels = _fitted(plot, texts, slot * 0.86, plot.unit * 0.92)
    high, low = max(0.0, *(p.value for p in points)), min(0.0, *(p.value for p in points))
    above = figures.size * 1.35 if high > 0 else figures.size * 0.3
    below = labels.size * 1.9 + (figures.size * 1.3 if low < 0 else 0)
    room = max(area.height - above - below, 10.0)
    scale = room / _span(low, high)
    zero = area.y + above + high * scale
    each = layer.seconds / (len(points) + 3)
    width = min(slot * 0.66, plot.unit * 4.2)
    for i, point in enumerate(points):
        middle, tall = area.x + slot * (i + 0.5), max(abs(point.value) * scale, 3.0)
        top = zero - tall if point.value >= 0 else zero
        radius = min(width * 0.14, tall / 2)
        path = _column(middle - width / 2, top, width, tall, radius, up=point.value >= 0)
        plot.form(path, plot.tint(i), enter="grow-up" if point.value >= 0 else "grow-y", at=i * each)
        at = i * each + 0.35
        tint = plot.sheet.on("accent") if i == plot.marked else plot.sheet.on("ink")
        value = replace(figures, colour=tint)
        under = zero + tall + figures.size * 1.05
        plot.label(shortened(values[i], value, slot), value, middle,
                   top - figures.size * 0.35 if point.value >= 0 else under, at=at)  # fmt: skip
        plot.label(shortened(texts[i], labels, slot * 0.96), labels, middle, area.y + area.height - labels.size * 0.3,
                   at=i * each, opacity=1.0 if i == plot.marked else 0.8)  # fmt: skip
    plot.form(rounded_box(area.x, zero - 1.5, area.width, 3, 1.5), plot.sheet.colour("ink"), enter="grow-x", over=2,
              opacity=0.5)  # fmt: skip


def _column(x: float, y: float, width: float, height: float, radius: float, *, up: bool) -> Any:
    """A column whose free end is round."""
    path = skia.Path()
    corner = skia.Point(radius, radius)
    flat = skia.Point(0, 0)
    box = skia.RRect()
    corners = [corner, corner, flat, flat] if up else [flat, flat, corner, corner]
    box.setRectRadii(skia.Rect.MakeXYWH(x, y, width, height), corners)
    path.addRRect(box)
    return path


def _bars(plot: Plot) -> None:
    points, area, layer = plot.layer.points, plot.area, plot.layer
    row = min(area.height / len(points), plot.unit * 4.6)
    first = area.y + (area.height - row * len(points)) / 2
    values = [value_text(p) for p in points]
    size = min(plot.unit, row * 0.30)
    figures = _fitted(plot, values, area.width * 0.3, min(size * 1.25, row * 0.42), weight=800, role="display")
    labels = plot.face(max(size, 16.0))
    aside = max(figures.width(v) for v in values) + figures.size * 0.5
    high, low = max(0.0, *(p.value for p in points)), min(0.0, *(p.value for p in points))
    room = area.width - aside * (1 if low >= 0 or high <= 0 else 2)
    scale = max(room, 10.0) / _span(low, high)
    zero = area.x + (aside if low < 0 else 0.0) - low * scale
    each = layer.seconds / (len(points) + 3)
    thick = row * 0.36
    for i, point in enumerate(points):
        top = first + row * i
        text = shortened(shown(point.label, limit=60), labels, area.width)
        plot.label(text, labels, area.x, top + labels.size * 0.95, align="left", at=i * each,
                   opacity=1.0 if i == plot.marked else 0.85)  # fmt: skip
        y, long = top + labels.size * 1.35, max(abs(point.value) * scale, 4.0)
        left = zero if point.value >= 0 else zero - long
        enter = "grow-x" if point.value >= 0 else "grow-right"
        plot.form(rounded_box(left, y, long, thick, thick * 0.22), plot.tint(i), enter=enter, at=i * each)
        tint = plot.sheet.on("accent") if i == plot.marked else plot.sheet.on("ink")
        value = replace(figures, colour=tint)
        beside = left + long + figures.size * 0.35 if point.value >= 0 else left - figures.size * 0.35
        plot.label(values[i], value, beside, y + thick / 2 + figures.size * CAP / 2,
                   align="left" if point.value >= 0 else "right", at=i * each + 0.3)  # fmt: skip


def _line(plot: Plot) -> None:
    points, area, layer = plot.layer.points, plot.area, plot.layer
    values = [value_text(p) for p in points]
    named = {0, len(points) - 1, plot.marked}
    figures = _fitted(plot, [values[i] for i in named], area.width * 0.3, plot.unit * 1.25, weight=800, role="display")
    slot = area.width / max(len(points), 1)
    texts = [shown(p.label, limit=60) for p in points]
    all_fit = all(plot.face(plot.unit * 0.85).width(t) <= slot * 0.94 for t in texts)
    labels = plot.face(plot.unit * 0.9)
    high, low = max(0.0, *(p.value for p in points)), min(0.0, *(p.value for p in points))
    pad = plot.unit * 0.6
    above, below = figures.size * 1.5, labels.size * 2.0 + (figures.size * 1.2 if low < 0 else 0)
    scale = max(area.height - above - below, 10.0) / _span(low, high)
    zero = area.y + above + high * scale
    step = (area.width - 2 * pad) / max(len(points) - 1, 1)
    places = [(area.x + pad + step * i, zero - p.value * scale) for i, p in enumerate(points)]
    if len(points) == 1:
        places = [(area.x + area.width / 2, places[0][1])]
    theme = plot.sheet.theme
    for share in (0.0, 0.5, 1.0):
        y = area.y + above + (high - low) * scale * share
        plot.form(rounded_box(area.x, y - 1, area.width, 2, 1), theme.ink, over=0, opacity=0.16, enter="fade")
    seconds = min(layer.seconds, max(plot.stop - plot.start - 0.4, 0.2))
    if len(points) > 1:
        under = polyline([(places[0][0], zero), *places, (places[-1][0], zero)], closed=True)
        plot.sheet.form(under, theme.accent, start=min(plot.start + seconds, plot.stop), stop=plot.stop,
                        depth=layer.depth, over=0, opacity=layer.opacity * 0.18, enter="fade")  # fmt: skip
        path = stroked(polyline(places), max(plot.unit * 0.16, 4))
        _swept(plot, path, theme.accent, seconds)
    plot.form(rounded_box(area.x, zero - 1.5, area.width, 3, 1.5), theme.ink, over=2, opacity=0.5, enter="grow-x")
    for i, (x, y) in enumerate(places):
        at = seconds * i / max(len(points) - 1, 1)
        big = i == plot.marked
        dot = skia.Path()
        dot.addCircle(x, y, plot.unit * (0.34 if big else 0.18))
        plot.form(dot, theme.accent if big or i == len(points) - 1 else theme.ink, at=at, over=2, enter="pop")
        if i in named:
            tint = plot.sheet.on("accent") if big else plot.sheet.on("ink")
            value = replace(figures, colour=tint)
            wide = value.width(values[i]) / 2
            near = any(j != i and j in named and abs(places[j][0] - x) < wide * 2.2 and j == plot.marked for j in named)
            if not near:
                middle = min(max(x, area.x + wide), area.x + area.width - wide)
                under = y + plot.unit * 0.62 + value.size * CAP
                plot.label(
                    values[i], value, middle, under if points[i].value < 0 else y - plot.unit * 0.62, at=at + 0.1
                )
        if all_fit or i in (0, len(points) - 1):
            align = "centre" if all_fit or len(points) == 1 else "left" if i == 0 else "right"
            place = x if align == "centre" else area.x if i == 0 else area.x + area.width
            text = shortened(texts[i], labels, slot if all_fit else area.width * 0.46)
            half = labels.width(text) / 2
            if align == "centre":
                place = min(max(place, area.x + half), area.x + area.width - half)
            plot.label(text, labels, place, area.y + area.height - labels.size * 0.3, align=align, at=0.1, opacity=0.8)


def _swept(plot: Plot, path: Any, colour: str, seconds: float) -> None:
    """A form that a moving clip uncovers from the left."""
    found = drawing(path)
    if found is None:
        return
    wiped = plot.sheet.wipe(found.x, found.y - 4, found.width, found.height + 8, seconds=seconds).replace(
        ",0.6,", ",1,"
    )
    opacity = f"\\alpha&H{round((1 - plot.layer.opacity) * 255):02X}&"
    tags = f"\\an7\\pos({found.x:.1f},{found.y:.1f}){wiped}{fade(plot.start, plot.stop, 0)}{opacity}"
    plot.sheet.script.shape("Shape", plot.start, plot.stop, f"{tags}\\1c{ass.inline(colour)}\\bord0", found.code,
                            layer=plot.layer.depth * 4 + 1)  # fmt: skip


def _donut(plot: Plot) -> None:
    points, area, theme = plot.layer.points, plot.area, plot.sheet.theme
    wide = area.width > area.height * 1.25
    side = min(area.height, area.width * 0.5) if wide else min(area.width, area.height * 0.58)
    radius = side / 2
    x = area.x + radius if wide else area.x + area.width / 2
    y = area.y + (area.height / 2 if wide else radius)
    width = radius * 0.34
    total = sum(p.value for p in points)
    others = [theme.highlight, mix(theme.ink, theme.background, 0.25), mix(theme.highlight, theme.background, 0.45),
              mix(theme.ink, theme.background, 0.55), mix(theme.accent, theme.background, 0.55)]  # fmt: skip
    tints: list[str] = []
    for i in range(len(points)):
        tints.append(theme.accent if i == plot.marked else others[len([t for t in tints if t != theme.accent]) % 5])
    seconds = min(plot.layer.seconds, max(plot.stop - plot.start - 0.4, 0.2))
    turn = 0.0
    gap = 1.6 if len(points) > 1 else 0.0
    for i, point in enumerate(points):
        sweep = 360 * point.value / total
        begin, end = seconds * turn / 360, seconds * (turn + sweep) / 360
        steps = max(round(_STEPS * sweep / 360), 1)
        for step in range(1, steps + 1):
            shown_to = max(sweep * step / steps - gap, 0.4)
            last = step == steps
            path = arc(x, y, radius - width / 2, width, turn + gap / 2, 360 if sweep > 359.9 and last else shown_to,
                       round_ends=False)  # fmt: skip
            at = begin + (end - begin) * (step - 1) / steps
            until = 0.0 if last else begin + (end - begin) * step / steps
            plot.form(path, tints[i], at=at, until=until, enter="none" if last else "plain")
        turn += sweep
    marked = points[plot.marked]
    share = f"{100 * marked.value / total:.0f} %" if not marked.shown else value_text(marked)
    big = plot.face(radius * 0.42, weight=900, role="display", colour=plot.sheet.on("accent"))
    big = big.fitted(share, (radius - width) * 1.7, smallest=0.2)
    plot.label(share, big, x, y + big.size * CAP / 2, at=seconds * 0.6)
    left, top, room, tall = (
        (area.x + side + plot.unit * 1.4, area.y, area.width - side - plot.unit * 1.4, area.height)
        if wide else (area.x, area.y + side + plot.unit, area.width, area.height - side - plot.unit)
    )  # fmt: skip
    row = min(tall / len(points), plot.unit * 2.0)
    size = max(min(plot.unit, row * 0.6), 16.0)
    first = top + (tall - row * len(points)) / 2 if wide else top
    label, value = plot.face(size), plot.face(size, weight=800, role="display")
    for i, point in enumerate(points):
        baseline = first + row * i + row / 2 + size * CAP / 2
        square = rounded_box(left, baseline - size * CAP, size * CAP, size * CAP, size * 0.18)
        at = seconds * i / len(points)
        plot.form(square, tints[i], at=at, enter="fade")
        text = value_text(point)
        plot.label(text, value, left + room, baseline, align="right", at=at)
        named = shortened(shown(point.label, limit=60), label, room - size * 1.5 - value.width(text))
        plot.label(named, label, left + size * 1.2, baseline, align="left", at=at, opacity=0.9)


def _compare(plot: Plot) -> None:
    points, area = plot.layer.points, plot.area
    top = _span(0.0, max(abs(p.value) for p in points))
    row = area.height / len(points)
    size = min(row * 0.40, plot.unit * 4.0)
    values = [value_text(p) for p in points]
    faces = [plot.face(size, weight=900, role="display", colour=plot.sheet.on("accent" if i == plot.marked else "ink"))
             for i in range(len(points))]  # fmt: skip
    smallest = min(face.fitted(v, area.width, smallest=0.2).size for face, v in zip(faces, values, strict=True))
    label = plot.face(max(min(plot.unit * 1.1, row * 0.16), 16.0))
    thick = max(min(row * 0.13, plot.unit * 0.9), 6.0)
    for i, point in enumerate(points):
        y = area.y + row * i
        at = plot.layer.seconds * i / (len(points) + 1)
        text = shortened(shown(point.label, limit=60), label, area.width)
        face = replace(faces[i], size=smallest)
        block = label.size * 1.5 + smallest * (CAP + 0.35) + thick
        first = y + max(row - block, 0) / 2
        plot.label(text, label, area.x, first + label.size * 0.9, align="left", at=at, opacity=0.85)
        plot.label(values[i], face, area.x, first + label.size * 1.5 + smallest * CAP, align="left", at=at + 0.1)
        long = max(area.width * abs(point.value) / top, 6.0)
        under = first + label.size * 1.5 + smallest * (CAP + 0.35)
        plot.form(rounded_box(area.x, under, area.width, thick, thick / 2), plot.sheet.colour("ink"), over=0,
                  opacity=0.14, enter="fade", at=at)  # fmt: skip
        plot.form(rounded_box(area.x, under, long, thick, thick / 2), plot.tint(i), enter="grow-x", at=at + 0.1)
