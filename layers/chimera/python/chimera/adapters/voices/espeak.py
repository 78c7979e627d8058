"""The offline voice: espeak-ng in a worker process of its own, with a time for every word of the text as written."""

from __future__ import annotations

import tempfile
import wave
from bisect import bisect_right
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chimera.adapters.voices.lexicon import Lexicon
from chimera.adapters.voices.normalise import spoken_words
from chimera.adapters.voices.workers import ask
from chimera.errors import ChimeraError
from chimera.media.models import VoiceResult, Word
from chimera.media.text import clean

if TYPE_CHECKING:
    from chimera.plugins.hookspecs import ProviderContext

MAX_CHARACTERS = 5_000
_TIMEOUT_SECONDS = 120.0
# Of 26 variants the one that a recogniser understands best (word errors 0.36; plain en-us 0.59): docs/media-measurements.md.
_VARIANT = "+f2"
VARIANTS = (_VARIANT, "+m3", "+f4", "+m7", "+f1", "+m1", "+f3", "+m5")
"""Voices for several roles: neighbours differ in pitch and timbre."""
_PITCH, _RANGE, _WORD_GAP = 42, 70, 1
# names people use that espeak-ng lacks
_ALIASES = {
    "en-gb": "en",
    "en-uk": "en",
    "zh": "cmn",
    "zh-cn": "cmn",
    "fr-fr": "fr",
    "de-de": "de",
    "es-es": "es",
    "it-it": "it",
}
_QUIET = 10 ** (-50 / 20)
_KEEP_SECONDS = 0.03


class EspeakVoice:
    """espeak-ng 1.52 (GPL-3.0, separate process). Deterministic: the same text gives the same samples."""

    name = "espeak-ng"
    model = "espeak-ng 1.52"
    licence = "output of a program, free of third-party rights (espeak-ng itself: GPL-3.0-or-later)"
    origin = "algorithm"
    author = "espeak-ng"
    source = "https://github.com/espeak-ng/espeak-ng"
    priority = 90
    paid = False
    takes_lexicon = True
    takes_language = False

    def __init__(self, context: ProviderContext | None = None) -> None:
        self._context = context

    @property
    def ready(self) -> bool:
        """Always: it comes with the program."""
        return True

    def default_voice(self, language: str, index: int) -> str:
        """The language's voice, in another variant for each of several roles."""
        language = language or "en-us"
        return (
            "en-us" + VARIANTS[index % len(VARIANTS)]
            if language == "en"
            else language + VARIANTS[index % len(VARIANTS)]
        )

    def synthesize(
        self,
        text: str,
        *,
        voice: str = "en-us",
        speed_wpm: int = 165,
        out_wav: Path,
        lexicon: Mapping[str, str] | None = None,
    ) -> VoiceResult:
        """Speaks `text` into `out_wav` (16-bit mono PCM), leading and trailing silence cut off.

        `voice` is an espeak-ng voice, with `+variant` if wanted; `speed_wpm` is 80–450. The words are those of the
        cleaned text split at spaces, in order, with times that never run backwards. Text with nothing to say gives
        0.2 s of silence. `lexicon` is how to say some words (`adapters.voices.lexicon`). Raises `VALIDATION_FAILED` for an unknown voice, a wrong speed or too long a text, and
        `PROVIDER_REJECTED` if the worker fails.
        """
        if not 80 <= speed_wpm <= 450:
            raise ChimeraError(
                "VALIDATION_FAILED", f"speed_wpm is {speed_wpm}; expected 80–450", {"speed_wpm": speed_wpm}
            )
        if len(text) > MAX_CHARACTERS * 8:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"text has {len(text)} characters; at most {MAX_CHARACTERS} are spoken",
                {"text": len(text)},
            )
        base, _, variant = voice.partition("+")
        name = _ALIASES.get(base.lower(), base) + (f"+{variant}" if variant else "")
        sayings = Lexicon(lexicon)
        pairs = spoken_words(clean(text, limit=MAX_CHARACTERS), voice, sayings)
        script, starts = _script(pairs)
        if not any(c.isalnum() for c in script):
            return _silence(pairs, out_wav)
        out_wav.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="voice-", dir=out_wav.parent) as folder:
            raw = Path(folder) / "raw.wav"
            answer = _ask_worker(
                {
                    "text": script, "voice": name if "+" in name else name + _VARIANT, "rate": speed_wpm,
                    "pitch": _PITCH, "range": _RANGE, "word_gap": _WORD_GAP, "out": str(raw),
                    "phonemes": sayings.has_phonemes,
                }
            )  # fmt: skip
            trimmed = Path(folder) / "trimmed.wav"
            rate = int(answer["sample_rate"])
            cut, duration = _trim(raw, trimmed)
            trimmed.replace(out_wav)
        words = _timed(pairs, starts, answer["words"], answer["ends"], cut, duration)
        return VoiceResult(
            words=tuple(words), duration_seconds=duration, sample_rate=rate, cpu_seconds=float(answer["cpu_seconds"])
        )


