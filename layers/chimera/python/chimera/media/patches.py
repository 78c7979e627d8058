"""What stands still above a moving picture: a rectangle blended into planar YUV frames, in place, and only there.

A patch says for every byte how much of the frame stays and what is added; the logo, the darkening of footage and type
between its changes are all such patches. Two passes over a few rows cost a twentieth of what libass needs for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from chimera.media.planes import Plane, Planes

_GROUND = (16, 128, 128)  # what a plane holds where a drawing on nothing has not drawn
_APART = 24  # empty rows between two patches that make them two


@dataclass(frozen=True)
class Patch:
    """Where it lies (even numbers, luma pixels), and for Y, U, V: what stays of the frame (0–255), what is added."""

    x: int
    y: int
    stays: tuple[Plane, Plane, Plane]
    added: tuple[Plane, Plane, Plane]

    def blend(self, frame: Planes) -> None:
        """Blends it into a frame."""
        for number, (plane, stays, added) in enumerate(zip(frame, self.stays, self.added, strict=True)):
            half = 2 if number else 1
            x, y = self.x // half, self.y // half
            part = plane[y : y + stays.shape[0], x : x + stays.shape[1]]
            cv2.multiply(part, stays, dst=part, scale=1 / 255)
            cv2.add(part, added, dst=part)


def blend(frame: Planes, patches: Sequence[Patch]) -> None:
    """Blends patches into a frame, in order."""
    for patch in patches:
        patch.blend(frame)


def drawn(planes: Planes, alpha: Plane) -> tuple[Patch, ...]:
    """Patches of what was drawn over black with `alpha` beside it: one for each band of rows that holds anything."""
    found = []
    for top, bottom in _bands(alpha):
        columns = np.flatnonzero(alpha[top:bottom].max(axis=0))
        left, right = int(columns[0]) // 2 * 2, -(-(int(columns[-1]) + 1) // 2) * 2
        stays = cv2.bitwise_not(alpha[top:bottom, left:right])
        half = ((right - left) // 2, (bottom - top) // 2)
        small = cv2.resize(stays, half, interpolation=cv2.INTER_AREA)
        parts = [planes[0][top:bottom, left:right]]
        parts += [plane[top // 2 : bottom // 2, left // 2 : right // 2] for plane in planes[1:]]
        kept = (stays, small, small)
        added = [
            cv2.subtract(part, cv2.convertScaleAbs(stay, alpha=ground / 255))
            for part, stay, ground in zip(parts, kept, _GROUND, strict=True)
        ]
        found.append(Patch(left, top, _three(kept), _three(added)))
    return tuple(found)


def _three(planes: Sequence[object]) -> tuple[Plane, Plane, Plane]:
    y, u, v = (np.asarray(plane, dtype=np.uint8) for plane in planes)
    return y, u, v


def _bands(alpha: Plane) -> list[tuple[int, int]]:
    """Stretches of rows (even) in which anything is drawn."""
    rows = np.flatnonzero(alpha.max(axis=1))
    if not rows.size:
        return []
    breaks = np.flatnonzero(np.diff(rows) > _APART)
    starts = [int(rows[0]), *(int(rows[b + 1]) for b in breaks)]
    stops = [*(int(rows[b]) for b in breaks), int(rows[-1])]
    return [(start // 2 * 2, -(-(stop + 1) // 2) * 2) for start, stop in zip(starts, stops, strict=True)]
