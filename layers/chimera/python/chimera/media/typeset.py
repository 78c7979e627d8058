"""Sets all the type of a clip as ASS: its layers (media/type), one by one, and its captions above them.

Only backgrounds dissolve; type comes in line by line and leaves before the cut, so text never fades through text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chimera.media import ass, caption_styles
from chimera.media.cues import Cue
from chimera.media.fonts import ass_size, family_name
from chimera.media.layers import CaptionLook, Placed
from chimera.media.layout import Layout
from chimera.media.timeline import Clip, Timeline
from chimera.media.type import charts, kinetic, lists, numbers, shapes, text
from chimera.media.type.sheet import Page, Sheet, shown

__all__ = ["Page", "Sheet", "page_of", "shown", "typeset"]

_DRAW: dict[str, Callable[[Sheet, Any], None]] = {
    "text": text.draw,
    "kinetic": kinetic.draw,
    "shape": shapes.draw,
    "number": numbers.draw,
    "chart": charts.draw,
    "list": lists.draw,
    "progress": lists.draw_progress,
    "sources": lists.draw_sources,
    "icon": shapes.draw_icon,
}


def typeset(
    clip: Clip, cues: Sequence[Cue], page: Page, *, look: CaptionLook | None = None, captions: bool = True
) -> str:
    """The ASS file of a clip; cue times are the clip's own.

    `look` is how cues are drawn (None: the layout's own way). `captions=False` leaves captions and progress out, for
    the thumbnail. Raises `NOT_FOUND` for an icon that is none, `VALIDATION_FAILED` for a font that cannot be used.
    """
    script = ass.Script(page.layout.width, page.layout.height, _styles(page))
    end = clip.seconds(page.fps)
    sheet = Sheet(script, page, clip, end)
    for layer in clip.layers:
        if captions or layer.kind != "progress":
            draw(sheet, layer)
    if captions and cues:
        chosen = look or page.layout.caption_look()
        caption_styles.draw(script, cues, chosen, page.theme, end, fps=page.fps)
    return script.text()


def page_of(timeline: Timeline, layout: Layout) -> Page:
    """What the clips of a timeline share."""
    return Page(
        layout=layout, theme=timeline.theme, title=timeline.title, sources=timeline.sources, language=timeline.language,
        seed=timeline.seed, clip_count=len(timeline.clips), fps=timeline.fps,
    )  # fmt: skip


def draw(sheet: Sheet, layer: Placed) -> None:
    """Draws one layer of any kind."""
    _DRAW[layer.kind](sheet, layer)  # type: ignore[attr-defined]


def _styles(page: Page) -> list[ass.Style]:
    theme = page.theme
    return [
        ass.Style("Type", family_name(theme.display), ass_size(theme.display, 100), theme.ink),
        ass.Style("Shape", family_name(theme.text), 20, theme.accent),
    ]
