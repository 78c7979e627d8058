"""Makes the pauses of a voice as long as a persona wants them: tightened where they are longer, filled where shorter."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chimera.errors import ChimeraError
from chimera.media.models import VoiceResult, Word
from chimera.media.music.samples import Samples
from chimera.media.tighten import BETWEEN_SECONDS, INSIDE_SECONDS, changed_file, ends_sentence, tighten_file

_LEAST_SECONDS = 0.02
_NEAR_SECONDS = 0.06
_HOP_SECONDS = 0.005


def paced_file(path: Path, result: VoiceResult, after_sentence: float | None) -> VoiceResult:
    """A voice's WAV file with its pauses set, in place: after a sentence `after_sentence` seconds (None: at most 0.30)."""
    if after_sentence is None:
        return tighten_file(path, result)
    inside = min(INSIDE_SECONDS, max(after_sentence, _LEAST_SECONDS))
    tight = tighten_file(path, result, inside=inside, between=max(after_sentence, _LEAST_SECONDS))
    if after_sentence <= BETWEEN_SECONDS / 2:
        return tight
    return changed_file(path, tight, lambda samples, rate, words: filled(samples, rate, words, after_sentence))


def filled(
    samples: Samples, rate: int, words: tuple[Word, ...], after_sentence: float
) -> tuple[Samples, tuple[Word, ...]]:
    """Silence put in after each sentence but the last until its pause has `after_sentence` seconds; words move with it."""
    if not 0 < after_sentence <= 5:
        raise ChimeraError(
            "VALIDATION_FAILED", f"a pause of {after_sentence} s; expected more than 0 and at most 5 s", {}
        )
    pieces: list[Samples] = []
    moved: list[Word] = []
    position, added = 0, 0.0
    for index, word in enumerate(words):
        moved.append(word.model_copy(update={"start": round(word.start + added, 3), "end": round(word.end + added, 3)}))
        if index + 1 == len(words) or not ends_sentence(word.text):
            continue
        missing = after_sentence - max(words[index + 1].start - word.end, 0.0)
        if missing < _LEAST_SECONDS:
            continue
        at = max(_quietest(samples, rate, word.end, words[index + 1].start), position)
        pieces += [samples[position:at], np.zeros(round(missing * rate), dtype=np.float32)]
        position, added = at, added + round(missing * rate) / rate
    if not pieces:
        return samples, words
    return np.concatenate([*pieces, samples[position:]]), tuple(moved)


def _quietest(samples: Samples, rate: int, end: float, start: float) -> int:
    """The sample in the quietest 5 ms between two words, or near their seam where there is no pause."""
    low, high = (end, start) if start - end > 2 * _HOP_SECONDS else (end - _NEAR_SECONDS, start + _NEAR_SECONDS)
    hop = max(round(_HOP_SECONDS * rate), 1)
    first, last = max(round(low * rate), 0), min(round(high * rate), len(samples))
    starts = range(first, max(last - hop, first) + 1, hop)
    return min(starts, key=lambda at: float(np.abs(samples[at : at + hop]).max(initial=0.0))) + hop // 2
