"""Registers the built-in voices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chimera.plugins.hookspecs import Factory, hookimpl

if TYPE_CHECKING:
    from chimera.adapters.voices.elevenlabs import ElevenLabsVoice
    from chimera.adapters.voices.espeak import EspeakVoice
    from chimera.adapters.voices.openai import OpenAIVoice
    from chimera.adapters.voices.polly import PollyVoice
    from chimera.adapters.voices.recording import RecordedVoice
    from chimera.plugins.hookspecs import ProviderContext


def _espeak(context: ProviderContext) -> EspeakVoice:
    from chimera.adapters.voices.espeak import EspeakVoice  # numpy is imported only by who speaks

    return EspeakVoice(context)


def _recording(context: ProviderContext) -> RecordedVoice:
    from chimera.adapters.voices.recording import RecordedVoice

    return RecordedVoice(context)


def _elevenlabs(context: ProviderContext) -> ElevenLabsVoice:
    from chimera.adapters.voices.elevenlabs import ElevenLabsVoice

    return ElevenLabsVoice(context)


def _openai(context: ProviderContext) -> OpenAIVoice:
    from chimera.adapters.voices.openai import OpenAIVoice

    return OpenAIVoice(context)


def _polly(context: ProviderContext) -> PollyVoice:
    from chimera.adapters.voices.polly import PollyVoice

    return PollyVoice(context)


@hookimpl
def chimera_voices() -> list[Factory]:
    """The offline voice, the user's own, and those of vendors."""
    return [_espeak, _recording, _elevenlabs, _openai, _polly]
