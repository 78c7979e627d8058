"""Keeps type readable on a card: holds the picture back where words stand, as much as their contrast needs and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from chimera.adapters.canvases.brush import Palette
from chimera.media.layers import Area
from chimera.media.theme import mix, rgb

LEAST = 4.5
"""Contrast of ink to 98 % of the ground behind type (WCAG 2.2, AA)."""
_STEP = 8
_SHARES = (0.0, 0.25, 0.40, 0.52, 0.62, 0.70, 0.78, 0.85, 0.91, 0.96)

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def hold_contrast(
    pixels: Pixels,
    areas: Sequence[Area],
    palette: Palette,
    *,
    margin: tuple[float, float],
    scale: float,
    frame: tuple[float, float],
) -> None:
    """Blends the ground's colour into `pixels` (BGRA, in place) around each area; `scale` is pixels a reference pixel."""
    if not areas:
        return
    height, width = pixels.shape[:2]
    base = mix(palette.ground, "#ffffff" if palette.light else "#000000", 0.30)
    colour = np.array(rgb(base)[::-1], np.float32)
    small = cv2.resize(pixels, (max(width // _STEP, 2), max(height // _STEP, 2)), interpolation=cv2.INTER_AREA)[
        :, :, :3
    ]
    ratio = small.shape[1] / width
    cover = np.zeros(small.shape[:2], np.float32)
    least = np.zeros_like(cover)
    for area in areas:
        grown = _grown(area, frame)
        # what is judged are real pixels, not means: a stripe that words cross is as bright as it is
        sides = (area.x, area.y, area.x + area.width, area.y + area.height)
        patch = pixels[_slices(sides, margin, scale)][::2, ::2, :3].reshape(-1, 3).astype(np.float32)
        if patch.size:
            need = next((share for share in _SHARES if _readable(patch, colour, share, palette.ink)), _SHARES[-1])
            wide = _slices(grown, margin, scale, ratio)
            exact = _slices(sides, margin, scale, ratio)
            cover[wide] = np.maximum(cover[wide], need)
            least[exact] = np.maximum(least[exact], need)
    spread = 0.036 * min(frame) * scale * ratio
    grown_cover = cv2.dilate(cover, np.ones((3, 3), np.uint8), iterations=max(round(spread * 2.0), 1))
    # soft around the words, in full behind them
    soft = np.maximum(cv2.GaussianBlur(grown_cover, (0, 0), max(spread * 1.7, 0.6)), least)
    soft = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
    held = np.flatnonzero(soft.max(axis=1) > 0.004)
    if held.size == 0:
        return
    rows = slice(int(held[0]), int(held[-1]) + 1)
    weight = (soft[rows] * 256).astype(np.uint16)[:, :, None]
    part = pixels[rows, :, :3]
    mixed = part.astype(np.uint16) * (256 - weight) + colour.astype(np.uint16) * weight
    pixels[rows, :, :3] = (mixed >> 8).astype(np.uint8)


def _slices(
    sides: tuple[float, float, float, float], margin: tuple[float, float], scale: float, ratio: float = 1.0
) -> tuple[slice, slice]:
    """Rows and columns of left, top, right, bottom (reference pixels), in an array of `ratio` times the picture's size."""
    x0, x1 = ((margin[0] + value * scale) * ratio for value in (sides[0], sides[2]))
    y0, y1 = ((margin[1] + value * scale) * ratio for value in (sides[1], sides[3]))
    return slice(max(int(y0), 0), max(int(y1) + 1, 1)), slice(max(int(x0), 0), max(int(x1) + 1, 1))


def _grown(area: Area, frame: tuple[float, float]) -> tuple[float, float, float, float]:
    """A little air around the words; large areas become bands from edge to edge."""
    air = 0.022 * min(frame)
    left, top, right, bottom = area.x - air, area.y - air, area.x + area.width + air, area.y + area.height + air
    if area.width > 0.62 * frame[0]:
        left, right = -0.1 * frame[0], 1.1 * frame[0]
    elif area.height > 0.3 * frame[1] and area.width > 0.3 * frame[0]:
        # a column of words: to the edge that it stands at, and from top to bottom, or it would look like a smudge
        top, bottom = -0.1 * frame[1], 1.1 * frame[1]
        if area.x < 0.2 * frame[0]:
            left = -0.1 * frame[0]
        elif area.x + area.width > 0.8 * frame[0]:
            right = 1.1 * frame[0]
    return left, top, right, bottom


def _readable(patch: Any, base: Any, share: float, ink: str) -> bool:
    mixed = patch + (base - patch) * share
    luminance = _luminance(mixed)
    text = float(_luminance(np.array([rgb(ink)[::-1]], np.float32))[0])
    dark = text > 0.4
    worst = float(np.quantile(luminance, 0.99 if dark else 0.01))
    high, low = max(worst, text), min(worst, text)
    return (high + 0.05) / (low + 0.05) >= LEAST * 1.25


def _luminance(colours: Any) -> Any:
    channels = colours / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.0722, 0.7152, 0.2126], np.float32)
