"""The sound of a video from its plan: voice, bed and effects, in stretches, so that memory does not grow with length."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from chimera.media import audio, effects, loudness, mixing, process
from chimera.media.models import SoundUse
from chimera.media.music.bed import OURS, Bed, from_file, generated
from chimera.media.music.moods import mood_for
from chimera.media.music.samples import RATE, Samples, Strip
from chimera.media.timeline import Beds, Timeline

# Part of every sound's key: raise it when the same timeline would sound different.
VERSION = 1
_KEPT = 4


def kept(timeline: Timeline, folder: Path) -> tuple[Path, audio.Loudness, tuple[SoundUse, ...]]:
    """The sound of a timeline from `folder`, where it lies by the hash of what it is made of; made if it is not there.

    The last four are kept: a line that changes on screen only costs no sound. Errors as of `make`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob("*.making*"):  # of a render that was killed
        leftover.unlink(missing_ok=True)
    key = _key(timeline)
    path, notes = folder / f"{key}.m4a", folder / f"{key}.json"
    known = _read(notes) if path.exists() else None
    if known is None:
        found, used = make(timeline, folder / f"{key}.making.m4a")
        (folder / f"{key}.making.m4a").replace(path)
        said = {"loudness": asdict(found), "used": [use.model_dump(mode="json") for use in used]}
        temporary = folder / f"{key}.making.json"
        temporary.write_text(json.dumps(said), "utf-8")
        temporary.replace(notes)
        known = found, used
    else:
        path.touch()
    for old in sorted(folder.glob("*.m4a"), key=lambda p: (p == path, p.stat().st_mtime))[:-_KEPT]:
        old.unlink(missing_ok=True)
        old.with_suffix(".json").unlink(missing_ok=True)
    return path, *known


def _read(notes: Path) -> tuple[audio.Loudness, tuple[SoundUse, ...]] | None:
    try:
        said = json.loads(notes.read_text("utf-8"))
        return audio.Loudness(**said["loudness"]), tuple(SoundUse.model_validate(use) for use in said["used"])
    except (OSError, ValueError, KeyError, TypeError):  # none, or cut off: made again
        return None


def _key(timeline: Timeline) -> str:
    beds, fps = timeline.beds, timeline.fps
    made_of: dict[str, Any] = {
        "version": VERSION, "numpy": np.__version__, "ffmpeg": process.executable(), "seconds": timeline.seconds,
        "seed": timeline.seed, "beds": beds.model_dump(mode="json", exclude={"music_file"}),
        "music_file": _hash(beds.music_file) if beds.music_file is not None else "",
        "voices": [
            (round(c.start(fps) + c.voice_start, 6), _hash(c.scene.audio))
            for c in timeline.clips
            if c.scene.audio is not None
        ],
    }  # fmt: skip
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:32]


def _hash(path: Path) -> str:
    """The file's hash; nothing for one that cannot be read, of which `make` says why."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def make(timeline: Timeline, out: Path) -> tuple[audio.Loudness, tuple[SoundUse, ...]]:
    """Encodes the sound of a timeline to `out`; scratch files lie beside it while it is made.

    Raises `VALIDATION_FAILED` for a voice or music that cannot be read.
    """
    seconds, fps = timeline.seconds, timeline.fps
    samples = max(round(seconds * RATE), 1)
    names = ("voice", "bed", "mix")
    scratch = {name: out.with_name(f"{out.stem}.{name}.raw") for name in names}
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
