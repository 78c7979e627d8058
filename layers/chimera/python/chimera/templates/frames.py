"""The frame that a template starts from: the regions of an aspect and platform, and the persona's colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chimera.domain.models import BrandTheme
from chimera.media.models import Aspect, Theme
from chimera.media.safe_areas import regions
from chimera.media.theme import is_light, theme_of
from chimera.templates.regions import Rect

THEME_KEYS = ("background", "surface", "accent", "highlight", "ink", "display_font", "text_font")
BASE = frozenset(regions("9:16")) | {"frame"}


def base_regions(aspect: Aspect, platform: str) -> dict[str, Rect]:
    """The regions that every template has, in reference pixels (short side 1080); `frame` is all of it."""
    found = {name: (a.x, a.y, a.width, a.height) for name, a in regions(aspect, platform).items()}
    return {**found, "frame": found["full"]}


_GROUND = ("background", "surface", "ink")


def look_of(brand: BrandTheme, tweaks: Mapping[str, Any], seed: int) -> Theme:
    """The persona's theme; where it says nothing, the template's tweaks; where these say nothing, a palette by seed.

    A template made for a dark ground has another one for a persona that chose light, and the other way round: its marks
    stay, made readable there.
    """
    plain = BrandTheme()
    filled = {key: tweaks[key] for key in THEME_KEYS if key in tweaks and getattr(brand, key) == getattr(plain, key)}
    ground = filled.get("background")
    if ground and "mode" in brand.model_fields_set and is_light(ground) != (brand.mode == "light"):
        filled = {key: value for key, value in filled.items() if key not in _GROUND}
    return theme_of(brand.model_copy(update=filled), seed)[0]
