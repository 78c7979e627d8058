"""Paid voices in a production: what their failures do, what they may cost at most, and that the approval covers it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chimera.adapters.paid.http import PaidFactory, Vault
from chimera.adapters.postgres.database import Database
from chimera.bootstrap import App
from chimera.domain.models import Draft
from chimera.domain.money import usd
from chimera.domain.prices import Outside, production_upper_bound, waiting_cost
from chimera.errors import ChimeraError
from chimera.plugins.hookspecs import ProviderContext
from chimera.plugins.loader import providers
from chimera.purse import Purse
from chimera.settings import Settings
from chimera.usecases.breakers import Breakers
from chimera.usecases.briefing import write_brief
from chimera.usecases.casting import Policy
from chimera.usecases.cfo import Cfo
from chimera.usecases.paid_estimate import outside_work
from chimera.usecases.production import MadeContent
from chimera.usecases.speaking import speak
from tests.fakes.paid_vendor import Trouble
from tests.fakes.speaking_stage import LINES, content
from tests.fakes.spending import Desk
from tests.fakes.voice_vendors import KEYS, VoiceVendors, voice_vendors

PAID = ["elevenlabs", "openai", "polly"]
PRICES = {"elevenlabs": 300, "openai": 30, "polly": 16}


@pytest.fixture
def vendors(monkeypatch: pytest.MonkeyPatch) -> Iterator[VoiceVendors]:
    for name in KEYS:
        monkeypatch.setenv(name, "set")  # `ready` asks whether they are there, the vault what they are
    with voice_vendors() as found:
        yield found


@pytest.fixture
def desk(make_cfo: Callable[..., Cfo], db: Database, tenant: str, cfo_keys: Path) -> Desk:
    return Desk(make_cfo(tenant), db, tenant, cfo_keys)


def voices(vendors: VoiceVendors, purse: Purse | None, **settings: Any) -> dict[str, Any]:
    given = Settings(elevenlabs_url=vendors.url, openai_url=vendors.url, polly_url=vendors.url, **settings)
    return providers("voices", ProviderContext(settings=given, paid=PaidFactory(lambda: Vault(KEYS.get), purse)))


def named(folder: Path, provider: str, **more: Any) -> MadeContent:
    return content(folder, voices={"narrator": {"provider": provider}}, **more)


def spoken(made: MadeContent, vendors: VoiceVendors, purse: Purse, **more: Any) -> dict[str, Any]:
    speak(made, voices(vendors, purse.at("voice")), purse, breakers=Breakers(), **more)
    return made.read("audio", "voice.json")


def speech(desk: Desk, purse: Purse) -> list[tuple[str, int]]:
    """State and micros of each paid call; the step's own compute is left out."""
    return [found for call, found in desk.draws(purse).items() if "speech-" in call or "marks-" in call]


@pytest.mark.parametrize("provider", PAID)
def test_a_vendor_speaks_a_whole_video_within_what_was_estimated(
    desk: Desk, vendors: VoiceVendors, tmp_path: Path, provider: str
) -> None:
    made, purse = named(tmp_path, provider, seconds=15), desk.purse("2.00")
    found = spoken(made, vendors, purse)
    assert {s["provider"] for s in found["scenes"]} == {provider} and found["refused"] == []
    assert {s["origin"] for s in found["scenes"]} == {"trained_model"}
    assert {s["times"] for s in found["scenes"]} == {"aligned" if provider == "openai" else "engine"}
    draft = Draft.model_validate(made.brief().model_dump(include={"title", "scenes", "writer"}))
    ask = made.read("brief", "material.json")
    most = outside_work(draft, ask, voices=voices(vendors, None), policy=Policy()).micros["voice"]
    characters = sum(map(len, LINES))
    assert most == 2 * characters * PRICES[provider] * (2 if provider == "polly" else 1)
    paid = sum(micros for _, micros in speech(desk, purse))
    assert 0 < paid == vendors.characters[provider] * PRICES[provider] <= most


