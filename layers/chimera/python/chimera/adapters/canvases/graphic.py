"""Flat, graphic cards: cropped letterforms, colour splits, tiles of circles and quarters, ribbons, halftone, icon patterns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import skia

from chimera.adapters.canvases.brush import (
    Stage,
    argb,
    draw_icon,
    fill,
    glow,
    line,
    polygon,
    rounded,
    shadow,
    texture,
)
from chimera.media.fonts import typeface
from chimera.media.theme import contrast, mix


def letter(s: Stage) -> None:
    """A huge cropped letterform or figure that turns its colours where a disc or a slab crosses it."""
    c, p = s.canvas, s.palette
    c.drawRect(s.box, fill(p.ground))
    font = skia.Font(typeface("Montserrat", 900), 100)
    text = s.glyph or "&"
    width = max(font.measureText(text), 1.0)
    size = min(100 * s.radius * (2.3 if len(text) > 1 else 2.05) / width, s.radius * 3.0)
    font.setSize(size)
    at_x, at_y = s.x - width * size / 200, s.y + size * 0.36
    disc = s.pick(True, False)
    if disc:
        reach = s.radius * 0.98
        side = s.pick(-1, 1)
        shape = skia.Path.Circle(s.x + side * s.radius * 0.46, s.y - s.radius * 0.10, reach)
    else:
        tilt = s.pick(-1, 1) * s.radius * 0.34
        edge = s.x + s.pick(-0.12, 0.1) * s.radius
        shape = polygon(
            [(edge + tilt, s.bleed[1]), (s.bleed[2], s.bleed[1]), (s.bleed[2], s.y + s.radius * 1.22), (edge - tilt, s.y + s.radius * 1.22)]
        )  # fmt: skip
    loud = s.pick(p.first, p.second)
    back = p.third if loud == p.first else p.first
    if contrast(back, p.ground) < 2.2:  # the letter shows through it in the ground's colour
        back = p.second if loud == p.first else p.first
    c.drawString(text, at_x + size * 0.045, at_y + size * 0.045, font, line(p.tint(0.22), 1.0, 3.0))
    c.drawString(text, at_x, at_y, font, fill(loud))
    c.drawPath(shape, fill(back if back != loud else p.raised))
    c.save()
    c.clipPath(shape, doAntiAlias=True)
    c.drawString(text, at_x, at_y, font, fill(p.ground))
    c.restore()
    _rules(s, loud)


def _rules(s: Stage, colour: str) -> None:
    """Small typographic furniture: a bar, hairlines, a row of dots; never letters."""
    c, p = s.canvas, s.palette
    left, top = s.x - s.radius * 1.12, s.y - s.radius * 1.13
    c.drawRect(skia.Rect.MakeXYWH(left, top, s.radius * 0.42, s.radius * 0.042), fill(colour))
    for at in range(4):
        c.drawCircle(
            s.x + s.radius * (0.74 + 0.12 * at), top + 7, s.radius * 0.026, fill(p.ink, 0.9 if at == 0 else 0.35)
        )
    base = s.y + s.radius * 1.2
    c.drawLine(left, base, s.x + s.radius * 1.12, base, line(p.ink, 0.28, 2.5))


def split(s: Stage) -> None:
    """Two fields of colour and a disc across their edge, each half in the other's colour, with a large line icon."""
    c, p = s.canvas, s.palette
    c.drawRect(s.box, fill(p.ground))
    left, top, right, bottom = s.bleed
    lean = s.pick(-1, 1) * s.pick(0.0, 0.22, 0.4) * s.radius
    centred = abs(s.x - s.width / 2) < s.width * 0.1
    flip = s.pick(True, False) if centred else s.x < s.width / 2
    loud, other = (p.first, p.second) if s.pick(True, False) else (p.second, p.first)
    edge_x = s.x + s.pick(-0.18, 0.0, 0.18) * s.radius
    foot = bottom if s.width > s.height * 1.2 else s.y + s.radius * 1.34
    corners = [(edge_x + lean, top), (right, top), (right, foot), (edge_x - lean, foot)]
    if flip:
        corners = [(edge_x + lean, top), (left, top), (left, foot), (edge_x - lean, foot)]
    field = polygon(corners)
    c.drawPath(field, fill(p.third))
    texture(s, s.pick("dots", "stripes", "rules"), field, p.on(p.third), 0.10, step=30)
    disc = skia.Path.Circle(s.x, s.y, s.radius * 0.86)
    shadow(s, disc, dy=18, blur=26, alpha=0.30)
    c.drawPath(disc, fill(loud))
    c.save()
    c.clipPath(field, doAntiAlias=True)
    c.drawPath(disc, fill(other))
    c.restore()
    ring = s.radius * 1.06
    c.drawArc(
        skia.Rect.MakeLTRB(s.x - ring, s.y - ring, s.x + ring, s.y + ring),
        s.pick(20, 110, 200),
        132,
        False,
        line(p.ink, 0.85, 5),
    )
    draw_icon(s, s.icon, s.x, s.y, s.radius * 0.98, p.on(mix(loud, other, 0.5)), width=1.15, fill=0.0)
    if foot < bottom:
        c.drawRect(skia.Rect.MakeLTRB(left, foot, right, foot + s.radius * 0.035), fill(other))


