"""Cards with depth: isometric blocks, cut and torn paper, landscapes in layers, contour lines and maps of nowhere."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import skia

from chimera.adapters.canvases.brush import (
    Stage,
    blob,
    draw_icon,
    fill,
    glow,
    gradient,
    line,
    noise,
    polygon,
    shadow,
    smooth,
    texture,
)
from chimera.media.theme import mix


def blocks(s: Stage) -> None:
    """A small city of isometric blocks, each with three lit faces; one of them in the loudest colour."""
    c, p = s.canvas, s.palette
    c.drawRect(
        s.box, gradient((mix(p.ground, p.third, 0.35), p.ground), (0, s.y - s.radius * 1.6), (0, s.y + s.radius * 1.7))
    )
    c.drawCircle(s.x, s.y, s.radius * 1.7, glow(s.x, s.y, s.radius * 1.7, p.second, 0.22))
    count = 5
    unit = s.radius * 0.235
    rise = unit * 0.58
    colours = [p.third, mix(p.third, p.raised, 0.5), p.second, mix(p.third, p.first, 0.35)]
    heights = s.rng.uniform(0.35, 1.5, (count, count))
    for a in range(count):
        for b in range(count):
            heights[a][b] *= 1.9 - 0.42 * math.hypot(a - 2, b - 2)
    tall = (1, 2) if s.pick(True, False) else (2, 1)
    heights[tall] = 3.3
    base_y = s.y + s.radius * 0.62
    plate = polygon(
        [
            (s.x, base_y - count * rise - unit),
            (s.x + (count + 1) * unit, base_y),
            (s.x, base_y + count * rise + rise),
            (s.x - (count + 1) * unit, base_y),
        ]
    )
    shadow(s, plate, dy=34, blur=40, alpha=0.5)
    c.drawPath(plate, fill(mix(p.raised, p.ground, 0.4)))
    for total in range(2 * count - 1):
        for a in range(count):
            b = total - a
            if not 0 <= b < count:
                continue
            x = s.x + (a - b) * unit
            y = base_y + (a + b - count + 1) * rise
            colour = p.first if (a, b) == tall else colours[int(s.rng.integers(len(colours)))]
            _block(s, x, y, unit * 0.90, rise * 0.90, float(heights[a][b]) * unit, colour, lit=(a, b) == tall)


def _block(s: Stage, x: float, y: float, half: float, rise: float, height: float, colour: str, *, lit: bool) -> None:
    c = s.canvas
    top = y - height
    c.drawPath(
        polygon([(x - half, y), (x - half, top), (x, top + rise), (x, y + rise)]), fill(mix(colour, "#000000", 0.22))
    )
    c.drawPath(
        polygon([(x + half, y), (x + half, top), (x, top + rise), (x, y + rise)]), fill(mix(colour, "#000000", 0.46))
    )
    c.drawPath(
        polygon([(x, top - rise), (x + half, top), (x, top + rise), (x - half, top)]),
        fill(mix(colour, "#ffffff", 0.24)),
    )
    pane = mix(colour, "#ffffff", 0.55) if not lit else mix(colour, "#ffffff", 0.75)
    steps = int(height // (half * 0.62))
    for row in range(steps):
        for column in range(2):
            if s.rng.random() < 0.45:
                continue
            at_x = x - half + half * (0.18 + 0.42 * column)
            at_y = top + (at_x - x + half) / half * rise + half * (0.28 + 0.62 * row)
            w, h, skew = half * 0.24, half * 0.3, rise * 0.24
            c.drawPath(
                polygon([(at_x, at_y), (at_x + w, at_y + skew), (at_x + w, at_y + h + skew), (at_x, at_y + h)]),
                fill(pane, 0.75),
            )


def paper(s: Stage) -> None:
    """Sheets of paper, each with a hole cut smaller than the one above it; the icon lies at the bottom, lit."""
    c, p = s.canvas, s.palette
    deep = mix(p.first, p.second, 0.2) if p.light else mix(p.first, "#ffffff", 0.08)
    c.drawRect(s.box, fill(deep))
    c.drawCircle(s.x, s.y, s.radius, glow(s.x, s.y, s.radius, "#ffffff", 0.45))
    draw_icon(s, s.icon, s.x, s.y, s.radius * 0.74, p.on(deep), width=1.5)
    sheets = 5
    low = mix(p.second, p.third, 0.35)
    for at in range(sheets):
        share = at / (sheets - 1)
        colour = mix(mix(low, p.third, min(share * 1.8, 1.0)), p.ground, max(share * 1.5 - 0.5, 0.0))
        reach = s.radius * (0.60 + 0.20 * at)
        hole = smooth(blob(s.x, s.y, reach, s.rng, wobble=0.10 + 0.02 * at))
        sheet = skia.Path()
        sheet.addRect(s.box)
        sheet.addPath(hole)
        sheet.setFillType(skia.PathFillType.kEvenOdd)
        # the shadow falls into the hole only: a ring around its edge, clipped to it
        c.save()
        c.clipPath(hole, doAntiAlias=True)
        c.translate(0, s.radius * 0.05)
        c.drawPath(hole, _soft(p.shade, 0.5 if p.light else 0.7, s.radius * 0.11))
        c.restore()
        c.drawPath(sheet, fill(colour))
        c.drawPath(hole, line("#ffffff", 0.16, 2.5))


def _soft(colour: str, alpha: float, width: float) -> Any:
    paint = line(colour, alpha, width)
    paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, width * 0.36))
    return paint


def collage(s: Stage) -> None:
    """Torn paper in layers, printed and plain, a strip of tape, and the icon cut out like a sticker."""
    c, p = s.canvas, s.palette
    c.drawRect(s.box, fill(p.ground))
    texture(s, "grid", _whole(s), p.ink, 0.06, step=54)
    plans = [
        (p.third, -9.0, -0.30, -0.26, 1.50, 1.30, ""),
        (p.second, 7.0, 0.34, 0.20, 1.20, 1.42, "stripes"),
        (p.first, -4.0, -0.18, 0.30, 1.36, 0.86, "dots"),
    ]
    flip = s.pick(-1, 1)
    for colour, turn, dx, dy, w, h, print_ in plans:
        c.save()
        c.translate(s.x + flip * dx * s.radius, s.y + dy * s.radius)
        c.rotate(flip * (turn + s.rng.uniform(-3, 3)))
        sheet = _torn(s.radius * w, s.radius * h, s.rng)
        shadow(s, sheet, dy=14, blur=18, alpha=0.42)
        c.drawPath(sheet, fill(mix(colour, "#ffffff", 0.62)))
        inner = _torn(s.radius * w - 16, s.radius * h - 12, s.rng)
        c.drawPath(inner, fill(colour))
        if print_:
            texture(s, print_, inner, p.on(colour), 0.16, step=24)  # type: ignore[arg-type]
        c.restore()
    disc = smooth(blob(s.x, s.y, s.radius * 0.62, s.rng, wobble=0.04))
    shadow(s, disc, dy=12, blur=16, alpha=0.5)
    c.drawPath(disc, fill("#fbf8f1"))
    draw_icon(s, s.icon, s.x, s.y, s.radius * 0.84, "#16181d", width=1.5, fill=0.16)
    c.save()
    c.translate(s.x + flip * s.radius * 0.42, s.y - s.radius * 0.80)
    c.rotate(flip * 24)
    tape = polygon(
        [(-92, -26), (92, -26), (86, -13), (92, 0), (86, 13), (92, 26), (-92, 26), (-86, 13), (-92, 0), (-86, -13)]
    )
    c.drawPath(tape, fill("#fff3c4", 0.78))
    c.restore()


def _torn(width: float, height: float, rng: np.random.Generator) -> Any:
    points: list[tuple[float, float]] = []
    corners = [(-width / 2, -height / 2), (width / 2, -height / 2), (width / 2, height / 2), (-width / 2, height / 2)]
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        length = math.hypot(bx - ax, by - ay)
        steps = max(round(length / 7), 2)
        drift = np.convolve(rng.normal(0, 3.4, steps + 6), np.ones(5) / 3.2, "same") + rng.normal(0, 0.7, steps + 6)
        for step in range(steps):
            share = step / steps
            off = float(drift[step + 3])
            points.append(
                (ax + (bx - ax) * share - (by - ay) / length * off, ay + (by - ay) * share + (bx - ax) / length * off)
            )
    return polygon(points)


def _whole(s: Stage) -> Any:
    path = skia.Path()
    path.addRect(s.box)
    return path


def landscape(s: Stage) -> None:
    """Ridges in haze under a low sun or a moon with stars: each ridge a shade nearer to the ground's colour."""
    c, p = s.canvas, s.palette
    left, top, right, bottom = s.bleed
    night = not p.light
    sky_top = mix(p.ground, "#000000", 0.2) if night else mix(p.ground, p.second, 0.28)
    sky_low = mix(p.third, p.second, 0.45) if night else mix(p.first, "#fff4e0", 0.80)
    horizon = s.y + s.radius * 0.62
    c.drawRect(s.box, gradient((sky_top, mix(sky_top, sky_low, 0.45), sky_low), (0, top), (0, horizon)))
    if night:
        for _ in range(110):
            x, y = float(s.rng.uniform(left, right)), float(s.rng.uniform(top, horizon))
            c.drawCircle(
                x,
                y,
                float(s.rng.uniform(0.8, 2.7)),
                fill("#ffffff", float(s.rng.uniform(0.25, 0.95)) * max(0.1, 1 - (y - top) / (horizon - top))),
            )
    sun_x, sun_y = s.x + s.rng.uniform(-0.35, 0.35) * s.radius, s.y - s.radius * s.rng.uniform(0.05, 0.3)
    c.drawCircle(sun_x, sun_y, s.radius * 1.9, glow(sun_x, sun_y, s.radius * 1.9, p.first, 0.55))
    size = s.radius * (0.40 if night else 0.48)
    body = skia.Path.Circle(sun_x, sun_y, size)
    if night and s.pick(True, False):
        body = skia.Op(
            body, skia.Path.Circle(sun_x + size * 0.42, sun_y - size * 0.18, size * 0.88), skia.kDifference_PathOp
        )
    c.drawPath(body, fill(mix(p.first, "#ffffff", 0.35 if night else 0.1)))
    ridges = 6
    for at in range(ridges):
        share = at / (ridges - 1)
        far = mix(sky_low, p.third, 0.45) if night else mix(sky_low, p.second, 0.22)
        near = mix(p.ground, "#000000", 0.25) if night else mix(p.second, p.ground, 0.30)
        colour = mix(far, near, share**0.8)
        level = horizon - s.radius * 0.42 + at * s.radius * 0.36
        sharp = at < 3
        points = _ridge(s, level, s.radius * (0.42 - 0.045 * at), sharp=sharp)
        path = polygon([(left, bottom), *points, (right, bottom)])
        c.drawPath(
            path,
            gradient(
                (mix(colour, sky_low, 0.22 * (1 - share)), colour),
                (0, level - s.radius * 0.4),
                (0, level + s.radius * 0.5),
            ),
        )


