"""Cuts the pauses of a voice to a setting and moves its word times with them: listeners leave in silence."""

from __future__ import annotations

import os
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np

from chimera.errors import ChimeraError
from chimera.media.models import VoiceResult, Word
from chimera.media.music.samples import Samples

# What is left of a pause inside a sentence, and after one. People reading news pause 0.2–0.6 s between sentences.
INSIDE_SECONDS, BETWEEN_SECONDS = 0.16, 0.30
_QUIET = 10 ** (-42 / 20)  # against the loudest sample
_HOP_SECONDS = 0.005
_CROSSFADE_SECONDS = 0.006
_ENDS = (".", "!", "?", "…", "。", "！", "？", "؟", "।")
_CLOSERS = "\"'”’»)]"


def tighten(
    samples: Samples,
    rate: int,
    words: tuple[Word, ...],
    *,
    inside: float = INSIDE_SECONDS,
    between: float = BETWEEN_SECONDS,
) -> tuple[Samples, tuple[Word, ...]]:
    """Mono samples and words with every pause longer than its setting cut to it (seconds, ≥ 0.02), from its middle.

    A pause is over 5 ms frames under −42 dB of the loudest sample; it is `between` if the word before it ends a
    sentence. Times stay in order and inside the sound. Cut twice is the same as cut once.
    """
    if min(inside, between) < 0.02:
        raise ChimeraError("VALIDATION_FAILED", f"pauses of {inside} s and {between} s; expected at least 0.02 s", {})
    cuts = [
        (a, b)
        for start, stop in _pauses(samples, rate)
        if (cut := _cut(start, stop, rate, words, inside, between))
        for a, b in [cut]
    ]
    if not cuts:
        return samples, words
    fade = max(round(_CROSSFADE_SECONDS * rate), 1)
    pieces, position = [], 0
    for first, last in cuts:
        pieces.append(samples[position:first])
        position = last
    pieces.append(samples[position:])
    out = pieces[0].astype(np.float32)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    for piece, (first, _) in zip(pieces[1:], cuts, strict=True):
        # the first samples after the cut are blended from what would have come without it
        head = piece[:fade] * ramp[: len(piece)] + samples[first : first + fade][: len(piece)] * (
            1 - ramp[: len(piece)]
        )
        out = np.concatenate([out, head, piece[fade:]])
    points = [0.0, *(t / rate for cut in cuts for t in cut), len(samples) / rate]
    moved, gone = [0.0], 0
    for first, last in cuts:
        moved.append((first - gone) / rate)
        gone += last - first
        moved.append((last - gone) / rate)
    moved.append((len(samples) - gone) / rate)
    times = np.interp([t for w in words for t in (w.start, w.end)], points, moved)
    corrected = tuple(
        Word(text=w.text, start=round(float(times[2 * i]), 3), end=round(float(times[2 * i + 1]), 3))
        for i, w in enumerate(words)
    )
    return out, corrected


def tighten_file(
    path: Path, result: VoiceResult, *, inside: float = INSIDE_SECONDS, between: float = BETWEEN_SECONDS
) -> VoiceResult:
    """`tighten` for a voice's WAV file, in place."""
    return changed_file(
        path, result, lambda samples, rate, words: tighten(samples, rate, words, inside=inside, between=between)
    )


Change = Callable[[Samples, int, tuple[Word, ...]], tuple[Samples, tuple[Word, ...]]]


def changed_file(path: Path, result: VoiceResult, change: Change) -> VoiceResult:
    """A voice's WAV file (16 bit, mono) with its pauses changed in place, whole or not at all; its new words and length.

    Another kind of file is left as it is, and so is one in which no pause changed.
    """
    try:
        source = wave.open(str(path))  # noqa: SIM115 (closed below; only the opening may say that it is no WAV)
    except (wave.Error, EOFError):
        return result
    with source:
        if source.getsampwidth() != 2 or source.getnchannels() != 1:
            return result
        rate = source.getframerate()
        samples = np.frombuffer(source.readframes(source.getnframes()), dtype="<i2").astype(np.float32)
    changed, words = change(samples, rate, result.words)
    if len(changed) == len(samples):
        return result
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with wave.open(str(temporary), "wb") as target:
            target.setnchannels(1)
            target.setsampwidth(2)
            target.setframerate(rate)
            target.writeframes(np.clip(np.round(changed), -32_768, 32_767).astype("<i2").tobytes())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return result.model_copy(update={"words": words, "duration_seconds": len(changed) / rate})


def ends_sentence(word: str) -> bool:
    """Whether a written word is the last of its sentence."""
    return word.rstrip(_CLOSERS).endswith(_ENDS)


def _pauses(samples: Samples, rate: int) -> list[tuple[int, int]]:
    """Stretches of silence between sounds, in samples; not the ones at the ends."""
    hop = max(round(_HOP_SECONDS * rate), 1)
    count = len(samples) // hop
    if count < 3:
        return []
    peaks = np.abs(samples[: count * hop]).reshape(count, hop).max(axis=1)
    quiet = peaks <= max(float(peaks.max()) * _QUIET, 1e-9)
    edges = np.flatnonzero(np.diff(quiet.astype(np.int8)))
    starts = [int(e) + 1 for e in edges if quiet[e + 1]]
    stops = [int(e) + 1 for e in edges if not quiet[e + 1]]
    if stops and (not starts or stops[0] < starts[0]):
        stops = stops[1:]
    return [(a * hop, b * hop) for a, b in zip(starts, stops, strict=False)]


def _cut(
    start: int, stop: int, rate: int, words: tuple[Word, ...], inside: float, between: float
) -> tuple[int, int] | None:
    """What to take out of a pause, or None."""
    before = ""
    for word in words:
        if word.start * rate >= (start + stop) / 2:
            break
        before = word.text or before
    allowed = between if ends_sentence(before) else inside
    extra = (stop - start) - round(allowed * rate)
    if extra < round(0.02 * rate):  # not worth a seam, and so a second pass finds nothing
        return None
    middle = (start + stop) // 2
    return middle - extra // 2, middle - extra // 2 + extra
