"""The text that a voice from outside is given, and where in it each written word is, so that its times map back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from chimera.adapters.voices.lexicon import Lexicon
from chimera.adapters.voices.normalise import spoken_words
from chimera.errors import ChimeraError
from chimera.media.models import Word
from chimera.media.text import clean, without_emoji

MAX_CHARACTERS = 5_000


@dataclass(frozen=True, kw_only=True)
class Script:
    """`text` is sent; `written` are the words as people wrote them, `spans` where each stands in `text` (empty: unsaid).

    `said` is how each sounds, for forced alignment.
    """

    text: str
    written: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    said: tuple[str, ...]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Each word as written and as said."""
        return list(zip(self.written, self.said, strict=True))

    @property
    def speakable(self) -> bool:
        """Whether there is anything to say."""
        return any(c.isalnum() for c in self.text)


def script_of(text: str, language: str, lexicon: Mapping[str, str] | None = None) -> Script:
    """Cleaned text without emoji, words of the lexicon as respelled; numbers and acronyms are left to the voice.

    Entries in phonemes are for espeak-ng alone. `VALIDATION_FAILED` above 40,000 characters or for a wrong entry.
    """
    if len(text) > MAX_CHARACTERS * 8:
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"text has {len(text)} characters; at most {MAX_CHARACTERS} are spoken",
            {"text": len(text)},
        )
    sayings = Lexicon({word: said for word, said in (lexicon or {}).items() if said.strip()[:1] not in {"/", "["}})
    cleaned = clean(text, limit=MAX_CHARACTERS)
    pairs = spoken_words(cleaned, language or "en", sayings)
    plain = spoken_words(cleaned, "", sayings)  # no language: only the lexicon is followed
    parts: list[str] = []
    spans: list[tuple[int, int]] = []
    position = 0
    for written, sent in plain:
        sent = sent if sent in {",", "—"} or any(c.isalnum() for c in sent) else without_emoji(written)
        if not any(c.isalnum() for c in sent) and sent not in {",", "—", "–", "-"}:
            sent = ""
        spans.append((position, position + len(sent)))
        if sent:
            parts.append(sent)
            position += len(sent) + 1
    return Script(
        text=" ".join(parts),
        written=tuple(written for written, _ in pairs),
        spans=tuple(spans),
        said=tuple(said for _, said in pairs),
    )


def by_characters(script: Script, times: Sequence[float], *, last: bool) -> list[float | None]:
    """For each written word the time of its first (or last) letter or digit; None for a word that is not said."""
    found: list[float | None] = []
    for low, high in script.spans:
        heard = [t for c, t in zip(script.text[low:high], times[low:high], strict=True) if c.isalnum()]
        found.append((max(heard) if last else min(heard)) if heard else None)
    return found


def timed(
    script: Script, starts: Sequence[float | None], ends: Sequence[float | None], duration: float
) -> tuple[Word, ...]:
    """The written words from times that are known for some of them.

    A word without a start stands where the one before it ends, one without an end lasts until the next. Times are held in
    order and within `duration`.
    """
    begin: list[float] = []
    here = 0.0
    for index, start in enumerate(starts):
        if start is None:
            start = (ends[index - 1] if index else None) or here
        here = min(max(here, start, 0.0), duration)
        begin.append(here)
    words = []
    for index, (start, following) in enumerate(pairwise([*begin, duration])):
        end = ends[index]
        end = following if end is None else min(end, following)
        words.append(Word(text=script.written[index], start=round(start, 3), end=round(max(end, start), 3)))
    return tuple(words)
