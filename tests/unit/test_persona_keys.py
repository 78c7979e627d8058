"""What can be said of a persona: every key reaches a field, changes are merge patches, what is wrong is named."""

from __future__ import annotations

import types
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError

from chimera.domain.models import BrandTheme, Persona, VoiceChoice
from chimera.domain.personas import (
    KEYS,
    PersonaForm,
    flat,
    form_of,
    key_of,
    merged,
    named,
    patch_of,
    path_of,
)
from chimera.errors import ChimeraError
from chimera.usecases.personas import find
from chimera_local.persona_files import as_yaml, read_persona


def leaves(kind: Any, above: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Every place in a model where a value stands."""
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is dict:
        return leaves(get_args(kind)[1], (*above, "*"))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {leaf for name, field in kind.model_fields.items() for leaf in leaves(field.annotation, (*above, name))}
    return {above}


def patched(*values: str, start: dict[str, Any] | None = None) -> dict[str, Any]:
    pairs = [(key, rest) for key, _, rest in (value.partition("=") for value in values)]
    return merged(start or {"name": "Ada"}, patch_of(pairs))


def test_every_field_has_a_key_and_every_key_a_field() -> None:
    paths = {key.path for key in KEYS} - {
        k.path for k in KEYS if k.path[:3] == ("brand_guidelines", "voices", "narrator")
    }
    assert paths == leaves(PersonaForm)
    assert leaves(Persona) - leaves(PersonaForm) == {("persona_id",)}
    assert {key.name for key in KEYS if key.name.startswith("theme.")} == {
        f"theme.{n}" for n in BrandTheme.model_fields
    }
    assert len({key.name for key in KEYS}) == len(KEYS)
    assert sum(key.name.startswith("voice.") for key in KEYS) == len(VoiceChoice.model_fields)
    for key in KEYS:
        example = key.name.replace("*", "x")
        assert key_of(path_of(example)) == example


def test_values_come_as_text_and_are_read_as_the_key_needs_them() -> None:
    form = PersonaForm.model_validate(
        patched(
            "theme.accent=#FF5500", "voice.name=en-gb", "voice.speed=1.1", "voice.pause=0.4", "voices.guest.speed=150",
            "lexicon.GIF=jif", "lexicon.Node.js=node jay ess", "libraries=pexels, openverse", "daily_quota=3",
            "avoid=click here,shocking", "style=witty", "audience=sailors",
        )
    )  # fmt: skip
    brand = form.brand_guidelines
    assert brand.theme is not None and brand.theme.accent == "#FF5500"
    assert brand.voices["narrator"] == VoiceChoice(voice="en-gb", words_per_minute=182, pause_seconds=0.4)
    assert brand.voices["guest"].words_per_minute == 150
    assert brand.pronunciations == {"GIF": "jif", "Node.js": "node jay ess"}
    assert (brand.libraries, brand.avoid) == (["pexels", "openverse"], ["click here", "shocking"])
    assert (form.daily_quota, brand.voice, form.target_audience) == (3, "witty", "sailors")


def test_an_empty_value_takes_a_value_or_a_group_back() -> None:
    full = patched("theme.accent=#ff5500", "theme.mode=light", "lexicon.GIF=jif", "voices.guest.name=en-gb", "tone=dry")
    assert patched("theme.accent=", start=full)["brand_guidelines"]["theme"] == {"mode": "light"}
    gone = patched("theme=", "lexicon.GIF=", "voices.guest=", "tone=", start=full)
    assert gone == {"name": "Ada"}, "what is left empty goes as well"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("theme.acent=#fff", "did you mean 'theme.accent'"),
        ("voice.nme=x", "did you mean 'voice.name'"),
        ("voice=en-gb", "voice.name"),
        ("theme=dark", "theme.mode"),
        ("voice.speed=3", "a factor 0.5–1.8 or 80–300"),
        ("voices.guest.speed=fast", "voices.guest.speed: got 'fast'"),
        ("lexicon.=x", "lexicon.*"),
    ],
)
def test_a_wrong_key_or_pace_is_named_with_what_was_expected(value: str, said: str) -> None:
    with pytest.raises(ChimeraError) as caught:
        patched(value)
    assert caught.value.code == "VALIDATION_FAILED"
    assert said in caught.value.message


@pytest.mark.parametrize(
    "value",
    [
        {"tonne": "dry"}, {"brand_guidelines": {"theme": {"x": 1}}}, {"brand_guidelines": {"voices": {"guest": {"x": 1}}}},
        {"name": ""}, {"name": "  "}, {"name": "a\nb"}, {"name": "01a1ff6f-f99d-7752-9e98-88efa55e9972"},
        {"daily_quota": 1001}, {"language": "English"}, {"tone": "x" * 201}, {"brand_guidelines": {"avoid": ["x" * 201]}},
        {"brand_guidelines": {"theme": {"accent": "#ff"}}}, {"brand_guidelines": {"music": "polka"}}, {"tone": "\ud800"},
    ],
)  # fmt: skip
def test_a_form_refuses_what_cannot_be(value: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PersonaForm.model_validate({"name": "Ada", **value})


def test_a_persona_goes_through_a_file_and_back(tmp_path: Any) -> None:
    given = patched(
        "lexicon.GIF=jif", "lexicon.1e3=a thousand", "lexicon.null=nothing", "lexicon.yes=ja: #1 'quoted'", "voice.speed=170",
        "voices.guest.name=de", "theme.name=Ünïcode & Co", "avoid=true,9:16,- x", "cooldown_hours=0", "tone=~",
    )  # fmt: skip
    path = tmp_path / "ada.yaml"
    path.write_text(as_yaml(named(given)), "utf-8")
    again = merged({}, patch_of(flat(read_persona(path))))
    before, after = (Persona(persona_id="p", **PersonaForm.model_validate(v).model_dump()) for v in (given, again))
    assert after == before
    assert PersonaForm.model_validate(form_of(before)).model_dump() == PersonaForm.model_validate(given).model_dump()


def test_a_file_that_is_no_persona_says_where(tmp_path: Any) -> None:
    path = tmp_path / "x.yaml"
    for text, code, said in (
        ("name: [", "VALIDATION_FAILED", "x.yaml:"),
        ("- a", "VALIDATION_FAILED", "expected keys and values"),
        ("name: !!python/object:os.system x", "VALIDATION_FAILED", "tag"),
    ):
        path.write_text(text)
        with pytest.raises(ChimeraError) as caught:
            read_persona(path)
        assert (caught.value.code, said in caught.value.message) == (code, True)


def test_a_name_finds_one_persona_or_says_who_there_is() -> None:
    ada, low, bob = (Persona(persona_id=i, name=n) for i, n in (("a1", "Ada"), ("a2", "ada"), ("b1", "Bob")))
    assert find([ada, low, bob], "ada") is low
    assert find([ada, low, bob], "A1") is ada
    assert find([ada, bob], "BOB") is bob
    for everyone, wanted, code, said in (
        ([ada, low], "ADA", "CONFLICT", "'Ada' (a1), 'ada' (a2)"),
        ([ada, bob], "Bop", "NOT_FOUND", "did you mean 'Bob'? there are: Ada, Bob"),
        ([], "Bob", "NOT_FOUND", "there is none yet"),
    ):
        with pytest.raises(ChimeraError) as caught:
            find(everyone, wanted)
        assert (caught.value.code, said in caught.value.message) == (code, True)
