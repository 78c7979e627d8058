"""OpenAI: speech without times (https://developers.openai.com/api/reference, «Create speech»); words by forced alignment."""

from __future__ import annotations

import re
from pathlib import Path

from chimera.adapters.paid.http import Vendor
from chimera.adapters.voices import sound
from chimera.adapters.voices.bought import BoughtVoice, aligned
from chimera.adapters.voices.script import Script
from chimera.media.models import Times, Word

RATE = 24_000


class OpenAIVoice(BoughtVoice):
    """`POST /v1/audio/speech`, answered with raw PCM: 24 kHz, 16 bit, mono.

    The models billed by tokens of sound (`gpt-4o-mini-tts`) have no list price for characters: they are refused until the
    setting `price_list` gives them one.
    """

    name = "openai"
    default_model = "tts-1-hd"
    needs_keys = ("OPENAI_API_KEY",)
    priority = 30
    max_characters = 4_096
    licence = "generated with OpenAI; its terms of use apply (the output belongs to who asked for it)"
    author = "OpenAI"
    source = "https://openai.com"
    voice_ids = ("nova", "onyx", "shimmer", "echo", "fable", "alloy")
    voice_form = re.compile(r"[a-z]{3,20}|voice_[A-Za-z0-9]{1,64}")
    speeds = (0.5, 2.0)

    def vendor(self) -> Vendor:
        """A bearer's key."""
        return Vendor(name=self.name, base_url=self._settings.openai_url, secret="OPENAI_API_KEY", timeout_seconds=90)  # noqa: S106

    def _speak(
        self, script: Script, voice: str, factor: float, language: str, out_wav: Path
    ) -> tuple[tuple[Word, ...], Times, float, int]:
        asked = {
            "model": self.model,
            "input": script.text,
            "voice": {"id": voice} if voice.startswith("voice_") else voice,
            "response_format": "pcm",
            "speed": factor,
        }
        with self._call(script, "speech", voice, factor) as call:
            answer = self._http.post("/v1/audio/speech", call, json=asked)
            kept, _ = self._keep(out_wav, sound.samples_of(answer.body), RATE)
        return aligned(script, kept, RATE, language)
