"""One suite for every voice: espeak-ng itself, the user's recording of it, and the vendors' adapters against servers here.

No vendor was asked: `tests/fakes/voice_vendors.py` speaks their documented wire on a loopback socket.
"""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chimera.adapters.paid.http import PaidFactory, Vault
from chimera.adapters.postgres.database import Database
from chimera.domain.bill import is_unknown
from chimera.errors import ChimeraError
from chimera.media.models import VoiceResult
from chimera.media.text import clean
from chimera.plugins.hookspecs import ProviderContext
from chimera.plugins.loader import factories
from chimera.purse import Purse
from chimera.settings import Settings
from chimera.usecases.cfo import Cfo
from tests.fakes.spending import Desk
from tests.fakes.voice_vendors import KEYS, VoiceVendors, spoken, voice_vendors

TEXT = "Ferries to the islands now run at night — 37% more of them, Dr. Smith said. 🚀 Would you have guessed it?"
NAMES = ["espeak-ng", "recording", "elevenlabs", "openai", "polly"]
PAID = ["elevenlabs", "openai", "polly"]


@dataclass
class Stand:
    """A voice, a name of one that it has, and what it is paid from."""

    voice: Any
    voice_id: str
    purse: Purse | None
    desk: Desk
    vendors: VoiceVendors

    def say(self, text: str, out: Path, **more: Any) -> VoiceResult:
        return self.voice.synthesize(text, voice=self.voice_id, out_wav=out, **{"speed_wpm": 165, **more})  # type: ignore[no-any-return]


def made(name: str, vendors: VoiceVendors, purse: Purse | None, **settings: Any) -> Any:
    """The voice as its plugin makes it."""
    given = Settings(elevenlabs_url=vendors.url, openai_url=vendors.url, polly_url=vendors.url, **settings)
    paid = PaidFactory(lambda: Vault(KEYS.get), purse)
    context = ProviderContext(settings=given, paid=paid)
    return {v.name: v for v in (factory(context) for factory in factories("voices"))}[name]


@pytest.fixture(scope="module")
def vendors() -> Iterator[VoiceVendors]:
    with voice_vendors() as found:
        yield found


@pytest.fixture
def desk(make_cfo: Callable[..., Cfo], db: Database, tenant: str, cfo_keys: Path) -> Desk:
    return Desk(make_cfo(tenant), db, tenant, cfo_keys)


