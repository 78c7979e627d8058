"""Puts voice, bed and effects together: levels set against the voice by measured loudness, the bed ducked under it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chimera.media import loudness
from chimera.media.music.samples import RATE, Samples, Stems
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


@dataclass(frozen=True)
class Buses:
    """The parts of a mix before they are added, each `(n, 2)`: for the mix and for whoever measures it."""

    voice: Samples
    bed: Samples
    effects: Samples

    def mixed(self) -> Samples:
        """The sum."""
        return np.asarray(self.voice + self.bed + self.effects, dtype=np.float32)


def buses(voice: Samples, *, seed: int, stems: Stems | None, effects: Samples | None) -> Buses:
    """The parts of a mix, each at its level. `voice` is mono and polished; all have its length."""
    length = len(voice)
    speaks = bool(np.any(voice))
    stereo = room(voice, seed) if speaks else np.zeros((length, 2), dtype=np.float32)
    spoken = speaking(voice)
    voice_power = _mean_power(stereo, spoken) if speaks else 10 ** ((_NO_VOICE_LUFS + 0.691) / 10)
    bed = np.zeros((length, 2), dtype=np.float32)
    if stems is not None:
        bed = _bed(stems, spoken, length, voice_power)
    sound = np.zeros((length, 2), dtype=np.float32)
    if effects is not None and np.any(effects):
        level = _EFFECT_PEAK if not speaks else min(_EFFECT_PEAK, 4 * np.sqrt(voice_power) * 10 ** (EFFECTS_LU / 20))
        take = min(length, len(effects))
        sound[:take] = effects[:take] * np.float32(level)
    return Buses(stereo, bed, sound)


def _bed(stems: Stems, spoken: Samples, length: int, voice_power: float) -> Samples:
    """The bed, ducked: under the voice only `ground`, set by what sounds there; elsewhere both, set by the whole."""
    ground, lead = (_to_length(s, length) for s in (stems.ground, stems.lead))
    under = _mean_power(ground, spoken) or _mean_power(ground, None)
    alone = _mean_power(ground + lead, None)
    if alone <= 0:
        return ground
    up = float(np.sqrt(voice_power / alone) * 10 ** (BED_ALONE_LU / 20))
    down = float(np.sqrt(voice_power / under) * 10 ** (BED_UNDER_VOICE_LU / 20)) if under > 0 else 0.0
    down = min(down, up)
    open_ = _envelope(spoken, length)
    bed = ground * (down + (up - down) * open_)[:, None]
    bed += lead * (up * open_**2)[:, None]
    return np.asarray(bed, dtype=np.float32)


def _to_length(samples: Samples, length: int) -> Samples:
    if len(samples) >= length:
        return samples[:length]
    return np.concatenate([samples, np.zeros((length - len(samples), 2), dtype=np.float32)])


def speaking(voice: Samples) -> Samples:
    """1.0 for each 10 ms in which somebody speaks, else 0.0."""
    count = -(-len(voice) // _HOP)
    padded = np.zeros(count * _HOP, dtype=np.float32)
    padded[: len(voice)] = np.abs(voice)
    return np.asarray(padded.reshape(count, _HOP).max(axis=1) > _SPEAKING, dtype=np.float32)


def _envelope(spoken: Samples, length: int) -> Samples:
    """How far the bed is up, 0–1, for each sample: 0 from before a word until after it, eased on both sides."""
    ahead, hold, attack, release = (
        round(s * RATE / _HOP) for s in (AHEAD_SECONDS, HOLD_SECONDS, ATTACK_SECONDS, RELEASE_SECONDS)
    )
    count = len(spoken)
    busy = np.convolve(spoken, np.ones(ahead + hold + 1), mode="full")[ahead : ahead + count] > 0
    level, value = np.empty(count, dtype=np.float64), 0.0 if count and busy[0] else 1.0
    for index in range(count):
        value = max(value - 1 / attack, 0.0) if busy[index] else min(value + 1 / release, 1.0)
        level[index] = value
    eased = level * level * (3 - 2 * level)
    return np.interp(np.arange(length), (np.arange(count) + 0.5) * _HOP, eased).astype(np.float32)


def _mean_power(samples: Samples, spoken: Samples | None) -> float:
    """K-weighted mean square over the blocks of 100 ms in which somebody speaks, or over all that sounds."""
    found = loudness.powers(samples)
    if spoken is not None:
        per = loudness.BLOCK // _HOP
        padded = np.zeros(len(found) * per, dtype=np.float32)
        padded[: len(spoken)] = spoken[: len(padded)]
        found = found[padded.reshape(-1, per).mean(axis=1) >= 0.5]
    found = found[found > 1e-9]
    return float(found.mean()) if found.size else 0.0


def room(voice: Samples, seed: int) -> Samples:
    """The voice in stereo with a short, quiet, dark room around it; it makes a dry synthetic voice easier to hear."""
    rng = np.random.default_rng(seeded(seed, "room"))
    length = round(0.32 * RATE)
    t = np.arange(length) / RATE
    kernel = np.ones(14) / 14  # darkens the reflections
    wet = []
    for _ in range(2):
        tail = np.convolve(rng.normal(0, 1, length), kernel, mode="same") * np.exp(-t * 17)
        tail[: round(0.009 * RATE)] = 0
        wet.append(_convolve(voice, (tail / np.sqrt(np.sum(tail**2))).astype(np.float32)))
    return np.stack([voice + 0.13 * wet[0], voice + 0.13 * wet[1]], axis=1).astype(np.float32)


def _convolve(signal: Samples, kernel: Samples) -> Samples:
    """Convolution in blocks (overlap-add), so that memory does not grow with the square of anything."""
    block = 1 << 16
    size = 1 << (block + len(kernel) - 1).bit_length()
    spectrum = np.fft.rfft(kernel, size)
    out = np.zeros(len(signal) + size, dtype=np.float32)
    for start in range(0, len(signal), block):
        piece = signal[start : start + block]
        if np.any(piece):
            out[start : start + size] += np.fft.irfft(np.fft.rfft(piece, size) * spectrum, size).astype(np.float32)
    return out[: len(signal)]
