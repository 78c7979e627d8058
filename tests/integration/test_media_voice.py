"""The offline voice, really speaking, in its own process."""

from __future__ import annotations

import subprocess
import sys
import time
import wave
from itertools import pairwise
from pathlib import Path

import pytest

from chimera.adapters.voices.espeak import EspeakVoice
from chimera.errors import ChimeraError

TEXT = "OpenAI raised $4.2 billion in 2026 — that is 37% more, Dr. Smith said. 🚀 “It's huge!” At 120 km/h, everyone watched."


def test_every_word_has_a_time_and_times_never_run_back(tmp_path: Path) -> None:
    result = EspeakVoice().synthesize(TEXT, out_wav=tmp_path / "a.wav")
    assert [w.text for w in result.words] == TEXT.split()
    assert all(w.start <= w.end <= result.duration_seconds + 0.001 for w in result.words)
    assert all(a.start <= b.start for a, b in pairwise(result.words))
    times = {w.text: w for w in result.words}
    assert times["37%"].end - times["37%"].start > 0.4
    assert times["everyone"].start > times["said."].end
    with wave.open(str(tmp_path / "a.wav")) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(result.duration_seconds, abs=0.001)
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)


def test_the_same_text_gives_the_same_sound_and_speed_changes_the_length(tmp_path: Path) -> None:
    voice = EspeakVoice()
    first = voice.synthesize("Hello there, world.", out_wav=tmp_path / "a.wav")
    time.sleep(1.05)  # left alone, espeak-ng takes a seed for its noise from the clock's second
    again = voice.synthesize("Hello there, world.", out_wav=tmp_path / "b.wav")
    faster = voice.synthesize("Hello there, world.", speed_wpm=240, out_wav=tmp_path / "c.wav")
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes() and first.words == again.words
    assert faster.duration_seconds < first.duration_seconds


@pytest.mark.parametrize(
    ("voice", "text"),
    [
        ("en-us", ""),
        ("en-us", "🚀 — …"),
        ("ar", "مرحبا بالعالم"),
        ("cmn", "你好 世界"),
        ("en-us", "<b>x</b>\x00 {\\p1}"),
        ("de", "Größe 5 km"),
    ],
)
def test_odd_text_is_spoken_or_silent_but_never_an_error(tmp_path: Path, voice: str, text: str) -> None:
    result = EspeakVoice().synthesize(text, voice=voice, out_wav=tmp_path / "a.wav")
    assert result.duration_seconds > 0 and (tmp_path / "a.wav").stat().st_size > 44


def test_wrong_requests_say_what_came_and_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ChimeraError) as unknown:
        EspeakVoice().synthesize("hi", voice="xx-klingon", out_wav=tmp_path / "a.wav")
    assert unknown.value.code == "VALIDATION_FAILED" and "xx-klingon" in unknown.value.message
    with pytest.raises(ChimeraError) as fast:
        EspeakVoice().synthesize("hi", speed_wpm=9000, out_wav=tmp_path / "a.wav")
    assert "9000" in fast.value.message and "80–450" in fast.value.message
    assert not (tmp_path / "a.wav").exists()


def test_the_program_itself_never_links_espeak(tmp_path: Path) -> None:
    """GPL: the library may be mapped by the worker process only."""
    code = (
        "import sys; from pathlib import Path; from chimera.adapters.voices.espeak import EspeakVoice;"
        f"EspeakVoice().synthesize('hello', out_wav=Path({str(tmp_path / 'a.wav')!r}));"
        "assert 'espeakng_loader' not in sys.modules;"
        "assert 'libespeak' not in Path('/proc/self/maps').read_text()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_chinese_and_figures_are_said_for_as_long_as_they_take(tmp_path: Path) -> None:
    """One written word is a whole sentence there; its time must not end while it is still said."""
    for voice, text in (
        ("zh", "挪威在2015年推出了第一艘电动渡轮。"),
        ("ja", "初の電動フェリーを就航させた。20分で運ぶ。"),
    ):
        spoken = EspeakVoice().synthesize(text, voice=voice, out_wav=tmp_path / f"{voice}.wav")
        assert len(spoken.words) == 1 and spoken.words[0].end > 0.85 * spoken.duration_seconds, spoken
