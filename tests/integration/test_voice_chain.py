"""Who speaks, in what order, at what pace; what happens when a voice fails; what is written down of it."""

from __future__ import annotations

import wave
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chimera.adapters.voices.espeak import EspeakVoice
from chimera.errors import ChimeraError
from chimera.usecases.breakers import Breakers
from chimera.usecases.casting import Policy
from chimera.usecases.production import MadeContent
from chimera.usecases.speaking import FASTEST, SLOWEST, speak
from tests.fakes.speaking_stage import LINES, BeepVoice, content, down

ALL_PAID = Policy(paid_voices=True)


def voices(*given: Any) -> dict[str, Any]:
    """These, and one that stands in for espeak-ng at the end."""
    last = BeepVoice("espeak-ng", 90)
    return {v.name: v for v in (*given, last)}


def spoken(made: MadeContent, given: dict[str, Any], **more: Any) -> dict[str, Any]:
    speak(made, given, None, **{"breakers": Breakers(), **more})  # type: ignore[arg-type]
    return made.read("audio", "voice.json")


def sound_of(made: MadeContent, scene: dict[str, Any]) -> np.ndarray[Any, Any]:
    with wave.open(BytesIO(made.media.get_bytes(made.scope.key("audio", scene["audio"])))) as source:
        return np.frombuffer(source.readframes(source.getnframes()), dtype="<i2")


def test_one_voice_speaks_all_scenes_and_the_file_says_which(tmp_path: Path) -> None:
    made, given = content(tmp_path), voices()
    found = spoken(made, given)
    assert (found["provider"], found["model"], found["licence"]) == ("espeak-ng", "beep 1", "made for a test")
    assert [s["audio"] for s in found["scenes"]] == ["scene-000.wav", "scene-001.wav", "scene-002.wav"]
    assert [[w["text"] for w in s["words"]] for s in found["scenes"]] == [line.split() for line in LINES]
    assert {(s["provider"], s["times"], s["role"], s["origin"]) for s in found["scenes"]} == {
        ("espeak-ng", "engine", "narrator", "algorithm")
    }
    assert found["refused"] == [] and found["fingerprint"]
    for scene in found["scenes"]:
        assert len(sound_of(made, scene)) / 8_000 == pytest.approx(scene["duration"], abs=0.01)
    before = len(given["espeak-ng"].calls)
    assert speak(made, given, None, breakers=Breakers())["reused"]  # type: ignore[arg-type]
    assert len(given["espeak-ng"].calls) == before


def test_the_next_voice_speaks_the_whole_script_again(tmp_path: Path) -> None:
    made = content(tmp_path, voices={"narrator": {"provider": "first", "voice": "Ada"}})
    first = BeepVoice("first", 10, fails={1: down()})
    given = voices(first, BeepVoice("second", 20))
    found = spoken(made, given)
    assert [call["voice"] for call in first.calls] == ["Ada", "Ada"]  # it was let go at its second scene
    assert {s["provider"] for s in found["scenes"]} == {"second"}
    assert [call["text"] for call in given["second"].calls][:3] == list(LINES)
    assert given["second"].calls[0]["voice"] == "second-0"  # Ada is a voice of the first
    (refused,) = found["refused"]
    assert refused["provider"] == "first" and "PROVIDER_TIMEOUT" in refused["error"]
    assert given["espeak-ng"].calls == []


