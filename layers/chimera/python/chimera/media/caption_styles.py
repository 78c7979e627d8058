"""Draws captions as ASS in four looks: karaoke, pop, box, minimal. Word changes fall on the frame nearest to the voice.

Nothing is rasterised anew from frame to frame: words and plates stand still in libass's caches, and only pop scales a
word, for four frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chimera.media import ass
from chimera.media.caption_layout import CAP, RLM, Block, Line, Spot, Type, directed, frame_time, lay_out, shown
from chimera.media.cues import Cue, glued
from chimera.media.fonts import Family, ass_size, family_name, real_weight, text_width
from chimera.media.layers import CaptionLook
from chimera.media.models import Theme, Word
from chimera.media.theme import contrast, mix

_TEXT, _SHAPE = "CaptionText", "CaptionShape"
_PLATE_LAYER, _PILL_LAYER, _TEXT_LAYER = (ass.CAPTION_LAYER + n for n in range(3))
_POP_WORDS, _POP_CHARS, _POP_PAUSE = 3, 13, 0.22
_POP_SCALE = 1.55  # of the look's size
_READABLE = 4.5  # contrast ratio of type on a plate (WCAG 2.2 AA)


@dataclass(frozen=True)
class _Kit:
    """What all cues of a clip share."""

    script: ass.Script
    look: CaptionLook
    colour: str
    active: str
    highlight: str
    plate: str
    edge: str
    type: Type
    fps: int
    end: float

    @property
    def centre(self) -> tuple[float, float]:
        return self.look.box.x + self.look.box.width / 2, self.look.box.y + self.look.box.height / 2

    def time(self, seconds: float) -> float:
        return frame_time(min(seconds, self.end), self.fps)

    def block(self, cue: Cue, *, pad: float = 0.0, leading: float = 1.18) -> Block | None:
        return lay_out(
            cue, self.type, centre=self.centre, width=self.look.box.width - 2 * pad * self.type.size, leading=leading,
            upper=self.look.upper, until=cue.end,
        )  # fmt: skip

    def write(
        self, text: str, kind: Type, x: float, baseline: float, tint: str, span: tuple[float, float], tags: str = ""
    ) -> None:
        """One word or line, its middle at `x`."""
        self.write_parts([(text, tint)], kind, x, baseline, span, tags)

    def write_parts(
        self, texts: list[tuple[str, str]], kind: Type, x: float, baseline: float, span: tuple[float, float],
        tags: str = "",
    ) -> None:  # fmt: skip
        """(text, colour) pairs as one line, its middle at `x`."""
        middle = kind.middle("".join(text for text, _ in texts), baseline)
        (first, text), *rest = kind.parts(texts, self.highlight, self.type)
        place = f"\\an5\\pos({x:.1f},{middle:.1f}){tags}"
        self.script.add_marked(_TEXT, *span, [(place + first, text), *rest], layer=_TEXT_LAYER)

    def plate_at(
        self, box: tuple[float, float, float, float], radius: float, tint: str, alpha: float,
        span: tuple[float, float], tags: str = "", layer: int = _PLATE_LAYER,
    ) -> None:  # fmt: skip
        x, y, width, height = box
        place = f"\\an7\\pos({x:.1f},{y:.1f})\\1c{ass.inline(tint)}\\1a&H{round(alpha * 255):02X}&{tags}"
        self.script.shape(_SHAPE, *span, place, ass.rounded(width, height, radius), layer=layer)


def cue_options(look: CaptionLook, language: str = "en", theme: Theme | None = None) -> dict[str, Any]:
    """What `make_cues` needs to break lines as this look will set them."""
    kind = _type(look if look.style != "pop" else look.model_copy(update={"style": "karaoke"}), theme)
    room = look.box.width - (2 * 0.5 * kind.size if look.style == "box" else 0.0)
    return {
        "line_chars": look.line_chars, "language": language, "mask_profanity": look.mask_profanity, "width": room,
        "measure": lambda text: text_width(text.upper() if look.upper else text, kind.family, kind.weight, kind.size),
    }  # fmt: skip


def _type(look: CaptionLook, theme: Theme | None) -> Type:
    family: Family = "Montserrat" if theme is None else theme.display
    text: Family = "Inter" if theme is None else theme.text
    if look.style == "minimal":
        return Type(text, 600, look.size * 0.74)
    if look.style == "box":
        return Type(family, 700, look.size * 0.86)
    return Type(family, 800, look.size * (_POP_SCALE if look.style == "pop" else 1.0))


def draw(
    script: ass.Script, cues: Sequence[Cue], look: CaptionLook, theme: Theme, end: float, *, fps: int = 30
) -> None:
    """Adds the cues to `script` in this look (styles and events); nothing with `off`, or with soft subtitles.

    Cue times are seconds of the script; nothing is shown after `end`. The look's box is in the script's own pixels.
    """
    if look.style == "off" or look.soft or not cues:
        return
    colour, plate = _role(look.colour, theme), _role(look.plate, theme)
    edge = _edge(colour, theme)
    kind = _type(look, theme)
    if look.style == "box" and contrast(colour, plate) < _READABLE:
        colour = _readable(plate, theme)
    kit = _Kit(
        script=script, look=look, colour=colour, active=_role(look.active, theme), highlight=theme.highlight, plate=plate,
        edge=edge, type=kind, fps=fps, end=end,
    )  # fmt: skip
    script.styles += [s for s in _styles(kit) if s.name not in {known.name for known in script.styles}]
    paint = {"karaoke": _karaoke, "pop": _pop, "box": _box, "minimal": _minimal}[look.style]
    for cue in cues:
        if cue.start < end:
            paint(kit, cue)


def _styles(kit: _Kit) -> list[ass.Style]:
    size = kit.type.size
    # no shadows: one costs as much to blend, frame by frame, as the type itself
    outline = {"karaoke": 0.09, "pop": 0.1, "box": 0.0, "minimal": 0.08}[kit.look.style] * size
    name = family_name(kit.type.family)
    weight = real_weight(kit.type.family, kit.type.weight)
    return [
        ass.Style(
            _TEXT, name, ass_size(kit.type.family, size), kit.colour, weight=weight, outline_colour=kit.edge, outline=outline,
        ),
        ass.Style(_SHAPE, name, 20, kit.plate),
    ]  # fmt: skip


def _role(name: str, theme: Theme) -> str:
    return name if name.startswith("#") else str(getattr(theme, name))


def _edge(colour: str, theme: Theme) -> str:
    """The outline's colour: dark around light type, light around dark type."""
    if contrast(colour, "#000000") < contrast(colour, "#ffffff"):
        return "#ffffff"
    return mix(theme.background, "#000000", 0.5) if theme.mode == "dark" else "#14161a"