def _ridge(s: Stage, level: float, height: float, *, sharp: bool) -> list[tuple[float, float]]:
    left, _, right, _ = s.bleed
    phases = s.rng.uniform(0, 6.28, 5)
    waves = (1.1, 2.3, 4.7, 9.1, 17.3) if sharp else (0.7, 1.4, 2.6, 5.1, 9.7)
    points = []
    for x in np.arange(left, right + 8, 8.0):
        u = (x - left) / s.short * 2.0
        value = sum(
            (abs(math.sin(u * w + f)) if sharp else 0.5 + 0.5 * math.sin(u * w + f)) / (1.75**n)
            for n, (w, f) in enumerate(zip(waves, phases, strict=True))
        )
        points.append((float(x), level - height * (value - 0.9)))
    return points


def contour(s: Stage) -> None:
    """Contour lines of an invented hill, tinted by height, with a pin on it."""
    c, p = s.canvas, s.palette
    c.drawRect(s.box, fill(p.ground))
    levels = 11
    for at, paths in enumerate(_isolines(s, levels)):
        share = (at + 1) / levels
        tint = mix(p.ground, mix(p.third, p.second, share * 0.6), 0.10 + 0.62 * share)
        for path in paths:
            c.drawPath(path, fill(tint))
            bold = at % 4 == 3
            c.drawPath(path, line(p.first if bold else p.ink, 0.85 if bold else 0.26, 4.0 if bold else 1.8))
    _pin(s, s.x, s.y, s.radius * 0.42)


