"""What stands on a picture: type, shapes, numbers, charts and lists as data; `media/typeset` draws them as ASS.

A layer is absolute: its box is in reference pixels (short side 1080), its times are seconds from the scene's first
frame. Templates name regions and words; the template engine resolves them to these (chimera/templates).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from chimera.media.base import Frozen

# A role of the theme, or a colour of its own. `paper` is the theme's type colour turned to a ground: ink as a plate.
ColourName = Annotated[str, Field(pattern=r"^(ink|accent|highlight|background|surface|#[0-9a-fA-F]{6})$")]
Align = Literal["left", "centre", "right", "start"]  # `start` follows the text's own direction
VAlign = Literal["top", "middle", "bottom"]
Enter = Literal["none", "fade", "rise", "drop", "slide", "wipe", "pop", "type", "words"]


class Area(Frozen):
    """A rectangle in reference pixels: short side 1080, origin top left."""

    x: float
    y: float
    width: float = Field(gt=0)
    height: float = Field(gt=0)


class Placed(Frozen):
    """What all layers share. `until` 0 is the scene's end; a layer leaves before the cut, so type never crosses it."""

    box: Area
    at: float = Field(default=0.0, ge=0, le=600)
    until: float = Field(default=0.0, ge=0, le=600)
    # Shown while the scene's n-th word is said and on; it overrides `at`. -1: by time.
    at_word: int = Field(default=-1, ge=-1, le=2000)
    opacity: float = Field(default=1.0, gt=0, le=1)
    depth: int = Field(default=3, ge=0, le=9)


class TextLayer(Placed):
    """Type, set as large as it fits: from `size` (reference pixels, em) down to `smallest`, on `lines` lines at most."""

    kind: Literal["text"] = "text"
    text: str = Field(max_length=2000)
    font: Literal["display", "text"] = "display"
    weight: int = Field(default=800, ge=100, le=900)
    size: float = Field(default=86, ge=16, le=600)
    smallest: float = Field(default=0, ge=0, le=600)  # 0: 55 % of `size`
    lines: int = Field(default=3, ge=1, le=12)
    leading: float = Field(default=1.14, ge=0.8, le=2)
    spacing: float = Field(default=0, ge=-10, le=40)
    align: Align = "start"
    valign: VAlign = "bottom"
    colour: ColourName = "ink"
    # What it stands on where it has no plate: `colour` is held to 4.5:1 against it.
    ground: ColourName = "background"
    # Words of `text` in this colour: those between asterisks (`*so*`), which are not shown.
    emphasis: ColourName = "accent"
    upper: bool = False
    plate: Literal["none", "bar", "boxes", "pill", "panel", "underline", "marker", "outline"] = "none"
    plate_colour: ColourName = "accent"
    enter: Enter = "rise"
    outline: float = Field(default=0, ge=0, le=20)


class KineticLayer(Placed):
    """The scene's own words, large, each when it is said; page after page of at most `lines` lines."""

    kind: Literal["kinetic"] = "kinetic"
    size: float = Field(default=150, ge=40, le=400)
    lines: int = Field(default=4, ge=1, le=8)
    weight: int = Field(default=900, ge=100, le=900)
    align: Align = "start"
    colour: ColourName = "ink"
    emphasis: ColourName = "accent"
    upper: bool = False


class ShapeLayer(Placed):
    """A drawn form filling its box."""

    kind: Literal["shape"] = "shape"
    form: Literal[
        "rectangle", "rounded", "circle", "ring", "line", "triangle", "quote", "arrow", "check", "corner", "burst"
    ]
    colour: ColourName = "accent"
    radius: float = Field(default=12, ge=0, le=1000)
    stroke: float = Field(default=0, ge=0, le=60)  # 0: filled
    turn: float = Field(default=0, ge=-360, le=360)  # degrees
    enter: Literal["none", "fade", "grow-x", "grow-y", "pop", "slide", "draw"] = "fade"


