"""Counts flashes that can bring on seizures, after WCAG 2.3.1 and ITU-R BT.1702, on a grid of the picture's cells."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LUMINANCE_STEP = 0.10
"""A change of this part of the maximum relative luminance counts as one half of a flash …"""
DARKER_BELOW = 0.80
"""… if the darker of the two states is below this."""
RED_SHARE, RED_STEP = 0.80, 0.20
"""A red change: one state has R/(R+G+B) ≥ 0.8, and both differ by more than 0.2 in the CIE 1976 UCS diagram."""
AREA = 0.25
"""Part of the picture that has to flash at the same time."""
_WINDOW_SECONDS = 1.0

_CODED = np.arange(256, dtype=np.float32) / 255
_LINEAR = np.where(_CODED <= 0.04045, _CODED / 12.92, ((_CODED + 0.055) / 1.055) ** 2.4).astype(np.float32)
_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], dtype=np.float32
).T  # linear RGB of BT.709 to CIE XYZ


def count_flashes(cells: NDArray[np.uint8], fps: float) -> dict[str, Any]:
    """The most flashes that a quarter of the picture shows within any one second.

    `cells`: RGB means of the picture's parts, `(frames, rows, columns, 3)`, 0–255 with the transfer curve of sRGB; `fps`:
    frames a second. A flash is a pair of opposing changes, so an odd change counts a half. `general_flashes_per_second`
    counts changes of relative luminance, `red_flashes_per_second` those to or from a saturated red. Three at most are
    safe (WCAG 2.3.1); more than three fail.
    """
    frames = len(cells)
    if frames < 2 or fps <= 0:
        return {"general_flashes_per_second": 0.0, "red_flashes_per_second": 0.0}
    linear = _LINEAR[cells.reshape(frames, -1, 3)]
    xyz = linear @ _XYZ
    general = _luminance_changes(xyz[..., 1])
    red = _red_changes(linear, xyz)
    window = max(1, round(fps * _WINDOW_SECONDS))
    return {
        "general_flashes_per_second": _most(general, window) / 2,
        "red_flashes_per_second": _most(red, window) / 2,
    }


def _luminance_changes(luminance: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where each cell completes a change: `LUMINANCE_STEP` away from the last turning point, against the last change."""
    changes = np.zeros(luminance.shape, dtype=np.bool_)
    low, high = luminance[0].copy(), luminance[0].copy()
    last = np.zeros(luminance.shape[1], dtype=np.int8)  # the direction of the last change: 1 up, −1 down, 0 none yet
    for index in range(1, len(luminance)):
        now = luminance[index]
        up = (now - low >= LUMINANCE_STEP) & (low < DARKER_BELOW) & (last <= 0)
        down = (high - now >= LUMINANCE_STEP) & (now < DARKER_BELOW) & (last >= 0) & ~up
        if up.any() or down.any():
            changes[index] = up | down
            last[up], last[down] = 1, -1
            turned = up | down
            low[turned], high[turned] = now[turned], now[turned]
        np.minimum(low, now, out=low)
        np.maximum(high, now, out=high)
    return changes


def _red_changes(linear: NDArray[np.float32], xyz: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where each cell goes to or from a saturated red, by more than `RED_STEP` in u′v′ against its last state."""
    total = linear.sum(axis=2)
    saturated = (linear[..., 0] >= RED_SHARE * total) & (total > 0.02)
    changes = np.zeros(saturated.shape, dtype=np.bool_)
    if not (saturated.mean(axis=1) >= AREA / 2).any():
        return changes  # nowhere near enough red
    weight = xyz[..., 0] + 15 * xyz[..., 1] + 3 * xyz[..., 2]
    dark = weight < 1e-3
    weight = np.maximum(weight, 1e-3)
    # a black cell has no colour of its own: it is taken as white's
    u = np.where(dark, 0.1978, 4 * xyz[..., 0] / weight)
    v = np.where(dark, 0.4683, 9 * xyz[..., 1] / weight)
    at_u, at_v, was = u[0].copy(), v[0].copy(), saturated[0].copy()
    for index in range(1, len(linear)):
        turned = (saturated[index] != was) & (np.hypot(u[index] - at_u, v[index] - at_v) > RED_STEP)
        if turned.any():
            changes[index] = turned
            was[turned] = saturated[index][turned]
        keep = saturated[index] == was  # the state's own colour, as it stands before the next change
        at_u[keep], at_v[keep] = u[index][keep], v[index][keep]
    return changes


def _most(changes: NDArray[np.bool_], window: int) -> float:
    """The most changes within `window` frames that at least `AREA` of the cells make at the same time."""
    if not changes.any():
        return 0.0
    counted = np.cumsum(changes, axis=0, dtype=np.int32)
    counted[window:] -= counted[:-window].copy()
    needed = max(1, int(np.ceil(changes.shape[1] * AREA)))
    return float(np.partition(counted, -needed, axis=1)[:, -needed].max())