@pytest.mark.parametrize("code", ["PROVIDER_TIMEOUT", "PROVIDER_REJECTED", "RATE_LIMITED", "AGENT_OFFLINE"])
def test_a_failed_vendor_is_left_alone_until_it_has_cooled_down_then_tried_once(tmp_path: Path, code: str) -> None:
    now = [0.0]
    breakers = Breakers(cool_down=100, clock=lambda: now[0])
    vendor = BeepVoice("vendor", 10, fails={0: down(code), 1: down(code)})
    given = voices(vendor)
    assert spoken(content(tmp_path / "a"), given, breakers=breakers)["provider"] == "espeak-ng"
    found = spoken(content(tmp_path / "b"), given, breakers=breakers)
    assert found["provider"] == "espeak-ng" and len(vendor.calls) == 1
    assert "left alone" in found["refused"][0]["error"] and code in found["refused"][0]["error"]
    now[0] = 101.0
    assert spoken(content(tmp_path / "c"), given, breakers=breakers)["provider"] == "espeak-ng"
    assert len(vendor.calls) == 2  # one trial, which failed
    now[0] = 150.0
    assert spoken(content(tmp_path / "d"), given, breakers=breakers)["provider"] == "espeak-ng"
    assert len(vendor.calls) == 2
    now[0] = 202.0
    assert spoken(content(tmp_path / "e"), given, breakers=breakers)["provider"] == "vendor"
    assert spoken(content(tmp_path / "f"), given, breakers=breakers)["provider"] == "vendor"


def test_an_allowance_that_is_used_up_is_no_fault_of_the_vendor(tmp_path: Path) -> None:
    breakers = Breakers()
    vendor = BeepVoice("vendor", 10, fails={1: down("BUDGET_EXCEEDED")})
    found = spoken(content(tmp_path / "a"), voices(vendor), breakers=breakers)
    assert found["provider"] == "espeak-ng" and "BUDGET_EXCEEDED" in found["refused"][0]["error"]
    assert spoken(content(tmp_path / "b"), voices(vendor), breakers=breakers)["provider"] == "vendor"


@pytest.mark.parametrize("code", ["SYSTEM_STOPPED", "INVALID_SIGNATURE", "DATABASE_WAKING"])
def test_what_stops_a_production_is_not_talked_around(tmp_path: Path, code: str) -> None:
    made, given = content(tmp_path), voices(BeepVoice("vendor", 10, fails={0: down(code)}))
    with pytest.raises(ChimeraError) as caught:
        spoken(made, given)
    assert caught.value.code == code and given["espeak-ng"].calls == []
    assert made.read_or_none("audio", "voice.json") is None


def test_a_voice_that_costs_money_speaks_only_if_named_or_allowed(tmp_path: Path) -> None:
    dear = BeepVoice("dear", 10, paid=True)
    found = spoken(content(tmp_path / "a"), voices(dear))
    assert found["provider"] == "espeak-ng" and dear.calls == [] and found["refused"] == []
    assert spoken(content(tmp_path / "b"), voices(dear), policy=ALL_PAID)["provider"] == "dear"
    assert spoken(content(tmp_path / "c"), voices(dear), policy=Policy(preferred="dear"))["provider"] == "dear"
    named = content(tmp_path / "d", voices={"narrator": {"provider": "dear"}})
    assert spoken(named, voices(dear))["provider"] == "dear"
    # naming one does not let another one be paid when it fails
    other = BeepVoice("other", 5, paid=True)
    named = content(tmp_path / "e", voices={"narrator": {"provider": "dear"}})
    assert spoken(named, voices(BeepVoice("dear", 10, paid=True, fails={0: down()}), other))["provider"] == "espeak-ng"
    assert other.calls == []


def test_a_voice_that_is_not_set_up_is_passed_over_and_said(tmp_path: Path) -> None:
    absent = BeepVoice("absent", 10)
    absent.ready, absent.needs_keys = False, ("ABSENT_API_KEY",)  # type: ignore[attr-defined]
    found = spoken(content(tmp_path, voices={"narrator": {"provider": "absent"}}), voices(absent))
    assert found["provider"] == "espeak-ng" and "ABSENT_API_KEY" in found["refused"][0]["error"]


def test_an_unknown_provider_is_refused_and_the_known_ones_are_named(tmp_path: Path) -> None:
    made = content(tmp_path, voices={"narrator": {"provider": "elevenlab"}})
    with pytest.raises(ChimeraError) as caught:
        spoken(made, voices(BeepVoice("elevenlabs")))
    assert caught.value.code == "VALIDATION_FAILED"
    assert "'elevenlab'" in caught.value.message and "elevenlabs, espeak-ng" in caught.value.message