def tiles(s: Stage) -> None:
    """Quarters, halves, rings and stripes in a grid; loud around the motif, a whisper where type stands."""
    c, p = s.canvas, s.palette
    c.drawRect(s.box, fill(p.ground))
    cell = s.short / (3 if s.radius > s.short * 0.24 else 4)
    left, top, right, bottom = s.bleed
    first_x, first_y = s.x - cell / 2, s.y - cell / 2
    columns = range(math.floor((left - first_x) / cell), math.ceil((right - first_x) / cell))
    rows = range(math.floor((top - first_y) / cell), math.ceil((bottom - first_y) / cell))
    loud = [p.first, p.second, p.third, p.ink if p.light else p.raised]
    last = ""
    for row in rows:
        for column in columns:
            x, y = first_x + column * cell, first_y + row * cell
            # portrait: whole rows are loud; landscape: whole columns are
            away = abs(row) if s.width <= s.height * 1.2 else abs(column)
            reach = s.radius / cell + 0.65
            if away > reach:
                front, back = p.tint(0.055), p.ground
            else:
                options = [colour for colour in loud if colour != last]
                back = options[int(s.rng.integers(len(options)))]
                front = [colour for colour in [*loud, p.ground] if colour != back][int(s.rng.integers(len(loud)))]
                last = back
            c.drawRect(skia.Rect.MakeXYWH(x, y, cell + 0.7, cell + 0.7), fill(back))
            if row == 0 and column == 0:
                c.drawRect(skia.Rect.MakeXYWH(x, y, cell + 0.7, cell + 0.7), fill(p.ground))
                c.drawCircle(x + cell / 2, y + cell / 2, cell * 0.44, fill(p.first))
                draw_icon(s, s.icon, x + cell / 2, y + cell / 2, cell * 0.56, p.on(p.first), width=1.5)
            else:
                _tile(s, x, y, cell, front)


def _tile(s: Stage, x: float, y: float, cell: float, colour: str) -> None:
    c, kind, turn = s.canvas, int(s.rng.integers(8)), int(s.rng.integers(4))
    c.save()
    c.clipRect(skia.Rect.MakeXYWH(x, y, cell + 0.7, cell + 0.7))
    c.translate(x + cell / 2, y + cell / 2)
    c.rotate(90 * turn)
    h = cell / 2
    if kind == 0:
        c.drawCircle(-h, -h, cell, fill(colour))
    elif kind == 1:
        c.drawCircle(0, -h, h, fill(colour))
        c.drawCircle(0, h, h, fill(colour, 0.55))
    elif kind == 2:
        c.drawCircle(0, 0, h * 0.62, fill(colour))
    elif kind == 3:
        for ring in (0.92, 0.66, 0.40):
            c.drawCircle(-h, -h, cell * ring, line(colour, 1.0, cell * 0.11))
    elif kind == 4:
        c.drawPath(polygon([(-h, -h), (h, -h), (-h, h)]), fill(colour))
    elif kind == 5:
        for at in range(4):
            c.drawRect(skia.Rect.MakeXYWH(-h, -h + at * cell / 4, cell, cell / 8), fill(colour))
    elif kind == 6:
        for a in range(4):
            for b in range(4):
                c.drawCircle(-h + cell * (a + 0.5) / 4, -h + cell * (b + 0.5) / 4, cell * 0.055, fill(colour))
    else:
        c.drawPath(skia.Path.RRect(rounded(-h * 0.62, -h * 0.62, h * 1.24, h * 1.24, h * 0.2)), fill(colour))
    c.restore()


