"""What every card is drawn with: a palette made from the theme, a stage in reference pixels, and a few strokes of skia."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import skia

from chimera.adapters.canvases.icons import svg
from chimera.media.theme import contrast, mix, rgb

BLEED = 0.085
"""Cards reach this share of the frame beyond each of its edges: the renderer moves within it."""


@dataclass(frozen=True)
class Palette:
    """One card's colours. `ground` is what type stands on; `first` and `second` are loud, `third` and `raised` quiet."""

    ground: str
    raised: str
    third: str
    first: str
    second: str
    ink: str
    light: bool

    @property
    def shade(self) -> str:
        """Shadows: black on dark, a deep tint of the ground on light, where black looks like dirt."""
        return mix(self.ink, self.ground, 0.25) if self.light else "#000000"

    def tint(self, share: float) -> str:
        """The ground with a little of the type's colour in it."""
        return mix(self.ground, self.ink, share)

    def on(self, colour: str) -> str:
        """What is readable on a colour: paper white or near-black."""
        return max(("#ffffff", "#11131a"), key=lambda c: contrast(c, colour))


@dataclass(frozen=True)
class Stage:
    """Where a card is drawn, in reference pixels: the frame is (0, 0)–(width, height), the motif keeps to (x, y, radius)."""

    canvas: Any
    width: float
    height: float
    x: float
    y: float
    radius: float
    palette: Palette
    rng: np.random.Generator
    icon: str
    companions: tuple[str, ...] = ()
    glyph: str = ""
    share: float | None = None
    seed: int = 0
    hushed: bool = field(default=False)
    """Everything steps back: the scene is all type."""

    @property
    def bleed(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of all that is painted."""
        return -BLEED * self.width, -BLEED * self.height, (1 + BLEED) * self.width, (1 + BLEED) * self.height

    @property
    def box(self) -> Any:
        """All that is painted, as a rectangle."""
        return skia.Rect.MakeLTRB(*self.bleed)

    @property
    def short(self) -> float:
        """The frame's short side."""
        return min(self.width, self.height)

    def pick(self, *choices: Any) -> Any:
        """One of these, by the card's own random numbers."""
        return choices[int(self.rng.integers(len(choices)))]


def argb(colour: str, alpha: float = 1.0) -> int:
    """A colour for skia."""
    red, green, blue = rgb(colour)
    return (round(alpha * 255) << 24) | (red << 16) | (green << 8) | blue


def fill(colour: str, alpha: float = 1.0, *, blur: float = 0.0) -> Any:
    """A paint that fills."""
    paint = skia.Paint(AntiAlias=True, Color=argb(colour, alpha))
    if blur:
        paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, blur))
    return paint


def line(colour: str, alpha: float, width: float, *, dash: tuple[float, float] | None = None) -> Any:
    """A paint that strokes, with round ends."""
    paint = skia.Paint(
        AntiAlias=True, Color=argb(colour, alpha), Style=skia.Paint.kStroke_Style, StrokeWidth=width,
        StrokeCap=skia.Paint.kRound_Cap, StrokeJoin=skia.Paint.kRound_Join,
    )  # fmt: skip
    if dash:
        paint.setPathEffect(skia.DashPathEffect.Make(list(dash), 0))
    return paint


def gradient(colours: tuple[str, ...], start: tuple[float, float], end: tuple[float, float]) -> Any:
    """A paint that fills with a linear gradient."""
    shader = skia.GradientShader.MakeLinear([skia.Point(*start), skia.Point(*end)], [argb(c) for c in colours])
    return skia.Paint(AntiAlias=True, Shader=shader)


def glow(x: float, y: float, radius: float, colour: str, alpha: float) -> Any:
    """A paint that fades from a colour in the middle to nothing: cheaper than a blur, and it never bands."""
    stops = [argb(colour, alpha), argb(colour, alpha * 0.36), argb(colour, alpha * 0.09), argb(colour, 0.0)]
    shader = skia.GradientShader.MakeRadial(skia.Point(x, y), radius, stops, [0.0, 0.38, 0.7, 1.0])
    return skia.Paint(AntiAlias=True, Shader=shader)


def rounded(x: float, y: float, width: float, height: float, radius: float) -> Any:
    """A rounded rectangle."""
    return skia.RRect.MakeRectXY(skia.Rect.MakeXYWH(x, y, width, height), radius, radius)


def polygon(points: Any) -> Any:
    """A closed path through the points."""
    path = skia.Path()
    for at, (x, y) in enumerate(points):
        (path.moveTo if at == 0 else path.lineTo)(float(x), float(y))
    path.close()
    return path


