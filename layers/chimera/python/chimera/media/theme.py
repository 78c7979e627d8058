"""Colour: small sets of tuned palettes, dark and light, and the arithmetic that keeps type readable on any of them."""

from __future__ import annotations

import hashlib
from typing import Literal

from chimera.domain.models import BrandTheme
from chimera.media.models import Theme

# WCAG 2.2, success criterion 1.4.3: type against its ground.
READABLE = 4.5
Mode = Literal["dark", "light"]

# Dark, saturated grounds with two bright marks; every accent has at least 4.5:1 on its background (a test holds that).
THEMES: tuple[Theme, ...] = (
    Theme(name="midnight", background="#0b1030", surface="#2b2fa8", accent="#ffd23f", highlight="#ff5c8a"),
    Theme(name="emerald", background="#04201f", surface="#0f7a68", accent="#c6ff6b", highlight="#35d0ff"),
    Theme(name="ember", background="#1f0a14", surface="#a3263f", accent="#ffb347", highlight="#ff6f61"),
    Theme(name="violet", background="#160a33", surface="#6a2fd0", accent="#5df2d6", highlight="#ff8ae2"),
    Theme(name="ocean", background="#041a2e", surface="#0c62b3", accent="#5ce1ff", highlight="#ffb454"),
    Theme(name="plum", background="#22082c", surface="#93268f", accent="#ffe066", highlight="#7cc4ff"),
    Theme(name="graphite", background="#0f1216", surface="#3c4a5e", accent="#ff7a3d", highlight="#7ee0ff"),
)

# Pale grounds with dark ink; accent and highlight have at least 4.5:1 on the ground as well, so both can be type.
LIGHT_THEMES: tuple[Theme, ...] = (
    Theme(name="paper", mode="light", background="#faf6ee", surface="#ecdfc6", accent="#b3261e", highlight="#1d5c8f",
          ink="#1c1712"),
    Theme(name="mint", mode="light", background="#effaf4", surface="#bfe6d2", accent="#0b6b4a", highlight="#7a3fb0",
          ink="#0b2118"),
    Theme(name="sky", mode="light", background="#f0f6ff", surface="#c3dbfb", accent="#1450c8", highlight="#b0355f",
          ink="#0a1730"),
    Theme(name="blossom", mode="light", background="#fff3f5", surface="#fbcfd8", accent="#a3195b", highlight="#0f6170",
          ink="#2a0d1b"),
    Theme(name="sand", mode="light", background="#fdf3e3", surface="#f5d4a1", accent="#9a4a00", highlight="#205e4d",
          ink="#26190a"),
    Theme(name="fog", mode="light", background="#f3f5f7", surface="#cfd8e0", accent="#3d3fc0", highlight="#a33d00",
          ink="#12161b"),
)  # fmt: skip


def seeded(seed: int, *parts: object) -> int:
    """A 64-bit number that depends on the seed and the parts only; the same on every machine."""
    text = "\x1f".join([str(seed), *map(str, parts)])
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def theme_for(seed: int, mode: Mode = "dark") -> Theme:
    """The palette of a video."""
    themes = LIGHT_THEMES if mode == "light" else THEMES
    return themes[seeded(seed, "theme") % len(themes)]


def theme_of(brand: BrandTheme, seed: int) -> tuple[Theme, tuple[str, ...]]:
    """A persona's theme, and what had to be repaired in it, in words.

    Its colours are kept; missing ones are derived from those that are given, else from the palette of the seed. Type
    and marks need 4.5:1 on the ground: one that has less is moved towards black or white until it does.
    """
    base = theme_for(seed, brand.mode)
    if brand.background:
        base = _around(base, brand.background)
    mode: Mode = "light" if is_light(base.background) else "dark"
    given = {name: getattr(brand, name).lower() for name in ("surface", "accent", "highlight", "ink")}
    values = {name: value or getattr(base, name) for name, value in given.items()}
    if given["accent"] and not given["highlight"]:
        values["highlight"] = mix(given["accent"], values["ink"], 0.35)
    notes: list[str] = []
    if brand.background and mode != brand.mode:
        notes.append(f"the ground {brand.background} is {mode}, so the theme is {mode}, not {brand.mode}")
    for name in ("ink", "accent", "highlight"):
        least = 7.0 if name == "ink" and not given["ink"] else READABLE
        better = towards(values[name], base.background, least)
        if better != values[name] and given[name]:
            had = contrast(values[name], base.background)
            notes.append(f"{name} {values[name]} had {had:.1f}:1 on {base.background}; {better} is used")
        values[name] = better
    theme = Theme(
        name="brand", background=base.background, brand=brand.name, mode=mode, display=brand.display_font,
        text=brand.text_font, **values,
    )  # fmt: skip
    return theme, tuple(notes)


def is_light(colour: str) -> bool:
    """Whether a ground is nearer to white than to black, by contrast."""
    return contrast(colour, "#000000") > contrast(colour, "#ffffff")


def _around(base: Theme, background: str) -> Theme:
    """A palette on a ground of the brand's own: surface and ink follow the ground."""
    light = is_light(background)
    return base.model_copy(
        update={
            "background": background.lower(),
            "surface": mix(background, base.surface if light == (base.mode == "light") else base.accent, 0.45),
            "ink": towards(mix(background, "#000000", 0.88) if light else "#ffffff", background, 7.0),
        }
    )


def towards(colour: str, ground: str, least: float = READABLE) -> str:
    """The colour, moved towards black or white as little as gives it that contrast on the ground (at most what is there)."""
    if contrast(colour, ground) >= least:
        return colour
    goal = max(("#000000", "#ffffff"), key=lambda end: contrast(end, ground))
    for step in range(1, 21):
        moved = mix(colour, goal, step / 20)
        if contrast(moved, ground) >= least:
            return moved
    return goal


def resolved(theme: Theme, name: str) -> str:
    """A role of the theme (`ink`, `accent` …) as its colour; a colour as it is."""
    return name if name.startswith("#") else str(getattr(theme, name))


def readable(theme: Theme, colour: str, ground: str) -> str:
    """A colour for type on a ground: the one asked for where it has 4.5:1, else the theme's ink or background."""
    if contrast(colour, ground) >= READABLE:
        return colour
    if ground == theme.background:  # on the picture's own ground a mark stays a mark
        return towards(colour, ground)
    best = max((theme.ink, theme.background), key=lambda c: contrast(c, ground))
    return towards(best, ground)


def rgb(colour: str) -> tuple[int, int, int]:
    """`#rrggbb` as three bytes."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def mix(a: str, b: str, share: float) -> str:
    """`a` with `share` (0–1) of `b`, in plain sRGB."""
    mixed = [round(x + (y - x) * share) for x, y in zip(rgb(a), rgb(b), strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def contrast(a: str, b: str) -> float:
    """Contrast ratio 1–21 (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        channels = [c / 255 for c in rgb(colour)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)
