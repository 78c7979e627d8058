"""The cue: what all captions, burned in or beside the video, are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from chimera.media.models import Word
from chimera.media.text import is_rtl

# Scripts that put no blank between words: Thai, Lao, Myanmar, Khmer; kana, Han, full-width forms. Hangul has blanks.
_SPACELESS = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x30FF), (0x31C0, 0x4DBF), (0x4E00, 0xA4CF),
    (0xF900, 0xFAFF), (0xFE30, 0xFE4F), (0xFF00, 0xFF65), (0x20000, 0x3FFFF),
)  # fmt: skip


@dataclass(frozen=True)
class Cue:
    """What stands on screen from `start` to `end` (seconds): lines of words, each word with its own time.

    `emphasis`: which words (counted through all lines) matter most: numbers, negations, superlatives, `*marked*` ones.
    """

    start: float
    end: float
    lines: tuple[tuple[Word, ...], ...]
    emphasis: frozenset[int] = frozenset()

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of all lines in reading order."""
        return tuple(word for line in self.lines for word in line)

    @property
    def text(self) -> str:
        """The lines, joined by line feeds."""
        return "\n".join(joined([w.text for w in line]) for line in self.lines)

    @property
    def rtl(self) -> bool:
        """Whether it is read from right to left (its first strong character decides)."""
        return is_rtl(self.text)

    @property
    def chars_per_second(self) -> float:
        """Reading speed: characters without line feeds per second on screen."""
        return len(self.text.replace("\n", " ")) / max(self.end - self.start, 1e-3)


@lru_cache(maxsize=16_384)
def spaceless(char: str) -> bool:
    """Whether the character is of a script without blanks between words."""
    code = ord(char)
    return code >= 0x0E00 and any(low <= code <= high for low, high in _SPACELESS)


def glued(before: str, after: str) -> bool:
    """Whether no blank belongs between two neighbouring words: their script has none."""
    if not before or not after:
        return True
    left, right = before[-1], after[0]
    if any(spaceless(c) and ord(c) >= 0x2E80 for c in (left, right)):
        return True  # Chinese and Japanese have no blank before Latin words or figures either
    return spaceless(left) and (spaceless(right) or not right.isalnum())


def joined(texts: Sequence[str]) -> str:
    """Words as one line, with a blank where their script has one."""
    line = ""
    for number, text in enumerate(texts):
        line += text if number == 0 or glued(texts[number - 1], text) else f" {text}"
    return line


def shifted(cues: Iterable[Cue], seconds: float) -> list[Cue]:
    """The cues later by `seconds` (their words too)."""

    def later(word: Word) -> Word:
        return Word(text=word.text, start=round(word.start + seconds, 3), end=round(word.end + seconds, 3))

    return [
        replace(
            c,
            start=round(c.start + seconds, 3),
            end=round(c.end + seconds, 3),
            lines=tuple(tuple(later(w) for w in line) for line in c.lines),
        )
        for c in cues
    ]
