"""Pictures as backgrounds: planar YUV (BT.709, limited range), moved with sub-pixel precision.

A move without a turn is separable, and resizing a part of the picture does it three times as fast as a general affine
warp. A resize begins at whole pixels, so a place is looked for where a whole pixel of the picture meets a whole pixel of
a slightly larger frame to within 1/64 (at worst 1/32) of a pixel; where there is none, the affine warp does it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from chimera.errors import ChimeraError
from chimera.media.layout import OVERSIZE
from chimera.media.models import Theme
from chimera.media.planes import Plane, from_bgr, planes_of
from chimera.media.theme import mix, rgb
from chimera.media.timeline import Motion, matrix_at

__all__ = ["Background", "load", "scrim_shares"]

MAX_PIXELS = 64_000_000
_REACH = 64  # how many columns or rows more than the frame has a resize may make
_NEAR, _NEAR_ENOUGH = 1 / 64, 1 / 32  # of a pixel
_SKIPS = np.arange(_REACH) + 0.5
_TURNLESS = 1e-9


class Background:
    """A picture as three planes, ready to be moved; chroma at half size."""

    def __init__(self, y: Plane, u: Plane, v: Plane) -> None:
        self.size = (y.shape[1], y.shape[0])
        # room before the picture for the columns and rows that a resize makes in vain
        self._planes = [_framed(plane) for plane in (y, u, v)]

    def frame(self, out: Plane, motion: Motion, progress: float, size: tuple[int, int]) -> None:
        """Writes one I420 frame into `out` (flat, width·height·3/2 bytes)."""
        rows = matrix_at(motion, progress, frame=size, picture=self.size)
        luma, *chroma = planes_of(out, size)
        _move(self._planes[:1], [luma], rows, 1.0)
        _move(self._planes[1:], chroma, rows, 0.5)


def _framed(plane: Plane) -> Plane:
    return np.asarray(cv2.copyMakeBorder(plane, _REACH, 2, _REACH, 2, cv2.BORDER_REPLICATE), dtype=np.uint8)


def _move(
    planes: Sequence[Plane], outs: Sequence[Plane], rows: tuple[tuple[float, float, float], ...], factor: float
) -> None:
    """Moves planes of one size by a map given in full-size pixels measured from corners; OpenCV counts from centres."""
    (a, b, tx), (c, d, ty) = rows
    x = tx * factor + (a + b) * 0.5 - 0.5 + _REACH
    y = ty * factor + (c + d) * 0.5 - 0.5 + _REACH
    height, width = outs[0].shape
    if abs(b) < _TURNLESS and a == d:
        across, down = _aligned(a, x, width, planes[0].shape[1]), _aligned(a, y, height, planes[0].shape[0])
        if across is not None and down is not None:
            (skip_x, left, wide), (skip_y, top, high) = across, down
            for plane, out in zip(planes, outs, strict=True):
                part = plane[top : top + high, left : left + wide]
                # with factors instead of a size the scale is exact
                larger = (
                    cv2.resize(part, None, fx=1 / a, fy=1 / a, interpolation=cv2.INTER_LINEAR) if a != 1.0 else part
                )
                out[:] = larger[skip_y : skip_y + height, skip_x : skip_x + width]
            return
    matrix = np.array([[a, b, x], [c, d, y]])
    for plane, out in zip(planes, outs, strict=True):
        cv2.warpAffine(
            plane, matrix, (width, height), dst=out, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip


def _aligned(scale: float, shift: float, size: int, available: int) -> tuple[int, int, int] | None:
    """For one axis of `picture = scale · frame + shift`: how many pixels of a resize to skip, where its part of the
    picture begins, and how long that is; None if no whole pixels meet closely enough inside the picture."""
    wanted = shift + 0.5 - scale * _SKIPS
    begins = np.rint(wanted)
    off = np.abs(wanted - begins)
    close = off <= _NEAR
    best = int(close.argmax()) if close.any() else int(off.argmin())
    begin, length = int(begins[best]), math.ceil((best + size) * scale - 1e-9)
    if off[best] > _NEAR_ENOUGH or begin < 0 or begin + length > available:
        return None
    return best, begin, length


def load(path: Path | None, *, frame: tuple[int, int], theme: Theme, scrim: float) -> Background:
    """The picture at `path` cut to the frame's shape, a little larger than it; the theme's gradient without one.

    Raises `VALIDATION_FAILED` if the file is no picture that can be read.
    """
    target = (round(frame[0] * OVERSIZE / 2) * 2, round(frame[1] * OVERSIZE / 2) * 2)
    picture = _gradient(theme, target) if path is None else _read(path)
    picture = _cover(picture, target)
    if scrim > 0:
        _hold_back(picture, scrim, light=theme.mode == "light")
    even = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
    return Background(*from_bgr(even))


def _read(path: Path) -> Plane:
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise ChimeraError(
            "VALIDATION_FAILED", f"the scene's picture {path.name} cannot be read: {error.strerror}"
        ) from error
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if picture is None or picture.shape[0] * picture.shape[1] > MAX_PIXELS:
        raise ChimeraError(
            "VALIDATION_FAILED", f"{path.name} is not a picture of at most {MAX_PIXELS:,} pixels", {"file": path.name}
        )
    return np.asarray(picture, dtype=np.uint8)


def _gradient(theme: Theme, size: tuple[int, int]) -> Plane:
    top, bottom = (
        np.array(rgb(c)[::-1], dtype=np.float32) for c in (mix(theme.surface, theme.background, 0.35), theme.background)
    )
    share = np.linspace(0, 1, size[1], dtype=np.float32)[:, None, None]
    noise = np.random.default_rng(1).normal(0, 1.5, (size[1], size[0], 1)).astype(np.float32)
    return np.clip(top + (bottom - top) * share + noise, 0, 255).astype(np.uint8)


def _cover(picture: Plane, target: tuple[int, int]) -> Plane:
    height, width = picture.shape[:2]
    if (width, height) == target:
        return picture
    scale = max(target[0] / width, target[1] / height)
    size = (max(round(width * scale), target[0]), max(round(height * scale), target[1]))
    resized = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    x, y = (size[0] - target[0]) // 2, (size[1] - target[1]) // 2
    return np.ascontiguousarray(np.asarray(resized, dtype=np.uint8)[y : y + target[1], x : x + target[0]])


def scrim_shares(height: int, strength: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How much of each row gives way to black (in light themes, where type is dark, to white): more towards the foot."""
    share = np.clip((np.arange(height) / height - 0.30) / 0.45, 0, 1) * strength
    return np.maximum(share, 0.35 * strength)


def _hold_back(picture: Plane, strength: float, *, light: bool) -> None:
    share = scrim_shares(picture.shape[0], strength).astype(np.float32)[:, None, None]
    picture[:] = (picture.astype(np.float32) * (1 - share) + (255.0 * share if light else 0.0)).astype(np.uint8)