FAILURES = {
    "PROVIDER_TIMEOUT": [Trouble(status=500), Trouble(hang_up=True)],
    "PROVIDER_REJECTED": [Trouble(status=403), Trouble(status=401, body=b'{"detail": {"status": "quota_exceeded"}}'),
                          Trouble(status=200, body=b"{}")],
    "RATE_LIMITED": [Trouble(status=429, headers={"Retry-After": "7"})],
}  # fmt: skip
SHORT = ("It rains.", "It pours.")


@pytest.mark.parametrize(
    ("provider", "code", "number"),
    [
        *(("elevenlabs", code, number) for code, ways in FAILURES.items() for number in range(len(ways))),
        *((p, code, 0) for p in ("openai", "polly") for code in FAILURES),
        ("polly", "PROVIDER_REJECTED", 2),
        ("openai", "PROVIDER_TIMEOUT", 1),
    ],
)
def test_each_failure_of_a_vendor_lets_espeak_speak_all_of_it_and_nothing_is_sent_twice(
    desk: Desk, vendors: VoiceVendors, tmp_path: Path, provider: str, code: str, number: int
) -> None:
    trouble = FAILURES[code][number]
    vendors.trouble = [trouble]
    choice = {"narrator": {"provider": provider, "words_per_minute": 165}}
    made, purse = content(tmp_path, lines=SHORT, voices=choice), desk.purse("2.00")
    found = spoken(made, vendors, purse)
    assert {s["provider"] for s in found["scenes"]} == {"espeak-ng"}
    (refused,) = found["refused"]
    assert refused["provider"] == provider and refused["error"].startswith(code)
    assert len(vendors.asked) == 1
    assert not any(key in str(found) for key in KEYS.values())
    ((state, micros),) = speech(desk, purse)
    if trouble.status in {401, 403, 429}:
        assert (state, micros) == ("RETURNED", 0)
    else:
        assert (state, micros) == ("OPEN", len(SHORT[0]) * PRICES[provider])  # it may be billed, so it stays drawn


def test_marks_that_polly_does_not_give_are_aligned_and_the_sound_is_kept(
    desk: Desk, vendors: VoiceVendors, tmp_path: Path
) -> None:
    vendors.trouble = [None, Trouble(status=500), None, Trouble(status=200, body=b"not json"), None, None]
    found = spoken(named(tmp_path, "polly", seconds=9), vendors, desk.purse("2.00"))
    assert {s["provider"] for s in found["scenes"]} == {"polly"} and found["refused"] == []
    assert [s["times"] for s in found["scenes"]] == ["aligned", "aligned", "engine"]


def test_an_answer_without_character_times_is_aligned(desk: Desk, vendors: VoiceVendors, tmp_path: Path) -> None:
    vendors.without_times = True
    found = spoken(named(tmp_path, "elevenlabs"), vendors, desk.purse("2.00"))
    assert {(s["provider"], s["times"]) for s in found["scenes"]} == {("elevenlabs", "aligned")}


def test_a_budget_that_ends_midway_ends_in_one_voice_and_never_above_the_approval(
    desk: Desk, vendors: VoiceVendors, tmp_path: Path
) -> None:
    purse = desk.purse("0.03")  # the compute of the step, and one or two scenes of ElevenLabs
    found = spoken(
        named(
            tmp_path,
            "elevenlabs",
        ),
        vendors,
        purse,
    )
    assert {s["provider"] for s in found["scenes"]} == {"espeak-ng"}
    assert "BUDGET_EXCEEDED" in found["refused"][0]["error"]
    assert 0 < len(vendors.asked) < 3 and desk.left(purse) >= 0


def test_two_roles_with_a_voice_each_of_one_vendor_differ(desk: Desk, vendors: VoiceVendors, tmp_path: Path) -> None:
    made = named(tmp_path, "openai", speakers=("host", "guest", "host"))
    found = spoken(made, vendors, desk.purse("2.00"))
    assert [s["voice"] for s in found["scenes"]] == ["nova", "onyx", "nova"]
    assert {asked.body["voice"] for asked in vendors.asked} == {"nova", "onyx"}


