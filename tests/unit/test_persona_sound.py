"""What a persona says of its sound reaches the voice and the render; a run's own wish comes first."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import pytest

from chimera.domain.models import BrandGuidelines
from chimera.media.models import VoiceResult, Word
from chimera.usecases.containers import _music
from chimera.usecases.speaking import _speak_all


class Voice:
    """Says 0.1 s of sound and 1 s of silence for each word; remembers what it was told."""

    def __init__(self, *, takes_lexicon: bool) -> None:
        self.takes_lexicon = takes_lexicon
        self.told: list[dict[str, Any]] = []

    def synthesize(self, text: str, *, out_wav: Path, **options: Any) -> VoiceResult:
        self.told.append(options)
        words, rate = text.split(), 8_000
        sound = ([8_000, -8_000] * 400 + [0] * rate) * len(words)
        with wave.open(str(out_wav), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(rate)
            out.writeframes(b"".join(s.to_bytes(2, "little", signed=True) for s in sound))
        times = tuple(Word(text=w, start=1.1 * i, end=1.1 * i + 0.1) for i, w in enumerate(words))
        return VoiceResult(words=times, duration_seconds=len(sound) / rate, sample_rate=rate, cpu_seconds=0)


@pytest.mark.parametrize("takes", [True, False])
def test_a_lexicon_goes_to_the_voices_that_take_one_and_pauses_are_cut_for_all(tmp_path: Path, takes: bool) -> None:
    voice = Voice(takes_lexicon=takes)
    (spoken,) = _speak_all(voice, ["One. Two three"], "en-us", 165, tmp_path, {"One": "wun"})
    assert [told.get("lexicon") for told in voice.told] == [{"One": "wun"} if takes else None]
    starts = [w.start for w in spoken.words]
    assert starts == pytest.approx([0, 0.4, 0.66], abs=0.02)  # 0.30 s after a sentence, 0.16 s inside one
    with wave.open(str(tmp_path / "scene-000.wav")) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(spoken.duration_seconds)


@pytest.mark.parametrize(
    ("asked", "persona", "found"),
    [
        ("", {}, {"music": "auto"}),
        ("", {"music": "calm"}, {"music": "calm"}),
        ("off", {"music": "calm"}, {"music": "off"}),
        ("file:/a/b.mp3", {"music": "off"}, {"music_file": Path("/a/b.mp3")}),
    ],
)
def test_the_runs_music_comes_before_the_personas(asked: str, persona: dict[str, str], found: dict[str, Any]) -> None:
    assert _music({"options": {"music": asked}, "persona": {"brand_guidelines": persona}}) == found


def test_a_persona_without_a_word_on_sound_has_the_automatic_one() -> None:
    plain = BrandGuidelines.model_validate({})
    assert (plain.music, plain.pronunciations) == ("auto", {})
    with pytest.raises(ValueError, match="polka"):
        BrandGuidelines.model_validate({"music": "polka"})
