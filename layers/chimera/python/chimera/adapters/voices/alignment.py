"""Word times for voices that give none: forced alignment of the known script, else a guess that says it is one."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chimera.adapters.voices import onsets
from chimera.adapters.voices.sound import resampled
from chimera.adapters.voices.workers import ask
from chimera.errors import ChimeraError
from chimera.media.models import Times, Word

RATE = 16_000
MOST_SECONDS = 900.0
_TIMEOUT_SECONDS = 120.0
_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)*|[^\W\d_]+|\d+")


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """The words of a text with times in a sound, and where the times are from."""

    words: tuple[Word, ...]
    times: Times
    cpu_seconds: float = 0.0

    @property
    def matched(self) -> bool:
        """Whether the sound was found to be this text."""
        return self.times == "aligned"


def align(pairs: Sequence[tuple[str, str]], samples: onsets.Samples, rate: int, language: str) -> Alignment:
    """Times of the written words of `pairs` (as `spoken_words` gives them) in mono 16-bit samples.

    English is aligned with PocketSphinx; where that finds no path (a wrong script, very odd sound), and in any other
    language, the words are laid over the stretches of speech by their syllables and `times` says `estimated`.
    """
    tokens = [_tokens(said) for _, said in pairs]
    flat = [token for group in tokens for token in group]
    duration = len(samples) / rate
    if flat and language.lower().startswith("en") and 0.05 < duration <= MOST_SECONDS:
        times, used = _aligned(flat, samples, rate)
        if times is not None:
            silences = onsets.pauses(samples, rate)
            ends = [
                at == len(group) and onsets.ends_clause(written)
                for (written, _), group in zip(pairs, tokens, strict=True)
                for at in range(1, len(group) + 1)
            ]
            times = onsets.parted(onsets.mended(times, silences, duration), silences, ends)
            return Alignment(words=_words(pairs, tokens, times, duration), times="aligned", cpu_seconds=used)
    spans = onsets.guessed([said or written for written, said in pairs], samples, rate)
    words = tuple(_word(written, a, b) for (written, _), (a, b) in zip(pairs, spans, strict=True))
    return Alignment(words=words, times="estimated")


def _aligned(tokens: list[str], samples: onsets.Samples, rate: int) -> tuple[list[onsets.Span] | None, float]:
    with tempfile.TemporaryDirectory(prefix="align-") as folder:
        pcm = Path(folder) / "sound.pcm"
        pcm.write_bytes(np.clip(np.round(resampled(samples, rate, RATE)), -32_768, 32_767).astype("<i2").tobytes())
        try:
            answer = ask(
                "chimera.adapters.voices.alignment_worker", {"pcm": str(pcm), "words": tokens},
                timeout=_TIMEOUT_SECONDS, what="alignment",
            )  # fmt: skip
        except ChimeraError as error:
            if error.code not in {"PROVIDER_REJECTED", "PROVIDER_TIMEOUT"}:
                raise
            return None, 0.0  # a guess is better than no video
    found = answer["times"]
    return (None if found is None else [(float(a), float(b)) for a, b in found]), float(answer["cpu_seconds"])


def _tokens(said: str) -> list[str]:
    """What of a word the recogniser is asked for: lower case, without accents' marks in the punctuation."""
    return _TOKEN.findall(said.lower().replace("’", "'"))


def _words(
    pairs: Sequence[tuple[str, str]], tokens: list[list[str]], times: list[onsets.Span], duration: float
) -> tuple[Word, ...]:
    """Each written word from the start of its first spoken word to the end of its last; a silent one where it stands."""
    words: list[Word] = []
    at, here = 0, 0.0
    for (written, _), group in zip(pairs, tokens, strict=True):
        if group:
            start, here = times[at][0], times[at + len(group) - 1][1]
            at += len(group)
            words.append(_word(written, start, here))
        else:
            following = times[at][0] if at < len(times) else duration
            words.append(_word(written, here, min(max(here, following), duration)))
    return tuple(words)


def _word(written: str, start: float, end: float) -> Word:
    return Word(text=written, start=round(start, 3), end=round(max(start, end), 3))
