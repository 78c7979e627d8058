"""A person's own script: cut into scenes, no word changed, dropped or added."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chimera.adapters.writers.own_script import MOST_SCENES, OwnScriptWriter
from chimera.domain.models import Material, PersonalityProfile, Trend
from chimera.domain.options import OwnMaterial, RunOptions
from chimera.errors import ChimeraError
from chimera.media.text import clean
from chimera.usecases.director import check_script


def material(script: str) -> Material:
    trend = Trend(
        trend_id="t", topic="x", title="A title", platforms=["own"], volume=0, sentiment_score=0, rising_velocity=0,
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    return Material(trend=trend, profile=PersonalityProfile(name="P"), script=script)


@given(st.text(st.characters(codec="utf-8", exclude_characters="#<>&"), min_size=1, max_size=5000))
def test_every_word_is_spoken_once_and_in_order(script: str) -> None:
    blocks = [clean(part) for part in script.replace("\r\n", "\n").split("\n\n")]
    wanted = " ".join(b for b in blocks if any(c.isalnum() for c in b)).split()
    try:
        draft = OwnScriptWriter().write(material(script))
    except ChimeraError as error:
        assert error.code == "VALIDATION_FAILED" and not any(any(c.isalnum() for c in b) for b in blocks)
        return
    said = [word for scene in draft.scenes for word in scene.narration.split()]
    assert "".join(said) == "".join(wanted)
    assert len(draft.scenes) <= MOST_SCENES and all(len(s.narration) <= 1500 for s in draft.scenes)


def test_headings_are_shown_and_empty_lines_begin_scenes() -> None:
    draft = OwnScriptWriter().write(material("# One\nFirst thought.\n\n# Two\nSecond thought.\nStill the second."))
    assert [s.narration for s in draft.scenes] == ["First thought.", "Second thought. Still the second."]
    assert [s.on_screen_text for s in draft.scenes] == ["One", "Two"]


def test_one_word_and_five_thousand_characters() -> None:
    check_script("Wombats.", own=True)
    long = ("A sentence of some words that goes on. " * 200)[:5000]
    draft = OwnScriptWriter().write(material(long))
    check_script(draft.script, own=True)
    assert len(draft.scenes) <= MOST_SCENES
    with pytest.raises(ChimeraError, match="QUALITY_FAILED"):
        check_script("Wombats.")


@pytest.mark.parametrize("given_", [{}, {"title": "  "}, {"text": "a", "script": "b"}])
def test_material_says_something_and_only_once(given_: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="material"):
        OwnMaterial.model_validate(given_)


def test_a_script_of_the_full_length_fits_the_brief() -> None:
    """The empty lines between scenes are not the person's characters."""
    for sentence in ("The quick brown fox jumps over the lazy dog. ", "挪威在今年推出了第一艘电动渡轮。"):
        script = (sentence * 200)[:5000]
        draft = OwnScriptWriter().write(material(script))
        assert len(draft.scenes) > 5 and len(draft.script) <= 5000
        assert "".join(draft.script.split()) == "".join(clean(script).split())


def test_control_characters_are_left_out_and_nothing_unwritable_gets_in() -> None:
    words = OwnMaterial(script="Hello\x00 wor\x1bld\u202e, sea\ud800.\n\nAnd\tmore.").script
    assert words == "Hello world, sea.\n\nAnd\tmore."
    for wrong in (
        {"topic": "a\0b"}, {"template": "a\ud800"}, {"parameters": {"a\0": 1}}, {"parameters": {"a": "\0"}},
        {"keywords": ["x", "\0"]}, {"persona_id": "\0"},
    ):  # fmt: skip
        with pytest.raises(ValidationError, match="NUL or half a surrogate"):
            RunOptions.model_validate(wrong)