def _readable(ground: str, theme: Theme) -> str:
    return max((theme.background, theme.ink, "#ffffff", "#101216"), key=lambda tint: contrast(tint, ground))


def _spans(line: Line, begin: float, stop: float) -> Iterable[tuple[Spot | None, float, float]]:
    """The times of a line: before its first word is said (None), each word, after its last (None)."""
    at = begin
    for spot in line.spots:
        start, end = min(max(spot.start, begin), stop), min(max(spot.stop, begin), stop)
        if start > at:
            yield None, at, start
        yield spot, max(start, at), end
        at = max(at, end)
    yield None, at, stop


def _said(kit: _Kit, cue: Cue, block: Block) -> Iterable[tuple[Line, Spot | None, str, tuple[float, float]]]:
    """Writes each line once for every word of it; gives that word with its colour and its time.

    A line is one event at a time, so that outlines never cover neighbours and libass sets one text, not ten.
    """
    for line in block.lines:
        for spoken, start, stop in _spans(line, cue.start, cue.end):
            span = kit.time(start), kit.time(stop)
            if span[0] >= span[1]:
                continue
            lit = kit.highlight if spoken is not None and spoken.strong else kit.active
            on = _on(lit, kit) if kit.look.style == "box" else lit
            parts: list[tuple[str, str]] = []
            for place, spot in enumerate(line.spots):
                lead = "" if place == 0 or glued(line.spots[place - 1].text, spot.text) else " "
                mark = RLM if block.rtl and not place else ""
                parts.append((mark + lead + spot.text, on if spot is spoken else kit.colour))
            if block.rtl:
                parts.append((RLM, kit.colour))
            kit.write_parts(parts, block.type, line.x + line.width / 2, line.baseline, span)
            yield line, spoken, lit, span


def _karaoke(kit: _Kit, cue: Cue) -> None:
    """Large type with an outline; the word that is said in the active colour, with `glow` a soft light behind it."""
    block = kit.block(cue)
    if block is None:
        return
    size = block.type.size
    for line, spoken, lit, span in _said(kit, cue, block):
        if spoken is not None and kit.look.glow:
            box = spoken.x - 0.1 * size, line.baseline - 0.78 * size, spoken.width + 0.2 * size, 0.86 * size
            kit.plate_at(box, 0.3 * size, lit, 0.62, span, f"\\blur{0.22 * size:.0f}")


_POP_WAITING = "\\1a&H78&\\3a&HA0&\\4a&HFF&"
_POP_TAGS = "\\fscx72\\fscy72\\t(0,67,\\fscx109\\fscy109)\\t(67,133,\\fscx100\\fscy100)"


