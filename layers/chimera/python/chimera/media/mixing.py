"""Puts voice, bed and effects together: levels set against the voice by measured loudness, the bed ducked under it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from chimera.media import loudness
from chimera.media.music.samples import BLOCK_SAMPLES, RATE, Read, Samples, Stems, reader, stretches
from chimera.media.theme import seeded

# In LU against the voice while it speaks. 18 leaves room below the 15 that is promised; in pauses the bed comes up.
BED_UNDER_VOICE_LU = -18.0
BED_ALONE_LU = -9.0
EFFECTS_LU = -12.0
# The side chain: the bed is down 220 ms before a word and stays down for 450 ms after it, so it never pumps between words.
AHEAD_SECONDS, HOLD_SECONDS = 0.22, 0.45
ATTACK_SECONDS, RELEASE_SECONDS = 0.18, 0.60
_SPEAKING = 0.02  # of full scale, in 10 ms; the polished voice has an RMS of 0.126
_HOP = RATE // 100
_NO_VOICE_LUFS = -20.0
_EFFECT_PEAK = 0.22


class Beds(Protocol):
    """Music as stems, read a stretch at a time."""

    def read(self, first: int, count: int) -> Stems:
        """Samples `first` to `first + count`, silence where there is nothing."""
        ...


@dataclass(frozen=True)
class Buses:
    """The parts of a mix before they are added, each `(n, 2)`: for the mix and for whoever measures it."""

    voice: Samples
    bed: Samples
    effects: Samples

    def mixed(self) -> Samples:
        """The sum."""
        return np.asarray(self.voice + self.bed + self.effects, dtype=np.float32)


@dataclass(frozen=True)
class _Levels:
    """Gains of the parts: the bed's ground under the voice and alone, the effects."""

    down: float
    up: float
    effects: float


