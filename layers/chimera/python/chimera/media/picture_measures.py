"""What the quality score knows of the picture: contrast, sharpness, detail, and how much it changes from scene to scene."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_TILES = (10, 6)
_DETAIL = 4.0
"""Standard deviation of luma (0–255) from which a tile of the picture shows something."""
_APART_SECONDS = 4.0


def measure_pictures(samples: NDArray[np.uint8], cells: NDArray[np.uint8], seconds: float) -> dict[str, Any]:
    """Medians over the sampled pictures; None without any.

    `picture_contrast`: standard deviation of luma as a part of 255. `picture_sharpness`: each of 60 tiles'
    steepest step of luma between neighbours of the picture at 360 lines, their median, as a part of 255 (a title or a
    caption is sharp in its own tiles only). `picture_detail`: the part of the
    tiles that show something. `picture_variety`: the mean difference of colour (0–1) between pictures four seconds apart.
    """
    if not len(samples):
        return dict.fromkeys(("picture_contrast", "picture_sharpness", "picture_detail", "picture_variety"))
    contrast, sharpness, detail = (float(np.median(values)) for values in zip(*map(_one, samples), strict=True))
    return {
        "picture_contrast": round(contrast, 4),
        "picture_sharpness": round(sharpness, 4),
        "picture_detail": round(detail, 4),
        "picture_variety": round(_variety(cells, seconds), 4),
    }


def _one(picture: NDArray[np.uint8]) -> tuple[float, float, float]:
    luma = picture.astype(np.int16)
    rows, columns = _TILES if luma.shape[0] >= luma.shape[1] else _TILES[::-1]
    high, wide = (luma.shape[0] - 1) // rows, (luma.shape[1] - 1) // columns
    if not high or not wide:
        return float(luma.std()) / 255, 0.0, 0.0
    steps = np.maximum(np.abs(np.diff(luma, axis=1))[:-1], np.abs(np.diff(luma, axis=0))[:, :-1])
    steepest = steps[: high * rows, : wide * columns].reshape(rows, high, columns, wide).max(axis=(1, 3))
    tiles = luma[: high * rows, : wide * columns].reshape(rows, high, columns, wide).std(axis=(1, 3), dtype=np.float32)
    return float(luma.std()) / 255, float(np.median(steepest)) / 255, float((tiles >= _DETAIL).mean())


def _variety(cells: NDArray[np.uint8], seconds: float) -> float:
    """Over pictures `_APART_SECONDS` apart; in a short video, over its thirds."""
    frames = len(cells)
    if frames < 3 or seconds <= 0:
        return 0.0
    step = max(1, int(frames / max(3.0, seconds / _APART_SECONDS)))
    chosen = cells[step // 2 :: step].astype(np.float32) / 255
    return float(np.abs(np.diff(chosen, axis=0)).mean(axis=(1, 2, 3)).mean()) if len(chosen) > 1 else 0.0