def test_the_approval_asks_for_the_paid_voices_that_may_speak_and_no_others(
    vendors: VoiceVendors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = content(tmp_path, voices={"narrator": {"provider": "openai"}, "guest": {"provider": "polly"}})
    draft = Draft.model_validate(made.brief().model_dump(include={"title", "scenes", "writer"}))
    ask, characters = made.read("brief", "material.json"), sum(map(len, LINES))
    offered = voices(vendors, None)

    def most(policy: Policy = Policy(), asked: Any = ask) -> int:  # noqa: B008 (frozen)
        return outside_work(draft, asked, voices=offered, policy=policy).micros.get("voice", 0)

    assert most() == 2 * characters * (30 + 2 * 16)
    assert most(Policy(paid_voices=True)) == 2 * characters * (300 + 30 + 2 * 16)
    plain = content(tmp_path / "b").read("brief", "material.json")
    assert outside_work(draft, plain, voices=offered, policy=Policy()).micros == {}
    assert most(Policy(preferred="elevenlabs"), plain) == 2 * characters * 300
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.chdir(tmp_path)
    assert most() == 2 * characters * 2 * 16  # what is not ready is not asked for
    assert production_upper_bound(20, 360) > 0 and usd(most())


def test_a_model_without_a_price_is_refused_before_anything_is_asked(
    desk: Desk, vendors: VoiceVendors, tmp_path: Path
) -> None:
    made, purse = named(tmp_path, "openai"), desk.purse("2.00")
    given = voices(vendors, purse.at("voice"), voice_model="openai:gpt-4o-mini-tts")
    with pytest.raises(ChimeraError, match="no price for characters of 'openai/gpt-4o-mini-tts'"):
        speak(made, given, purse, breakers=Breakers())
    assert vendors.asked == []


class _Writer:
    name, priority = "test", 1

    def write(self, material: Any) -> Draft:
        scene = {"narration": "Ferries now run at night, and people like them. " * 12, "visual_prompt": "ferry"}
        writer = {"provider": "test", "model": "m", "prompt_version": "1"}
        return Draft.model_validate({"title": "Ferries", "scenes": [scene], "writer": writer})


def test_what_the_cfo_is_asked_for_grows_by_what_the_paid_voices_can_cost(
    vendors: VoiceVendors, tmp_path: Path
) -> None:
    def asked(folder: str, paid: Any) -> dict[str, Any]:
        made = content(tmp_path / folder, voices={"narrator": {"provider": "elevenlabs"}})
        trend = {
            "trend_id": "t", "topic": "Ferries", "title": "Ferries", "volume": 900_000, "sentiment_score": 0,
            "rising_velocity": 3, "platforms": ["rss"], "url": "", "timestamp": "2026-11-21T00:00:00Z",
        }  # fmt: skip
        ask = made.read("brief", "material.json") | {
            "options": {"duration_seconds": 30, "resolution": "360p", "aspect": "9:16"},
            "material": {"trend": trend, "profile": {"name": "Ada"}, "duration_seconds": 30},
            "history": [],
        }
        ask["persona"] |= {"channels": [], "template": "explainer@1", "name": "Ada", "persona_id": "p"}
        made.write("brief", "material.json", ask)
        made.media.fetch(made.scope.key("brief", "request.json"), Path("x")).unlink()  # a folder gives the file itself
        pages: Any = None  # the trend has no address: nothing is read
        return write_brief(made, [_Writer()], pages, App(media=made.media).templates("t"), paid)

    def estimate(draft: Draft, ask: dict[str, Any]) -> Outside:
        return outside_work(draft, ask, voices=voices(vendors, None), policy=Policy())

    free, paid = asked("a", None), asked("b", estimate)
    text = _Writer().write(None).script
    most = 2 * len(" ".join(text.split())) * 300
    assert paid["paid"] == {"voice": most}
    grown = Decimal(paid["request"]["request_cost"]) - Decimal(free["request"]["request_cost"])
    assert paid["limits"] == {**free["limits"], "voice_seconds": free["limits"]["voice_seconds"] + 180}
    assert paid["retry_limits"] == free["retry_limits"], "the voice is used again"
    most += waiting_cost(free["limits"], paid["limits"])  # the vendor's answer may be waited for
    assert Decimal(most) / 10**6 <= grown < Decimal(most) / 10**6 + Decimal("0.01")
