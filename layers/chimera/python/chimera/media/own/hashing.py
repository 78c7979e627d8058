"""Tells whether two pictures look alike: 64 bits from the lowest frequencies of a small grey copy."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
ALIKE = 10
"""Bits; pictures at most this far apart are taken for the same one (measured: docs/ingest.md)."""


def hash_of(picture: Pixels) -> int:
    """64-bit perceptual hash (DCT; Zauner, 2010) of grey, BGR or BGRA pixels in memory: 32 x 32, the 8 x 8 lowest
    frequencies without the mean, each against their median."""
    grey = picture if picture.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(picture[:, :, :3]), cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].reshape(-1)
    # tiny waves are rounding, and would make the hash of a flat picture a matter of chance
    low = np.where(np.abs(low) < 0.5, 0.0, low)
    bits = low > np.median(low[1:])
    bits[0] = False
    return int(sum(1 << place for place, bit in enumerate(bits.tolist()) if bit))


def distance(a: int, b: int) -> int:
    """Bits in which two hashes differ: 0 the same, about 32 unrelated."""
    return (a ^ b).bit_count()
