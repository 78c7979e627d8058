"""Grounds that step back: for scenes that are all type, and behind charts."""

from __future__ import annotations

import math

import skia

from chimera.adapters.canvases.brush import Stage, argb, fill, glow, gradient, line, polygon, texture
from chimera.media.theme import mix


def wash(s: Stage) -> None:
    """One colour into its neighbour, and a large faint disc leaving the frame."""
    c, p = s.canvas, s.palette
    left, top, right, bottom = s.bleed
    c.drawRect(s.box, gradient((mix(p.ground, p.third, 0.42), p.ground), (left, top), (right * 0.7, bottom)))
    x, y = s.pick((right, top), (left, bottom), (right, bottom * 0.9))
    reach = max(s.width, s.height) * 0.62
    c.drawCircle(x, y, reach, glow(x, y, reach, p.second, 0.22))
    for at in range(3):
        c.drawCircle(x, y, s.short * (0.34 + 0.13 * at), line(p.ink, 0.11 - 0.025 * at, 2.5))


def corner(s: Stage) -> None:
    """Plain paper with two bold shapes cropped by opposite corners."""
    c, p = s.canvas, s.palette
    left, top, right, bottom = s.bleed
    c.drawRect(s.box, fill(p.ground))
    a, b = s.pick(((right, top), (left, bottom)), ((left, top), (right, bottom)))
    size = s.short * 0.42
    c.drawCircle(*a, size, fill(p.first))
    c.drawCircle(*a, size * 0.62, fill(p.ground))
    c.drawCircle(*a, size * 0.30, fill(p.second))
    way_x, way_y = (1 if b[0] < s.width / 2 else -1), -1
    c.drawPath(polygon([b, (b[0] + way_x * size * 1.15, b[1]), (b[0], b[1] + way_y * size * 1.15)]), fill(p.third))
    strip = polygon(
        [
            (b[0], b[1] + way_y * size * 1.25),
            (b[0] + way_x * size * 1.25, b[1]),
            (b[0] + way_x * size * 1.36, b[1]),
            (b[0], b[1] + way_y * size * 1.36),
        ]
    )
    c.drawPath(strip, fill(p.second))


def rules(s: Stage) -> None:
    """A ruled page: hairlines, a margin, a single bar of colour at an edge."""
    c, p = s.canvas, s.palette
    left, top, right, bottom = s.bleed
    c.drawRect(s.box, gradient((mix(p.ground, p.raised, 0.5), p.ground), (0, top), (0, bottom)))
    page = skia.Path()
    page.addRect(s.box)
    texture(s, s.pick("rules", "grid"), page, p.ink, 0.07, step=s.short / s.pick(15, 20))
    edge = s.pick(left, right)
    thin = s.short * 0.012
    at = s.width * (0.035 if edge == left else 0.965) - thin / 2
    c.drawRect(skia.Rect.MakeXYWH(at, top, thin, bottom - top), fill(p.first))


def arcs(s: Stage) -> None:
    """Wide concentric bands from below an edge, tone in tone."""
    c, p = s.canvas, s.palette
    left, top, right, bottom = s.bleed
    c.drawRect(s.box, fill(p.ground))
    x, y = s.pick((s.width * 0.5, bottom), (right, s.height * 0.5), (left, bottom), (right, top))
    step = s.short * 0.17
    count = math.ceil(math.hypot(s.width, s.height) / step)
    for at in reversed(range(count)):
        share = 1 - at / count
        c.drawCircle(
            x,
            y,
            step * (at + 1),
            fill(mix(p.ground, mix(p.third, p.second, 0.3), 0.06 + 0.34 * share**1.6 * (1 if at % 2 else 0.72))),
        )
    c.drawCircle(x, y, step * 0.72, fill(p.first))


def shards(s: Stage) -> None:
    """Long folds of light across the ground."""
    c, p = s.canvas, s.palette
    left, top, right, bottom = s.bleed
    c.drawRect(s.box, fill(p.ground))
    lean = s.pick(-1, 1) * s.short * 0.5
    x = left - abs(lean)
    at = 0
    while x < right + abs(lean):
        wide = s.short * float(s.rng.uniform(0.10, 0.30))
        path = polygon([(x + lean, top), (x + wide + lean, top), (x + wide - lean, bottom), (x - lean, bottom)])
        tone = mix(p.ground, s.pick(p.third, p.third, p.second, p.raised), float(s.rng.uniform(0.08, 0.36)))
        shader = skia.GradientShader.MakeLinear(
            [skia.Point(x + lean * 0.2, 0), skia.Point(x + wide + lean * 0.2, 0)],
            [argb(tone), argb(mix(tone, p.ground, 0.7))],
        )
        c.drawPath(path, skia.Paint(AntiAlias=True, Shader=shader))
        x += wide
        at += 1


def graph(s: Stage) -> None:
    """Behind a chart: an even field with a fine grid and, at its foot, the ghost of a rising area. No values."""
    c, p = s.canvas, s.palette
    left, top, right, bottom = s.bleed
    c.drawRect(s.box, gradient((mix(p.ground, p.third, 0.22), p.ground), (0, top), (0, bottom * 0.8)))
    page = skia.Path()
    page.addRect(s.box)
    texture(s, s.pick("grid", "dots"), page, p.ink, 0.07, step=s.short / 14)
    for layer in range(2):
        level = bottom - s.short * (0.10 + 0.09 * layer)
        points, phase = [(left, bottom)], float(s.rng.uniform(0, 6.28))
        for at in range(41):
            u = at / 40
            points.append((left + (right - left) * u, level - s.short * (0.16 * u + 0.035 * math.sin(u * 9 + phase))))
        points.append((right, bottom))
        c.drawPath(polygon(points), fill(p.second if layer else p.third, 0.13))


def night(s: Stage) -> None:
    """Deep, even colour with a soft light behind the words and a thin frame of dots."""
    c, p = s.canvas, s.palette
    c.drawRect(s.box, fill(p.ground))
    x, y = s.width / 2, s.height * s.pick(0.38, 0.5, 0.6)
    reach = max(s.width, s.height) * 0.62
    c.drawRect(s.box, glow(x, y, reach, p.third, 0.75 if not p.light else 0.9))
    step = s.short / 24
    inset = s.short * 0.045
    for column in range(int((s.width - 2 * inset) // step) + 1):
        for edge in (inset, s.height - inset):
            c.drawCircle(inset + column * step, edge, 2.6, fill(p.ink, 0.30))
