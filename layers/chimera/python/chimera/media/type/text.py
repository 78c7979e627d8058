"""Type in a box: fitted, plated, line after line; and the geometry that the plain layers ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from chimera.media import flow
from chimera.media.flow import Line, Token, line_text
from chimera.media.layers import Area, TextLayer
from chimera.media.models import Theme
from chimera.media.text import is_rtl
from chimera.media.type.draw import polyline, rounded_box, stroked
from chimera.media.type.sheet import CAP, Face, Sheet, shown, side

_STAGGER = 0.09
_INSETS = {"bar": 46.0, "boxes": 28.0, "pill": 34.0, "panel": 44.0, "outline": 36.0, "marker": 12.0}
_MORE_LEADING = {"boxes": 0.30, "underline": 0.10, "marker": 0.12}
_NEEDS_ROOM = {"boxes": 0.25, "pill": 0.42, "outline": 0.45, "marker": 0.18}

_EMPTIED = re.compile(r"\*\s*\*")  # what was marked, and no font has
_ARABIC = re.compile(r"[\u0590-\u08ff]")
_LIFT = 0.10  # of the size: Arabic and Hebrew letters stand lower between their lines than capitals do


@dataclass(frozen=True)
class Block:
    """A text as it is set: size (em pixels), lines, the first line's cap top, height from there to the last baseline."""

    size: int
    lines: tuple[Line, ...]
    top: float
    height: float
    step: float
    rtl: bool
    text: str


def measure(layer: TextLayer, theme: Theme) -> Block | None:
    """How a text layer is set; None if nothing of it can be drawn."""
    text = _EMPTIED.sub("", shown(layer.text, limit=2000))
    words = flow.tokens(text.upper() if layer.upper else text, marks=True)
    if not words:
        return None
    family = theme.display if layer.font == "display" else theme.text
    box, plate = layer.box, layer.plate
    inset = _inset(layer)
    width = box.width - inset * (1 if plate == "bar" else 2)
    largest = round(layer.size)
    smallest = max(round(layer.smallest or layer.size * 0.55), 12)
    sizes = list(range(largest, smallest, -4)) or [largest]
    step = layer.leading + _MORE_LEADING.get(plate, 0.0)
    spare = min(2 * _INSETS["panel"] * 0.8, box.height * 0.3) if plate == "panel" else 0.0
    room = {
        s: max(int((box.height - spare + 1 - s * (CAP + 2 * _NEEDS_ROOM.get(plate, 0.0))) / (s * step)) + 1, 1)
        for s in sizes
    }
    size, lines = flow.fit(
        words, family=family, weight=layer.weight, width=max(width, 20.0), sizes=sizes, max_lines=layer.lines,
        spacing=layer.spacing, lines_at=room,
    )  # fmt: skip
    height = (len(lines) - 1) * size * step + size * CAP
    pad = size * _NEEDS_ROOM.get(plate, 0.0) if plate != "boxes" else 0.0
    inner = Area(x=box.x, y=box.y + spare / 2 + pad, width=box.width, height=max(box.height - spare - 2 * pad, 1))
    top = {
        "top": inner.y, "middle": inner.y + (inner.height - height) / 2, "bottom": inner.y + inner.height - height
    }[layer.valign]  # fmt: skip
    return Block(size, tuple(lines), top, height, size * step, is_rtl(text), text)


def _inset(layer: TextLayer) -> float:
    """How far type keeps from the box's sides; a small box has less to give."""
    return min(_INSETS.get(layer.plate, 0.0), layer.box.width * 0.12)


