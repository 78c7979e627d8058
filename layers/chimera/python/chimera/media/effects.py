"""Sounds on transitions, made here by arithmetic: a whoosh where pictures dissolve, a tick at a number, a soft hit."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np

from chimera.errors import ChimeraError
from chimera.media.music.placing import Placed, Track
from chimera.media.music.samples import RATE, Samples
from chimera.media.theme import seeded

Effect = Literal["whoosh", "tick", "hit"]
_WHOOSH_SECONDS, _WHOOSH_PEAK = 0.56, 0.5
# A transition without any effect in between rests the ear; of three, one stays silent.
_REST_EVERY = 3


def choose(kinds: tuple[str, ...], seed: int) -> tuple[Effect | None, ...]:
    """The effect at the start of each clip, by the kinds of the clips; none before the first. Pure."""
    chosen: list[Effect | None] = []
    for index, kind in enumerate(kinds):
        if index == 0:
            chosen.append(None)
        elif kind == "outro":
            chosen.append("hit")
        elif kind == "number":
            chosen.append("tick")
        else:
            chosen.append(None if (index + seeded(seed, "effects")) % _REST_EVERY == 0 else "whoosh")
    return tuple(chosen)


def track(changes: Iterable[tuple[float, str]], seed: int) -> Track:
    """A stereo track with each effect at its time (seconds); a whoosh is loudest at its time, and changes sides."""
    made: dict[tuple[str, bool], Samples] = {}
    placed = []
    for number, (when, name) in enumerate(changes):
        effect, right = _named(name), number % 2 == 0
        sound = made.setdefault((effect, right), make(effect, seed, right=right))
        before = round(_WHOOSH_SECONDS * _WHOOSH_PEAK * RATE) if effect == "whoosh" else 0
        placed.append(Placed(round(when * RATE) - before, len(sound), 1.0, 1.0, functools.partial(_same, sound)))
    return Track(placed)


def _same(sound: Samples) -> Samples:
    return sound


def _named(name: str) -> Effect:
    for effect in get_args(Effect):
        if effect == name:
            return effect  # type: ignore[no-any-return]
    raise ChimeraError(
        "VALIDATION_FAILED",
        f"there is no effect {name!r}; expected one of {', '.join(get_args(Effect))}",
        {"effect": name},
    )


def make(effect: Effect, seed: int, *, right: bool = True) -> Samples:
    """One effect in stereo, peak 1; a whoosh goes to the right or to the left."""
    mono, pan = {"whoosh": _whoosh, "tick": _tick, "hit": _hit}[effect](seed)
    angle = (pan if right else 1 - pan) * np.float32(np.pi / 2)
    sound = np.stack([mono * np.cos(angle), mono * np.sin(angle)], axis=1)
    return np.asarray(sound / max(float(np.abs(sound).max()), 1e-9), dtype=np.float32)


def _whoosh(seed: int) -> tuple[Samples, Samples]:
    """Noise whose band rises to the peak and falls again, made of frames in the frequency domain (overlap-add)."""
    length, size = round(_WHOOSH_SECONDS * RATE), 2_048
    noise = np.random.default_rng(seeded(seed, "whoosh")).normal(0, 1, length + size).astype(np.float32)
    window = np.hanning(size).astype(np.float32)
    hertz = np.fft.rfftfreq(size, 1 / RATE)
    swept = np.zeros(length + size, dtype=np.float32)
    for at in range(0, length, size // 4):
        place = at / length
        centre = 260 * 2 ** (2.2 * (1 - abs(place - _WHOOSH_PEAK) / _WHOOSH_PEAK))
        band = np.exp(-((np.log2(np.maximum(hertz, 1) / centre) / 0.9) ** 2))
        swept[at : at + size] += (
            np.fft.irfft(np.fft.rfft(noise[at : at + size] * window) * band, size).astype(np.float32) * window
        )
    swell = np.sin(np.pi * np.arange(length) / length) ** 3
    return np.asarray(swept[:length] * swell, dtype=np.float32), np.linspace(0.25, 0.75, length, dtype=np.float32)


def _tick(_seed: int) -> tuple[Samples, Samples]:
    t = np.arange(round(0.09 * RATE), dtype=np.float32) / RATE
    sound = np.sin(2 * np.pi * 880 * t) * np.exp(-t * 70) * np.clip(t / 0.002, 0, 1) * np.clip((0.09 - t) / 0.01, 0, 1)
    return sound.astype(np.float32), np.full(len(t), 0.5, dtype=np.float32)


def _hit(_seed: int) -> tuple[Samples, Samples]:
    t = np.arange(round(0.9 * RATE), dtype=np.float32) / RATE
    fall = 2 * np.pi * (62 * t + 50 / 14 * (1 - np.exp(-14 * t)))
    sound = np.sin(fall) * np.exp(-t * 5) * np.clip(t / 0.006, 0, 1) * np.clip((0.9 - t) / 0.1, 0, 1)
    return sound.astype(np.float32), np.full(len(t), 0.5, dtype=np.float32)