class Mix:
    """A mix of voice (mono and polished), bed and effects of `samples` samples, made a stretch at a time.

    The whole is heard once to set the levels against each other, then each stretch is mixed.
    """

    def __init__(
        self, voice: Read, *, samples: int, seed: int, bed: Beds | None = None, effects: Read | None = None
    ) -> None:
        self._voice, self._samples, self._seed, self._bed, self._effects = voice, samples, seed, bed, effects
        self._spoken = np.concatenate(
            [speaking(voice(f, n)) for f, n in stretches(samples)] or [np.zeros(0, np.float32)]
        )
        self._open = _envelope(self._spoken)
        self._levels = self._set()

    def blocks(self) -> Iterator[Buses]:
        """The mix, stretch by stretch."""
        room = Room(self._seed)
        for first, count in stretches(self._samples):
            voice = room.add(self._voice(first, count))
            bed, sound = (np.zeros((count, 2), dtype=np.float32) for _ in range(2))
            if self._bed is not None:
                stems = self._bed.read(first, count)
                open_ = self._opened(first, count)
                levels = self._levels
                bed = stems.ground * (levels.down + (levels.up - levels.down) * open_)[:, None]
                bed += stems.lead * (levels.up * open_**2)[:, None]
            if self._effects is not None:
                sound = self._effects(first, count) * np.float32(self._levels.effects)
            yield Buses(voice, bed, sound)

    def _opened(self, first: int, count: int) -> Samples:
        """How far the bed is up, for each sample of a stretch."""
        hops = (np.arange(len(self._open)) + 0.5) * _HOP
        return np.interp(np.arange(first, first + count), hops, self._open).astype(np.float32)

    def _set(self) -> _Levels:
        """Levels by what sounds: the bed's ground under the voice, the whole of it in pauses."""
        speaks = bool(self._spoken.any())
        voice, under, ground, alone = (_Mean() for _ in range(4))
        room = Room(self._seed)
        for first, count in stretches(self._samples):
            spoken = self._spoken_blocks(first, count)
            if speaks:
                voice.add(room.add(self._voice(first, count)), spoken)
            if self._bed is not None:
                stems = self._bed.read(first, count)
                under.add(stems.ground, spoken)
                ground.add(stems.ground, None)
                alone.add(stems.ground + stems.lead, None)
        power = voice.value if speaks else 10 ** ((_NO_VOICE_LUFS + 0.691) / 10)
        level = _EFFECT_PEAK if not speaks else min(_EFFECT_PEAK, 4 * np.sqrt(power) * 10 ** (EFFECTS_LU / 20))
        if alone.value <= 0:
            return _Levels(1.0, 1.0, float(level))
        up = float(np.sqrt(power / alone.value) * 10 ** (BED_ALONE_LU / 20))
        below = under.value or ground.value
        down = float(np.sqrt(power / below) * 10 ** (BED_UNDER_VOICE_LU / 20)) if below > 0 else 0.0
        return _Levels(min(down, up), up, float(level))

    def _spoken_blocks(self, first: int, count: int) -> NDArray[np.bool_]:
        """For each 100 ms of a stretch whether somebody speaks in half of it or more."""
        per = loudness.BLOCK // _HOP
        blocks = -(-count // loudness.BLOCK)
        found = np.zeros(blocks * per, dtype=np.float32)
        part = self._spoken[first // _HOP : first // _HOP + blocks * per]
        found[: len(part)] = part
        return np.asarray(found.reshape(-1, per).mean(axis=1) >= 0.5, dtype=np.bool_)


class _Mean:
    """K-weighted mean square over the blocks of 100 ms that are chosen and sound."""

    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    def add(self, samples: Samples, chosen: NDArray[np.bool_] | None) -> None:
        found = loudness.powers(samples)
        found = found[(found > 1e-9) & chosen] if chosen is not None else found[found > 1e-9]
        self._sum += float(found.sum(dtype=np.float64))
        self._count += len(found)

    @property
    def value(self) -> float:
        return self._sum / self._count if self._count else 0.0


def buses(voice: Samples, *, seed: int, stems: Stems | None, effects: Read | None) -> Buses:
    """The parts of a mix in memory, each at its level."""
    bed = _InMemory(stems) if stems is not None else None
    made = list(Mix(reader(voice), samples=len(voice), seed=seed, bed=bed, effects=effects).blocks())
    return Buses(*(np.concatenate([getattr(b, name) for b in made]) for name in ("voice", "bed", "effects")))


class _InMemory:
    def __init__(self, stems: Stems) -> None:
        self._ground, self._lead = reader(stems.ground), reader(stems.lead)

    def read(self, first: int, count: int) -> Stems:
        return Stems(self._ground(first, count), self._lead(first, count))


def speaking(voice: Samples) -> Samples:
    """1.0 for each 10 ms in which somebody speaks, else 0.0."""
    count = -(-len(voice) // _HOP)
    padded = np.zeros(count * _HOP, dtype=np.float32)
    padded[: len(voice)] = np.abs(voice)
    return np.asarray(padded.reshape(count, _HOP).max(axis=1) > _SPEAKING, dtype=np.float32)


def _envelope(spoken: Samples) -> Samples:
    """How far the bed is up, 0–1, at the middle of each 10 ms: 0 from before a word until after it, eased."""
    ahead, hold, attack, release = (
        round(s * RATE / _HOP) for s in (AHEAD_SECONDS, HOLD_SECONDS, ATTACK_SECONDS, RELEASE_SECONDS)
    )
    count = len(spoken)
    busy = np.convolve(spoken, np.ones(ahead + hold + 1), mode="full")[ahead : ahead + count] > 0.5
    level, value = np.empty(count, dtype=np.float64), 0.0 if count and busy[0] else 1.0
    for index in range(count):
        value = max(value - 1 / attack, 0.0) if busy[index] else min(value + 1 / release, 1.0)
        level[index] = value
    return np.asarray(level * level * (3 - 2 * level), dtype=np.float32)


class Room:
    """The voice in stereo with a short, quiet, dark room around it; it makes a dry synthetic voice easier to hear.

    Stretches are given one after the other; what rings on at the end of one is in the next.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seeded(seed, "room"))
        length = round(0.32 * RATE)
        t = np.arange(length) / RATE
        kernel = np.ones(14) / 14  # darkens the reflections
        self._size = 1 << (BLOCK_SAMPLES + length - 1).bit_length()
        self._rings = np.zeros((2, length - 1), dtype=np.float32)
        self._spectra = []
        for _ in range(2):
            tail = np.convolve(rng.normal(0, 1, length), kernel, mode="same") * np.exp(-t * 17)
            tail[: round(0.009 * RATE)] = 0
            self._spectra.append(np.fft.rfft((tail / np.sqrt(np.sum(tail**2))).astype(np.float32), self._size))

    def add(self, voice: Samples) -> Samples:
        """The next stretch, mono and at most `BLOCK_SAMPLES` long, as stereo with its room."""
        count, ring = len(voice), self._rings.shape[1]
        wet = np.zeros((2, count + ring), dtype=np.float32)
        if np.any(voice):
            spectrum = np.fft.rfft(voice, self._size)
            for side in range(2):
                made = np.fft.irfft(spectrum * self._spectra[side], self._size)
                wet[side] = made[: count + ring].astype(np.float32)
        wet[:, :ring] += self._rings[:, : wet.shape[1]]
        self._rings = wet[:, count:].copy()
        return np.asarray((voice + np.float32(0.13) * wet[:, :count]).T, dtype=np.float32)