def draw(sheet: Sheet, layer: TextLayer) -> None:
    """Draws a text layer."""
    block = measure(layer, sheet.theme)
    start, stop = sheet.span(layer)
    if block is None or stop <= start:
        return
    plated = layer.plate in ("boxes", "pill", "panel")
    ground = layer.plate_colour if plated else layer.ground
    face = sheet.face(
        layer.font,
        layer.weight,
        block.size,
        sheet.on(layer.colour, ground),
        spacing=layer.spacing,
        outline=layer.outline,
    )
    align = side(layer.align, block.text)
    inset = _inset(layer)
    box = layer.box
    left = box.x + (0.0 if layer.plate == "bar" and align == "right" else inset)
    right = box.x + box.width - (0.0 if layer.plate == "bar" and align != "right" else inset)
    x = {"left": left, "centre": (left + right) / 2, "right": right}[align]
    delay = _plates(sheet, layer, block, face, align, x, start, stop)
    strong = sheet.on(layer.emphasis, ground)
    times = word_times(sheet, block, start + delay) if layer.enter == "words" else ()
    seen = 0
    for number, line in enumerate(block.lines):
        begin = start if layer.enter in ("none", "fade", "words") else start + delay + number * _STAGGER
        begin = begin + delay if layer.enter == "fade" else begin
        if layer.enter == "type":
            begin = start + 0.045 * seen
        colour = face
        if layer.plate == "boxes":
            own = "ink" if number and layer.plate_colour == "accent" else layer.plate_colour
            colour = replace(face, colour=sheet.on(layer.colour, own))
        if layer.plate == "marker":
            _marked_line(sheet, layer, line, face, align, x, block, number, begin, stop, times[seen:])
        else:
            sheet.line(
                line, colour, x=x, baseline=_baseline(block, number), align=align, start=begin, stop=stop,
                enter=layer.enter, depth=layer.depth, opacity=layer.opacity, strong=strong if not plated else "",
                word_times=times[seen : seen + len(line)],
            )  # fmt: skip
        seen += len(line_text(line)) if layer.enter == "type" else len(line)


def _baseline(block: Block, number: int) -> float:
    lift = _LIFT * block.size if _ARABIC.search(block.text) else 0.0
    return block.top + block.size * CAP + number * block.step - lift


def _plates(
    sheet: Sheet, layer: TextLayer, block: Block, face: Face, align: str, x: float, start: float, stop: float
) -> float:
    """What stands under the type; gives how much later the type comes."""
    box, size, tint = layer.box, block.size, sheet.colour(layer.plate_colour)
    still = layer.enter == "none"
    widest = max(face.width(line_text(line)) for line in block.lines)
    edge = {"left": x, "centre": x - widest / 2, "right": x - widest}[align]

    def form(path: object, colour: str, enter: str, at: float = 0.0, over: int = 0, opacity: float = 1.0) -> None:
        sheet.form(path, colour, start=start + (0 if still else at), stop=stop, depth=layer.depth, over=over,
                   opacity=layer.opacity * opacity, enter="none" if still else enter)  # fmt: skip

    if layer.plate == "bar":
        across = box.x + box.width - 12 if align == "right" else box.x
        form(rounded_box(across, block.top - 14, 12, block.height + 28, 6), tint, "grow-y", 0.10)
        return 0.16
    if layer.plate == "boxes":
        for number, line in enumerate(block.lines):
            wide, tall = face.width(line_text(line)) + 56, size * (CAP + 0.5 + 0.08)
            first = {"left": x - 28, "centre": x - wide / 2, "right": x + 28 - wide}[align]
            own = sheet.colour("ink") if number and layer.plate_colour == "accent" else tint
            top = block.top + number * block.step - size * 0.25
            enter = "grow-right" if block.rtl else "grow-x"
            form(rounded_box(first, top, wide, tall, 12), own, enter, 0.08 + number * 0.12)
        return 0.22
    if layer.plate in ("pill", "outline"):
        pad = _INSETS[layer.plate]
        tall = block.height + 2 * size * _NEEDS_ROOM[layer.plate]
        path = rounded_box(edge - pad, block.top - size * _NEEDS_ROOM[layer.plate], widest + 2 * pad, tall,
                           min(tall / 2, size * 0.9))  # fmt: skip
        form(
            stroked(path, 4) if layer.plate == "outline" else path, tint, "fade" if layer.plate == "outline" else "pop"
        )
        return 0.12
    if layer.plate == "panel":
        form(rounded_box(box.x, box.y, box.width, box.height, 28), tint, "fade", opacity=0.94)
        return 0.12
    if layer.plate == "underline":
        last = len(block.lines) - 1
        for number, line in enumerate(block.lines):
            for left, right in _strong_runs(line, face, x, align, block.rtl) or (
                [(edge, edge + widest)] if number == last and not _any_strong(block) else []
            ):
                below = _baseline(block, number) + size * (0.34 if _ARABIC.search(block.text) else 0.14)
                enter = "grow-right" if block.rtl else "grow-x"
                form(
                    rounded_box(left, below, right - left, max(size * 0.09, 5), size), tint, enter, 0.45 + number * 0.1
                )
    return 0.0


