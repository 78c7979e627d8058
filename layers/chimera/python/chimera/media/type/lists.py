"""Lists: an agenda with its active line, the progress through the video, the sources at the end."""

from __future__ import annotations

import skia

from chimera.media import ass, flow
from chimera.media.layers import ListLayer, ProgressLayer, SourcesLayer
from chimera.media.text import is_rtl
from chimera.media.type.draw import drawing, polyline, rounded_box, stroked
from chimera.media.type.sheet import CAP, Face, Sheet, shortened, shown

_MOST_SEGMENTS = 14


def draw(sheet: Sheet, layer: ListLayer) -> None:
    """Draws a list layer: what is done steps back with a check, what is now stands out, what comes waits."""
    start, stop = sheet.span(layer)
    items = [text for text in (shown(item, limit=200) for item in layer.items) if text]
    if not items or stop <= start:
        return
    box, theme = layer.box, sheet.theme
    size, rows, gap = _fit(sheet, layer, items)
    indent = 0.0 if layer.marker == "none" else size * 1.5
    height = sum(len(lines) * size * 1.18 for lines in rows) + gap * (len(rows) - 1)
    y = box.y + max(box.height - height, 0) / 2
    rtl = is_rtl(" ".join(items))
    edge = box.x + box.width if rtl else box.x
    for number, lines in enumerate(rows):
        state = "plain" if layer.active < 0 else (
            "now" if number == layer.active else "done" if number < layer.active else "next"
        )  # fmt: skip
        at = min(start + (number * 0.16 if layer.active < 0 else 0.05 * number), stop)
        face = sheet.face("display", 800 if state in ("now", "plain") else 600, size, sheet.on(layer.colour))
        opacity = layer.opacity * {"plain": 1.0, "now": 1.0, "done": 0.62, "next": 0.5}[state]
        tall = len(lines) * size * 1.18
        if state == "now":
            plate = rounded_box(box.x, y - gap * 0.42, box.width, tall + gap * 0.84, min(size * 0.4, 24))
            sheet.form(plate, theme.accent, start=at, stop=stop, depth=layer.depth, over=0,
                       opacity=layer.opacity, enter="grow-right" if rtl else "grow-x")  # fmt: skip
            face = sheet.face("display", 800, size, sheet.on("background", "accent"))
        pad = size * 0.45 if layer.active >= 0 else 0.0
        inner = -1 if rtl else 1
        if indent:
            _marker(sheet, layer, number, state, edge + inner * (pad + size * 0.48), y + size * 0.59, size, at, stop)
        for row, line in enumerate(lines):
            sheet.line(line, face, x=edge + inner * (pad + indent), baseline=y + size * (0.59 + CAP / 2) + row * size * 1.18,
                       align="right" if rtl else "left", start=at, stop=stop,
                       enter="slide" if layer.active < 0 else "fade", depth=layer.depth, opacity=opacity)  # fmt: skip
        y += tall + gap


def _fit(sheet: Sheet, layer: ListLayer, items: list[str]) -> tuple[int, list[list[flow.Line]], float]:
    """The largest size at which all items fit, two lines each at most."""
    sizes = list(range(round(layer.size), max(round(layer.size * 0.4), 14), -2)) or [round(layer.size)]
    for size in sizes:
        indent = (0.0 if layer.marker == "none" else size * 1.5) + (size * 0.9 if layer.active >= 0 else 0.0)
        rows = []
        for item in items:
            _, lines = flow.fit(
                flow.tokens(item), family=sheet.theme.display, weight=800, width=max(layer.box.width - indent, 40.0),
                sizes=[size], max_lines=2 if size > sizes[-1] or len(items) == 1 else 1,
            )  # fmt: skip
            rows.append(lines)
        cut = any(flow.line_text(line).endswith("…") for lines in rows for line in lines)
        tall = sum(len(lines) * size * 1.18 for lines in rows)
        gap = min(size * 0.75, (layer.box.height - tall) / max(len(items), 1))
        if size == sizes[-1] or ((not cut or size <= layer.size * 0.62) and gap >= size * 0.32):
            return size, rows, max(gap, 2.0)
    raise AssertionError("the smallest size is always taken")


