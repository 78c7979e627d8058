"""What a sound is: float32 at 48 kHz, mono `(n,)` or `(n, channels)`, full scale ±1; long ones lie in a scratch file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

RATE = 48_000
# Sound is worked on in stretches of this many samples (2.4 s): memory does not grow with the length of a video. It is a
# whole number of loudness blocks (100 ms), and with the room's tail it just fits a transform of 2^17.
BLOCK_SAMPLES = 115_200
Samples = np.ndarray[Any, np.dtype[np.float32]]
# `read(first, count)`: that stretch, `count` samples whatever there is; silence where there is nothing.
Read = Callable[[int, int], Samples]
_FULL = 32_767.0


@dataclass(frozen=True)
class Stems:
    """A bed in two stereo parts of one length: `ground` may sound under a voice, `lead` only where nobody speaks."""

    ground: Samples
    lead: Samples

    def __post_init__(self) -> None:
        if self.ground.shape != self.lead.shape:
            raise ValueError(f"stems of shape {self.ground.shape} and {self.lead.shape}; expected the same")


class Strip:
    """Samples in a file, of which a stretch at a time is in memory; with 16 bits a sample or as they are."""

    def __init__(self, path: Path, *, channels: int, samples: int, small: bool = False) -> None:
        self.path, self.channels, self.samples = path, channels, samples
        self._kind = np.dtype("<i2" if small else "<f4")

    @classmethod
    def written(cls, path: Path, blocks: Iterable[Samples], *, channels: int, small: bool = False) -> Strip:
        """Writes blocks one after the other. With `small` they are rounded to a grid of 16 bits."""
        count = 0
        with path.open("wb") as file:
            for block in blocks:
                values = np.round(np.clip(block, -1, 1) * _FULL).astype("<i2") if small else block.astype("<f4")
                file.write(values.tobytes())
                count += len(block)
        return cls(path, channels=channels, samples=count, small=small)

    def read(self, first: int, count: int) -> Samples:
        """A stretch as `(count, channels)`; silence outside of what there is."""
        out = np.zeros((count, self.channels), dtype=np.float32)
        start, stop = max(first, 0), min(first + count, self.samples)
        if stop > start:
            at = start * self.channels * self._kind.itemsize
            values = np.fromfile(self.path, self._kind, (stop - start) * self.channels, offset=at)
            part = values.reshape(-1, self.channels).astype(np.float32)
            out[start - first : start - first + len(part)] = (
                part / np.float32(_FULL) if self._kind.kind == "i" else part
            )
        return out


def reader(samples: Samples) -> Read:
    """Reads from an array in memory."""

    def read(first: int, count: int) -> Samples:
        out = np.zeros((count, *samples.shape[1:]), dtype=np.float32)
        start, stop = max(first, 0), min(first + count, len(samples))
        if stop > start:
            out[start - first : stop - first] = samples[start:stop]
        return out

    return read


def stretches(samples: int) -> Iterable[tuple[int, int]]:
    """(first, count) of the stretches that a sound of that length is worked on in."""
    return ((first, min(BLOCK_SAMPLES, samples - first)) for first in range(0, samples, BLOCK_SAMPLES))


def silence(seconds: float) -> Samples:
    """Stereo silence of that length, to the sample."""
    return np.zeros((max(round(seconds * RATE), 0), 2), dtype=np.float32)