def ribbons(s: Stage) -> None:
    """A bundle of thick bands that runs through the picture, turns around the motif and leaves again."""
    c, p = s.canvas, s.palette
    c.drawRect(s.box, fill(p.ground))
    left, top, right, bottom = s.bleed
    band = s.radius * 0.17
    side = s.pick(-1, 1) if abs(s.x - s.width / 2) < s.width * 0.1 else (1 if s.x > s.width / 2 else -1)
    start = (
        (left - band * 4, s.y + s.radius * s.rng.uniform(0.5, 1.0))
        if side < 0
        else (right + band * 4, s.y + s.radius * s.rng.uniform(0.5, 1.0))
    )
    colours = [p.third, p.second, mix(p.first, p.second, 0.5), p.first, mix(p.first, p.ground, 0.35)]
    turn = s.radius * 0.86
    path = skia.Path()
    path.moveTo(*map(float, start))
    path.cubicTo(
        float(s.x + side * turn * 0.3), float(start[1]), float(s.x + side * turn * 1.7), float(s.y - turn * 0.2),
        float(s.x + side * turn * 0.75), float(s.y - turn * 0.75),
    )  # fmt: skip
    path.cubicTo(
        float(s.x - side * turn * 0.2), float(s.y - turn * 1.3), float(s.x - side * turn * 1.3), float(s.y - turn * 0.5),
        float(s.x - side * turn * 1.1), float(s.y + turn * 0.3),
    )  # fmt: skip
    path.cubicTo(
        float(s.x - side * turn * 0.9), float(s.y + turn * 1.3), float(s.x + side * turn), float(top if s.pick(0, 1) else bottom),
        float(s.x + side * s.width), float(s.y - s.radius * 1.6),
    )  # fmt: skip
    for at, colour in enumerate(colours):  # one stroke over the other, each thinner: what shows are bands
        paint = line(colour, 1.0, band * 2 * (len(colours) - at) - band)
        paint.setStrokeCap(skia.Paint.kButt_Cap)
        c.drawPath(path, paint)
    badge = skia.Path.Circle(s.x, s.y, s.radius * 0.5)
    shadow(s, badge, dy=16, blur=24, alpha=0.45)
    c.drawPath(badge, fill(p.ground))
    c.drawPath(badge, line(p.ink, 0.9, 6))
    draw_icon(s, s.icon, s.x, s.y, s.radius * 0.6, p.ink, width=1.5)


def halftone(s: Stage) -> None:
    """The icon as printed dots, large where it is, over a field of dots that dies away."""
    import cv2

    c, p = s.canvas, s.palette
    c.drawRect(s.box, fill(p.ground))
    step = s.radius * 0.062
    ink = s.pick(p.first, p.second)
    block = skia.Path.Circle(s.x, s.y, s.radius * 1.04)
    c.drawPath(block, fill(ink))
    grid = round(s.radius * 2.2 / step)
    mask = _icon_mask(s.icon, 192)
    mask = cv2.GaussianBlur(mask, (0, 0), 2.2)
    mask = cv2.resize(mask, (grid, grid), interpolation=cv2.INTER_AREA)
    size = s.radius * 1.5
    dark = mix(p.ground, "#000000", 0.25) if not p.light else mix(p.ink, ink, 0.12)
    start = -grid / 2
    sizes: dict[int, list[Any]] = {}
    for row in range(grid):
        for column in range(grid):
            shift = 0.5 if row % 2 else 0.0
            x, y = s.x + (start + column + shift) * step * 0.94, s.y + (start + row + 0.5) * step * 0.94
            u, v = (x - s.x) / size + 0.5, (y - s.y) / size + 0.5
            inside = 0 <= u < 1 and 0 <= v < 1
            value = float(mask[int(v * grid), int(u * grid)]) if inside else 0.0
            far = math.hypot(x - s.x, y - s.y) / (s.radius * 1.04)
            value = max(min(value * 1.7, 1.0), 0.34 * max(far - 0.42, 0.0) if far < 0.97 else 0.0)
            if value > 0.04:
                sizes.setdefault(round(value * 10), []).append(skia.Point(x, y))
    for level, spots in sizes.items():
        c.drawPoints(skia.Canvas.kPoints_PointMode, spots, line(dark, 1.0, step * 1.28 * (level / 10) ** 0.5))
    _fading_dots(s, step * 1.7, p.tint(0.5))


def _icon_mask(icon: str, size: int) -> Any:
    pixels = np.zeros((size, size, 4), np.uint8)
    surface = skia.Surface(pixels, colorType=skia.ColorType.kBGRA_8888_ColorType)
    from chimera.adapters.canvases.icons import svg

    dom = skia.SVGDOM.MakeFromStream(skia.MemoryStream(svg(icon, stroke="#ffffff", width=2.0, fill=0.16), True))
    dom.setContainerSize(skia.Size(24, 24))
    canvas = surface.getCanvas()
    canvas.scale(size / 24, size / 24)
    dom.render(canvas)
    surface.flushAndSubmit()
    return pixels[:, :, 3].astype(np.float32) / 255


