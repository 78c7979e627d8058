"""Sets all the type of a clip as ASS: title, headlines, big numbers, word-by-word captions, sources, progress.

Only backgrounds dissolve; type comes in line by line and leaves before the cut, so text never fades through text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chimera.media import ass
from chimera.media.captions import Cue
from chimera.media.figures import Figure
from chimera.media.fonts import Family, ascent, ass_size, drawable, text_width, wrap
from chimera.media.layout import Box, HeadlineStyle, Layout, figure_of, headline_style
from chimera.media.models import Theme
from chimera.media.text import MAX_TITLE, clean, is_rtl, source_names, without_emoji
from chimera.media.theme import mix
from chimera.media.timeline import Clip

DISPLAY: Family = "Montserrat"
TEXT: Family = "Inter"
_CAP = 0.70  # cap height of both families in ems
_LEADING = 1.14
_LEAVE_MS = 180
_LABELS = {
    "en": ("Source", "Sources", "Made with AI"), "de": ("Quelle", "Quellen", "Mit KI erstellt"),
    "fr": ("Source", "Sources", "Créé avec l’IA"), "es": ("Fuente", "Fuentes", "Hecho con IA"),
    "pt": ("Fonte", "Fontes", "Feito com IA"), "it": ("Fonte", "Fonti", "Creato con l’IA"),
    "nl": ("Bron", "Bronnen", "Gemaakt met AI"), "pl": ("Źródło", "Źródła", "Stworzone z AI"),
}  # fmt: skip


@dataclass(frozen=True)
class Page:
    """What the type of every clip of a video shares."""

    layout: Layout
    theme: Theme
    title: str
    sources: tuple[str, ...]
    language: str
    seed: int
    clip_count: int
    fps: int

    @property
    def labels(self) -> tuple[str, str, str]:
        """ "Source", "Sources", "Made with AI" in the video's language, else English."""
        return _LABELS.get(self.language.split("-")[0].lower(), _LABELS["en"])


def shown(text: str, *, limit: int = 400) -> str:
    """What of a text from outside can be drawn: cleaned, without emoji and without characters no font has."""
    return drawable(without_emoji(clean(text, limit=limit)))[0]


def typeset(clip: Clip, cues: Sequence[Cue], page: Page, *, captions: bool = True) -> str:
    """The ASS file of a clip; cue times are the clip's own. `captions=False` is for the thumbnail."""
    script = ass.Script(page.layout.width, page.layout.height, _styles(page))
    end = clip.seconds(page.fps)
    if clip.kind == "title":
        _title(script, clip, page, end)
    elif clip.kind == "outro":
        _outro(script, page, end)
    else:
        figure = figure_of(clip.scene) if clip.kind == "number" else None
        if figure is not None:
            _number(script, figure, page, end)
        style: HeadlineStyle = "centre" if figure is not None else headline_style(page.seed, clip.index)
        _headline(script, shown(clip.scene.on_screen_text, limit=200), page, style, end)
        _source_line(script, page, end)
    if captions:
        _progress(script, clip, page, end)
        for cue in cues:
            _caption(script, cue, page, end)
    return script.text()


def _styles(page: Page) -> list[ass.Style]:
    theme, layout = page.theme, page.layout
    dark = mix(theme.background, "#000000", 0.45)
    caption = ass_size(DISPLAY, layout.caption_size)
    return [
        ass.Style("Display", DISPLAY, ass_size(DISPLAY, 100), theme.ink, weight=800, outline_colour=dark),
        ass.Style("Number", DISPLAY, ass_size(DISPLAY, 100), theme.ink, weight=900, spacing=-2),
        ass.Style("Text", TEXT, ass_size(TEXT, 40), theme.ink, weight=600),
        ass.Style("Caption", DISPLAY, caption, theme.ink, weight=800, outline_colour=dark, outline=5.5),
        ass.Style("Shape", TEXT, 20, theme.accent),
    ]  # fmt: skip


def _enter(x: float, y: float, delay: float, *, rise: float = 38.0) -> str:
    start = round(delay * 1000)
    return f"\\move({x:.1f},{y + rise:.1f},{x:.1f},{y:.1f},{start},{start + 300})\\fad(0,{_LEAVE_MS})\\alpha&HFF&\\t({start},{start + 220},\\alpha&H00&)"


def _lines(
    script: ass.Script, lines: list[str], *, size: int, box: Box, first_baseline: float, align: str, end: float,
    tint: str, delay: float, weight: int = 800, family: Family = DISPLAY,
) -> None:  # fmt: skip
    step = size * _LEADING
    for number, line in enumerate(lines):
        baseline = first_baseline + number * step
        top = baseline - ascent(family) * size
        x, anchor = {"left": (box.x, 7), "right": (box.x + box.width, 9), "centre": (box.centre_x, 8)}[align]
        tags = f"\\an{anchor}{_enter(x, top, delay + number * 0.09)}\\fn{family}\\b{weight}\\fs{ass_size(family, size):.2f}\\1c{ass.inline(tint)}\\bord0\\shad0"
        script.add("Display", 0.0, end, tags, line, layer=3)


