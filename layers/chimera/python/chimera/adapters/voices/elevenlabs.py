"""ElevenLabs: speech with a time for each character (https://elevenlabs.io/docs/api-reference/text-to-speech)."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import Any

from chimera.adapters.paid.http import Vendor
from chimera.adapters.voices import sound
from chimera.adapters.voices.bought import BoughtVoice, aligned
from chimera.adapters.voices.script import Script, by_characters, timed
from chimera.errors import ChimeraError
from chimera.media.models import Times, Word

RATE = 24_000
_OUTPUT = "pcm_24000"


class ElevenLabsVoice(BoughtVoice):
    """`POST /v1/text-to-speech/{voice}/with-timestamps`, one call a text; sound as PCM, so nothing is decoded."""

    name = "elevenlabs"
    default_model = "eleven_multilingual_v2"
    needs_keys = ("ELEVENLABS_API_KEY",)
    priority = 20
    max_characters = 5_000
    licence = "generated with ElevenLabs; its terms of service apply (commercial use needs a paid plan)"
    author = "ElevenLabs"
    source = "https://elevenlabs.io"
    # premade voices: George, Sarah, Brian, Alice
    voice_ids = ("JBFqnCBsd6RMkjVDRZzb", "EXAVITQu4vr4xnSDxMaL", "nPczCjzI2devNBz1zQrb", "Xb7hH8MSUJpSbSDYk0k2")
    voice_form = re.compile(r"[A-Za-z0-9]{8,64}")
    speeds = (0.7, 1.2)

    def vendor(self) -> Vendor:
        """Its key travels in a header of its own."""
        return Vendor(
            name=self.name,
            base_url=self._settings.elevenlabs_url,
            secret="ELEVENLABS_API_KEY",  # noqa: S106 (the variable's name)
            header="xi-api-key",
            scheme="",
            timeout_seconds=90,
        )

    def _speak(
        self, script: Script, voice: str, factor: float, language: str, out_wav: Path
    ) -> tuple[tuple[Word, ...], Times, float, int]:
        asked = {"text": script.text, "model_id": self.model, "voice_settings": {"speed": factor}}
        with self._call(script, "speech", voice, factor) as call:
            answer = self._http.post(
                f"/v1/text-to-speech/{voice}/with-timestamps", call, json=asked, query={"output_format": _OUTPUT}
            ).json()
            kept, cut = self._keep(out_wav, sound.samples_of(_bytes(answer)), RATE)
        times = _times(answer, script.text)
        if times is None:
            return aligned(script, kept, RATE, language)
        length = len(kept) / RATE
        length = len(kept) / RATE
        starts, ends = ([min(max(t - cut, 0.0), length) for t in side] for side in times)
        first, last = by_characters(script, starts, last=False), by_characters(script, ends, last=True)
        return timed(script, first, last, length), "engine", length, RATE


def _bytes(answer: Any) -> bytes:
    try:
        return base64.b64decode(answer["audio_base64"], validate=True)
    except (KeyError, TypeError, binascii.Error) as error:
        raise ChimeraError(
            "PROVIDER_REJECTED", f"elevenlabs: the answer has no sound ({type(error).__name__})", {}
        ) from error


def _times(answer: Any, text: str) -> tuple[list[float], list[float]] | None:
    """Start and end of each character that was sent; None unless the answer has all of them."""
    found = answer.get("alignment")
    if not isinstance(found, dict):
        return None
    try:
        characters = found["characters"]
        starts = [float(t) for t in found["character_start_times_seconds"]]
        ends = [float(t) for t in found["character_end_times_seconds"]]
    except (KeyError, TypeError, ValueError):
        return None
    whole = isinstance(characters, list) and "".join(map(str, characters)) == text
    return (starts, ends) if whole and len(starts) == len(ends) == len(text) else None
