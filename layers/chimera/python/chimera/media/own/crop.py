"""Where to cut a picture so that what it is about stays in it: saliency from colour, detail and skin, no trained model.

Detail is the spectral residual (Hou and Zhang, CVPR 2007) and the energy of edges, colour the distance from what the border
looks like, skin a fixed region of the Cr–Cb plane (Chai and Ngan, 1999). All are heuristics; what they find is a window, not
an object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Map = np.ndarray[Any, np.dtype[np.float32]]
_AREA = 220 * 220
"""Pixels that are looked at: enough to find what stands out, few enough to take milliseconds."""
_EDGE = 0.12
"""Share of the window, at each end, in which energy counts less and less: what is cut through is not shown."""


@dataclass(frozen=True)
class Window:
    """A part of a picture, in its pixels."""

    x: int
    y: int
    width: int
    height: int


def smart_crop(picture: Pixels, size: tuple[int, int]) -> Window:
    """The largest window of the shape of `size` (width, height) that keeps the most of what stands out.

    `picture` is BGR or BGRA. Deterministic.
    """
    return best_window(saliency(picture), (picture.shape[1], picture.shape[0]), size)


def saliency(picture: Pixels) -> Map:
    """How much each part of a small copy stands out; sums to 1. BGR or BGRA in, about 48,000 values out."""
    height, width = picture.shape[:2]
    scale = min((_AREA / (width * height)) ** 0.5, 1.0)
    small_size = max(round(width * scale), 8), max(round(height * scale), 8)
    small = np.asarray(cv2.resize(picture[:, :, :3], small_size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32) / 255
    found = 1.0 * _unit(_residual(grey)) + 0.8 * _unit(_edges(grey)) + 0.9 * _unit(_unlike_border(small))
    found += 0.8 * _skin(small)
    found = cv2.GaussianBlur(found, (0, 0), 0.02 * max(small_size))
    found = found**2 + 1e-6  # a few strong places outweigh a lively background
    return np.asarray(found / found.sum(), dtype=np.float32)


def best_window(energy: Map, picture: tuple[int, int], size: tuple[int, int]) -> Window:
    """The largest window of the shape of `size` in `picture` (width, height) with the most of `energy`; even numbers."""
    width, height = picture
    scale = min(width / size[0], height / size[1])
    w, h = min(max(round(size[0] * scale), 1), width), min(max(round(size[1] * scale), 1), height)
    x = _slide(energy.sum(axis=0), w / width, width - w)
    y = _slide(energy.sum(axis=1), h / height, height - h)
    return Window(x=x, y=y, width=w, height=h)


def _slide(line: Map, share: float, room: int) -> int:
    """The offset, 0 to `room`, of a window over `share` of the line that holds the most; the middle breaks ties."""
    if room <= 0:
        return 0
    count = len(line)
    length = max(round(share * count), 1)
    ramp = max(round(length * _EDGE), 1)
    weight = np.minimum(np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)) / (ramp + 1), 1.0)
    held = np.correlate(line.astype(np.float64), weight, mode="valid")
    middle = (len(held) - 1) / 2
    held = held * (1 - 0.08 * np.abs(np.arange(len(held)) - middle) / max(middle, 1))
    best = int(np.argmax(held))
    return min(round(best / max(len(held) - 1, 1) * room), room)


def _unit(values: Any) -> Map:
    """Scaled so that the strongest hundredth is 1."""
    top = float(np.quantile(values, 0.99))
    return np.asarray(np.clip(values / top, 0, 1) if top > 1e-6 else np.zeros_like(values), dtype=np.float32)


def _residual(grey: Any) -> Any:
    small = cv2.resize(grey, (96, max(round(96 * grey.shape[0] / grey.shape[1]), 16)), interpolation=cv2.INTER_AREA)
    spectrum = np.fft.fft2(small)
    logarithm = np.log(np.abs(spectrum) + 1e-8)
    residual = logarithm - cv2.blur(logarithm, (3, 3))
    back = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    found = cv2.GaussianBlur(back.astype(np.float32), (0, 0), 2.5)
    return cv2.resize(found, (grey.shape[1], grey.shape[0]), interpolation=cv2.INTER_LINEAR)


def _edges(grey: Any) -> Any:
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return cv2.GaussianBlur(cv2.magnitude(across, down), (0, 0), 2.0)


def _unlike_border(small: Pixels) -> Any:
    """How far a colour (L*a*b*) is from the border's colours, by the border's own spread."""
    lab = cv2.cvtColor(small, cv2.COLOR_BGR2LAB).astype(np.float32)
    rim = max(min(lab.shape[:2]) // 16, 1)
    border = np.concatenate(
        [lab[:rim].reshape(-1, 3), lab[-rim:].reshape(-1, 3), lab[:, :rim].reshape(-1, 3), lab[:, -rim:].reshape(-1, 3)]
    )
    middle, spread = np.median(border, axis=0), border.std(axis=0) + 6.0
    return np.sqrt((((lab - middle) / spread) ** 2).sum(axis=2))


def _skin(small: Pixels) -> Map:
    """1 where a patch has the colour of skin, whatever its brightness; too much of it is a wall, and counts for nothing."""
    luma, red, blue = (plane.astype(np.float32) for plane in cv2.split(cv2.cvtColor(small, cv2.COLOR_BGR2YCrCb)))
    mask = ((red > 133) & (red < 173) & (blue > 77) & (blue < 127) & (luma > 40)).astype(np.float32)
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    if float(np.mean(opened)) > 0.35:
        return np.zeros(mask.shape, np.float32)
    return np.asarray(cv2.GaussianBlur(opened, (0, 0), 1.5), dtype=np.float32)