def test_a_wrong_voice_of_the_named_provider_ends_it_but_anothers_does_not(tmp_path: Path) -> None:
    made = content(tmp_path / "a", voices={"narrator": {"provider": "vendor", "voice": "nobody"}})
    with pytest.raises(ChimeraError) as caught:
        spoken(made, voices(BeepVoice("vendor", 10, fails={0: down("VALIDATION_FAILED")})))
    assert caught.value.code == "VALIDATION_FAILED"
    picky = BeepVoice("picky", 10, fails={0: down("VALIDATION_FAILED")})
    assert spoken(content(tmp_path / "b"), voices(picky))["provider"] == "espeak-ng"


def test_the_pace_is_fitted_to_the_asked_duration_with_the_same_voice(tmp_path: Path) -> None:
    given = voices()
    long, short = spoken(content(tmp_path / "a", seconds=60), given), spoken(content(tmp_path / "b", seconds=2), given)
    assert (long["speed_wpm"], short["speed_wpm"]) == (SLOWEST, FASTEST)
    assert sum(s["duration"] for s in long["scenes"]) > sum(s["duration"] for s in short["scenes"])


def test_a_second_pace_that_fails_keeps_the_first(tmp_path: Path) -> None:
    made = content(tmp_path, seconds=60)
    vendor = BeepVoice("vendor", 10, fails={4: down()})
    found = spoken(made, voices(vendor))
    assert found["provider"] == "vendor" and found["speed_wpm"] == 165
    assert "kept its first pace" in found["refused"][0]["error"]
    for scene in found["scenes"]:  # sound and times are of the same pass
        assert len(sound_of(made, scene)) / 8_000 == pytest.approx(scene["duration"], abs=0.01)


def test_a_role_with_its_own_speed_is_not_fitted_and_its_pauses_are_kept(tmp_path: Path) -> None:
    choice = {"words_per_minute": 120, "pause_seconds": 1.2}
    given = voices()
    found = spoken(content(tmp_path, seconds=60, voices={"narrator": choice}), given)
    assert found["speed_wpm"] == 120 and {call["speed_wpm"] for call in given["espeak-ng"].calls} == {120}
    words = found["scenes"][1]["words"]
    (end,) = (n for n, w in enumerate(words[:-1]) if w["text"].endswith("."))
    assert words[end + 1]["start"] - words[end]["end"] == pytest.approx(1.2, abs=0.03)
    assert words[1]["start"] - words[0]["end"] == pytest.approx(0.16, abs=0.03)


def test_each_role_has_one_voice_of_its_own_and_a_persona_may_choose_it(tmp_path: Path) -> None:
    who = ("host", "guest", "host")
    vendor, given = BeepVoice("vendor", 10), voices(BeepVoice("vendor", 10))
    given["vendor"] = vendor
    found = spoken(content(tmp_path / "a", speakers=who), given)
    assert [s["role"] for s in found["scenes"]] == list(who)
    assert [s["voice"] for s in found["scenes"]] == ["vendor-0", "vendor-1", "vendor-0"]
    # one role's provider fails: the other keeps its own
    failing = BeepVoice("guests", 60, fails={0: down()})
    made = content(tmp_path / "b", speakers=who, voices={"guest": {"provider": "guests"}})
    found = spoken(made, voices(vendor, failing))
    assert [s["provider"] for s in found["scenes"]] == ["vendor", "vendor", "vendor"]
    made = content(tmp_path / "c", speakers=who, voices={"guest": {"provider": "espeak-ng", "voice": "en-gb+f4"}})
    found = spoken(made, voices(vendor))
    assert [(s["provider"], s["voice"]) for s in found["scenes"]][1] == ("espeak-ng", "en-gb+f4")
    assert found["roles"]["guest"]["provider"] == "espeak-ng" and found["roles"]["host"]["provider"] == "vendor"


def pitch(samples: np.ndarray[Any, Any], rate: int = 22_050) -> float:
    """Hertz: the median over frames of where a voice's autocorrelation peaks, 60–400."""
    found, size = [], 1_024
    for at in range(0, len(samples) - size, size):
        frame = samples[at : at + size].astype(float)
        if np.abs(frame).max() > 2_000:
            same = np.correlate(frame, frame, "full")[size - 1 :]
            low, high = rate // 400, rate // 60
            found.append(rate / (low + int(np.argmax(same[low:high]))))
    return float(np.median(found))