@pytest.fixture(params=NAMES)
def stand(request: pytest.FixtureRequest, desk: Desk, vendors: VoiceVendors, tmp_path: Path) -> Stand:
    name, voice_id, purse = request.param, "", None
    if name in PAID:
        purse = desk.purse("5.00").at("voice")
    if name == "espeak-ng":
        voice_id = "en-us"
    if name == "recording":
        file = tmp_path / "mine.wav"
        with wave.open(str(file), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(24_000)
            out.writeframes(spoken(TEXT)[0])
        voice_id = f"file:{file}"
    vendors.trouble.clear()
    vendors.asked.clear()
    return Stand(made(name, vendors, purse), voice_id, purse, desk, vendors)


def test_a_voice_says_what_it_is(stand: Stand) -> None:
    voice = stand.voice
    assert voice.name in NAMES and voice.model and isinstance(voice.priority, int)
    assert not is_unknown(voice.licence) and voice.origin in {"algorithm", "trained_model", "person"}
    assert isinstance(voice.ready, bool) and isinstance(voice.takes_lexicon, bool)
    assert voice.paid is (voice.name in PAID)


def test_every_word_of_the_text_as_written_has_a_time_in_order_and_inside_the_sound(
    stand: Stand, tmp_path: Path
) -> None:
    out = tmp_path / "a.wav"
    result = stand.say(TEXT, out)
    assert [w.text for w in result.words] == clean(TEXT, limit=5_000).split()
    assert all(0 <= w.start <= w.end <= result.duration_seconds + 0.001 for w in result.words)
    assert all(a.start <= b.start for a, b in pairwise(result.words))
    with wave.open(str(out)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
        assert sound.getframerate() == result.sample_rate
        assert sound.getnframes() / sound.getframerate() == pytest.approx(result.duration_seconds, abs=0.001)
    # the same speech was asked of all of them: the words are where espeak-ng itself says they are
    true = {w.text: w for w in spoken(TEXT)[1].words}
    found = {w.text: w for w in result.words}
    shift = found["Ferries"].start - true["Ferries"].start
    for word in ("islands", "night", "37%", "Would", "guessed"):
        assert found[word].start - shift == pytest.approx(true[word].start, abs=0.15), word
    assert result.times == ("aligned" if stand.voice.name in {"openai", "recording"} else "engine")


@pytest.mark.parametrize("wrong", [{"speed_wpm": 9_000}, {"text": "a" * 50_000}, {"voice_id": "no such voice; rm -rf"}])
def test_a_wrong_request_says_so_and_costs_nothing(stand: Stand, tmp_path: Path, wrong: dict[str, Any]) -> None:
    if stand.voice.name == "recording" and "voice_id" not in wrong:
        pytest.skip("a recording has its own speed and is only as long as it is")
    stand.voice_id = wrong.get("voice_id", stand.voice_id)
    more = {"speed_wpm": wrong["speed_wpm"]} if "speed_wpm" in wrong else {}
    with pytest.raises(ChimeraError) as caught:
        stand.say(wrong.get("text", TEXT), tmp_path / "a.wav", **more)
    assert (
        caught.value.code == "VALIDATION_FAILED" and "expected" in caught.value.message
    ) or "at most" in caught.value.message
    assert stand.vendors.asked == []
    assert stand.purse is None or stand.desk.draws(stand.purse) == {}


@pytest.mark.parametrize("name", PAID)
def test_what_is_drawn_is_what_the_vendor_bills_and_never_more_than_was_estimated(
    desk: Desk, vendors: VoiceVendors, tmp_path: Path, name: str
) -> None:
    purse = desk.purse("5.00").at("voice")
    voice, before = made(name, vendors, purse), dict(vendors.characters)
    voice.synthesize(TEXT, voice="", speed_wpm=165, out_wav=tmp_path / "a.wav")
    billed = vendors.characters[name] - before[name]
    drawn = desk.draws(purse)
    price = {"elevenlabs": 300, "openai": 30, "polly": 16}[name]
    assert {state for state, _ in drawn.values()} == {"CORRECTED"} and len(drawn) == (2 if name == "polly" else 1)
    assert sum(micros for _, micros in drawn.values()) == billed * price
    assert voice.worst_case_micros([TEXT]) == billed * price
    assert desk.store.get(purse.request_id).used_micros == billed * price


@pytest.mark.parametrize("name", PAID)
def test_without_money_nothing_is_asked(desk: Desk, vendors: VoiceVendors, tmp_path: Path, name: str) -> None:
    vendors.asked.clear()
    poor = desk.purse("0.01").at("voice")
    for purse, code in ((poor, "BUDGET_EXCEEDED"), (None, "FORBIDDEN")):
        with pytest.raises(ChimeraError) as caught:
            made(name, vendors, purse).synthesize(TEXT * 10, voice="", speed_wpm=165, out_wav=tmp_path / "a.wav")
        assert caught.value.code == code
    assert vendors.asked == [] and not (tmp_path / "a.wav").exists()


@pytest.mark.parametrize("name", PAID)
def test_a_paid_voice_is_ready_when_its_keys_are_set(
    monkeypatch: pytest.MonkeyPatch, vendors: VoiceVendors, tmp_path: Path, name: str
) -> None:
    monkeypatch.chdir(tmp_path)  # no .env
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
    voice = made(name, vendors, None)
    assert not voice.ready
    for key in voice.needs_keys:
        monkeypatch.setenv(key, "set")
    assert voice.ready
    assert not made(name, vendors, None, world="aws").ready
    assert made(name, vendors, None, world="aws", voice_model=f"{name}:m").ready


def test_no_vendor_ever_saw_a_key_that_is_not_its_own(vendors: VoiceVendors, desk: Desk, tmp_path: Path) -> None:
    vendors.asked.clear()
    purse = desk.purse("5.00").at("voice")
    for name in PAID:
        made(name, vendors, purse).synthesize("Good morning.", voice="", speed_wpm=165, out_wav=tmp_path / "a.wav")
    for asked, own in zip(vendors.asked, ["ELEVENLABS_API_KEY", "OPENAI_API_KEY", None, None], strict=True):
        seen = " ".join(asked.headers.values()) + str(asked.body)
        assert [k for k, value in KEYS.items() if value in seen and k != "AWS_ACCESS_KEY_ID"] == ([own] if own else [])