def _top_of(box: Box, height: float, page: Page) -> float:
    """Where a block of that height starts: at the box's foot, except in wide frames, where it is centred."""
    return box.y + (box.height - height) / 2 if page.layout.aspect == "16:9" else box.bottom - height


def _bar(
    script: ass.Script, x: float, y: float, width: float, height: float, tint: str, end: float, *, delay: float = 0.05
) -> None:
    start = round(delay * 1000)
    tags = f"\\an7\\pos({x:.1f},{y:.1f})\\1c{ass.inline(tint)}\\bord0\\shad0\\fad(0,{_LEAVE_MS})\\fscx0\\t({start},{start + 380},0.6,\\fscx100)"
    script.shape("Shape", 0.0, end, tags, ass.rounded(width, height, height / 2), layer=2)


def _title(script: ass.Script, clip: Clip, page: Page, end: float) -> None:
    text = shown(page.title, limit=MAX_TITLE) or shown(clip.scene.on_screen_text, limit=MAX_TITLE)
    if not text:
        return
    layout, theme = page.layout, page.theme
    top_size = layout.title_size
    sizes = tuple(range(top_size, round(top_size * 0.5), -4))
    size, lines = wrap(text, family=DISPLAY, weight=800, width=layout.title.width, sizes=sizes, max_lines=5)
    rtl = is_rtl(text)
    height = (len(lines) - 1) * size * _LEADING + size * _CAP
    top = _top_of(layout.title, height, page)
    mark_y = top - size * 0.62
    x = layout.title.x + layout.title.width - 132 if rtl else layout.title.x
    brand = shown(theme.brand, limit=32)
    if brand:
        width = text_width(brand.upper(), TEXT, 700, 32, 2.0) + 52
        x = layout.title.x + layout.title.width - width if rtl else layout.title.x
        _bar(script, x, mark_y - 32, width, 60, theme.accent, end)
        tags = f"\\an5\\pos({x + width / 2:.1f},{mark_y - 2:.1f})\\b700\\fsp2\\fs{ass_size(TEXT, 32):.2f}\\1c{ass.inline(theme.background)}\\fad(300,{_LEAVE_MS})"
        script.add("Text", 0.2, end, tags, brand.upper(), layer=3)
    else:
        _bar(script, x, mark_y, 132, 14, theme.accent, end)
    _lines(
        script, lines, size=size, box=layout.title, first_baseline=top + size * _CAP, align="right" if rtl else "left",
        end=end, tint=theme.ink, delay=0.0,
    )  # fmt: skip


def _headline(script: ass.Script, text: str, page: Page, style: HeadlineStyle, end: float) -> None:
    if not text:
        return
    layout, theme, box = page.layout, page.theme, page.layout.headline
    top_size = layout.headline_size
    rtl = is_rtl(text)
    inset = 46.0 if style == "bar" else 28.0 if style == "boxes" else 0.0
    sizes = tuple(range(top_size, round(top_size * 0.55), -4))
    size, lines = wrap(
        text,
        family=DISPLAY,
        weight=800,
        width=box.width - inset * (2 if style == "boxes" else 1),
        sizes=sizes,
        max_lines=4 if layout.aspect == "16:9" else 3,
    )
    height = (len(lines) - 1) * size * (_LEADING + (0.30 if style == "boxes" else 0)) + size * _CAP
    top = _top_of(box, height, page)
    if style == "bar":
        x = box.x + box.width - 12 if rtl else box.x
        tags = f"\\an7\\pos({x:.1f},{top - 14:.1f})\\1c{ass.inline(theme.accent)}\\bord0\\shad0\\fad(0,{_LEAVE_MS})\\fscy0\\t(100,450,0.6,\\fscy100)"
        script.shape("Shape", 0.0, end, tags, ass.rounded(12, height + 28, 6), layer=2)
        inner = Box(box.x if rtl else box.x + inset, box.y, box.width - inset, box.height)
        _lines(
            script,
            lines,
            size=size,
            box=inner,
            first_baseline=top + size * _CAP,
            align="right" if rtl else "left",
            end=end,
            tint=theme.ink,
            delay=0.16,
        )
    elif style == "boxes":
        _boxed(script, lines, size, page, top, end, rtl)
    else:
        wide = layout.aspect == "16:9"
        align = ("right" if rtl else "left") if wide else "centre"
        _lines(
            script,
            lines,
            size=size,
            box=box,
            first_baseline=top + size * _CAP,
            align=align,
            end=end,
            tint=theme.ink,
            delay=0.16,
        )
        x = (box.x + box.width - 120 if rtl else box.x) if wide else box.centre_x - 60
        _bar(script, x, top - size * 0.55, 120, 12, theme.accent, end, delay=0.12)