def _isolines(s: Stage, levels: int, *, island: bool = False) -> list[list[Any]]:
    """Closed outlines of a smooth field above rising levels, lowest first."""
    left, top, right, bottom = s.bleed
    scale = 5.0
    width, height = round((right - left) / scale), round((bottom - top) / scale)
    field = noise(s.rng, width, height, octaves=(2, 4, 9) if not island else (3, 6, 13, 27))
    ys, xs = np.mgrid[0:height, 0:width]
    far = np.hypot((xs * scale + left - s.x) / s.radius, (ys * scale + top - s.y) / s.radius)
    field = 0.62 * field + np.exp(-((far / (1.25 if island else 1.5)) ** 2)) * (0.75 if island else 0.55)
    field = cv2.GaussianBlur(field.astype(np.float32), (0, 0), 1.2 if island else 3.0)
    low, high = float(np.quantile(field, 0.30)), float(field.max()) * 0.985
    lines = []
    for at in range(levels):
        level = low + (high - low) * (at + 0.5) / levels
        mask = np.pad((field > level).astype(np.uint8), 2)
        found, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        merged = skia.Path()
        for outline in found:
            if len(outline) < 24:
                continue
            points = outline[:: 4 if not island else 3, 0, :].astype(float)
            merged.addPath(smooth([((x - 2) * scale + left, (y - 2) * scale + top) for x, y in points]))
        merged.setFillType(skia.PathFillType.kEvenOdd)
        lines.append([merged])
    return lines


