"""Where things stand in a frame: one geometry that the painter (backgrounds) and the typesetter (ASS) both follow.

Numbers are reference pixels: short side 1080. Nothing that must be read stands outside the safe area: in 9:16 the
top 6 %, the bottom 19 % and the right 8 % belong to the platforms' own buttons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chimera.media.figures import Figure, key_figure
from chimera.media.layers import Area, CaptionLook
from chimera.media.models import Aspect, SceneSpec
from chimera.media.text import clean
from chimera.media.theme import seeded

SceneKind = Literal["title", "number", "statement", "outro"]
HeadlineStyle = Literal["bar", "boxes", "centre"]

# Backgrounds are painted this much larger than the frame, so that motion never shows an edge.
OVERSIZE = 1.14


@dataclass(frozen=True)
class Box:
    """A rectangle in reference pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.y + self.height

    @property
    def centre_x(self) -> float:
        """The middle from left to right."""
        return self.x + self.width / 2


@dataclass(frozen=True)
class Circle:
    """Where a motif stands, in reference pixels."""

    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Layout:
    """The geometry of one aspect: frame, motif (picture), headline, captions, source line, progress."""

    aspect: Aspect
    width: int
    height: int
    motif: Circle
    title_motif: Circle
    headline: Box
    title: Box
    captions: Box
    source: Box
    progress: Box
    headline_size: int
    title_size: int
    caption_size: int
    caption_line_chars: int
    # The closing list; at its foot there is no caption to keep clear of.
    closing: Box

    def caption_look(self) -> CaptionLook:
        """How captions are shown where nobody said otherwise."""
        box = self.captions
        return CaptionLook(
            box=Area(x=box.x, y=box.y, width=box.width, height=box.height), size=self.caption_size,
            line_chars=self.caption_line_chars,
        )  # fmt: skip


LAYOUTS: dict[Aspect, Layout] = {
    "9:16": Layout(
        aspect="9:16", width=1080, height=1920, motif=Circle(540, 560, 340), title_motif=Circle(540, 440, 262),
        headline=Box(84, 920, 912, 320), title=Box(84, 770, 912, 490), captions=Box(84, 1318, 912, 180),
        source=Box(84, 1526, 840, 40), progress=Box(84, 136, 912, 7),
        headline_size=86, title_size=112, caption_size=66, caption_line_chars=21, closing=Box(84, 196, 912, 1370),
    ),
    "16:9": Layout(
        aspect="16:9", width=1920, height=1080, motif=Circle(1430, 430, 300), title_motif=Circle(1450, 430, 290),
        headline=Box(110, 190, 900, 470), title=Box(110, 140, 1000, 580), captions=Box(280, 800, 1360, 150),
        source=Box(110, 990, 1200, 36), progress=Box(110, 60, 1700, 6),
        headline_size=86, title_size=104, caption_size=56, caption_line_chars=38, closing=Box(110, 100, 1000, 860),
    ),
    "1:1": Layout(
        aspect="1:1", width=1080, height=1080, motif=Circle(540, 306, 196), title_motif=Circle(540, 246, 150),
        headline=Box(72, 540, 936, 220), title=Box(72, 410, 936, 340), captions=Box(72, 806, 936, 140),
        source=Box(72, 1000, 900, 34), progress=Box(72, 48, 936, 6),
        headline_size=64, title_size=84, caption_size=54, caption_line_chars=26, closing=Box(72, 90, 936, 840),
    ),
}  # fmt: skip


def motif_of(layout: Layout, kind: SceneKind) -> Circle:
    """Where the motif of a kind of card stands: a title needs more room for its words."""
    return layout.title_motif if kind == "title" else layout.motif


def layout_for(size: tuple[int, int]) -> Layout:
    """The layout whose aspect is nearest to the size."""
    ratio = size[0] / size[1]
    return min(LAYOUTS.values(), key=lambda layout: abs(layout.width / layout.height - ratio))


def figure_of(scene: SceneSpec) -> Figure | None:
    """The number a scene shows big: from its on-screen text first, else from what is said."""
    return key_figure(clean(scene.on_screen_text)) or key_figure(clean(scene.narration))


def scene_kind(scene: SceneSpec, index: int) -> SceneKind:
    """What kind of card a scene is. The first is the title; one with a telling number shows the number."""
    if index == 0:
        return "title"
    return "number" if figure_of(scene) else "statement"


def headline_style(seed: int, index: int) -> HeadlineStyle:
    """How a scene's headline is set; two neighbours never the same."""
    styles: tuple[HeadlineStyle, ...] = ("bar", "boxes", "centre")
    return styles[(index + seeded(seed, "headline") % 3) % 3]