def _any_strong(block: Block) -> bool:
    return any(token.strong for line in block.lines for token in line)


def _strong_runs(line: Line, face: Face, x: float, align: str, rtl: bool) -> list[tuple[float, float]]:
    """From where to where the emphasised words of a line stand; words next to each other are one run."""
    total = face.width(line_text(line))
    left = {"left": x, "centre": x - total / 2, "right": x - total}[align]
    runs: list[tuple[float, float]] = []
    before = False
    for place, token in enumerate(line):
        if token.strong:
            lead = face.width(line_text(line[:place]) + (" " if token.space and place else ""))
            begin, end = lead, lead + face.width(token.text)
            if rtl:
                begin, end = total - end, total - begin
            if before and not rtl:
                runs[-1] = (runs[-1][0], left + end)
            elif before:
                runs[-1] = (left + begin, runs[-1][1])
            else:
                runs.append((left + begin, left + end))
        before = token.strong
    return runs


def _marked_line(
    sheet: Sheet, layer: TextLayer, line: Line, face: Face, align: str, x: float, block: Block, number: int,
    begin: float, stop: float, times: tuple[float, ...],
) -> None:  # fmt: skip
    """A line with a highlighter's stroke behind its emphasised words, or behind all of it."""
    marked = line if _any_strong(block) else tuple(Token(t.text, True, t.space) for t in line)
    tint = sheet.colour(layer.plate_colour)
    size, baseline = block.size, _baseline(block, number)
    for left, right in _strong_runs(marked, face, x, align, block.rtl):
        deep = 0.20 if _ARABIC.search(block.text) else 0.0  # its letters reach lower, and not as high
        low, high = baseline + size * (0.19 + deep), baseline - size * (CAP + 0.14 - deep)
        swipe = polyline(
            [(left - 12, low), (left - 8, high), (right + 12, high - 2), (right + 8, low - 3)], closed=True
        )
        enter = "none" if layer.enter == "none" else "grow-right" if block.rtl else "grow-x"
        sheet.form(swipe, tint, start=begin + (0 if enter == "none" else 0.12), stop=stop, depth=layer.depth,
                   enter=enter, opacity=layer.opacity)  # fmt: skip
    sheet.line(
        marked, face, x=x, baseline=baseline, align=align, start=begin, stop=stop, enter=layer.enter, depth=layer.depth,
        opacity=layer.opacity, strong=sheet.on(layer.colour, layer.plate_colour), word_times=times[: len(line)],
    )  # fmt: skip


_LETTERS = re.compile(r"\w+")


def _key(text: str) -> str:
    return "".join(_LETTERS.findall(text.casefold()))


def word_times(sheet: Sheet, block: Block, start: float) -> tuple[float, ...]:
    """When each word of a text comes: when the scene's voice says it, where it does; else one after the other."""
    words = [token for line in block.lines for token in line]
    spoken = sheet.clip.words
    said, asked = [_key(w.text) for w in spoken], [_key(w.text) for w in words]
    for first in range(len(said) - len(asked) + 1):
        if asked and said[first : first + len(asked)] == asked:
            return tuple(max(w.start, start) for w in spoken[first : first + len(asked)])
    each = min(0.11, max(sheet.end - start - 0.8, 0.2) / max(len(words), 1))
    return tuple(start + n * each for n in range(len(words)))
