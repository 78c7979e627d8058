"""Sounds laid at their times, read a stretch at a time: notes of a piece, effects at scene changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from chimera.media.music.samples import Samples


@dataclass(frozen=True)
class Placed:
    """A sound of `length` samples from sample `at` on; `make` gives it (mono or stereo) when it is first heard."""

    at: int
    length: int
    left: float
    right: float
    make: Callable[[], Samples]


class Track:
    """Placed sounds, added up in their order. Stretches are read in any order, each for itself."""

    def __init__(self, sounds: Iterable[Placed]) -> None:
        self._sounds = sorted(sounds, key=lambda sound: sound.at)
        self._starts = np.array([sound.at for sound in self._sounds], dtype=np.int64)
        self._longest = max((sound.length for sound in self._sounds), default=0)

    def read(self, first: int, count: int) -> Samples:
        """Stereo samples `first` to `first + count`."""
        out = np.zeros((count, 2), dtype=np.float32)
        begin = int(np.searchsorted(self._starts, first - self._longest, side="left"))
        end = int(np.searchsorted(self._starts, first + count, side="left"))
        for sound in self._sounds[begin:end]:
            skip = max(first - sound.at, 0)
            place = max(sound.at - first, 0)
            take = min(sound.length - skip, count - place)
            if take > 0:
                piece = sound.make()[skip : skip + take]
                stereo = piece.ndim == 2
                out[place : place + take, 0] += (piece[:, 0] if stereo else piece) * np.float32(sound.left)
                out[place : place + take, 1] += (piece[:, 1] if stereo else piece) * np.float32(sound.right)
        return out