def _fading_dots(s: Stage, step: float, colour: str) -> None:
    left, top, right, bottom = s.bleed
    sizes: dict[int, list[Any]] = {}
    for row, y in enumerate(np.arange(top, bottom, step)):
        for x in np.arange(left + (row % 2) * step / 2, right, step):
            far = math.hypot(float(x) - s.x, float(y) - s.y) / s.radius
            level = round(6 * max(1.0 - abs(far - 1.1) / 1.3, 0.0)) if far > 1.12 else 0
            if level:
                sizes.setdefault(level, []).append(skia.Point(float(x), float(y)))
    for level, spots in sizes.items():
        s.canvas.drawPoints(skia.Canvas.kPoints_PointMode, spots, line(colour, 0.42, step * 0.075 * level))


def pattern(s: Stage) -> None:
    """Rows of the topic's icons, leaning, tone in tone; one of them large on a tile in front."""
    c, p = s.canvas, s.palette
    strong = s.pick(True, False)
    back = mix(p.ground, p.third, 0.55) if strong else p.ground
    c.drawRect(s.box, gradient_of(s, back, p.ground))
    icons = (s.icon, *s.companions)
    step = s.radius * 0.56
    c.save()
    c.translate(s.x, s.y)
    c.rotate(s.pick(-14.0, 12.0))
    reach = math.ceil(max(s.width, s.height) / step)
    for row in range(-reach, reach + 1):
        for column in range(-reach, reach + 1):
            x, y = column * step + (row % 2) * step / 2, row * step * 0.88
            far = math.hypot(x, y) / (s.radius * 3.4)
            if far > 1.4 or math.hypot(x, y) < s.radius * 0.2:
                continue
            draw_icon(
                s,
                icons[(row * 2 + column) % len(icons)],
                x,
                y,
                step * 0.50,
                p.ink,
                alpha=0.20 * max(1 - far * 0.6, 0.2),
                fill=0.0,
                width=1.6,
            )
    side = s.radius * 1.16
    shape = skia.Path.RRect(rounded(-side / 2, -side / 2, side, side, side * 0.24))
    c.restore()
    c.save()
    c.translate(s.x, s.y)
    c.rotate(s.pick(-7.0, 6.0))
    colour = s.pick(p.first, p.second)
    shadow(s, shape, dy=30, blur=36, alpha=0.5)
    c.drawPath(shape, fill(colour))
    c.save()
    c.clipPath(shape, doAntiAlias=True)
    c.drawCircle(-side * 0.1, -side * 0.62, side * 0.72, fill("#ffffff", 0.14))
    c.restore()
    c.restore()
    draw_icon(s, s.icon, s.x, s.y, side * 0.64, p.on(colour), width=1.5)


def gradient_of(s: Stage, start: str, end: str) -> Any:
    """From the motif's colour to the ground's, downwards (in landscape: towards the type)."""
    shader = skia.GradientShader.MakeLinear(
        [skia.Point(s.x, s.y - s.radius), skia.Point(s.x if s.width <= s.height * 1.2 else 0, s.y + s.radius * 1.9)],
        [argb(start), argb(end)],
    )
    return skia.Paint(Shader=shader)


def mesh(s: Stage) -> None:
    """Large soft colours that run into each other, and the icon on a pane of frosted glass."""
    c, p = s.canvas, s.palette
    c.drawRect(s.box, fill(p.ground))
    spread = max(s.width, s.height)
    colours = [p.third, p.first, p.second, mix(p.second, p.third, 0.5), p.raised]
    for at in range(7):
        x = s.x + s.rng.uniform(-0.75, 0.75) * s.width * 0.6
        y = s.y + s.rng.uniform(-1.5, 1.5) * s.radius
        strength = 0.85 if at < 2 else 0.6
        c.drawCircle(
            x, y, spread * 0.42, glow(x, y, spread * s.rng.uniform(0.26, 0.42), colours[at % len(colours)], strength)
        )
    for at, share in enumerate((1.45, 1.2)):
        ring = s.radius * share
        c.drawCircle(s.x, s.y, ring, line("#ffffff", 0.16 + 0.08 * at, 2.2))
    side = s.radius * 1.12
    shape = rounded(s.x - side / 2, s.y - side / 2, side, side, side * 0.28)
    shadow(s, skia.Path.RRect(shape), dy=24, blur=34, alpha=0.28)
    pane = skia.Paint(
        AntiAlias=True,
        Shader=skia.GradientShader.MakeLinear(
            [skia.Point(s.x - side / 2, s.y - side / 2), skia.Point(s.x + side / 2, s.y + side / 2)],
            [argb("#ffffff", 0.52), argb("#ffffff", 0.16)],
        ),
    )
    c.drawRRect(shape, pane)
    c.drawRRect(shape, line("#ffffff", 0.6, 2.5))
    draw_icon(s, s.icon, s.x, s.y, side * 0.64, "#11131a" if p.light else "#ffffff", width=1.45, fill=0.22)