def _script(pairs: list[tuple[str, str]]) -> tuple[str, list[int]]:
    """The text to say and, for each written word, the character at which its part begins."""
    parts: list[str] = []
    starts: list[int] = []
    position = 0
    for _, said in pairs:
        starts.append(position)
        if said:
            parts.append(said)
            position += len(said) + 1
    return " ".join(parts), starts


def _ask_worker(request: dict[str, Any]) -> dict[str, Any]:
    answer = ask("chimera.adapters.voices.espeak_worker", request, timeout=_TIMEOUT_SECONDS, what="espeak-ng")
    if "error" in answer:
        code = "VALIDATION_FAILED" if answer.get("unknown_voice") else "PROVIDER_REJECTED"
        known = (
            "; expected a language it knows, such as en-us or de, and a +variant if wanted"
            if answer.get("unknown_voice")
            else ""
        )
        raise ChimeraError(code, str(answer["error"]) + known, {"voice": request["voice"]})
    return answer


def _trim(raw: Path, out: Path) -> tuple[float, float]:
    """Cuts silence at both ends; gives the seconds cut in front and the length left."""
    with wave.open(str(raw), "rb") as source:
        rate = source.getframerate()
        samples = np.frombuffer(source.readframes(source.getnframes()), dtype=np.int16)
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _QUIET * 32767)
    keep = round(_KEEP_SECONDS * rate)
    first = max(int(loud[0]) - keep, 0) if loud.size else 0
    last = min(int(loud[-1]) + keep, samples.size) if loud.size else samples.size
    with wave.open(str(out), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(rate)
        target.writeframes(samples[first:last].tobytes())
    return first / rate, (last - first) / rate


def _timed(
    pairs: list[tuple[str, str]],
    starts: list[int],
    events: list[list[int]],
    ends: list[int],
    cut: float,
    duration: float,
) -> list[Word]:
    """Gives every written word a time: from its first event, or, where the engine gave none, from its neighbours."""
    said = [i for i, (_, spoken) in enumerate(pairs) if any(c.isalnum() for c in spoken)]
    offsets = [starts[i] for i in said]
    begin: dict[int, float] = {}
    for position, _, milliseconds in events:
        index = bisect_right(offsets, position) - 1
        if index >= 0:
            begin.setdefault(said[index], min(max(milliseconds / 1000 - cut, 0.0), duration))
    known = sorted(begin)
    times = np.interp(range(len(pairs)), known, [begin[i] for i in known]) if known else np.zeros(len(pairs))
    times = np.maximum.accumulate(times)
    clause_ends = sorted(min(max(ms / 1000 - cut, 0.0), duration) for ms in ends)
    bounds = [*(float(t) for t in times), duration]
    words: list[Word] = []
    for (written, spoken), (start, following) in zip(pairs, pairwise(bounds), strict=True):
        end = following
        # the pause after a clause belongs to no word; where there are no blanks one word may hold several clauses
        inside = sum(c in "。！？、，；：" for c in (spoken or written)[:-1])
        ends_within = [clause_end for clause_end in clause_ends if start < clause_end < following]
        if len(ends_within) > inside:
            end = ends_within[inside]
        # no word of this length takes longer; what is over is a pause
        end = min(end, start + 0.30 + 0.11 * _letters(spoken or written))
        words.append(Word(text=written, start=round(start, 3), end=round(max(end, start), 3)))
    return words


def _letters(word: str) -> int:
    """How many letters of an alphabet the word is as long as, at most: a digit, or a Chinese character that espeak-ng
    knows by its name only, is said like several."""
    return sum(8 if c >= "\u2e80" else 4 if c.isdigit() else 1 for c in word)


def _silence(pairs: list[tuple[str, str]], out: Path) -> VoiceResult:
    rate, seconds = 22_050, 0.2
    out.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(out), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(rate)
        target.writeframes(b"\0\0" * round(rate * seconds))
    words = tuple(Word(text=written, start=0.0, end=seconds) for written, _ in pairs)
    return VoiceResult(words=words, duration_seconds=seconds, sample_rate=rate, cpu_seconds=0.0)