def test_two_roles_without_a_choice_sound_different_with_espeak(tmp_path: Path) -> None:
    made = content(
        tmp_path, lines=("Good morning to you.", "Good morning to you.", "Bye."), speakers=("host", "guest", "host")
    )
    found = spoken(made, {"espeak-ng": EspeakVoice()})
    first, second, _ = found["scenes"]
    assert first["voice"] == "en-us" and second["voice"] == "en-us+m3"
    assert not np.array_equal(sound_of(made, first), sound_of(made, second))

    assert abs(pitch(sound_of(made, first)) - pitch(sound_of(made, second))) > 15
    again = content(tmp_path / "again", lines=LINES, speakers=("guest", "host", "guest"))
    assert spoken(again, {"espeak-ng": EspeakVoice()})["roles"]["guest"]["voice"] == "en-us+m3"  # whoever begins


def test_a_role_that_the_persona_does_not_know_speaks_as_the_narrator_does(tmp_path: Path) -> None:
    narrator = {"provider": "vendor", "voice": "Ada", "words_per_minute": 150}
    who = ("narrator", "expert", "narrator")
    found = spoken(content(tmp_path, speakers=who, voices={"narrator": narrator}), voices(BeepVoice("vendor")))
    assert {s["provider"] for s in found["scenes"]} == {"vendor"} and {s["speed_wpm"] for s in found["scenes"]} == {150}
    assert found["scenes"][0]["voice"] == "Ada" and found["scenes"][1]["voice"] != "Ada"
    alone = content(tmp_path / "alone", speakers=("anchor", "anchor", "anchor"), voices={"narrator": narrator})
    assert {s["voice"] for s in spoken(alone, voices(BeepVoice("vendor")))["scenes"]} == {"Ada"}


def test_a_scene_without_words_is_silent_and_costs_nothing(tmp_path: Path) -> None:
    given = voices()
    made = content(tmp_path, lines=(LINES[0], "", LINES[2]), speakers=("narrator",) * 3)
    found = spoken(made, given)
    assert found["scenes"][1] == {"audio": "", "duration": 0.0, "words": [], "role": "narrator", "times": "engine"}
    assert "" not in {call["text"] for call in given["espeak-ng"].calls}
    empty = content(tmp_path / "b", lines=("", ""), speakers=("narrator", "host"))
    with pytest.raises(ChimeraError, match="narration"):
        spoken(empty, given)


@pytest.mark.parametrize("takes", [True, False])
def test_a_lexicon_and_a_language_go_to_the_voices_that_take_them(tmp_path: Path, takes: bool) -> None:
    vendor = BeepVoice("vendor", 10)
    vendor.takes_lexicon = takes
    vendor.takes_language = takes  # type: ignore[attr-defined]
    made = content(tmp_path, lexicon={"Ferries": "fairies"}, voice_id="en-gb")
    spoken(made, voices(vendor))
    assert vendor.calls[0].get("lexicon") == ({"Ferries": "fairies"} if takes else None)
    assert vendor.calls[0].get("language") == ("en-gb" if takes else None)


def test_sound_that_was_paid_for_is_not_bought_again_after_a_break(tmp_path: Path) -> None:
    made = content(tmp_path)
    dear = BeepVoice("dear", 10, paid=True, fails={2: down("DATABASE_WAKING")})
    with pytest.raises(ChimeraError):
        spoken(made, voices(dear), policy=ALL_PAID)
    found = spoken(made, voices(dear), policy=ALL_PAID)
    assert found["provider"] == "dear"
    bought = [(call["text"], call["speed_wpm"]) for call in dear.calls]
    assert bought[:4] == [(LINES[0], 165), (LINES[1], 165), (LINES[2], 165), (LINES[2], 165)]
    assert bought[4:] == list(dict.fromkeys(bought[4:]))
    for scene in found["scenes"]:
        assert len(sound_of(made, scene)) / 8_000 == pytest.approx(scene["duration"], abs=0.01)
