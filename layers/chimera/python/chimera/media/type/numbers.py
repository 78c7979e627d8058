"""A figure that counts up to what is written, its unit below it, and a ring that shows a share."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from chimera.media.layers import NumberLayer
from chimera.media.type.draw import arc
from chimera.media.type.sheet import CAP, Face, Sheet, shortened, shown, side

_STEPS = 18
_COMMA = 0.26
"""How far a comma hangs below the line, and a gap, in em."""
_WRITTEN = re.compile(r"^(.*?)(\d(?:[\d.,'’\u00a0\u202f]|\s(?=\d{3}))*)(.*)$", re.S)
_WORD = re.compile(r"^\s*([^\W\d_]{3,}.*)$")


@dataclass(frozen=True)
class Written:
    """A figure as somebody wrote it: what stands before the number, the number, what stands after; and its unit."""

    before: str
    number: str
    after: str
    unit: str

    @property
    def whole(self) -> str:
        """What is set large."""
        return f"{self.before}{self.number}{self.after}"

    def at(self, progress: float) -> str:
        """The large text while it counts, 0–1; the separators stay where they were written."""
        if progress >= 1 or not any(c.isdigit() for c in self.number):
            return self.whole
        digits = [c for c in self.number if c.isdigit()]
        counted = str(int(int("".join(digits)) * max(progress, 0.0)))
        marks = [(len([c for c in self.number[i:] if c.isdigit()]), c)
                 for i, c in enumerate(self.number) if not c.isdigit()]  # fmt: skip
        # what follows the last separator is a fraction unless it is a group of three
        fraction = marks[-1][0] if marks and marks[-1][0] != 3 else 0
        counted = counted.zfill(fraction + 1)
        out = ""
        for place, digit in enumerate(counted):
            left = len(counted) - place
            mark = next((c for after, c in marks if after == left), "")
            out += (mark if place else "") + digit
        return f"{self.before}{out}{self.after}"


def written(text: str, unit: str = "") -> Written:
    """Takes a figure apart; a word after it ("billion") joins the unit."""
    text = shown(text, limit=60)
    match = _WRITTEN.match(text)
    if match is None:
        return Written(text, "", "", shown(unit, limit=60))
    before, number, after = match[1], match[2].rstrip(" .,'’"), match[2][len(match[2].rstrip(" .,'’")) :] + match[3]
    word = _WORD.match(after)
    if word is not None:
        unit, after = f"{word[1]} {unit}".strip(), ""
    return Written(before, number, after.replace(" %", "%"), shown(unit, limit=60))


def draw(sheet: Sheet, layer: NumberLayer) -> None:
    """Draws a number layer: in the type's colour while it counts, in its own once it is there."""
    start, stop = sheet.span(layer)
    figure = written(layer.text, layer.unit)
    if stop <= start or not figure.whole:
        return
    box = layer.box
    align = side(layer.align, figure.whole)
    x = {"left": box.x, "centre": box.x + box.width / 2, "right": box.x + box.width}[align]
    middle = box.y + box.height / 2
    radius = min(box.width, box.height) / 2
    room = box.width
    if layer.ring:
        x, align = box.x + box.width / 2, "centre"
        room = radius * 2 * 0.68
        _ring(sheet, layer, x, middle, radius, start, stop)
    unit = figure.unit.upper()
    tall = box.height * (0.5 if unit else 0.8) / CAP
    face = sheet.face("display", 800, min(layer.size, tall), sheet.on("ink"))
    digit = max("0123456789", key=face.width)  # while it counts it may be wider than in the end
    face = face.fitted(max((figure.whole, re.sub(r"\d", digit, figure.whole)), key=face.width), room, smallest=0.1)
    small = sheet.face("text", 700, max(face.size * 0.225, 26), sheet.on("ink"), spacing=2).fitted(unit, room)
    below = max(small.size * 0.75, face.size * _COMMA) + small.size * CAP
    height = face.size * CAP + (below if unit else 0)
    baseline = middle - height / 2 + face.size * CAP
    _count(sheet, layer, figure, face, x, baseline, align, start, stop)
    if unit:
        unit = shortened(unit, small, room)
        sheet.line(unit, small, x=x, baseline=baseline + below, align=align,
                   start=min(start + 0.25, stop), stop=stop, enter="fade", depth=layer.depth,
                   opacity=layer.opacity)  # fmt: skip


def _count(
    sheet: Sheet, layer: NumberLayer, figure: Written, face: Face, x: float, baseline: float, align: str, start: float,
    stop: float,
) -> None:  # fmt: skip
    seconds = min(layer.seconds, max(stop - start - 0.3, 0.0))
    counts = bool(figure.number) and seconds > 0.2
    if counts:
        for step in range(_STEPS):
            begin, end = start + seconds * step / _STEPS, start + seconds * (step + 1) / _STEPS
            text = figure.at(1 - (1 - step / _STEPS) ** 3)
            sheet.line(text, face, x=x, baseline=baseline, align=align, start=begin, stop=end, enter="plain",
                       depth=layer.depth, opacity=layer.opacity)  # fmt: skip
    final = replace(face, colour=sheet.on(layer.colour))
    sheet.line(figure.whole, final, x=x, baseline=baseline, align=align, start=start + (seconds if counts else 0),
               stop=stop, enter="pulse" if counts else "pop", depth=layer.depth, opacity=layer.opacity)  # fmt: skip


def _ring(sheet: Sheet, layer: NumberLayer, x: float, y: float, radius: float, start: float, stop: float) -> None:
    """A pale track, and the share on it from the top on; without a share the ring is whole."""
    width = radius * 0.16
    common = {"depth": layer.depth, "stop": stop}
    sheet.form(arc(x, y, radius - width / 2, width, 0, 360), sheet.colour("ink"), start=start, over=0,
               opacity=layer.opacity * 0.16, enter="fade", **common)  # type: ignore[arg-type]  # fmt: skip
    share = 1.0 if layer.share is None else layer.share
    if share <= 0:
        return
    seconds = min(layer.seconds, max(stop - start - 0.3, 0.05))
    tint = sheet.colour(layer.colour)
    for step in range(1, _STEPS + 1):
        grown = share * (1 - (1 - step / _STEPS) ** 3)
        begin = start + seconds * (step - 1) / _STEPS
        end = stop if step == _STEPS else start + seconds * step / _STEPS
        path = arc(x, y, radius - width / 2, width, 0, max(grown * 360, 0.5))
        sheet.form(path, tint, start=begin, stop=end, depth=layer.depth, over=1, opacity=layer.opacity,
                   enter="none" if step == _STEPS else "plain")  # fmt: skip
