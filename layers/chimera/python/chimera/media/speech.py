"""Holds captions against the sound: where somebody speaks, whether a cue stands there, and whether it starts in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

HOP_SECONDS = 0.02
_BAND_HZ = (300, 3400)
# in dB: under the loudest tenth a frame is a pause; under the speaking level half a second is no speech. A music bed that
# comes up between sentences is 9 dB below the voice or more.
_PAUSE_DB = 6.0
_SPEECH_DB = 5.0
_BRIDGED_SECONDS, _SHORTEST_SECONDS, _STEADY_SECONDS = 0.25, 0.1, 0.04
# A word's soft beginning: at most so long before it is loud, so much over the quietest moment of that time (a bed is ducked
# by then), not further under the loudest tenth, with no longer break in it than the closure of a stop.
_SOFT_SECONDS, _OVER_BED_DB, _SOFTEST_DB, _CLOSURE_SECONDS = 0.36, 8.0, 20.0, 0.06
_GAP_SECONDS = 0.15
Flags = NDArray[np.bool_]


def channel_levels(sound: NDArray[np.int16]) -> dict[str, Any]:
    """How far the quieter channel is below the louder one, in dB (RMS over the file; at most 90): 0 for equal ones."""
    if not len(sound):
        return {"channel_difference_db": None}
    power = np.array([np.mean(np.square(sound[:, side], dtype=np.float32)) for side in (0, 1)])
    level = 10 * np.log10(power + 1e-3)
    return {"channel_difference_db": round(min(90.0, float(abs(level[0] - level[1]))), 1)}


def hold_against_captions(
    sound: NDArray[np.int16], rate: int, cues: Sequence[tuple[float, float, str]]
) -> dict[str, Any]:
    """What the captions have to do with the sound.

    `captions_off_seconds`: the median distance between a cue that follows a pause in the captions and the nearest
    start of speech in the sound (None without such cues or without speech). `longest_uncaptioned_seconds`: the longest
    stretch that is as loud as speech in the band of speech (300–3400 Hz, half-second mean within 5 dB of the speaking
    level) while no cue is shown.
    """
    levels = _levels(sound, rate)
    if len(levels) < 50 or not cues or levels.max() < 0:  # under −60 dB of full scale throughout: nobody speaks
        return {"captions_off_seconds": None, "longest_uncaptioned_seconds": None}
    shown = np.zeros(len(levels), dtype=np.bool_)
    for start, end, _ in cues:
        shown[max(0, int(start / HOP_SECONDS)) : max(0, int(end / HOP_SECONDS))] = True
    power = 10 ** (levels / 10)
    mean = np.convolve(power, np.ones(25) / 25, "same")
    within = mean[shown]
    speaking = np.percentile(within if len(within) else mean, 75)
    loud = mean > speaking * 10 ** (-_SPEECH_DB / 10)
    bare = [end - start for start, end in _runs(loud & ~shown)]
    starts = np.array([start for start, _ in _runs(_speech(levels))]) * HOP_SECONDS
    return {
        "captions_off_seconds": _off(starts, cues),
        "longest_uncaptioned_seconds": round(max(bare, default=0) * HOP_SECONDS, 2),
    }


def _levels(sound: NDArray[np.int16], rate: int) -> NDArray[np.float32]:
    """Level of each 20 ms in the band of speech, in dB above −60 dB of full scale."""
    hop = int(rate * HOP_SECONDS)
    count = len(sound) // hop
    mono = sound[: count * hop].mean(axis=1, dtype=np.float32).reshape(count, hop) / 32768
    window = np.hanning(hop).astype(np.float32)
    first, last = (int(hz * HOP_SECONDS) for hz in _BAND_HZ)
    spectrum = np.fft.rfft(mono * window, axis=1)[:, first:last]
    power = (np.abs(spectrum) ** 2).sum(axis=1) * 2 / (hop * float(np.square(window).sum()))
    return np.asarray(10 * np.log10(power + 1e-10) + 60, dtype=np.float32)


def _speech(levels: NDArray[np.float32]) -> Flags:
    """Whether somebody speaks, for each 20 ms; short pauses are bridged, clicks left out."""
    loudest = float(np.percentile(levels, 90))
    loud: Flags = levels > loudest - _PAUSE_DB
    active = loud.copy()
    for start, end in _runs(~loud):
        if start > 0 and end < len(active) and (end - start) * HOP_SECONDS < _BRIDGED_SECONDS:
            active[start:end] = True
    for start, end in _runs(active):
        # what is loud for a moment before a word is an effect's peak, or a click
        steady = next((at for at, to in _runs(loud[start:end]) if (to - at) * HOP_SECONDS >= _STEADY_SECONDS), 0)
        first = _first_sound(levels, start + steady, loudest - _SOFTEST_DB)
        active[start : start + steady] = False
        active[first : start + steady] = True
    for start, end in _runs(active):
        if (end - start) * HOP_SECONDS < _SHORTEST_SECONDS:
            active[start:end] = False
    return active


def _first_sound(levels: NDArray[np.float32], loud: int, softest: float) -> int:
    """Where the speech that is loud at frame `loud` begins: often with a soft consonant or an unstressed syllable."""
    before = levels[max(0, loud - round(_SOFT_SECONDS / HOP_SECONDS)) : loud + 1]
    first = loud
    for back, sounds in enumerate((before > max(before.min() + _OVER_BED_DB, softest))[::-1]):
        if sounds:
            first = loud - back
        elif first - (loud - back) > _CLOSURE_SECONDS / HOP_SECONDS:
            break
    return first


def _off(starts: NDArray[Any], cues: Sequence[tuple[float, float, str]]) -> float | None:
    distances = []
    before = -1.0
    for start, end, _ in sorted(cues):
        if start - before >= _GAP_SECONDS and len(starts):
            distances.append(float(np.abs(starts - start).min()))
        before = max(before, end)
    return round(float(np.median(distances)), 3) if distances else None


def _runs(flags: Flags) -> list[tuple[int, int]]:
    """Start and end (exclusive) of each stretch of true ones."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]
