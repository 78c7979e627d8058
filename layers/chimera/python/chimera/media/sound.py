"""The sound of a video from its plan: voice, bed and effects, in stretches, so that memory does not grow with length."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from chimera.media import audio, effects, loudness, mixing
from chimera.media.models import SoundUse
from chimera.media.music.bed import OURS, Bed, from_file, generated
from chimera.media.music.moods import mood_for
from chimera.media.music.samples import RATE, Samples, Strip
from chimera.media.timeline import Beds, Timeline


def make(timeline: Timeline, out: Path) -> tuple[audio.Loudness, tuple[SoundUse, ...]]:
    """Encodes the sound of a timeline to `out`; scratch files lie beside it while it is made.

    Raises `VALIDATION_FAILED` for a voice or music that cannot be read.
    """
    seconds, fps = timeline.seconds, timeline.fps
    samples = max(round(seconds * RATE), 1)
    names = ("voice", "bed", "mix")
    scratch = {name: out.with_name(f"{name}.raw") for name in names}
    try:
        parts = [(c.start(fps) + c.voice_start, c.scene.audio) for c in timeline.clips if c.scene.audio is not None]
        voice = _voice(parts, seconds, samples, scratch["voice"])
        bed, used = _bed(timeline.beds, seconds, timeline.seed, scratch["bed"])
        sounds = None
        if bed is not None and timeline.beds.effects:
            sounds = effects.track([(e.at, e.effect) for e in timeline.beds.effects], timeline.seed)
            used = (*used, *_effects_used(timeline))
        mix = mixing.Mix(
            voice.read if voice else _nothing, samples=samples, seed=timeline.seed, bed=bed,
            effects=sounds.read if sounds else None,
        )  # fmt: skip
        powers: list[Samples] = []

        def mixed() -> Iterator[Samples]:
            for buses in mix.blocks():
                block = buses.mixed()
                powers.append(loudness.powers(block))
                yield block

        whole = Strip.written(scratch["mix"], mixed(), channels=2)
        return audio.master(whole, np.concatenate(powers), out), used
    finally:
        for path in scratch.values():
            path.unlink(missing_ok=True)


def _voice(parts: list[tuple[float, Path]], seconds: float, samples: int, scratch: Path) -> audio.Voice | None:
    return audio.polish(audio.voice_track(parts, seconds), samples, scratch) if parts else None


def _nothing(_first: int, count: int) -> Samples:
    return np.zeros(count, dtype=np.float32)


def _bed(beds: Beds, seconds: float, seed: int, scratch: Path) -> tuple[Bed | None, tuple[SoundUse, ...]]:
    if beds.music_file is not None and beds.music != "off":
        bed, use = from_file(beds.music_file, seconds, scratch)
        return bed, (use,)
    if beds.music == "off":
        return None, ()
    bed, use = generated(mood_for(beds.tone) if beds.music == "auto" else beds.music, seconds, seed, scratch)
    return bed, (use,)


def _effects_used(timeline: Timeline) -> tuple[SoundUse, ...]:
    return tuple(
        SoundUse(
            kind="sound", name=name, author="Chimera", licence=OURS, source="chimera.media.effects", seed=timeline.seed
        )
        for name in sorted({event.effect for event in timeline.beds.effects})
    )