def smooth(points: Any, *, closed: bool = True) -> Any:
    """A path that goes softly past the points: quadratic curves between the middles of its edges."""
    path, count = skia.Path(), len(points)
    middle = [
        ((points[i][0] + points[(i + 1) % count][0]) / 2, (points[i][1] + points[(i + 1) % count][1]) / 2)
        for i in range(count)
    ]
    if closed:
        path.moveTo(*map(float, middle[-1]))
        for at, (x, y) in enumerate(points):
            path.quadTo(float(x), float(y), *map(float, middle[at]))
        path.close()
        return path
    path.moveTo(*map(float, points[0]))
    for at in range(1, count - 1):
        path.quadTo(*map(float, points[at]), *map(float, middle[at]))
    path.lineTo(*map(float, points[-1]))
    return path


def blob(
    x: float, y: float, radius: float, rng: np.random.Generator, *, wobble: float = 0.12, points: int = 28
) -> list[tuple[float, float]]:
    """Points around a soft, irregular disc."""
    phases, counts = rng.uniform(0, 2 * math.pi, 3), (2, 3, 5)
    ring = []
    for step in range(points):
        angle = 2 * math.pi * step / points
        share = 1 + wobble * sum(math.sin(n * angle + p) / n for n, p in zip(counts, phases, strict=True))
        ring.append((x + radius * share * math.cos(angle), y + radius * share * math.sin(angle)))
    return ring


def shadow(stage: Stage, path: Any, *, dy: float = 26, blur: float = 34, alpha: float = 0.5) -> None:
    """A soft shadow below a path."""
    soft = 0.45 if stage.palette.light else 1.0
    stage.canvas.save()
    stage.canvas.translate(0, dy)
    stage.canvas.drawPath(path, fill(stage.palette.shade, alpha * soft, blur=blur))
    stage.canvas.restore()


def draw_icon(
    stage: Stage,
    icon: str,
    x: float,
    y: float,
    size: float,
    colour: str,
    *,
    alpha: float = 1.0,
    width: float = 1.5,
    fill: float = 0.2,
) -> None:
    """The icon centred at (x, y), `size` reference pixels wide."""
    dom = skia.SVGDOM.MakeFromStream(skia.MemoryStream(svg(icon, stroke=colour, width=width, fill=fill), True))
    dom.setContainerSize(skia.Size(24, 24))
    canvas = stage.canvas
    canvas.save()
    canvas.translate(x - size / 2, y - size / 2)
    canvas.scale(size / 24, size / 24)
    if alpha < 1:
        canvas.saveLayerAlpha(skia.Rect(24, 24), round(alpha * 255))
        dom.render(canvas)
        canvas.restore()
    else:
        dom.render(canvas)
    canvas.restore()


Texture = Literal["dots", "stripes", "grid", "rules"]


def texture(stage: Stage, kind: Texture, clip: Any, colour: str, alpha: float, *, step: float = 26.0) -> None:
    """A fine pattern inside a path."""
    canvas, box = stage.canvas, clip.getBounds()
    canvas.save()
    canvas.clipPath(clip, doAntiAlias=True)
    left, top, right, bottom = box.left(), box.top(), box.right(), box.bottom()
    if kind == "dots":
        spots = [
            skia.Point(float(x), float(y))
            for row, y in enumerate(np.arange(top, bottom + step, step))
            for x in np.arange(left + (row % 2) * step / 2, right + step, step)
        ]
        canvas.drawPoints(skia.Canvas.kPoints_PointMode, spots, line(colour, alpha, step * 0.26))
    elif kind == "stripes":
        for x in np.arange(left - (bottom - top), right, step):
            canvas.drawLine(float(x), bottom, float(x) + (bottom - top), top, line(colour, alpha, step * 0.32))
    else:
        for y in np.arange(top, bottom + step, step):
            canvas.drawLine(left, float(y), right, float(y), line(colour, alpha, 2.0))
        if kind == "grid":
            for x in np.arange(left, right + step, step):
                canvas.drawLine(float(x), top, float(x), bottom, line(colour, alpha, 2.0))
    canvas.restore()


def noise(rng: np.random.Generator, width: int, height: int, *, octaves: tuple[int, ...] = (3, 6, 12)) -> Any:
    """Smooth noise from 0 to 1, `height` by `width`; `octaves` are waves along the short side, each half as strong."""
    import cv2

    total = np.zeros((height, width), np.float32)
    short = min(width, height)
    for at, waves in enumerate(octaves):
        grid = (max(round(waves * height / short), 2) + 3, max(round(waves * width / short), 2) + 3)
        coarse = rng.random(grid).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * 0.5**at
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)
