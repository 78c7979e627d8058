"""The music bed: notes and sounds made here by arithmetic, so its licence is ours; the same seed, the same music."""

from __future__ import annotations

from typing import Any

import numpy as np

from chimera.media.theme import seeded

RATE = 48_000
Samples = np.ndarray[Any, np.dtype[np.float32]]

# Chords as semitones above the root of the key; four-chord turns that stay calm under a voice.
_PROGRESSIONS: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((-3, 0, 4, 7), (5, 9, 12, 16), (0, 4, 7, 11), (-5, 2, 7, 11)),
    ((0, 4, 7, 14), (-3, 4, 7, 12), (5, 9, 12, 14), (-5, 2, 7, 14)),
    ((2, 5, 9, 12), (-5, 2, 5, 11), (0, 4, 7, 11), (-3, 4, 7, 12)),
    ((-3, 0, 4, 11), (-5, -1, 2, 7), (5, 9, 12, 16), (0, 4, 7, 14)),
)
_ARPEGGIOS = ((0, 1, 2, 3, 2, 1, 2, 3), (0, 2, 1, 3, 2, 3, 1, 2), (3, 2, 1, 0, 1, 2, 3, 2))


def bed(seconds: float, seed: int) -> Samples:
    """Stereo music of that length, shape (samples, 2), peak about 0.5, faded in and out."""
    rng = np.random.default_rng(seeded(seed, "music"))
    total = max(round(seconds * RATE), 1)
    beat = 60.0 / float(rng.integers(84, 98))
    root = 196.0 * 2 ** (float(rng.integers(-5, 4)) / 12)  # around G3
    chords = _PROGRESSIONS[int(rng.integers(len(_PROGRESSIONS)))]
    arpeggio = _ARPEGGIOS[int(rng.integers(len(_ARPEGGIOS)))]
    bar = round(4 * beat * RATE)
    length = bar * len(chords)
    pad, pluck, low, drums = (np.zeros((length, 2), dtype=np.float32) for _ in range(4))
    for number, chord in enumerate(chords):
        start = number * bar
        for voice, step in enumerate(chord):
            pan = 0.5 + 0.32 * (voice / (len(chord) - 1) - 0.5) * 2
            _place(pad, start, _pad_note(root * 2 ** (step / 12), 4 * beat, rng), pan)
        for eighth, choice in enumerate(arpeggio):
            note = root * 2 ** ((chord[choice % len(chord)] + 12) / 12)
            sound = _pluck_note(note) * (1.0 if eighth % 4 == 0 else 0.72)
            for echo, (delay, level) in enumerate(((0.0, 1.0), (0.75, 0.34), (1.5, 0.14))):
                at = start + round((eighth * 0.5 + delay) * beat * RATE)
                _place(pluck, at, sound * level, 0.30 + 0.4 * ((eighth + echo) % 2))
        bass = root / 2 * 2 ** (min(chord) / 12)
        for position in (0.0, 1.5, 2.5):
            _place(low, start + round(position * beat * RATE), _bass_note(bass, beat), 0.5)
        for position in (0.0, 2.0):
            _place(drums, start + round(position * beat * RATE), _kick(), 0.5)
        for position in (0.5, 1.5, 2.5, 3.5):
            _place(drums, start + round(position * beat * RATE), _tick(rng), 0.62)
    return _arrange(total, bar, pad, pluck, low, drums)


def _arrange(total: int, bar: int, pad: Samples, pluck: Samples, low: Samples, drums: Samples) -> Samples:
    """Repeats the loop; plucks come in after half a bar, bass and pulse after two, both rest near the end."""
    out = np.zeros((total, 2), dtype=np.float32)
    length = len(pad)
    loops = -(-total // length)
    position = np.arange(total)
    for part, level, enters in ((pad, 0.60, 0), (pluck, 0.30, bar // 2), (low, 0.42, bar * 2), (drums, 0.22, bar * 2)):
        track = np.tile(part, (loops, 1))[:total]
        leave = max(total - bar, 0) if enters else total
        gate = np.clip((position - enters) / (RATE * 0.8), 0, 1) if enters else np.ones(total)
        if enters and total > 3 * bar:
            gate = gate * np.clip((leave - position) / (RATE * 0.8), 0, 1)
        out += track * (gate * level).astype(np.float32)[:, None]
    fade_in, fade_out = min(round(0.5 * RATE), total), min(round(1.8 * RATE), total)
    out[:fade_in] *= np.linspace(0, 1, fade_in, dtype=np.float32)[:, None]
    out[-fade_out:] *= (np.linspace(1, 0, fade_out, dtype=np.float32) ** 2)[:, None]
    peak = float(np.abs(out).max())
    return np.asarray(out * (0.5 / peak if peak > 0 else 1.0), dtype=np.float32)


def _place(track: Samples, start: int, sound: Samples, pan: float) -> None:
    """Adds a sound, wrapped round the loop's end so that it repeats without a seam."""
    length = len(track)
    stereo = np.stack(
        [sound * np.float32(np.cos(pan * np.pi / 2)), sound * np.float32(np.sin(pan * np.pi / 2))], axis=1
    )
    at = start % length
    while len(stereo):
        take = min(length - at, len(stereo))
        track[at : at + take] += stereo[:take]
        stereo, at = stereo[take:], 0


def _time(seconds: float) -> Samples:
    return np.asarray(np.arange(round(seconds * RATE)) / RATE, dtype=np.float32)


def _pad_note(frequency: float, seconds: float, rng: np.random.Generator) -> Samples:
    t = _time(seconds + 1.4)
    sound = np.zeros_like(t)
    for detune in (-0.9, 1.1):
        for harmonic in range(1, 6):
            phase = float(rng.uniform(0, 6.2832))
            sound += np.sin(6.2832 * (frequency * harmonic + detune * harmonic * 0.4) * t + phase) / harmonic**1.9
    attack, release = np.clip(t / 0.9, 0, 1), np.clip((t[-1] - t) / 1.6, 0, 1)
    shape = (attack * attack * (3 - 2 * attack) * release * release).astype(np.float32)
    return np.asarray(sound * shape * 0.16 * (1 + 0.12 * np.sin(6.2832 * 0.37 * t)), dtype=np.float32)


def _pluck_note(frequency: float) -> Samples:
    t = _time(0.9)
    sound = sum(np.sin(6.2832 * frequency * h * t) / h**1.5 * np.exp(-t * (4.2 + 2.6 * h)) for h in range(1, 6))
    return np.asarray(sound * np.clip(t / 0.004, 0, 1) * 0.5, dtype=np.float32)


def _bass_note(frequency: float, beat: float) -> Samples:
    t = _time(beat * 1.1)
    sound = np.sin(6.2832 * frequency * t) + 0.35 * np.sin(12.5664 * frequency * t) * np.exp(-t * 5)
    return np.asarray(
        sound * np.exp(-t * 2.4) * np.clip(t / 0.008, 0, 1) * np.clip((t[-1] - t) / 0.05, 0, 1), dtype=np.float32
    )


def _kick() -> Samples:
    t = _time(0.28)
    phase = 6.2832 * (48 * t + 60 / 26 * (1 - np.exp(-26 * t)))
    return np.asarray(np.sin(phase) * np.exp(-t * 13), dtype=np.float32)


def _tick(rng: np.random.Generator) -> Samples:
    t = _time(0.06)
    noise = np.diff(rng.normal(0, 1, len(t) + 2), n=2).astype(np.float32)  # twice differenced: only the highs are left
    return np.asarray(noise * np.exp(-t * 90) * 0.10, dtype=np.float32)
