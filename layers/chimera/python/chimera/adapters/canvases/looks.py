"""Which card a scene gets: family and ground, so that neighbours differ and a new video opens unlike the last ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from chimera.adapters.canvases import graphic, quiet, scenic
from chimera.adapters.canvases.brush import Palette, Stage
from chimera.media.layout import figure_of
from chimera.media.models import SceneSpec, Theme
from chimera.media.theme import contrast, mix, seeded
from chimera.templates.storyboard import PictureWish

MOODS = 4

FAMILIES: dict[str, Callable[[Stage], None]] = {
    "letter": graphic.letter, "split": graphic.split, "tiles": graphic.tiles, "ribbons": graphic.ribbons,
    "halftone": graphic.halftone, "pattern": graphic.pattern, "mesh": graphic.mesh,
    "blocks": scenic.blocks, "paper": scenic.paper, "collage": scenic.collage, "landscape": scenic.landscape,
    "contour": scenic.contour, "map": scenic.chart_map,
    "plain.wash": quiet.wash, "plain.corner": quiet.corner, "plain.rules": quiet.rules, "plain.arcs": quiet.arcs,
    "plain.shards": quiet.shards, "plain.night": quiet.night, "chart": quiet.graph,
}  # fmt: skip
ICONS = ("icon.disc", "icon.tiles", "icon.window", "icon.hexagons", "icon.poster", "icon.network")
PLAIN = ("plain.wash", "plain.corner", "plain.rules", "plain.arcs", "plain.shards", "plain.night")
_CARDS = (
    "letter", "split", "tiles", "ribbons", "halftone", "pattern", "mesh", "blocks", "paper", "collage", "landscape",
    "contour", *ICONS,
)  # fmt: skip
_BY_WANT: dict[str, tuple[str, ...]] = {
    "card": _CARDS,
    "photo": ("landscape", "mesh", "paper", "collage", "contour", "halftone", "ribbons"),
    "footage": ("landscape", "mesh", "ribbons", "paper", "blocks", "contour"),
    "map": ("map", "contour"),
    "chart": ("chart", "plain.rules", "plain.wash"),
    "plain": PLAIN,
}
_BY_STYLE: dict[str, tuple[str, ...]] = {
    "number": ("icon.dial", "letter"),
    "quote": ("mesh", "paper", "split", "plain.arcs", "landscape"),
    "list": ("tiles", "pattern", "blocks", "ribbons"),
    "steps": ("blocks", "tiles", "icon.window", "pattern"),
    "title": ("letter", "split", "tiles", "ribbons", "mesh", "halftone", "paper", "blocks", "collage", "landscape"),
    "outro": ("plain.wash", "plain.arcs", "icon.wall", "plain.shards"),
}


@dataclass(frozen=True)
class CardLook:
    """A family of cards and one of four grounds made from the theme."""

    family: str
    mood: int = 0

    @property
    def name(self) -> str:
        """As it is kept: `family/mood`."""
        return f"{self.family}/{self.mood}"


def choose_looks(
    scenes: Sequence[SceneSpec], wishes: Sequence[PictureWish | None], *, seed: int, recent: Sequence[str] = ()
) -> list[CardLook]:
    """A look for each scene: every fitting family in an order of the seed's own before one comes again.

    `recent` are the families that the persona's last videos opened with; the first scene takes another one while there is
    one. Two neighbours never share a family, nor a ground. Prefixes agree: the look of a scene depends on those before it.
    """
    opened = {name.partition("/")[0] for name in recent}
    chosen: list[CardLook] = []
    used: dict[str, int] = {}
    for index, (scene, wish) in enumerate(zip(scenes, wishes, strict=True)):
        fitting = _fitting(scene, wish, index)
        order = np.random.default_rng(seeded(seed, "looks", len(fitting))).permutation(len(fitting))
        ranked = [fitting[int(at)] for at in order]
        before = chosen[-1].family if chosen else ""
        able = [f for f in ranked if f != before] or [f for f in PLAIN if f != before]
        if index == 0:
            able = [f for f in able if f not in opened] or able
        family = min(able, key=lambda f: (used.get(f, 0), ranked.index(f) if f in ranked else 99))
        used[family] = used.get(family, 0) + 1
        first = seeded(seed, "mood") % MOODS
        mood = (first + index + index // MOODS) % MOODS
        if chosen and mood == chosen[-1].mood:
            mood = (mood + 1) % MOODS
        chosen.append(CardLook(family, mood))
    return chosen


def _fitting(scene: SceneSpec, wish: PictureWish | None, index: int) -> tuple[str, ...]:
    if wish is None:  # the plain layout: its own words decide
        if index > 0 and figure_of(scene):
            return ("icon.dial",)
        return _BY_STYLE["title"] if index == 0 else _CARDS
    if wish.style in _BY_STYLE and (wish.style != "number" or figure_of(scene)):
        return _BY_STYLE[wish.style]
    if wish.style in FAMILIES or wish.style in ICONS:
        return (wish.style,)
    return _BY_WANT[wish.want]


def palette_of(theme: Theme, mood: int) -> Palette:
    """The colours of one card: the theme's own, on one of four grounds that its ink is readable on (7:1, else its own)."""
    light = theme.mode == "light"
    third = (
        theme.surface
        if contrast(theme.surface, theme.background) > 1.25
        else mix(theme.background, theme.highlight, 0.4)
    )
    if light:
        grounds = (
            theme.background, mix(theme.background, theme.accent, 0.13), mix(theme.background, theme.highlight, 0.15),
            mix(theme.background, "#ffffff", 0.6),
        )  # fmt: skip
        third = mix(third, theme.highlight, 0.30)
    else:
        grounds = (
            theme.background, mix(theme.background, theme.surface, 0.42), mix(theme.background, "#000000", 0.38),
            mix(theme.background, theme.surface, 0.20),
        )  # fmt: skip
    ground = grounds[mood % MOODS]
    if contrast(ground, theme.ink) < 7:
        ground = theme.background
    first, second = (theme.accent, theme.highlight) if mood % 2 == 0 else (theme.highlight, theme.accent)
    return Palette(
        ground=ground,
        raised=mix(ground, third, 0.5),
        third=third,
        first=first,
        second=second,
        ink=theme.ink,
        light=light,
    )