def _marker(
    sheet: Sheet, layer: ListLayer, number: int, state: str, x: float, y: float, size: float, start: float, stop: float
) -> None:
    theme = sheet.theme
    common = {"start": start, "stop": stop, "depth": layer.depth}
    on_plate = state == "now"
    colour = theme.background if on_plate else theme.accent
    if on_plate:
        colour = sheet.on("background", "accent")
    opacity = layer.opacity * (0.5 if state == "next" else 1.0)
    kind = "check" if state == "done" else layer.marker
    if kind == "number":
        disc = skia.Path()
        disc.addCircle(x, y, size * 0.48)
        sheet.form(disc, colour, over=1, opacity=opacity, enter="fade", **common)  # type: ignore[arg-type]
        ground = colour
        name = sheet.on("background", ground)
        face = sheet.face("display", 800, size * 0.52, name)
        sheet.line(str(number + 1), face, x=x, baseline=y + face.size * CAP / 2, align="centre", enter="fade",
                   opacity=opacity, **common)  # type: ignore[arg-type]  # fmt: skip
        return
    if kind == "check" and state not in ("next", "now"):
        tick = polyline(
            [(x - size * 0.30, y + size * 0.02), (x - size * 0.08, y + size * 0.24), (x + size * 0.34, y - size * 0.26)]
        )
        sheet.form(stroked(tick, size * 0.15), colour, over=1, opacity=opacity, enter="draw", **common)  # type: ignore[arg-type]
        return
    dot = rounded_box(x - size * 0.17, y - size * 0.17, size * 0.34, size * 0.34, size * 0.09)
    sheet.form(dot, colour, over=1, opacity=opacity, enter="fade", **common)  # type: ignore[arg-type]


def draw_progress(sheet: Sheet, layer: ProgressLayer) -> None:
    """Draws how far the video is."""
    start, stop = sheet.span(layer)
    box, theme, count = layer.box, sheet.theme, layer.count
    number = min(layer.number, count - 1)
    if layer.style == "count":
        # a region that is as low as a bar is where it hangs from
        face = sheet.face("display", 800, max(box.height, 34.0), sheet.on("ink"))
        text = f"{number + 1} / {count}"
        sheet.line(text, face.fitted(text, box.width), x=box.x, baseline=box.y + max(box.height * 0.85, 34.0 * CAP), start=start,
                   stop=stop, enter="none", depth=layer.depth, opacity=layer.opacity * 0.85)  # fmt: skip
        return
    if layer.style == "dots" and count <= 40:
        radius = min(max(box.height / 2, 8.0), box.width / (count * 3))
        step = min(radius * 4, box.width / count)
        first = box.x + (box.width - step * (count - 1)) / 2
        for place in range(count):
            dot = skia.Path()
            dot.addCircle(
                first + place * step, box.y + max(box.height / 2, radius), radius * (1.0 if place == number else 0.66)
            )
            sheet.form(dot, theme.accent if place == number else theme.ink, start=start, stop=stop, depth=layer.depth,
                       opacity=layer.opacity * (1.0 if place <= number else 0.35), enter="none")  # fmt: skip
        return
    segments = layer.style == "segments" and count <= _MOST_SEGMENTS
    places = count if segments else 1
    gap = 10.0
    width = (box.width - gap * (places - 1)) / places
    for place in range(places):
        path = rounded_box(box.x + place * (width + gap), box.y, width, box.height, box.height / 2)
        done = segments and place < number
        sheet.form(path, theme.ink, start=start, stop=stop, depth=0, over=0,
                   opacity=layer.opacity * (0.906 if done else 0.31), enter="plain")  # fmt: skip
        if segments and place == number:
            _growing(sheet, path, box.x + place * (width + gap), width, 0.0, 1.0, start, stop, layer)
    if not segments:
        path = rounded_box(box.x, box.y, box.width, box.height, box.height / 2)
        _growing(sheet, path, box.x, box.width, number / count, (number + 1) / count, start, stop, layer)