class NumberLayer(Placed):
    """A figure that counts up to what is written, with its unit small below; a ring shows a share (0–1)."""

    kind: Literal["number"] = "number"
    text: str = Field(max_length=60, description="As it is written: $4.2 billion, 37 %, 1,250")
    unit: str = Field(default="", max_length=60)
    size: float = Field(default=240, ge=40, le=600)
    colour: ColourName = "accent"
    ring: bool = False
    share: float | None = Field(default=None, ge=0, le=1)
    align: Align = "centre"
    seconds: float = Field(default=0.9, gt=0, le=5)


class Point(Frozen):
    """A value of a chart; `shown` is how it is written."""

    label: str = Field(max_length=60)
    value: float = Field(ge=-1e15, le=1e15, allow_inf_nan=False)
    shown: str = Field(default="", max_length=30)


class ChartLayer(Placed):
    """An animated chart; values as given, the axis from 0 for bars and columns (a cut axis would lie)."""

    kind: Literal["chart"] = "chart"
    form: Literal["column", "bar", "line", "donut", "compare"] = "column"
    points: tuple[Point, ...] = Field(min_length=1, max_length=12)
    title: str = Field(default="", max_length=120)
    unit: str = Field(default="", max_length=40)
    marked: int = Field(default=-1, ge=-1, le=11)  # the point in the accent colour; -1: the largest
    seconds: float = Field(default=1.2, gt=0, le=8)


class ListLayer(Placed):
    """Lines of a list; `active` is the one of now, those before it are done. -1: all alike, entering one by one."""

    kind: Literal["list"] = "list"
    items: tuple[str, ...] = Field(min_length=1, max_length=12)
    active: int = Field(default=-1, ge=-1, le=11)
    marker: Literal["number", "bullet", "check", "none"] = "number"
    size: float = Field(default=56, ge=20, le=200)
    colour: ColourName = "ink"


class ProgressLayer(Placed):
    """How far the video is."""

    kind: Literal["progress"] = "progress"
    style: Literal["segments", "bar", "dots", "count"] = "segments"
    number: int = Field(ge=0, le=200)
    count: int = Field(ge=1, le=201)


class SourcesLayer(Placed):
    """The closing list: where it comes from, and that it was made with AI."""

    kind: Literal["sources"] = "sources"


class IconLayer(Placed):
    """A named icon of the bundled set as a shape."""

    kind: Literal["icon"] = "icon"
    name: str = Field(max_length=60)
    colour: ColourName = "accent"
    enter: Literal["none", "fade", "pop", "draw"] = "pop"


Layer = Annotated[
    TextLayer
    | KineticLayer
    | ShapeLayer
    | NumberLayer
    | ChartLayer
    | ListLayer
    | ProgressLayer
    | SourcesLayer
    | IconLayer,
    Field(discriminator="kind"),
]


def texts_of(layer: Layer) -> list[str]:
    """What a layer puts on the screen, as plain text; of a chart its title and its points."""
    if layer.kind == "text":
        return [layer.text.replace("*", "")]
    if layer.kind == "number":
        return [f"{layer.text} {layer.unit}".strip()]
    if layer.kind == "list":
        return list(layer.items)
    if layer.kind == "chart":
        return [layer.title, *(f"{p.label} {p.shown or p.value} {layer.unit}".strip() for p in layer.points)]
    return []


class CaptionLook(Frozen):
    """How the spoken words are shown: `karaoke` colours the word that is said, `pop` shows few words large, `box` puts a
    plate behind them, `minimal` is small and plain, `off` burns nothing in. SRT and VTT are written in any case."""

    style: Literal["karaoke", "pop", "box", "minimal", "off"] = "karaoke"
    box: Area
    size: float = Field(default=66, ge=20, le=200)
    line_chars: int = Field(default=21, ge=8, le=60)
    upper: bool = False
    colour: ColourName = "ink"
    active: ColourName = "accent"
    plate: ColourName = "background"
    soft: bool = Field(default=False, description="As a subtitle track of the file instead of in the picture")
    mask_profanity: bool = False
    glow: bool = Field(default=False, description="karaoke: a soft light behind the word that is said")
