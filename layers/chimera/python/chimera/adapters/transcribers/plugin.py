"""Registers the built-in transcribers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chimera.plugins.hookspecs import Factory, hookimpl

if TYPE_CHECKING:
    from chimera.adapters.transcribers.sphinx import SphinxTranscriber
    from chimera.adapters.transcribers.whisper import WhisperTranscriber
    from chimera.plugins.hookspecs import ProviderContext


def _whisper(context: ProviderContext) -> WhisperTranscriber:
    from chimera.adapters.transcribers.whisper import WhisperTranscriber

    return WhisperTranscriber(context)


def _sphinx(context: ProviderContext) -> SphinxTranscriber:
    from chimera.adapters.transcribers.sphinx import SphinxTranscriber

    return SphinxTranscriber(context)


@hookimpl
def chimera_transcribers() -> list[Factory]:
    """Whisper where its weights are set up; the embedded, rough one otherwise."""
    return [_whisper, _sphinx]
