"""What a sound is in memory: float32 at 48 kHz, mono `(n,)` or stereo `(n, 2)`; full scale is ±1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

RATE = 48_000
Samples = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Stems:
    """A bed in two stereo parts of one length: `ground` may sound under a voice, `lead` only where nobody speaks."""

    ground: Samples
    lead: Samples

    def __post_init__(self) -> None:
        if self.ground.shape != self.lead.shape:
            raise ValueError(f"stems of shape {self.ground.shape} and {self.lead.shape}; expected the same")


def silence(seconds: float) -> Samples:
    """Stereo silence of that length, to the sample."""
    return np.zeros((max(round(seconds * RATE), 0), 2), dtype=np.float32)
