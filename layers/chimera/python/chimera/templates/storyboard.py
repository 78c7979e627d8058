"""What a template makes of a brief: scenes with their words, the pictures they wish for, and the layers over them.

It is written by the brief's step as `brief/storyboard.json`; voice, pictures and render follow it, scene by scene.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from chimera.media.base import Frozen
from chimera.media.layers import Area, CaptionLook, ColourName, Layer
from chimera.media.models import Aspect, MotionName, Theme, Transition

Want = Literal["card", "chart", "map", "photo", "footage", "plain"]


class PictureWish(Frozen):
    """The picture a scene wishes for. `photo` and `footage` are found or made (own first), else a card stands in."""

    want: Want = "card"
    prompt: str = Field(default="", max_length=500)
    # A name or number among the user's own; empty: the best that was not used yet.
    asset: str = Field(default="", max_length=400)
    # The card's family, for canvases that know it (`number`, `quote`, `split`, `list` …); empty: chosen by seed.
    style: str = Field(default="", max_length=40)
    # Where the picture stands in the frame; None: it fills it. Around it is `ground`, or a quiet card.
    window: Area | None = None
    corner: float = Field(default=0, ge=0, le=400, description="Radius of the window's corners, reference pixels")
    ground: ColourName | Literal["card"] = "card"
    # Holds a picture or footage that was found back where type stands: 0 none … 1 black, in light themes white. Cards are
    # held back as far as the type on them needs.
    scrim: float = Field(default=0.0, ge=0, le=1)
    # The area that a card's motif keeps to; None: the layout's own place for it.
    focus: Area | None = None


class StoryScene(Frozen):
    """One scene. `narration` is the brief's, whole or a part of it, never anything else; it may be empty."""

    key: str = Field(min_length=1, max_length=80)
    # Which scene of the brief this is, from 0; None: of the template's own (opening, closing).
    brief_scene: int | None = Field(default=None, ge=0)
    speaker: str = Field(default="narrator", max_length=40)
    narration: str = ""
    on_screen_text: str = ""
    picture: PictureWish = PictureWish()
    layers: tuple[Layer, ...] = ()
    motion: MotionName = "auto"
    transition: Transition = "dissolve"
    seconds: float = Field(default=0.0, ge=0, le=120, description="At least; 0: as long as voice or reading takes")
    marker: str = Field(default="", max_length=120, description="A chapter begins here")


class Storyboard(Frozen):
    """A whole video as a template lays it out; nothing of it depends on voice or pictures yet."""

    template: str = Field(description="NAME@VERSION")
    checksum: str = Field(default="", description="sha256 of the pack as it was used")
    parameters: dict[str, Any] = Field(default={})
    title: str
    language: str = "en"
    aspect: Aspect = "9:16"
    platform: str = ""
    theme: Theme
    scenes: tuple[StoryScene, ...] = Field(min_length=1, max_length=200)
    sources: tuple[str, ...] = ()
    captions: CaptionLook
    music: str = ""
    logo_box: Area | None = None
    seed: int = 0
