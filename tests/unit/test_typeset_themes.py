"""Palettes dark and light, and a persona's own colours: kept where they can be read, repaired and said where not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera.domain.models import BrandTheme
from chimera.media.theme import LIGHT_THEMES, READABLE, THEMES, contrast, mix, readable, theme_for, theme_of, towards


def test_light_palettes_are_light_and_readable() -> None:
    assert len(LIGHT_THEMES) >= 5 and len({t.name for t in (*THEMES, *LIGHT_THEMES)}) == len(THEMES) + len(LIGHT_THEMES)
    for theme in LIGHT_THEMES:
        assert theme.mode == "light" and contrast(theme.background, "#000000") > 15
        assert contrast(theme.ink, theme.background) >= 12
        for name in (theme.accent, theme.highlight):
            assert contrast(name, theme.background) >= READABLE
        assert contrast(theme.ink, mix(theme.background, theme.surface, 0.35)) >= 7
    assert {theme_for(seed, "light").name for seed in range(60)} == {t.name for t in LIGHT_THEMES}
    assert theme_for(3) in THEMES and theme_for(3, "light") in LIGHT_THEMES


def test_a_brands_colours_are_kept_and_missing_ones_derived() -> None:
    brand = BrandTheme(background="#101820", accent="#FEE715", name="ACME", display_font="Inter")
    theme, notes = theme_of(brand, 4)
    assert (theme.background, theme.accent, theme.brand, theme.display) == ("#101820", "#fee715", "ACME", "Inter")
    assert notes == () and theme.mode == "dark" and contrast(theme.ink, theme.background) >= 7
    assert theme_of(BrandTheme(mode="light"), 4)[0].background == theme_for(4, "light").background


def test_what_cannot_be_read_is_moved_and_said() -> None:
    theme, notes = theme_of(BrandTheme(background="#ffffff", accent="#ffee00", mode="light"), 1)
    assert contrast(theme.accent, "#ffffff") >= READABLE
    assert any("#ffee00" in note and theme.accent in note for note in notes)
    theme, notes = theme_of(BrandTheme(background="#ffffff"), 1)
    assert theme.mode == "light" and any("not dark" in note for note in notes)


hexes = st.integers(0, 0xFFFFFF).map(lambda n: f"#{n:06x}")


@given(
    background=hexes | st.just(""), accent=hexes | st.just(""), highlight=hexes | st.just(""), ink=hexes | st.just(""),
    surface=hexes | st.just(""), seed=st.integers(0, 50), mode=st.sampled_from(["dark", "light"]),
)  # fmt: skip
def test_any_brand_can_be_read(
    background: str, accent: str, highlight: str, ink: str, surface: str, seed: int, mode: str
) -> None:
    brand = BrandTheme(background=background, accent=accent, highlight=highlight, ink=ink, surface=surface, mode=mode)
    theme, _ = theme_of(brand, seed)
    for name in (theme.ink, theme.accent, theme.highlight):
        assert contrast(name, theme.background) >= READABLE
    for ground in (theme.accent, theme.surface, theme.highlight, theme.ink):
        assert contrast(readable(theme, theme.accent, ground), ground) >= READABLE


def test_a_colour_is_moved_as_little_as_needed() -> None:
    assert towards("#ffffff", "#000000") == "#ffffff"
    moved = towards("#777777", "#ffffff")
    assert READABLE <= contrast(moved, "#ffffff") < READABLE + 1.0


@pytest.mark.parametrize("theme", [*THEMES, *LIGHT_THEMES], ids=lambda t: t.name)
def test_marks_stay_marks_on_the_ground(theme) -> None:  # type: ignore[no-untyped-def]
    assert readable(theme, theme.accent, theme.background) == theme.accent
