"""The embedded transcriber: PocketSphinx with the US English model in its wheel; needs no weights, and is rough.

About every fourth word of clean read speech is wrong (0.27 word error rate on free decoding, docs/media-measurements.md), so
its transcripts say `rough`: to be searched and skimmed, not quoted.
"""

from __future__ import annotations

import importlib.util
import io
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chimera.adapters.transcribers.sound import RATE, pcm16
from chimera.domain.transcripts import Segment, TimedWord, Transcript
from chimera.errors import ChimeraError

if TYPE_CHECKING:
    from chimera.plugins.hookspecs import ProviderContext

FRAMES_A_SECOND = 100
_NO_WORD = re.compile(r"^(<.*>|\[.*\]|\+\+.*\+\+)$")
_VARIANT = re.compile(r"\(\d+\)$")


class SphinxTranscriber:
    """PocketSphinx 5.1 (BSD), English only. Deterministic: a decoder of its own for each file."""

    name = "pocketsphinx"
    model = "en-us (in the wheel)"
    licence = "BSD-2-Clause"
    priority = 90
    rough = True

    def __init__(self, context: ProviderContext | None = None) -> None:
        self._context = context
        self._lock = threading.Lock()

    @property
    def ready(self) -> bool:
        """Whether it is installed."""
        return importlib.util.find_spec("pocketsphinx") is not None

    def transcribe(self, media: Path, *, language: str | None = None, word_timestamps: bool = True) -> Transcript:
        """Segments between pauses. `VALIDATION_FAILED` for unreadable media and for any language but English."""
        if language and not language.lower().startswith("en"):
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"language: got {language[:20]!r}; {self.name} knows English only (set up Whisper for others)",
                {"language": language[:20]},
            )
        if not self.ready:
            raise ChimeraError("NOT_FOUND", "pocketsphinx is not installed", {"transcriber": self.name})
        sound = pcm16(media)
        with self._lock:
            found = self._decode(sound)
        segments = [s if word_timestamps else s.model_copy(update={"words": []}) for s in found]
        return Transcript(
            language="en",
            segments=segments,
            engine=self.name,
            model=self.model,
            rough=self.rough,
            duration_seconds=round(len(sound) / 2 / RATE, 3),
        )

    def _decode(self, sound: bytes) -> list[Segment]:
        from pocketsphinx import Decoder, Segmenter

        decoder: Any = Decoder(samprate=float(RATE), loglevel="FATAL")
        segments: list[Segment] = []
        for spoken in Segmenter(sample_rate=RATE).segment(io.BytesIO(sound)):
            decoder.start_utt()
            decoder.process_raw(spoken.pcm, full_utt=True)
            decoder.end_utt()
            words = [word for part in decoder.seg() or () if (word := _word(part, spoken.start_time))]
            if words:
                text = " ".join(word.text for word in words)
                segments.append(Segment(start=words[0].start, end=words[-1].end, text=text, words=words))
        return segments


def _word(part: Any, offset: float) -> TimedWord | None:
    text = _VARIANT.sub("", str(part.word))
    if _NO_WORD.match(text):
        return None
    start = round(offset + part.start_frame / FRAMES_A_SECOND, 3)
    end = round(offset + (part.end_frame + 1) / FRAMES_A_SECOND, 3)
    return TimedWord(text=text, start=start, end=max(start, end))