def _pop(kit: _Kit, cue: Cue) -> None:
    """One to three words, very large; each scales in when it is said, and stands as a shadow of itself until then."""
    groups = list(_groups(kit, cue))
    for number, group in enumerate(groups):
        stop = groups[number + 1].start if number + 1 < len(groups) else cue.end
        block = kit.block(replace(group, end=stop))
        if block is None:
            continue
        line = block.lines[0]
        for spot in line.spots:
            text = directed(spot.text, block.rtl)
            said = kit.time(spot.start), kit.time(min(spot.stop, stop))
            before, after = (kit.time(group.start), said[0]), (said[1], kit.time(stop))
            tint = kit.highlight if spot.strong else kit.active
            kit.write(text, block.type, spot.centre, line.baseline, kit.colour, before, _POP_WAITING)
            kit.write(text, block.type, spot.centre, line.baseline, tint, said, _POP_TAGS)
            rest = kit.highlight if spot.strong else kit.colour
            kit.write(text, block.type, spot.centre, line.baseline, rest, after)


def _groups(kit: _Kit, cue: Cue) -> Iterable[Cue]:
    """The cue in groups of up to three words that stand on one line; a comma or a pause ends one."""
    group: list[Word] = []
    strong: list[bool] = []
    words = [(w, i in cue.emphasis) for i, w in enumerate(cue.words)]
    for word, stressed in words:
        if group and not _joins(kit, group, word):
            yield _group(group, strong)
            group, strong = [], []
        group.append(word)
        strong.append(stressed)
    yield _group(group, strong)


def _joins(kit: _Kit, group: list[Word], word: Word) -> bool:
    texts = [shown(w.text, upper=kit.look.upper) for w in (*group, word)]
    width = sum(kit.type.width(t) for t in texts) + kit.type.blank * len(group)
    return (
        len(group) < _POP_WORDS * (2 if glued(group[-1].text, word.text) else 1)
        and sum(map(len, texts)) <= _POP_CHARS
        and width <= kit.look.box.width
        and word.start - group[-1].end <= _POP_PAUSE
        and not group[-1].text.endswith((",", ";", ":", "،", "、", "，", ".", "!", "?"))
    )


def _group(words: list[Word], strong: list[bool]) -> Cue:
    return Cue(words[0].start, words[-1].end, (tuple(words),), frozenset(i for i, s in enumerate(strong) if s))


def _box(kit: _Kit, cue: Cue) -> None:
    """A rounded plate behind the cue; the word that is said on a pill in the active colour."""
    block = kit.block(cue, pad=0.5, leading=1.42)
    if block is None:
        return
    size = block.type.size
    first, last = block.lines[0], block.lines[-1]
    width = max(line.width for line in block.lines) + 2 * 0.5 * size
    top = first.baseline - (CAP + 0.42) * size
    height = last.baseline + 0.47 * size - top
    plate = kit.centre[0] - width / 2, top, width, height
    kit.plate_at(plate, 0.36 * size, kit.plate, 0.10, (kit.time(cue.start), kit.time(cue.end)))
    pad = 0.03 * size if block.dense else 0.17 * size
    for line, spoken, lit, span in _said(kit, cue, block):
        if spoken is not None:
            pill = spoken.x - pad, line.baseline - (CAP + 0.25) * size, spoken.width + 2 * pad, 1.22 * size
            kit.plate_at(pill, 0.26 * size, lit, 0.0, span, layer=_PILL_LAYER)


def _on(ground: str, kit: _Kit) -> str:
    return max((kit.plate, kit.colour, "#101216", "#ffffff"), key=lambda tint: contrast(tint, ground))


def _minimal(kit: _Kit, cue: Cue) -> None:
    """Small and plain, with a soft shadow; a cue comes and goes within two frames."""
    block = kit.block(cue, leading=1.3)
    if block is None:
        return
    span = kit.time(cue.start), kit.time(cue.end)
    for line in block.lines:
        text = RLM + line.text if block.rtl else line.text
        tags = f"\\blur{0.07 * block.type.size:.1f}\\3a&H50&\\fad(60,60)"
        kit.write(text, block.type, line.x + line.width / 2, line.baseline, kit.colour, span, tags)


def ass_file(
    cues: Sequence[Cue], look: CaptionLook, theme: Theme, size: tuple[int, int], *, fps: int = 30, title: str = ""
) -> str:
    """The cues as an ASS file of their own for any player; `size` is that of the look's coordinates.

    It is styled even where the look burns nothing in (`off`: as `minimal`).
    """
    style = "minimal" if look.style == "off" else look.style
    seen = look.model_copy(update={"style": style, "soft": False})
    script = ass.Script(size[0], size[1], [])
    draw(script, cues, seen, theme, max((c.end for c in cues), default=0.0) + 1.0, fps=fps)
    text = script.text()
    return text.replace("[Script Info]\n", f"[Script Info]\nTitle: {ass.escape(title)[:200]}\n", 1) if title else text