def _pin(s: Stage, x: float, y: float, size: float) -> None:
    """A map pin whose tip is at (x, y + size); the icon in its head."""
    c, p = s.canvas, s.palette
    c.drawOval(
        skia.Rect.MakeXYWH(x - size * 0.42, y + size * 0.90, size * 0.84, size * 0.26), fill(p.shade, 0.35, blur=8)
    )
    path = skia.Path()
    path.moveTo(x, y + size)
    path.cubicTo(x - size * 0.30, y + size * 0.42, x - size * 0.80, y + size * 0.12, x - size * 0.80, y - size * 0.30)
    path.cubicTo(x - size * 0.80, y - size * 0.76, x - size * 0.44, y - size * 1.08, x, y - size * 1.08)
    path.cubicTo(x + size * 0.44, y - size * 1.08, x + size * 0.80, y - size * 0.76, x + size * 0.80, y - size * 0.30)
    path.cubicTo(x + size * 0.80, y + size * 0.12, x + size * 0.30, y + size * 0.42, x, y + size)
    path.close()
    shadow(s, path, dy=10, blur=14, alpha=0.4)
    c.drawPath(path, fill(p.first))
    c.drawCircle(x, y - size * 0.30, size * 0.56, fill(p.on(p.first)))
    draw_icon(
        s,
        s.icon,
        x,
        y - size * 0.30,
        size * 0.76,
        p.first if p.on(p.first) == "#11131a" else mix(p.first, "#000000", 0.25),
        width=1.8,
    )


