"""What the voices that cost money have in common: they draw before they ask, and keep the sound before the call ends."""

from __future__ import annotations

import hashlib
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from chimera.adapters.paid.http import PaidHttp, Vendor
from chimera.adapters.voices import sound
from chimera.adapters.voices.alignment import align
from chimera.adapters.voices.onsets import Samples
from chimera.adapters.voices.script import Script, script_of
from chimera.domain.price_list import parse_prices, speech_cost
from chimera.errors import ChimeraError
from chimera.media.models import Times, VoiceResult, Word
from chimera.purse import PaidCall
from chimera.settings import keys_present

if TYPE_CHECKING:
    from chimera.plugins.hookspecs import ProviderContext

NATURAL_WPM = 165
"""What these voices speak at when they are not told to hurry, about; a speed is asked for as a part of it."""
SILENCE_SECONDS = 0.2


class BoughtVoice(ABC):
    """A voice of a vendor. `needs_keys` are the variables of its keys; nothing is sent without an open draw."""

    name: ClassVar[str]
    default_model: ClassVar[str]
    needs_keys: ClassVar[tuple[str, ...]]
    priority: ClassVar[int]
    max_characters: ClassVar[int]
    calls_each: ClassVar[int] = 1
    """How many calls, each billed for all characters, one text takes."""
    voice_ids: ClassVar[Sequence[str]]
    voice_form: ClassVar[re.Pattern[str]]
    speeds: ClassVar[tuple[float, float]]
    """Slowest and fastest, as parts of the natural speed."""
    origin = "trained_model"
    takes_lexicon = True
    takes_language = True
    paid = True

    def __init__(self, context: ProviderContext) -> None:
        self._settings = context.settings
        self._paid = context.paid
        named, _, model = context.settings.voice_model.partition(":")
        self.model = model if named == self.name and model else self.default_model
        self._http: PaidHttp = context.paid.vendor(self.vendor())

    @abstractmethod
    def vendor(self) -> Vendor:
        """Where the vendor is."""

    @property
    def ready(self) -> bool:
        """Whether its keys are set: in the environment or `.env`, on AWS by the deployment that names it."""
        if self._settings.world == "aws":
            return self._settings.voice_model.partition(":")[0] == self.name
        return keys_present(self.needs_keys) == set(self.needs_keys)

    def default_voice(self, language: str, index: int) -> str:
        """A voice of the vendor's for the index-th of several roles; two neighbouring indices differ."""
        return self.voice_ids[index % len(self.voice_ids)]

    def worst_case_micros(self, texts: Sequence[str], *, lexicon: Mapping[str, str] | None = None) -> int:
        """Micros that speaking these texts once cannot exceed: their characters at the list price, for each call."""
        return sum(self._price(len(script_of(text, "", lexicon).text)) * self.calls_each for text in texts)

    def synthesize(
        self,
        text: str,
        *,
        voice: str = "",
        speed_wpm: int = NATURAL_WPM,
        out_wav: Path,
        lexicon: Mapping[str, str] | None = None,
        language: str = "en",
    ) -> VoiceResult:
        """Speaks `text` into `out_wav` (16-bit mono PCM) for money; see `chimera.ports.Voice`.

        Besides the vendor's errors (`PaidHttp`) and those of a draw, `VALIDATION_FAILED` for a voice that is no id of the
        vendor's, a wrong speed or too long a text; nothing was sent then.
        """
        started = time.process_time()
        if not 80 <= speed_wpm <= 450:
            raise ChimeraError(
                "VALIDATION_FAILED", f"speed_wpm is {speed_wpm}; expected 80–450", {"speed_wpm": speed_wpm}
            )
        voice = voice or self.default_voice(language, 0)
        if not self.voice_form.fullmatch(voice):
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"voice {voice[:80]!r}: expected one of {self.name}, such as {self.default_voice(language, 0)}",
                {"voice": voice[:80], "provider": self.name},
            )
        script = script_of(text, language, lexicon)
        if len(script.text) > self.max_characters:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"text has {len(script.text)} characters; {self.name} speaks at most {self.max_characters} at once",
                {"characters": len(script.text), "provider": self.name},
            )
        if not script.speakable:
            return _silence(script, out_wav)
        slowest, fastest = self.speeds
        factor = round(min(max(speed_wpm / NATURAL_WPM, slowest), fastest), 2)
        words, times, length, rate = self._speak(script, voice, factor, language, out_wav)
        return VoiceResult(
            words=words,
            duration_seconds=length,
            sample_rate=rate,
            cpu_seconds=time.process_time() - started,
            times=times,
        )

    @abstractmethod
    def _speak(
        self, script: Script, voice: str, factor: float, language: str, out_wav: Path
    ) -> tuple[tuple[Word, ...], Times, float, int]:
        """Words, where their times are from, seconds and rate; the sound is in `out_wav`."""

    @contextmanager
    def _call(self, script: Script, what: str, *about: object) -> Iterator[PaidCall]:
        """A call under a draw of all its characters; booked as that once the body has kept what it bought."""
        micros = self._price(len(script.text))
        # the same words, voice and speed again are the same work
        digest = hashlib.sha256(repr((script.text, self.model, about)).encode()).hexdigest()[:20]
        item = f"characters of {self.name}/{self.model}"
        with self._paid.call(
            self._http, f"{what}-{digest}", micros, item, quantity=str(len(script.text)), unit="character"
        ) as call:
            yield call
            call.used(micros, str(len(script.text)))

    def _price(self, characters: int) -> int:
        return speech_cost(parse_prices(self._settings.price_list), f"{self.name}/{self.model}", characters)

    def _keep(self, out_wav: Path, samples: Samples, rate: int) -> tuple[Samples, float]:
        """Trims and writes the sound; gives what is left and the seconds cut in front. A silent one is refused."""
        kept, cut = sound.trimmed(samples, rate)
        if not len(kept) or float(abs(kept).max()) < 1:
            raise ChimeraError(
                "PROVIDER_REJECTED",
                f"{self.name} answered with silence",
                {"provider": self.name, "samples": len(samples)},
            )
        sound.write(out_wav, kept, rate)
        return kept, cut


def aligned(script: Script, samples: Samples, rate: int, language: str) -> tuple[tuple[Word, ...], Times, float, int]:
    """Words, where their times are from, seconds and rate of a sound whose voice gave no times."""
    found = align(script.pairs, samples, rate, language)
    return found.words, found.times, len(samples) / rate, rate


def _silence(script: Script, out: Path) -> VoiceResult:
    rate = sound.RATE
    sound.write(out, sound.samples_of(b"\0\0" * round(rate * SILENCE_SECONDS)), rate)
    words = tuple(Word(text=written, start=0.0, end=SILENCE_SECONDS) for written in script.written)
    return VoiceResult(words=words, duration_seconds=SILENCE_SECONDS, sample_rate=rate, cpu_seconds=0.0)
