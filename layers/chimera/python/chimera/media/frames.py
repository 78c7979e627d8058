"""Makes a clip's background frames: planar YUV (BT.709, limited range), moved by sub-pixel affine warps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from chimera.errors import ChimeraError
from chimera.media.layout import OVERSIZE
from chimera.media.models import Theme
from chimera.media.theme import mix, rgb
from chimera.media.timeline import Clip, Motion, matrix_at

Plane = np.ndarray[Any, np.dtype[np.uint8]]
MAX_PIXELS = 64_000_000

# RGB → Y'CbCr, ITU-R BT.709, limited range (Y 16–235, C 16–240)
_TO_YUV = np.array(
    [[0.2126, 0.7152, 0.0722], [-0.114572, -0.385428, 0.5], [0.5, -0.454153, -0.045847]], dtype=np.float32
) * np.array([[219.0], [224.0], [224.0]], dtype=np.float32) / 255.0  # fmt: skip
_OFFSET = np.array([16.0, 128.0, 128.0], dtype=np.float32)


class Background:
    """A picture as three planes, ready to be warped; chroma at half size."""

    def __init__(self, y: Plane, u: Plane, v: Plane) -> None:
        self.y, self.u, self.v = y, u, v
        self.size = (y.shape[1], y.shape[0])

    def frame(self, out: Plane, motion: Motion, progress: float, size: tuple[int, int]) -> None:
        """Writes one I420 frame into `out` (flat, width·height·3/2 bytes)."""
        width, height = size
        rows = matrix_at(motion, progress, frame=size, picture=self.size)
        luma = width * height
        chroma = luma // 4
        _warp(self.y, out[:luma].reshape(height, width), rows, 1.0)
        half = (height // 2, width // 2)
        _warp(self.u, out[luma : luma + chroma].reshape(half), rows, 0.5)
        _warp(self.v, out[luma + chroma : luma + 2 * chroma].reshape(half), rows, 0.5)


def _warp(plane: Plane, out: Plane, rows: tuple[tuple[float, float, float], ...], factor: float) -> None:
    """Warps by a map given in full-size pixels measured from corners; OpenCV counts from pixel centres."""
    (a, b, tx), (c, d, ty) = rows
    matrix = np.array(
        [
            [a, b, tx * factor + (a + b) * 0.5 - 0.5],
            [c, d, ty * factor + (c + d) * 0.5 - 0.5],
        ]
    )
    cv2.warpAffine(
        plane, matrix, (out.shape[1], out.shape[0]), dst=out,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip


def load(path: Path | None, *, frame: tuple[int, int], theme: Theme, scrim: float) -> Background:
    """The picture at `path` cut to the frame's shape, a little larger than it; the theme's gradient without one.

    Raises `VALIDATION_FAILED` if the file is no picture that can be read.
    """
    target = (round(frame[0] * OVERSIZE / 2) * 2, round(frame[1] * OVERSIZE / 2) * 2)
    picture = _gradient(theme, target) if path is None else _read(path)
    picture = _cover(picture, target)
    if scrim > 0:
        _darken(picture, scrim)
    return _to_planes(picture)


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


def _darken(picture: Plane, strength: float) -> None:
    height = picture.shape[0]
    share = np.clip((np.arange(height) / height - 0.30) / 0.45, 0, 1) * strength
    share = np.maximum(share, 0.35 * strength).astype(np.float32)
    picture[:] = (picture.astype(np.float32) * (1 - share)[:, None, None]).astype(np.uint8)


def _to_planes(picture: Plane) -> Background:
    height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
    matrix = np.hstack([_TO_YUV[:, ::-1], _OFFSET[:, None]])  # OpenCV's pictures are BGR
    yuv = cv2.transform(picture[:height, :width], matrix.astype(np.float32))
    y, u, v = (np.ascontiguousarray(yuv[:, :, i], dtype=np.uint8) for i in range(3))
    half = (width // 2, height // 2)
    small = [np.asarray(cv2.resize(plane, half, interpolation=cv2.INTER_AREA), dtype=np.uint8) for plane in (u, v)]
    return Background(y, small[0], small[1])


def clip_frames(
    clip: Clip, current: Background, before: tuple[Background, Clip] | None, *, size: tuple[int, int]
) -> Iterator[Plane]:
    """The clip's frames as I420 bytes. The buffer is used again: take the bytes before asking for the next."""
    length = size[0] * size[1] * 3 // 2
    frame, old = np.empty(length, np.uint8), np.empty(length, np.uint8)
    for number in range(clip.frames):
        current.frame(frame, clip.motion, number / clip.frames, size)
        if before is not None and number < clip.transition_frames:
            background, earlier = before
            background.frame(old, earlier.motion, 1.0 + number / earlier.frames, size)
            share = (number + 1) / (clip.transition_frames + 1)
            share = share * share * (3 - 2 * share)
            cv2.addWeighted(frame, share, old, 1.0 - share, 0.0, dst=frame)
        yield frame