def _boxed(script: ass.Script, lines: list[str], size: int, page: Page, top: float, end: float, rtl: bool) -> None:
    """Each line on a plate of its own that wipes in; the first plate in the accent colour, the others white."""
    theme, box = page.theme, page.layout.headline
    step, pad_x, pad_y = size * (_LEADING + 0.30), 28.0, size * 0.25
    for number, line in enumerate(lines):
        baseline = top + size * _CAP + number * step
        width = text_width(line, DISPLAY, 800, size) + 2 * pad_x
        x = box.x + box.width - width if rtl else box.x
        y, height = baseline - size * _CAP - pad_y, size * _CAP + 2 * pad_y + size * 0.08
        delay = 0.08 + number * 0.12
        start = round(delay * 1000)
        tint = theme.accent if number == 0 else "#ffffff"
        tags = f"\\an7\\pos({x:.1f},{y:.1f})\\1c{ass.inline(tint)}\\bord0\\shad0\\fad(0,{_LEAVE_MS})\\fscx0\\t({start},{start + 280},0.6,\\fscx100)"
        script.shape("Shape", 0.0, end, tags, ass.rounded(width, height, 12), layer=2)
        text_top = baseline - ascent(DISPLAY) * size
        tags = f"\\an7\\pos({x + pad_x:.1f},{text_top:.1f})\\fs{ass_size(DISPLAY, size):.2f}\\1c{ass.inline(theme.background)}\\bord0\\shad0\\alpha&HFF&\\t({start + 140},{start + 300},\\alpha&H00&)\\fad(0,{_LEAVE_MS})"
        script.add("Display", 0.0, end, tags, line, layer=3)


def _number(script: ass.Script, figure: Figure, page: Page, end: float) -> None:
    layout, theme = page.layout, page.theme
    room = layout.motif.radius * 1.60
    unit = shown(figure.unit.upper(), limit=40)
    size = next((s for s in range(240, 60, -4) if text_width(figure.big, DISPLAY, 900, s, -2) <= room), 60)
    size = min(size, round(layout.motif.radius * 0.72))
    y = layout.motif.y - (size * 0.16 if unit else 0)
    steps, seconds, begin = 18, 0.9, 0.20
    for step in range(steps + 1):
        start = begin + seconds * step / steps
        stop = begin + seconds * (step + 1) / steps if step < steps else end
        progress = 1 - (1 - step / steps) ** 3
        tags = f"\\an5\\pos({layout.motif.x:.1f},{y:.1f})\\fs{ass_size(DISPLAY, size):.2f}\\1c{ass.inline(theme.ink)}"
        if step == 0:
            tags += "\\fad(120,0)"
        if step == steps:
            tags += f"\\fad(0,{_LEAVE_MS})\\t(0,110,\\fscx107\\fscy107)\\t(110,260,\\fscx100\\fscy100)\\1c{ass.inline(theme.accent)}"
        script.add("Number", start, min(stop, end), tags, shown(figure.at(progress)), layer=3)
    if unit:
        small = next((s for s in range(54, 26, -2) if text_width(unit, TEXT, 700, s, 2) <= room * 0.86), 26)
        tags = f"\\an5\\pos({layout.motif.x:.1f},{y + size * 0.66:.1f})\\b700\\fsp2\\fs{ass_size(TEXT, small):.2f}\\1c{ass.inline(theme.ink)}\\fad(260,{_LEAVE_MS})"
        script.add("Text", 0.45, end, tags, unit, layer=3)


def _source_line(script: ass.Script, page: Page, end: float) -> None:
    names = source_names(page.sources, limit=2)
    if not names:
        return
    box = page.layout.source
    label = page.labels[0 if len(names) == 1 else 1]
    wide = page.layout.aspect == "16:9"
    x, anchor = (box.x, 4) if wide else (page.layout.width / 2, 5)
    tags = f"\\an{anchor}\\pos({x:.1f},{box.y + box.height / 2:.1f})\\b500\\fs{ass_size(TEXT, 29):.2f}\\1a&H48&\\fad(400,{_LEAVE_MS})"
    script.add("Text", 0.35, end, tags, shown(f"{label}: {', '.join(names)}", limit=80), layer=3)


