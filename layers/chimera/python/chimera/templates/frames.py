"""The frame that a template starts from: the regions of an aspect and platform, and the persona's colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chimera.domain.models import BrandTheme
from chimera.media.layout import LAYOUTS
from chimera.media.models import Aspect, Theme
from chimera.media.theme import theme_for
from chimera.templates.regions import Rect

THEME_KEYS = ("background", "surface", "accent", "highlight", "ink", "display_font", "text_font")
BASE = ("frame", "safe", "title", "headline", "captions", "source", "progress", "motif", "title_motif")


def base_regions(aspect: Aspect, platform: str) -> dict[str, Rect]:
    """The regions that every template has, in reference pixels (short side 1080)."""
    layout = LAYOUTS[aspect]
    found: dict[str, Rect] = {"frame": (0.0, 0.0, float(layout.width), float(layout.height))}
    for name in ("title", "headline", "captions", "source", "progress"):
        box = getattr(layout, name)
        found[name] = (box.x, box.y, box.width, box.height)
    for name in ("motif", "title_motif"):
        circle = getattr(layout, name)
        found[name] = (circle.x - circle.radius, circle.y - circle.radius, 2 * circle.radius, 2 * circle.radius)
    inner = [found[n] for n in found if n != "frame"]
    left, top = min(r[0] for r in inner), min(r[1] for r in inner)
    right, bottom = max(r[0] + r[2] for r in inner), max(r[1] + r[3] for r in inner)
    found["safe"] = (left, top, right - left, bottom - top)
    return found


def look_of(brand: BrandTheme, tweaks: Mapping[str, Any], seed: int) -> Theme:
    """The persona's theme; where it says nothing, the template's tweaks; where these say nothing, a palette by seed."""
    plain = BrandTheme()
    filled = {key: tweaks[key] for key in THEME_KEYS if key in tweaks and getattr(brand, key) == getattr(plain, key)}
    given = brand.model_copy(update=filled)
    base = theme_for(seed)
    colours = {key: getattr(given, key) or getattr(base, key) for key in THEME_KEYS[:5]}
    return base.model_copy(
        update={
            **colours,
            "brand": given.name,
            "mode": given.mode,
            "display": given.display_font,
            "text": given.text_font,
        }
    )
