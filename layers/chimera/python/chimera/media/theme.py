"""Colour: a small set of tuned palettes, picked by seed, and the arithmetic that keeps type readable on them."""

from __future__ import annotations

import hashlib

from chimera.media.models import Theme

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


def seeded(seed: int, *parts: object) -> int:
    """A 64-bit number that depends on the seed and the parts only; the same on every machine."""
    text = "\x1f".join([str(seed), *map(str, parts)])
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def theme_for(seed: int) -> Theme:
    """The palette of a video."""
    return THEMES[seeded(seed, "theme") % len(THEMES)]


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
