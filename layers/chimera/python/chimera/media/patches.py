"""What stands still above a moving picture: a rectangle blended into planar YUV frames, in place, and only there.

A patch says for every byte how much of the frame stays and what is added; the logo and the darkening of footage are
such patches.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from chimera.media.planes import Plane, Planes


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
