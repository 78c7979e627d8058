"""What was said and when: a transcript, the same from every engine."""

from __future__ import annotations

from pydantic import Field, model_validator

from chimera.domain.models import Model


class TimedWord(Model):
    """A word with its time in seconds from the start of the media; `probability` (0–1) where the engine gives one."""

    text: str
    start: float = Field(ge=0)
    end: float = Field(ge=0)
    probability: float | None = Field(default=None, ge=0, le=1)


class Segment(Model):
    """Something said in one go."""

    start: float = Field(ge=0)
    end: float = Field(ge=0)
    text: str
    words: list[TimedWord] = Field(default=[])

    @model_validator(mode="after")
    def _ordered(self) -> Segment:
        if self.end < self.start:
            raise ValueError(f"segment {self.text[:40]!r} ends at {self.end} before it starts at {self.start}")
        return self


class Transcript(Model):
    """Segments in order of time. `rough`: good enough to search, not to quote."""

    language: str
    segments: list[Segment]
    engine: str
    model: str = ""
    rough: bool = False
    duration_seconds: float = Field(ge=0)

    @property
    def text(self) -> str:
        """All that was said."""
        return " ".join(segment.text for segment in self.segments if segment.text)
