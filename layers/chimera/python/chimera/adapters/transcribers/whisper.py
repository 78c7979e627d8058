"""Whisper by faster-whisper: on a GPU in half precision, else on the CPU in eight bits. Its weights are given, never fetched."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chimera.adapters.transcribers.sound import pcm16
from chimera.domain.transcripts import Segment, TimedWord, Transcript
from chimera.errors import ChimeraError

if TYPE_CHECKING:
    from chimera.plugins.hookspecs import ProviderContext

WEIGHTS = "model.bin"
"""What a folder of CTranslate2 weights has at least."""
GPU, CPU = ("cuda", "float16"), ("cpu", "int8")


class WhisperTranscriber:
    """faster-whisper 1.2 (MIT). `priority` below the embedded one's: it is taken wherever it is set up."""

    name = "faster-whisper"
    licence = "MIT (program); the weights' own"
    priority = 10
    rough = False

    def __init__(self, context: ProviderContext) -> None:
        self._folder = context.settings.whisper_model
        self._loaded: Any = None
        self._lock = threading.Lock()

    @property
    def model(self) -> str:
        """The weights' folder name."""
        return Path(self._folder).name if self._folder else ""

    @property
    def ready(self) -> bool:
        """Whether the library is installed and the weights are there."""
        return bool(self._folder) and self._weights().is_file() and _installed("faster_whisper")

    def transcribe(self, media: Path, *, language: str | None = None, word_timestamps: bool = True) -> Transcript:
        """Segments as Whisper cuts them. `NOT_FOUND` without weights, `VALIDATION_FAILED` for what it cannot read."""
        import numpy as np

        model = self._model()
        # decoded here: faster-whisper would open a playlist and all that it names
        sound = np.frombuffer(pcm16(media), dtype="<i2").astype(np.float32) / np.float32(32_768)
        try:
            with self._lock:  # one at a time: two would only share the same cores and memory
                found, info = model.transcribe(
                    sound, language=language, word_timestamps=word_timestamps, vad_filter=True
                )
                segments = [_segment(part) for part in found]  # a generator: the work is done here
        except ValueError as error:  # unknown language
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"{media.name} cannot be transcribed: {str(error)[:200]}",
                {"file": media.name, "language": language},
            ) from error
        return Transcript(
            language=str(info.language),
            segments=segments,
            engine=self.name,
            model=self.model,
            rough=self.rough,
            duration_seconds=round(float(info.duration), 3),
        )

    def _weights(self) -> Path:
        return Path(self._folder) / WEIGHTS

    def _model(self) -> Any:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> Any:
        if not self._folder or not self._weights().is_file():
            raise ChimeraError(
                "NOT_FOUND",
                f"whisper_model: got {self._folder or 'nothing'!r}, expected a folder with {WEIGHTS}; weights are not fetched",
                {"whisper_model": self._folder},
            )
        if not _installed("faster_whisper"):
            raise ChimeraError("NOT_FOUND", "faster-whisper is not installed", {"transcriber": self.name})
        from faster_whisper import WhisperModel

        try:
            return _opened(WhisperModel, self._folder, GPU if _has_gpu() else CPU)
        except RuntimeError:  # CTranslate2's: a GPU without its libraries, or out of memory
            return _opened(WhisperModel, self._folder, CPU)


def _opened(model: Any, folder: str, how: tuple[str, str]) -> Any:
    return model(folder, device=how[0], compute_type=how[1], local_files_only=True)


def _has_gpu() -> bool:
    if not _installed("ctranslate2"):
        return False
    import ctranslate2

    return int(ctranslate2.get_cuda_device_count()) > 0


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _segment(part: Any) -> Segment:
    words = [
        TimedWord(
            text=str(word.word).strip(),
            start=round(max(float(word.start), 0.0), 3),
            end=round(max(float(word.end), float(word.start), 0.0), 3),
            probability=min(max(float(word.probability), 0.0), 1.0),
        )
        for word in part.words or ()
        if str(word.word).strip()
    ]
    start, end = round(max(float(part.start), 0.0), 3), round(float(part.end), 3)
    return Segment(start=start, end=max(start, end), text=str(part.text).strip(), words=words)
