"""Turns a score into sound: additive tones and shaped noise. Partials of all that plays under a voice end at 1 kHz."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chimera.media.music.placing import Placed, Track
from chimera.media.music.samples import RATE, Samples, Stems
from chimera.media.music.score import Note, Score

# Speech is understood by 1–4 kHz: what sounds under it keeps out of there.
GROUND_CEILING_HZ = 1_000.0
_LEAD_CEILING_HZ = 6_000.0
_FADE_IN, _FADE_OUT = 0.03, 1.2


class Performance:
    """A piece as stems of exactly `round(score.seconds × 48000)` samples, silent at both ends, read a stretch at a time.

    Each tone is made once, however often it is played.
    """

    def __init__(self, score: Score) -> None:
        self.samples = max(round(score.seconds * RATE), 1)
        mood, beat = score.mood, 60 / score.beats_a_minute
        self._pulse = _PULSES[mood.pulse]
        self._tones: dict[tuple[str, int, int], Samples] = {}
        levels = {
            "pad": 0.16 * mood.pad_level, "pulse": 0.20 * mood.pulse_level, "bass": 0.26 * mood.bass_level,
            "kick": 0.40 * mood.drum_level, "hat": 0.10 * mood.drum_level, "lead": 0.34 * mood.lead_level,
        }  # fmt: skip
        ground: list[Placed] = []
        lead: list[Placed] = []
        for note in score.notes:
            level = levels[note.part] * note.velocity
            if note.part != "lead":
                ground.append(self._placed(note, note.start, level, note.pan))
                continue
            lead.append(self._placed(note, note.start, level, note.pan))
            # two echoes, each on the other side
            lead.append(self._placed(note, note.start + 0.75 * beat, level * 0.30, 1 - note.pan))
            lead.append(self._placed(note, note.start + 1.5 * beat, level * 0.12, note.pan))
        self._ground, self._lead = Track(ground), Track(lead)

    def read(self, first: int, count: int) -> Stems:
        """A stretch of the piece."""
        level = self._fades(first, count)[:, None]
        return Stems(self._ground.read(first, count) * level, self._lead.read(first, count) * level)

    def _placed(self, note: Note, start: float, level: float, pan: float) -> Placed:
        tone, angle = self._tone(note), pan * np.pi / 2
        return Placed(
            round(start * RATE), len(tone), float(level * np.cos(angle)), float(level * np.sin(angle)), lambda: tone
        )

    def _tone(self, note: Note) -> Samples:
        key = (note.part, note.pitch, round(note.seconds * 1_000))
        if key not in self._tones:
            self._tones[key] = (self._pulse if note.part == "pulse" else _MAKERS[note.part])(note).astype(np.float32)
        return self._tones[key]

    def _fades(self, first: int, count: int) -> Samples:
        fade_in, fade_out = (min(round(s * RATE), self.samples // 2) for s in (_FADE_IN, _FADE_OUT))
        at = np.arange(first, first + count)
        level = np.ones(count, dtype=np.float32)
        if fade_in > 1 and fade_out > 1:
            level *= np.clip(at / (fade_in - 1), 0, 1).astype(np.float32)
            level *= np.clip((self.samples - 1 - at) / (fade_out - 1), 0, 1).astype(np.float32) ** 2
        return level


def perform(score: Score) -> Stems:
    """A whole piece in memory."""
    performance = Performance(score)
    return performance.read(0, performance.samples)


def _hertz(pitch: int) -> float:
    return float(440.0 * 2 ** ((pitch - 69) / 12))


def _time(seconds: float) -> Samples:
    return np.asarray(np.arange(max(round(seconds * RATE), 2)) / RATE, dtype=np.float32)


def _tones(t: Samples, hertz: float, slope: float, ceiling: float, damping: float = 0.0) -> Samples:
    """Harmonics up to `ceiling`, the h-th at 1/h^slope; with `damping` the higher ones die away sooner."""
    sound = np.zeros_like(t)
    for h in range(1, 9):
        if h > 1 and hertz * h > ceiling:
            break
        wave = np.sin(np.float32(2 * np.pi * hertz * h) * t)
        sound += wave * np.exp(-t * np.float32(damping * h)) / np.float32(h**slope) if damping else wave / h**slope
    return sound


def _edges(sound: Samples, attack: float, release: float) -> Samples:
    """Raised-cosine attack and release, so that no note begins or ends with a click."""
    rise, fall = (min(max(round(s * RATE), 2), len(sound) // 2) for s in (attack, release))
    sound[:rise] *= (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, rise))).astype(np.float32)
    sound[-fall:] *= (0.5 + 0.5 * np.cos(np.linspace(0, np.pi, fall))).astype(np.float32)
    return sound


def _pad(note: Note) -> Samples:
    t = _time(note.seconds + 0.9)  # it overlaps the next chord
    hertz = _hertz(note.pitch)
    sound = _tones(t, hertz * 0.9988, 1.9, GROUND_CEILING_HZ) + _tones(t, hertz * 1.0013, 1.9, GROUND_CEILING_HZ)
    return _edges(sound * np.float32(0.5), min(0.7, note.seconds / 2), 1.0)


def _pluck(note: Note) -> Samples:
    return _edges(_tones(_time(0.8), _hertz(note.pitch), 1.3, GROUND_CEILING_HZ, 3.4), 0.004, 0.08)


def _marimba(note: Note) -> Samples:
    t = _time(0.6)
    hertz = _hertz(note.pitch)
    bar = np.sin(np.float32(2 * np.pi * hertz) * t) * np.exp(-t * 7)
    if hertz * 3.9 < GROUND_CEILING_HZ:  # a wooden bar's second partial lies two octaves up
        bar += 0.3 * np.sin(np.float32(2 * np.pi * hertz * 3.9) * t) * np.exp(-t * 22)
    return _edges(bar.astype(np.float32), 0.004, 0.08)


def _keys(note: Note) -> Samples:
    t = _time(max(note.seconds * 1.5, 0.9))
    tremolo = 1 + 0.10 * np.sin(np.float32(2 * np.pi * 4.6) * t)
    return _edges(_tones(t, _hertz(note.pitch), 1.7, GROUND_CEILING_HZ, 1.1) * tremolo, 0.010, 0.25)


def _staccato(note: Note) -> Samples:
    return _edges(
        _tones(_time(min(note.seconds * 0.8, 0.24)), _hertz(note.pitch), 1.0, GROUND_CEILING_HZ, 4), 0.008, 0.07
    )


def _bass(note: Note) -> Samples:
    t = _time(note.seconds * 0.95)
    return _edges(_tones(t, _hertz(note.pitch), 1.6, 400.0) * np.exp(-t * np.float32(1.1)), 0.010, 0.06)


def _bell(note: Note) -> Samples:
    t = _time(max(note.seconds * 2.2, 0.7))
    return _edges(_tones(t, _hertz(note.pitch), 1.7, _LEAD_CEILING_HZ, 1.8), 0.008, 0.25)


def _kick(note: Note) -> Samples:
    t = _time(note.seconds)
    phase = np.float32(2 * np.pi) * (48 * t + 60 / 26 * (1 - np.exp(-26 * t)))
    return _edges((np.sin(phase) * np.exp(-t * 13)).astype(np.float32), 0.003, 0.05)


def _hat(note: Note) -> Samples:
    t = _time(note.seconds)
    noise = np.random.default_rng(note.pitch).normal(0, 0.25, len(t) + 3)
    high = np.diff(noise, n=3).astype(np.float32)  # differenced three times: −18 dB an octave below 12 kHz
    return _edges(high * np.exp(-t * 70), 0.002, 0.02)


_PULSES: dict[str, Callable[[Note], Samples]] = {
    "pluck": _pluck, "marimba": _marimba, "keys": _keys, "staccato": _staccato, "none": _pluck,
}  # fmt: skip
_MAKERS: dict[str, Callable[[Note], Samples]] = {
    "pad": _pad, "bass": _bass, "kick": _kick, "hat": _hat, "lead": _bell,
}  # fmt: skip