def _outro(script: ass.Script, page: Page, end: float) -> None:
    layout, theme = page.layout, page.theme
    names = [n for n in (shown(name, limit=48) for name in source_names(page.sources)) if n]
    small = layout.aspect == "1:1"
    head, item, step = (72, 38, 74) if small else (92, 46, 92)
    total = head + 60 + len(names) * step + 110
    top = max((layout.height * 0.94 - total) / 2, layout.progress.y + 60)
    box = Box(layout.title.x, top, layout.title.width, total)
    _bar(script, box.x, top - 6, 132, 14, theme.accent, end, delay=0.2)
    baseline = top + 52 + head * _CAP
    _lines(
        script,
        [page.labels[1]],
        size=head,
        box=box,
        first_baseline=baseline,
        align="left",
        end=end,
        tint=theme.ink,
        delay=0.25,
    )
    for number, name in enumerate(names):
        y = baseline + 96 + number * step
        delay = 0.38 + number * 0.10
        start = round(delay * 1000)
        tags = f"\\an4\\pos({box.x:.1f},{y:.1f})\\1c{ass.inline(theme.accent)}\\bord0\\shad0\\alpha&HFF&\\t({start},{start + 200},\\alpha&H00&)\\fad(0,{_LEAVE_MS})"
        script.shape("Shape", 0.0, end, tags, ass.rounded(16, 16, 4), layer=2)
        size = next((s for s in range(item, 22, -2) if text_width(name, TEXT, 600, s) <= box.width - 44), 22)
        tags = f"\\an4{_enter(box.x + 44, y, delay, rise=24)}\\b600\\fs{ass_size(TEXT, size):.2f}"
        script.add("Text", 0.0, end, tags, name, layer=3)
    y = baseline + 96 + len(names) * step + 44
    label = page.labels[2]
    width = text_width(label, TEXT, 600, 30) + 56
    tags = f"\\an7\\pos({box.x:.1f},{y - 30:.1f})\\1a&HFF&\\3c{ass.inline(theme.ink)}\\3a&H70&\\bord2\\shad0\\fad(600,{_LEAVE_MS})"
    script.shape("Shape", 0.5, end, tags, ass.rounded(width, 60, 30), layer=2)
    tags = (
        f"\\an5\\pos({box.x + width / 2:.1f},{y:.1f})\\b600\\fs{ass_size(TEXT, 30):.2f}\\1a&H30&\\fad(600,{_LEAVE_MS})"
    )
    script.add("Text", 0.5, end, tags, label, layer=3)


def _progress(script: ass.Script, clip: Clip, page: Page, end: float) -> None:
    box, theme, count = page.layout.progress, page.theme, page.clip_count
    if count > 14:
        return
    gap = 10.0
    width = (box.width - gap * (count - 1)) / count
    for number in range(count):
        x = box.x + number * (width + gap)
        path = ass.rounded(width, box.height, box.height / 2)
        place = f"\\an7\\pos({x:.1f},{box.y:.1f})\\bord0\\shad0"
        if number < clip.index:
            script.shape("Shape", 0.0, end, f"{place}\\1c{ass.inline(theme.ink)}\\1a&H18&", path)
            continue
        script.shape("Shape", 0.0, end, f"{place}\\1c{ass.inline(theme.ink)}\\1a&HB0&", path)
        if number == clip.index:
            grow = f"\\fscx0\\t(0,{round(end * 1000)},\\fscx100)"
            script.shape("Shape", 0.0, end, f"{place}\\1c{ass.inline(theme.accent)}{grow}", path, layer=1)


def _caption(script: ass.Script, cue: Cue, page: Page, clip_end: float) -> None:
    """A cue, once for each of its words, that word in the accent colour while it is said."""
    layout, theme = page.layout, page.theme
    lines = [[(w, shown(w.text, limit=80)) for w in line] for line in cue.lines]
    lines = [kept for kept in ([(w, t) for w, t in line if t] for line in lines) if kept]
    if not lines:
        return
    widest = max(text_width(" ".join(t for _, t in line), DISPLAY, 800, layout.caption_size) for line in lines)
    fit = min(1.0, layout.captions.width / max(widest, 1.0))
    centre_y = layout.captions.y + layout.captions.height / 2
    base = f"\\an5\\pos({layout.captions.centre_x:.1f},{centre_y:.1f})\\blur0.6"
    if fit < 1:
        base += f"\\fs{ass_size(DISPLAY, layout.caption_size * max(fit, 0.45)):.2f}"
    spoken = [w for line in lines for w, _ in line]
    limit = min(cue.end, clip_end)
    for position, word in enumerate(spoken):
        start = cue.start if position == 0 else word.start
        stop = spoken[position + 1].start if position + 1 < len(spoken) else limit
        parts: list[tuple[str, str]] = [(base, "")]
        seen = 0
        for number, line in enumerate(lines):
            if number:
                parts.append(("\\N", ""))
            for place, (_, text) in enumerate(line):
                lead = " " if place else ""
                active = seen == position
                parts.append((f"\\1c{ass.inline(theme.accent if active else theme.ink)}", lead + text))
                seen += 1
        script.add_marked("Caption", max(start, cue.start), min(stop, limit), parts, layer=4)
