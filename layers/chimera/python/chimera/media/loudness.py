"""Loudness of samples in memory, by ITU-R BS.1770-5: to set levels against each other without starting a process."""

from __future__ import annotations

import functools

import numpy as np

from chimera.media.music.samples import RATE, Samples

BLOCK = RATE // 10
SILENT_LUFS = -70.0
_BATCH = 256


@functools.lru_cache(maxsize=1)
def _weight() -> Samples:
    """|H|² of the K-weighting at the bins of one block: the two biquads of BS.1770, annex 1, at 48 kHz."""
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(2 * BLOCK))
    shelf = (1.53512485958697 - 2.69169618940638 * z + 1.19839281085285 * z**2) / (
        1 - 1.69065929318241 * z + 0.73248077421585 * z**2
    )
    high = (1 - 2 * z + z**2) / (1 - 1.99004745483398 * z + 0.99007225036621 * z**2)
    return np.asarray(np.abs(shelf * high) ** 2, dtype=np.float32)


def powers(samples: Samples) -> Samples:
    """K-weighted mean square of each 100 ms, channels added; mono counts once. The last block may be short."""
    channels = samples.reshape(len(samples), -1)
    count = -(-len(channels) // BLOCK)
    found = np.zeros(count, dtype=np.float32)
    weight = _weight()
    for first in range(0, count, _BATCH):
        blocks = min(_BATCH, count - first)
        piece = np.zeros((blocks * BLOCK, channels.shape[1]), dtype=np.float32)
        part = channels[first * BLOCK : (first + blocks) * BLOCK]
        piece[: len(part)] = part
        for channel in range(channels.shape[1]):
            # zeros after each block: what the filter rings on is counted with the block that caused it
            spectrum = np.fft.rfft(piece[:, channel].reshape(blocks, BLOCK), 2 * BLOCK, axis=1)
            energy = (spectrum.real**2 + spectrum.imag**2) * weight
            energy[:, 1:-1] *= 2
            found[first : first + blocks] += energy.sum(axis=1) / (2 * BLOCK) / BLOCK
    return found


def lufs(power: float) -> float:
    """A K-weighted mean square as LUFS; silence is −120."""
    return float(-0.691 + 10 * np.log10(max(power, 1e-12)))


def integrated(samples: Samples) -> float | None:
    """Integrated loudness with both gates of BS.1770 (400 ms, −70 LUFS, −10 LU); None for silence."""
    return gated(powers(samples))


def gated(blocks: Samples) -> float | None:
    """Integrated loudness of blocks from `powers`."""
    if not len(blocks):
        return None
    size = min(4, len(blocks))
    windows = np.convolve(blocks, np.ones(size) / size, mode="valid")
    loud = windows[windows > 10 ** ((SILENT_LUFS + 0.691) / 10)]
    if not loud.size:
        return None
    return lufs(float(loud[loud > loud.mean() / 10].mean()))