def chart_map(s: Stage) -> None:
    """A map of a country that does not exist: coast, regions, a river, roads, places; nothing is named."""
    c, p = s.canvas, s.palette
    sea = mix(p.ground, p.third, 0.30)
    c.drawRect(s.box, fill(sea))
    texture(s, "grid", _whole(s), p.ink, 0.05, step=110)
    land = _isolines(s, 9, island=True)[2][0]
    for width, alpha in ((70, 0.10), (44, 0.14), (22, 0.20)):
        c.drawPath(land, line(mix(p.third, p.ink, 0.4), alpha, width))
    body = mix(p.ground, p.ink, 0.10) if not p.light else "#ffffff"
    shadow(s, land, dy=10, blur=12, alpha=0.4)
    c.drawPath(land, fill(body))
    c.save()
    c.clipPath(land, doAntiAlias=True)
    _regions(s)
    _hills(s)
    c.restore()
    c.drawPath(land, line(p.ink, 0.55, 2.6))
    places = [
        (s.x + s.rng.uniform(-0.85, 0.85) * s.radius, s.y + s.rng.uniform(-0.6, 0.8) * s.radius) for _ in range(4)
    ]
    here = (s.x, s.y)
    for at, place in enumerate(places):
        bend = (
            (here[0] + place[0]) / 2 + s.rng.uniform(-0.3, 0.3) * s.radius,
            (here[1] + place[1]) / 2 + s.rng.uniform(-0.3, 0.3) * s.radius,
        )
        road = skia.Path()
        road.moveTo(*here)
        road.quadTo(*map(float, bend), *map(float, place))
        c.drawPath(
            road,
            line(
                p.first if at == 0 else p.ink,
                0.95 if at == 0 else 0.4,
                6 if at == 0 else 3,
                dash=(2.0, 16.0) if at == 0 else (12.0, 10.0),
            ),
        )
        c.drawCircle(*place, 13, fill(body))
        c.drawCircle(*place, 13, line(p.second, 1.0, 6))
    _pin(s, s.x, s.y - s.radius * 0.30, s.radius * 0.30)


def _regions(s: Stage) -> None:
    """Cells around random seats, two or three of them tinted, with dashed borders."""
    p = s.palette
    left, top, _, _ = s.bleed
    seats = np.column_stack(
        [
            s.rng.uniform(s.x - s.radius * 1.5, s.x + s.radius * 1.5, 9),
            s.rng.uniform(s.y - s.radius * 1.5, s.y + s.radius * 1.6, 9),
        ]
    )
    division = cv2.Subdiv2D((round(left) - 9000, round(top) - 9000, 24000, 24000))
    division.insert([(float(x), float(y)) for x, y in seats])
    facets, _ = division.getVoronoiFacetList([])
    tints = [p.third, p.second, mix(p.third, p.first, 0.4)]
    for at, facet in enumerate(facets):
        path = polygon(facet)
        if at % 2 == 0:
            s.canvas.drawPath(path, fill(tints[(at // 2) % 3], 0.42))
        s.canvas.drawPath(path, line(p.ink, 0.34, 2.6, dash=(14.0, 9.0)))


def _hills(s: Stage) -> None:
    p = s.palette
    x, y = s.x + s.rng.uniform(-0.7, 0.5) * s.radius, s.y + s.rng.uniform(0.25, 0.8) * s.radius
    for at in range(7):
        hx, hy = x + (at % 4) * 34 + (at // 4) * 17, y + (at // 4) * 26
        s.canvas.drawPath(polygon([(hx - 17, hy), (hx, hy - 27), (hx + 17, hy)]), fill(p.ink, 0.22))
