"""Registers the built-in voices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chimera.plugins.hookspecs import Factory, hookimpl

if TYPE_CHECKING:
    from chimera.adapters.voices.espeak import EspeakVoice
    from chimera.plugins.hookspecs import ProviderContext


def _espeak(context: ProviderContext) -> EspeakVoice:
    from chimera.adapters.voices.espeak import EspeakVoice  # numpy is imported only by who speaks

    return EspeakVoice(context)


@hookimpl
def chimera_voices() -> list[Factory]:
    """The offline voice."""
    return [_espeak]
