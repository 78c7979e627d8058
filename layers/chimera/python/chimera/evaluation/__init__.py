"""Callables that score scripts take: one item in, one answer out, the product's own parts behind them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chimera.ports import Transcriber


@lru_cache(maxsize=1)
def _transcriber() -> Transcriber:
    from chimera.bootstrap import App
    from chimera.usecases.transcription import chosen

    app = App()
    return chosen(app.providers("transcribers"), app.settings.transcriber)


def transcribe(path: str) -> str:
    """What is said in a sound file, by the transcriber that is set up."""
    return _transcriber().transcribe(Path(path), word_timestamps=False).text