def _growing(
    sheet: Sheet, path: object, x: float, width: float, from_share: float, to_share: float, start: float, stop: float,
    layer: ProgressLayer,
) -> None:  # fmt: skip
    """The accent part, uncovered by a clip over the whole scene: nothing is drawn anew."""
    found = drawing(path)
    if found is None:
        return
    top, bottom = round(found.y - 1), round(found.y + found.height + 2)
    first, last = round(x + width * from_share), round(x + width * to_share + (1 if to_share == 1 else 0))
    tags = (
        f"\\an7\\pos({found.x:.1f},{found.y:.1f})\\1c{ass.inline(sheet.theme.accent)}\\bord0"
        f"\\clip({round(x)},{top},{first},{bottom})"
        f"\\t(0,{round((stop - start) * 1000)},\\clip({round(x)},{top},{last},{bottom}))"
    )
    sheet.script.shape("Shape", start, stop, tags, found.code, layer=1)


def draw_sources(sheet: Sheet, layer: SourcesLayer) -> None:
    """Draws the closing list; without sources the AI label alone."""
    start, stop = sheet.span(layer)
    page, box, theme = sheet.page, layer.box, sheet.theme
    names = page.source_names
    rtl = is_rtl(page.labels[1])
    edge, inner, align = (box.x + box.width, -1, "right") if rtl else (box.x, 1, "left")
    small = box.height < 800 and box.width < 960
    head, item, step = (72.0, 38.0, 74.0) if small else (92.0, 46.0, 92.0)
    total = (head + 60 if names else 0) + len(names) * step + 110
    shrink = min(1.0, box.height / total)
    head, item, step = head * shrink, item * shrink, step * shrink
    total *= shrink
    top = box.y + (box.height - total) / 2
    y = top + 50
    common = {"stop": stop, "depth": layer.depth}
    if names:
        bar = rounded_box(edge if inner > 0 else edge - 132, top - 6, 132, 14 * shrink, 7)
        sheet.form(bar, theme.accent, start=start + 0.2, opacity=layer.opacity, enter="grow-right" if rtl else "grow-x",
                   **common)  # type: ignore[arg-type]  # fmt: skip
        title = page.labels[1]
        baseline = top + 52 * shrink + head * CAP
        face = sheet.face("display", 800, head, sheet.on("ink")).fitted(title, box.width)
        sheet.line(title, face, x=edge, baseline=baseline, align=align, start=start + 0.25, enter="rise",
                   opacity=layer.opacity, **common)  # type: ignore[arg-type]  # fmt: skip
        for number, name in enumerate(names):
            y = baseline + 96 * shrink + number * step
            at = start + 0.38 + number * 0.10
            dot = 16 * shrink
            square = rounded_box(edge if inner > 0 else edge - dot, y - dot / 2, dot, dot, dot / 4)
            sheet.form(square, theme.accent, start=at, opacity=layer.opacity, enter="fade", **common)  # type: ignore[arg-type]
            own = sheet.face("text", 600, item, sheet.on("ink")).fitted(name, box.width - 44)
            name = shortened(name, own, box.width - 44)
            sheet.line(name, own, x=edge + inner * 44, baseline=y + own.size * 0.36, align=align, start=at,
                       enter="rise", opacity=layer.opacity, **common)  # type: ignore[arg-type]  # fmt: skip
        y = baseline + 96 * shrink + len(names) * step + 44 * shrink
    _label(sheet, layer, page.labels[2], edge, inner, y, shrink, start + 0.5, stop)


def _label(
    sheet: Sheet, layer: SourcesLayer, text: str, edge: float, inner: int, y: float, shrink: float, start: float,
    stop: float,
) -> None:  # fmt: skip
    face: Face = sheet.face("text", 600, max(30 * shrink, 20), sheet.on("ink"))
    width, tall = face.width(text) + 56 * shrink, 60 * shrink
    left = edge if inner > 0 else edge - width
    frame = stroked(rounded_box(left, y - tall / 2, width, tall, tall / 2), 4 * shrink)
    start = min(start, stop)
    sheet.form(frame, sheet.theme.ink, start=start, stop=stop, depth=layer.depth, over=0,
               opacity=layer.opacity * 0.56, enter="fade")  # fmt: skip
    sheet.line(text, face, x=left + width / 2, baseline=y + face.size * 0.36, align="centre", start=start, stop=stop,
               enter="fade", depth=layer.depth, opacity=layer.opacity * 0.81)  # fmt: skip
