"""The ground of a card: a shaded gradient field, a fine texture, scrims where type stands, vignette and grain."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import skia

from chimera.media.layout import Layout
from chimera.media.theme import rgb, seeded

_HEAD = """
uniform float2 res; uniform float2 focus; uniform float3 deep; uniform float3 body; uniform float3 glow; uniform float seed;
float hash(float2 p) { return fract(sin(dot(p, float2(127.1, 311.7)) + seed) * 43758.5453); }
float noise(float2 p) {
  float2 i = floor(p); float2 f = fract(p); f = f * f * (3.0 - 2.0 * f);
  return mix(mix(hash(i), hash(i + float2(1, 0)), f.x), mix(hash(i + float2(0, 1)), hash(i + float2(1, 1)), f.x), f.y);
}
float fbm(float2 p) { return 0.55 * noise(p) + 0.3 * noise(p * 2.1 + 3.7) + 0.15 * noise(p * 4.3 + 9.1); }
half4 main(float2 px) {
  float2 p = px / min(res.x, res.y); float2 c = focus / min(res.x, res.y); float d = distance(p, c); float3 k;
"""
_TAIL = "\n  return half4(half3(clamp(k, 0.0, 1.0)), 1); }"

# Each gives `k`, the colour at `p` (short side = 1); `c` is where the motif stands, `d` the distance to it.
_FIELDS: dict[str, str] = {
    "rays": """
  float a = atan(p.y - c.y, p.x - c.x); float r = 0.5 + 0.5 * sin(a * 14.0 + seed); r = smoothstep(0.42, 0.58, r);
  k = mix(body, deep, smoothstep(0.0, 1.15, d)); k += body * 0.30 * r * smoothstep(1.3, 0.15, d);
  k += glow * 0.40 * smoothstep(0.62, 0.0, d);""",
    "dunes": """
  k = mix(body, mix(glow, body, 0.55), smoothstep(0.75, 0.0, d));
  for (int i = 0; i < 6; i++) { float n = float(i);
    float y = c.y - 0.12 + 0.21 * n + 0.12 * sin(p.x * (1.6 + 0.35 * n) + seed + n * 1.9) + 0.05 * sin(p.x * 4.1 + n * 2.7 + seed);
    float s = smoothstep(-0.003, 0.005, p.y - y); float3 layer = mix(body, deep, 0.28 + 0.13 * n);
    float edge = smoothstep(0.16, 0.0, p.y - y); k = mix(k, layer + glow * 0.16 * edge, s); }""",
    "orbs": """
  k = mix(body * 0.85, deep, smoothstep(-0.2, 1.5, p.y));
  for (int i = 0; i < 9; i++) { float n = float(i);
    float2 o = float2(hash(float2(n, 1.0)), hash(float2(n, 2.0)) * 1.7) * res / min(res.x, res.y) / float2(1.0, 1.7);
    float r = 0.10 + 0.26 * hash(float2(n, 3.0)); float q = distance(p, o); float3 tint = mix(body, glow, hash(float2(n, 4.0)));
    k += tint * 0.26 * smoothstep(r, r * 0.55, q); k += tint * 0.16 * smoothstep(0.012, 0.0, abs(q - r)); }
  k += glow * 0.28 * smoothstep(0.7, 0.0, d);""",
    "panels": """
  float u = dot(p, normalize(float2(1.0, -0.55))) * 4.2 + seed * 0.37; float n = floor(u); float f = fract(u);
  float3 here = mix(deep, body, 0.20 + 0.72 * hash(float2(n, 7.0))) * (0.80 + 0.32 * f);
  float3 last = mix(deep, body, 0.20 + 0.72 * hash(float2(n - 1.0, 7.0))) * 1.12;
  here *= 1.0 - 0.42 * smoothstep(0.14, 0.02, f); k = mix(last, here, smoothstep(0.0, 0.022, f));
  k += glow * 0.30 * smoothstep(0.75, 0.0, d);""",
    "halo": """
  float q = d + 0.03 * fbm(p * 2.0); k = mix(body, deep, smoothstep(0.0, 1.05, q));
  float ring = fract(q * 5.5 - 0.2); k *= 0.86 + 0.20 * smoothstep(0.0, 0.86, ring) - 0.20 * smoothstep(0.90, 0.97, ring);
  k += glow * 0.42 * smoothstep(0.55, 0.0, d);""",
}
FIELDS = tuple(_FIELDS)
TEXTURES = ("dots", "grid", "lines", "plus", "floor", "contours")


@lru_cache(maxsize=16)
def _effect(field: str) -> Any:
    return skia.RuntimeEffect.MakeForShader(_HEAD + _FIELDS[field] + _TAIL)


def _unit(colour: str) -> list[float]:
    return [channel / 255 for channel in rgb(colour)]


def paint_field(
    canvas: Any,
    *,
    width: int,
    height: int,
    focus: tuple[float, float],
    field: str,
    colours: tuple[str, str, str],
    seed: int,
) -> None:
    """Fills the canvas; the field is computed at a fifth of the size, for it holds nothing fine."""
    small_w, small_h = max(width // 5, 2), max(height // 5, 2)
    builder = skia.RuntimeShaderBuilder(_effect(field))
    builder.setUniform("res", [float(small_w), float(small_h)])
    builder.setUniform("focus", [focus[0] * small_w / width, focus[1] * small_h / height])
    for name, colour in zip(("deep", "body", "glow"), colours, strict=True):
        builder.setUniform(name, _unit(colour))
    builder.setUniform("seed", float(seed % 997) / 31.0)
    surface = skia.Surface(small_w, small_h)
    surface.getCanvas().drawPaint(skia.Paint(Shader=builder.makeShader()))
    canvas.drawImageRect(
        surface.makeImageSnapshot(), skia.Rect(width, height), skia.SamplingOptions(skia.CubicResampler.Mitchell())
    )


def paint_texture(canvas: Any, *, layout: Layout, texture: str, colour: str, seed: int) -> None:
    """A fine pattern over the whole ground, in reference pixels, barely there."""
    margin = 160.0
    left, top, right, bottom = -margin, -margin, layout.width + margin, layout.height + margin
    paint = skia.Paint(AntiAlias=True, Color=_argb(colour, 0.085), StrokeWidth=1.6, Style=skia.Paint.kStroke_Style)
    if texture == "dots":
        paint.setStyle(skia.Paint.kFill_Style)
        for x in np.arange(left, right, 36):
            for y in np.arange(top, bottom, 36):
                canvas.drawCircle(float(x), float(y), 2.3, paint)
    elif texture == "grid":
        for x in np.arange(left, right, 90):
            canvas.drawLine(float(x), top, float(x), bottom, paint)
        for y in np.arange(top, bottom, 90):
            canvas.drawLine(left, float(y), right, float(y), paint)
    elif texture == "lines":
        for x in np.arange(left - layout.height, right, 34):
            canvas.drawLine(float(x), bottom, float(x) + (bottom - top) * 0.6, top, paint)
    elif texture == "plus":
        for row, y in enumerate(np.arange(top, bottom, 84)):
            for x in np.arange(left + (row % 2) * 42, right, 84):
                canvas.drawLine(float(x) - 8, float(y), float(x) + 8, float(y), paint)
                canvas.drawLine(float(x), float(y) - 8, float(x), float(y) + 8, paint)
    elif texture == "floor":
        horizon = layout.motif.y + layout.motif.radius * 0.7
        for step in range(-24, 25):
            canvas.drawLine(layout.motif.x + step * 60, horizon, layout.motif.x + step * 360, bottom, paint)
        for step in range(1, 15):
            y = horizon + (bottom - horizon) * (step / 14) ** 2.2
            canvas.drawLine(left, y, right, y, paint)
    else:
        rng = np.random.default_rng(seeded(seed, "contours"))
        phase = rng.uniform(0, 6.28, 4)
        for level in range(16):
            path = skia.Path()
            for step in range(181):
                angle = step / 180 * 6.2832
                wobble = (
                    1
                    + 0.10 * np.sin(2 * angle + phase[0] + level * 0.13)
                    + 0.07 * np.sin(3 * angle + phase[1] - level * 0.17)
                )
                radius = (90 + level * 74) * wobble
                x, y = layout.motif.x + radius * np.cos(angle), layout.motif.y + radius * np.sin(angle) * 1.12
                (path.moveTo if step == 0 else path.lineTo)(float(x), float(y))
            canvas.drawPath(path, paint)


def add_grain(pixels: np.ndarray[Any, np.dtype[np.uint8]], *, seed: int, strength: float = 2.2) -> None:
    """Adds film grain in place: it hides banding of the 8-bit gradients. Deterministic."""
    rng = np.random.default_rng(seeded(seed, "grain"))
    tile = rng.normal(0, strength, (512, 512)).astype(np.float32).round().astype(np.int16)
    height, width = pixels.shape[:2]
    grain = np.tile(tile, (height // 512 + 1, width // 512 + 1))[:height, :width]
    channels = pixels[:, :, :3].astype(np.int16) + grain[:, :, None]
    pixels[:, :, :3] = np.clip(channels, 0, 255).astype(np.uint8)


def _argb(colour: str, alpha: float) -> int:
    red, green, blue = rgb(colour)
    return (round(alpha * 255) << 24) | (red << 16) | (green << 8) | blue
