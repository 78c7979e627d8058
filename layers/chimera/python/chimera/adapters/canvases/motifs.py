"""The picture in a card: an icon staged in one of several ways, or a dial for a number; all in reference pixels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import skia

from chimera.adapters.canvases.brush import Stage, draw_icon, fill, gradient, line, rounded, shadow
from chimera.media.theme import mix


def disc(s: Stage) -> None:
    """A lit disc in thin orbits with moons."""
    c, r = s.canvas, s.radius * 0.62
    c.drawCircle(s.x, s.y, s.radius * 0.95, fill(s.palette.second, 0.30, blur=s.radius * 0.32))
    for share, alpha in ((0.80, 0.30), (1.0, 0.18), (1.24, 0.10)):
        c.drawCircle(s.x, s.y, s.radius * share, line(s.palette.ink, alpha, 2.4))
    for share in (0.80, 1.0, 1.24):
        angle = float(s.rng.uniform(0, 6.28))
        x, y = s.x + s.radius * share * math.cos(angle), s.y + s.radius * share * math.sin(angle)
        c.drawCircle(x, y, 22, fill(s.palette.first, 0.35, blur=14))
        c.drawCircle(x, y, 13, fill(s.palette.first))
    shadow(s, skia.Path.Circle(s.x, s.y, r))
    colours = (mix(s.palette.third, s.palette.second, 0.55), mix(s.palette.third, s.palette.ground, 0.25))
    c.drawCircle(s.x, s.y, r, gradient(colours, (s.x - r, s.y - r), (s.x + r, s.y + r)))
    c.save()
    c.clipPath(skia.Path.Circle(s.x, s.y, r), doAntiAlias=True)
    c.drawCircle(s.x - r * 0.35, s.y - r * 0.75, r * 0.95, fill("#ffffff", 0.10))
    c.restore()
    c.drawCircle(s.x, s.y, r - 3, line("#ffffff", 0.28, 3))
    draw_icon(s, s.icon, s.x, s.y, r * 1.02, "#ffffff")


def tiles(s: Stage) -> None:
    """Three fanned tiles; the front one carries the icon."""
    c, side = s.canvas, s.radius * 1.18
    c.drawCircle(s.x, s.y, s.radius * 0.9, fill(s.palette.second, 0.28, blur=s.radius * 0.35))
    tints = ((s.palette.second, 0.85), (mix(s.palette.third, s.palette.first, 0.45), 0.95), (s.palette.third, 1.0))
    for turn, shift, (tint, alpha) in zip((-15.0, 11.0, -3.0), (-0.20, 0.20, 0.0), tints, strict=True):
        c.save()
        c.translate(s.x + s.radius * shift, s.y + abs(shift) * s.radius * 0.25)
        c.rotate(turn)
        shape = rounded(-side / 2, -side / 2, side, side, side * 0.2)
        shadow(s, skia.Path.RRect(shape), dy=22, blur=28, alpha=0.42)
        paint = gradient(
            (mix(tint, "#ffffff", 0.16), mix(tint, s.palette.ground, 0.36)),
            (-side / 2, -side / 2),
            (side / 2, side / 2),
        )
        paint.setAlphaf(alpha)
        c.drawRRect(shape, paint)
        c.drawRRect(shape, line("#ffffff", 0.26, 2.5))
        if shift == 0.0:
            draw_icon(s, s.icon, 0, 0, side * 0.60, "#ffffff")
        c.restore()


def window(s: Stage) -> None:
    """A tilted app window: bar, icon, lines of text, small bars."""
    c, w, h = s.canvas, s.radius * 1.86, s.radius * 1.42
    c.drawCircle(s.x, s.y, s.radius * 0.9, fill(s.palette.first, 0.20, blur=s.radius * 0.4))
    c.save()
    c.translate(s.x, s.y)
    c.rotate(-5 if s.rng.random() < 0.5 else 5)
    shape = rounded(-w / 2, -h / 2, w, h, 34)
    shadow(s, skia.Path.RRect(shape), dy=34, blur=40, alpha=0.55)
    c.drawRRect(
        shape,
        gradient(
            (mix(s.palette.third, "#ffffff", 0.14), mix(s.palette.third, s.palette.ground, 0.55)),
            (0, -h / 2),
            (0, h / 2),
        ),
    )
    c.save()
    c.clipRRect(shape, doAntiAlias=True)
    c.drawRect(skia.Rect.MakeXYWH(-w / 2, -h / 2, w, h * 0.14), fill("#000000", 0.24))
    c.restore()
    for i, tint in enumerate((s.palette.second, s.palette.first, "#ffffff")):
        c.drawCircle(-w / 2 + 44 + i * 38, -h / 2 + h * 0.07, 11, fill(tint, 0.95))
    panel = rounded(-w / 2 + 40, -h / 2 + h * 0.22, w * 0.42, h * 0.68, 26)
    c.drawRRect(
        panel, gradient((s.palette.second, mix(s.palette.second, s.palette.third, 0.7)), (-w / 2, -h / 2), (0, h / 2))
    )
    draw_icon(s, s.icon, -w / 2 + 40 + w * 0.21, -h / 2 + h * 0.56, w * 0.29, "#ffffff", width=1.6)
    left, right = w * 0.0 + 12, w / 2 - 40
    for i, share in enumerate((1.0, 0.82, 0.94, 0.5)):
        y = -h / 2 + h * 0.25 + i * h * 0.085
        c.drawRRect(rounded(left, y, (right - left) * share, h * 0.038, 10), fill("#ffffff", 0.85 if i == 0 else 0.38))
    heights = s.rng.uniform(0.25, 0.8, 5)
    heights.sort()
    step = (right - left) / 5
    for i, share in enumerate(heights):
        bar = h * 0.30 * float(share)
        rect = rounded(left + i * step, h / 2 - h * 0.10 - bar, step * 0.62, bar, 8)
        c.drawRRect(rect, fill(s.palette.first, 0.55 + 0.09 * i))
    c.drawRRect(shape, line("#ffffff", 0.24, 2.5))
    c.restore()


def _hexagon(x: float, y: float, radius: float) -> Any:
    path = skia.Path()
    for i in range(6):
        angle = math.pi / 6 + i * math.pi / 3
        (path.moveTo if i == 0 else path.lineTo)(x + radius * math.cos(angle), y + radius * math.sin(angle))
    path.close()
    return path


def hexagons(s: Stage) -> None:
    """A honeycomb with the icon in the middle cell and companions around."""
    c, r = s.canvas, s.radius * 0.45
    rounded = skia.CornerPathEffect.Make(r * 0.16)
    c.drawCircle(s.x, s.y, s.radius, fill(s.palette.second, 0.24, blur=s.radius * 0.35))
    for i in range(6):
        angle = i * math.pi / 3
        x, y = s.x + r * 1.86 * math.cos(angle), s.y + r * 1.86 * math.sin(angle)
        path = _hexagon(x, y, r * 0.96)
        solid = i % 2 == 0
        paint = fill(mix(s.palette.third, s.palette.ground, 0.25), 0.55) if solid else line(s.palette.ink, 0.26, 3)
        paint.setPathEffect(rounded)
        c.drawPath(path, paint)
        if solid and s.companions:
            draw_icon(s, s.companions[(i // 2) % len(s.companions)], x, y, r * 0.8, "#ffffff", alpha=0.6)
    path = _hexagon(s.x, s.y, r * 1.12)
    shadow(s, path)
    paint = gradient(
        (s.palette.second, mix(s.palette.second, s.palette.third, 0.75)), (s.x - r, s.y - r), (s.x + r, s.y + r)
    )
    paint.setPathEffect(rounded)
    c.drawPath(path, paint)
    edge = line("#ffffff", 0.4, 3)
    edge.setPathEffect(rounded)
    c.drawPath(path, edge)
    draw_icon(s, s.icon, s.x, s.y, r * 1.10, "#ffffff")


def poster(s: Stage) -> None:
    """The icon as a large line drawing with an offset echo on a block of colour."""
    c, size = s.canvas, s.radius * 1.62
    side = s.radius * 1.30
    c.save()
    c.translate(s.x, s.y)
    c.rotate(float(s.rng.choice([-8.0, 7.0])))
    shape = rounded(-side / 2, -side / 2, side, side, 40)
    shadow(s, skia.Path.RRect(shape), alpha=0.45)
    c.drawRRect(
        shape,
        gradient(
            (s.palette.first, mix(s.palette.first, s.palette.second, 0.75)),
            (-side / 2, -side / 2),
            (side / 2, side / 2),
        ),
    )
    c.restore()
    for share in (0.44, 0.56):
        c.drawCircle(
            s.x + s.radius * 0.72, s.y - s.radius * 0.72, s.radius * share * 0.55, line(s.palette.ink, 0.30, 3)
        )
    dark = mix(s.palette.ground, "#000000", 0.2)
    draw_icon(s, s.icon, s.x + 14, s.y + 14, size * 0.72, s.palette.second, width=1.25, fill=0.0, alpha=0.7)
    draw_icon(s, s.icon, s.x, s.y, size * 0.72, dark, width=1.25, fill=0.16)


def network(s: Stage) -> None:
    """The icon as a hub, companions as satellites on lines."""
    c, r = s.canvas, s.radius * 0.46
    count = 6
    spin = float(s.rng.uniform(0, 1.05))
    c.drawCircle(s.x, s.y, s.radius, fill(s.palette.third, 0.5, blur=s.radius * 0.3))
    spots = []
    for i in range(count):
        angle = spin + i * 2 * math.pi / count
        reach = s.radius * (0.98 if i % 2 == 0 else 0.84)
        spots.append((s.x + reach * math.cos(angle), s.y + reach * math.sin(angle)))
    for i, (x, y) in enumerate(spots):
        nx, ny = spots[(i + 1) % count]
        c.drawLine(x, y, nx, ny, line(s.palette.ink, 0.18, 2.5))
        c.drawLine(s.x, s.y, x, y, line(s.palette.first, 0.65, 3.5))
    for i, (x, y) in enumerate(spots):
        small = s.radius * (0.19 if i % 2 == 0 else 0.12)
        shadow(s, skia.Path.Circle(x, y, small), dy=10, blur=14, alpha=0.45)
        tint = s.palette.second if i % 2 == 0 else s.palette.first
        c.drawCircle(x, y, small, fill(mix(tint, s.palette.third, 0.25)))
        c.drawCircle(x, y, small, line("#ffffff", 0.35, 2.5))
        if i % 2 == 0 and s.companions:
            draw_icon(s, s.companions[(i // 2) % len(s.companions)], x, y, small * 1.15, "#ffffff", width=1.7)
    shadow(s, skia.Path.Circle(s.x, s.y, r))
    c.drawCircle(
        s.x,
        s.y,
        r,
        gradient(
            (mix(s.palette.third, "#ffffff", 0.22), mix(s.palette.third, s.palette.ground, 0.3)),
            (s.x, s.y - r),
            (s.x, s.y + r),
        ),
    )
    c.drawCircle(s.x, s.y, r - 5, line(s.palette.first, 0.95, 7))
    draw_icon(s, s.icon, s.x, s.y, r * 1.05, "#ffffff")


def dial(s: Stage, share: float | None) -> None:
    """A ring behind a number: filled to `share` (0–1) for a percentage, else a ticked ring."""
    c, r = s.canvas, s.radius * 1.0
    c.drawCircle(s.x, s.y, r, fill(s.palette.second, 0.22, blur=r * 0.28))
    face = mix(s.palette.ground, "#ffffff" if s.palette.light else "#000000", 0.25)
    c.drawCircle(s.x, s.y, r * 0.94, fill(face, 0.62))
    oval = skia.Rect.MakeLTRB(s.x - r, s.y - r, s.x + r, s.y + r)
    if share is None:
        for tick in range(72):
            angle = tick / 72 * 2 * math.pi - math.pi / 2
            inner, long = r * (0.955 if tick % 6 else 0.925), tick % 6 == 0
            paint = line(s.palette.first if long else s.palette.ink, 0.95 if long else 0.38, 6 if long else 3)
            c.drawLine(
                s.x + inner * math.cos(angle),
                s.y + inner * math.sin(angle),
                s.x + r * 1.02 * math.cos(angle),
                s.y + r * 1.02 * math.sin(angle),
                paint,
            )
        c.drawCircle(s.x, s.y, r * 1.10, line(s.palette.ink, 0.14, 2.5))
        return
    track = line(s.palette.ink, 0.16, 34)
    c.drawArc(oval, 0, 360, False, track)
    sweep = max(360 * share, 1.0)
    glow = line(s.palette.first, 0.55, 40)
    glow.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, 22))
    c.drawArc(oval, -90, sweep, False, glow)
    c.drawArc(oval, -90, sweep, False, line(s.palette.first, 1.0, 34))


def wall(s: Stage) -> None:
    """For the last card: the companions as a quiet pattern."""
    icons = (s.icon, *s.companions)
    step = s.radius * 0.82
    for row in range(-2, 12):
        for column in range(-5, 6):
            x = s.x + column * step + (row % 2) * step / 2
            y = s.y - s.radius + row * step
            draw_icon(s, icons[(row * 3 + column) % len(icons)], x, y, step * 0.40, s.palette.ink, alpha=0.09, fill=0.0)


MOTIFS: dict[str, Callable[[Stage], None]] = {
    "disc": disc, "tiles": tiles, "window": window, "hexagons": hexagons, "poster": poster, "network": network,
}  # fmt: skip
