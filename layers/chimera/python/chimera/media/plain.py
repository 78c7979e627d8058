"""The plain look, as data: what stands on a scene's card when no template says otherwise (title, headline, figure, sources)."""

from __future__ import annotations

from chimera.media.figures import Figure
from chimera.media.fonts import text_width
from chimera.media.layers import Area, Layer, NumberLayer, ProgressLayer, ShapeLayer, SourcesLayer, TextLayer, VAlign
from chimera.media.layout import Box, Layout, figure_of, headline_style
from chimera.media.models import RenderJob, Theme
from chimera.media.text import MAX_TITLE, clean, is_rtl
from chimera.media.timeline import Clip
from chimera.media.type.sheet import Page, shown
from chimera.media.type.text import measure

_SOURCE_OPACITY = 0.72


def layers(clip: Clip, job: RenderJob, theme: Theme, layout: Layout, count: int) -> tuple[Layer, ...]:
    """The layers of a clip, `clip.kind` deciding which card it is; `count` clips are in the video."""
    found: list[Layer] = [
        ProgressLayer(box=_area(layout.progress), number=clip.index, count=count, depth=0)
    ]  # fmt: skip
    if clip.kind == "outro":
        return (*found, SourcesLayer(box=_area(layout.closing)))
    if clip.kind == "title":
        text = shown(clean(job.title, limit=300), limit=MAX_TITLE) or shown(clip.scene.on_screen_text, limit=MAX_TITLE)
        return (*found, *_title(text, theme, layout))
    figure = figure_of(clip.scene) if clip.kind == "number" else None
    if figure is not None:
        found.append(_number(figure, layout))
    style = "centre" if figure is not None else headline_style(job.seed, clip.index)
    found += _headline(shown(clip.scene.on_screen_text, limit=200), theme, layout, style)
    return (*found, *_source_line(job, theme, layout))


def _area(box: Box) -> Area:
    return Area(x=box.x, y=box.y, width=box.width, height=box.height)


def _valign(layout: Layout) -> VAlign:
    """Blocks stand at the foot of their box, except in wide frames, where they are centred."""
    return "middle" if layout.aspect == "16:9" else "bottom"


def _rule(x: float, y: float, width: float, height: float, at: float) -> ShapeLayer:
    box = Area(x=x, y=y, width=width, height=height)
    return ShapeLayer(box=box, form="rounded", radius=height / 2, at=at, enter="grow-x", depth=2)


def _title(text: str, theme: Theme, layout: Layout) -> list[Layer]:
    box = layout.title
    layer = TextLayer(text=text, box=_area(box), size=layout.title_size, lines=5, valign=_valign(layout), enter="rise")
    block = measure(layer, theme)
    if block is None:
        return []
    rtl = is_rtl(text)
    mark_y = block.top - block.size * 0.62
    brand = shown(theme.brand, limit=32).upper()
    if not brand:
        return [_rule(box.x + box.width - 132 if rtl else box.x, mark_y, 132, 14, 0.05), layer]
    width = min(text_width(brand, theme.text, 700, 32, 2.0) + 68, box.width)
    pill = Area(x=box.x + box.width - width if rtl else box.x, y=mark_y - 32, width=width, height=60)
    return [
        TextLayer(
            text=brand, box=pill, font="text", weight=700, size=32, spacing=2, lines=1, align="centre", valign="middle",
            plate="pill", colour="background", enter="fade",
        ),
        layer,
    ]  # fmt: skip


def _headline(text: str, theme: Theme, layout: Layout, style: str) -> list[Layer]:
    box = layout.headline
    wide = layout.aspect == "16:9"
    if style == "centre" and not wide:  # in the frame's middle, as captions and motif are
        box = Box(layout.captions.x, box.y, layout.captions.width, box.height)
    layer = TextLayer(
        text=text, box=_area(box), size=layout.headline_size, lines=4 if wide else 3, valign=_valign(layout),
        plate="none" if style == "centre" else style, align="centre" if style == "centre" and not wide else "start",
        at=0.16 if style == "centre" else 0.0, enter="rise",
    )  # fmt: skip
    block = measure(layer, theme)
    if block is None:
        return []
    if style != "centre":
        return [layer]
    x = (box.x + box.width - 120 if is_rtl(text) else box.x) if wide else box.centre_x - 60
    return [_rule(x, block.top - block.size * 0.55, 120, 12, 0.12), layer]


def _number(figure: Figure, layout: Layout) -> NumberLayer:
    circle = layout.motif
    room = circle.radius * 1.60
    box = Area(x=circle.x - room / 2, y=circle.y - room / 2, width=room, height=room)
    return NumberLayer(text=figure.big, unit=figure.unit, box=box, size=min(240.0, circle.radius * 0.72), at=0.2)


def _source_line(job: RenderJob, theme: Theme, layout: Layout) -> list[Layer]:
    page = Page(layout=layout, theme=theme, title="", sources=job.sources, language=job.language, seed=0, clip_count=1,
                fps=job.fps)  # fmt: skip
    names = page.source_names[:2]
    if not names:
        return []
    text = shown(f"{page.labels[0 if len(names) == 1 else 1]}: {', '.join(names)}", limit=80)
    align = "left" if layout.aspect == "16:9" else "centre"
    return [
        TextLayer(
            text=text, box=_area(layout.source), font="text", weight=500, size=29, smallest=20, lines=1, align=align,
            valign="middle", opacity=_SOURCE_OPACITY, enter="fade", at=0.35,
        )
    ]  # fmt: skip
