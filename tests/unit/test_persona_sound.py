"""What a persona says of its sound reaches the voice and the render; a run's own wish comes first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chimera.domain.models import BrandGuidelines
from chimera.usecases.render_job import music_of


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
    assert music_of({"options": {"music": asked}, "persona": {"brand_guidelines": persona}}) == found


def test_a_persona_without_a_word_on_sound_has_the_automatic_one() -> None:
    plain = BrandGuidelines.model_validate({})
    assert (plain.music, plain.pronunciations) == ("auto", {})
    with pytest.raises(ValueError, match="polka"):
        BrandGuidelines.model_validate({"music": "polka"})
