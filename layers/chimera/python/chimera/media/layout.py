"""Where things stand in a frame: one geometry that the painter (backgrounds) and the typesetter (ASS) both follow.

It is cut from the regions of media/safe_areas.py. Numbers are reference pixels: short side 1080.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from chimera.media.figures import Figure, key_figure
from chimera.media.layers import Area, CaptionLook
from chimera.media.models import Aspect, SceneSpec
from chimera.media.safe_areas import FRAMES, regions
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


# headline, title and caption sizes (em pixels), characters of a caption's line
_TYPE: dict[Aspect, tuple[int, int, int, int]] = {
    "9:16": (86, 112, 66, 21), "16:9": (86, 104, 56, 38), "1:1": (64, 84, 54, 26)
}  # fmt: skip
_EMS_PER_CHAR = 0.56  # of the display family at the captions' weight


@lru_cache(maxsize=64)
def layout_of(aspect: Aspect, platform: str = "") -> Layout:
    """The layout of an aspect inside a platform's safe area; `""` keeps clear of them all.

    Raises `VALIDATION_FAILED` for a platform that is not known.
    """
    found = regions(aspect, platform)
    headline, title, caption, chars = _TYPE[aspect]
    room = found["captions"].width / (chars * _EMS_PER_CHAR)

    def box(name: str) -> Box:
        area = found[name]
        return Box(area.x, area.y, area.width, area.height)

    def circle(name: str) -> Circle:
        area = found[name]
        return Circle(area.x + area.width / 2, area.y + area.height / 2, area.width / 2)

    return Layout(
        aspect=aspect, width=FRAMES[aspect][0], height=FRAMES[aspect][1], motif=circle("motif"),
        title_motif=circle("title_motif"), headline=box("headline"), title=box("title"), captions=box("captions"),
        source=box("source"), progress=box("progress"), closing=box("closing"), headline_size=headline,
        title_size=title, caption_size=min(caption, int(room // 2) * 2), caption_line_chars=chars,
    )  # fmt: skip


LAYOUTS: dict[Aspect, Layout] = {aspect: layout_of(aspect) for aspect in FRAMES}


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
