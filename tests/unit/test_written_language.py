"""The language of a person's own words, as far as letters tell, so that a voice can read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera.adapters.voices.espeak import EspeakVoice
from chimera.domain.models import Persona
from chimera.domain.options import RunOptions
from chimera.domain.written_language import _BY_SCRIPT, written_language
from chimera.usecases.production import _reading


@pytest.mark.parametrize(
    ("text", "usual", "language"),
    [
        ("Norway put its first ferry to sea in 2015.", "en", "en"),
        ("Zürich liegt am See, größer als Bern.", "de", "de"),
        ("Zürich liegt am See.", "ar", "en"),
        ("أطلقت النرويج أول عبّارة كهربائية في عام 2015 (Ferry).", "en", "ar"),
        ("این کشتی برقی است و پنج دقیقه شارژ می‌شود، چرا گران؟", "en", "fa"),
        ("این کشتی", "fa", "fa"),
        ("נורווגיה השיקה מעבורת", "en", "he"),
        ("挪威在2015年推出了第一艘电动渡轮。", "en", "zh"),
        ("iPhone 和 Android 的用户今年第一次超过了十亿人。", "en", "zh"),
        ("ノルウェーは2015年に初の電動フェリーを就航させた。", "en", "ja"),
        ("เรือเฟอร์รี่ไฟฟ้าลำแรก", "en", "th"),
        ("Первый электрический паром", "en", "ru"),
        ("Перший електричний пором вийшов у море, і він їде тихо.", "en", "uk"),
        ("Първият електрически ферибот", "bg", "bg"),
        ("노르웨이 전기 여객선", "en", "ko"),
        ("A ferry 渡轮 sails and סירה too, as everybody here says.", "en", "en"),
        ("2015 🐙 ...", "de", "de"),
    ],
)
def test_letters_tell_the_language(text: str, usual: str, language: str) -> None:
    assert written_language(text, usual) == language


@given(st.text(max_size=200), st.sampled_from(["en", "de", "ar", "zh-CN", "ja", "xx", ""]))
def test_any_text_has_some_language(text: str, usual: str) -> None:
    assert written_language(text, usual) in {usual, *_BY_SCRIPT.values(), "fa", "ur", "uk"}


def test_the_built_in_voice_speaks_every_language_that_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    voice, folder = EspeakVoice(), tmp_path_factory.mktemp("said")
    for language in ("ar", "fa", "ur", "he", "zh", "ja", "th", "ru", "uk", "ko", "hi", "el"):
        said = voice.synthesize("2015", voice=voice.default_voice(language, 0), out_wav=folder / f"{language}.wav")
        assert said.duration_seconds > 0.3, language


def test_a_persona_reads_own_words_with_a_voice_that_can() -> None:
    persona = Persona(persona_id="p", name="P", voice_id="en-us+f2")
    other = _reading(persona, RunOptions.model_validate({"material": {"script": "挪威推出了第一艘电动渡轮。"}}))
    assert (other.language, other.voice_id) == ("zh", "zh")
    for options in ({}, {"material": {"script": "Hello there"}}, {"topic": "挪威推出了第一艘电动渡轮"}):
        assert _reading(persona, RunOptions.model_validate(options)) is persona
