"""Kinetic type: the scene's own words, large, each when it is said, page after page."""

from __future__ import annotations

import re
from dataclasses import replace

from chimera.media import flow
from chimera.media.flow import Line, Token
from chimera.media.layers import KineticLayer
from chimera.media.models import Word
from chimera.media.text import is_rtl
from chimera.media.type.sheet import CAP, Face, Sheet, shown, side

_LEADING = 1.06
_SENTENCE_END = re.compile(r"[.!?…。！？؟]+[\"'”’)\]»]*$")
_PAUSE = 0.45
_SHORTEST_PAGE = 0.5


def draw(sheet: Sheet, layer: KineticLayer) -> None:
    """Draws the words that are said between the layer's times; without spoken words the narration, word after word."""
    start, stop = sheet.span(layer)
    said = [(w, text) for w in _words(sheet, start, stop) if (text := shown(w.text, limit=60))]
    for number, page in enumerate(pages := _pages(sheet, layer, said)):
        begin = page[0][0].start
        end = pages[number + 1][0][0].start if number + 1 < len(pages) else stop
        _page(sheet, layer, page, max(begin, start), min(end, stop))


def _words(sheet: Sheet, start: float, stop: float) -> list[Word]:
    if sheet.clip.words:
        return [w for w in sheet.clip.words if w.end > start and w.start < stop]
    texts = (sheet.clip.scene.narration or sheet.clip.scene.on_screen_text)[:5000].split()
    each = min(0.35, max(stop - start - 0.6, 0.2) / max(len(texts), 1))
    return [Word(text=t, start=start + i * each, end=start + (i + 1) * each) for i, t in enumerate(texts)]


def _tokens(words: list[tuple[Word, str]], layer: KineticLayer) -> list[Token]:
    """One token a word; the longest word of a page of three or more is the emphasised one."""
    texts = [t.upper() if layer.upper else t for _, t in words]
    longest = max(range(len(texts)), key=lambda i: len(texts[i].strip(".,;:!?"))) if len(texts) > 2 else -1
    return [Token(t, i == longest) for i, t in enumerate(texts)]


def _pages(sheet: Sheet, layer: KineticLayer, words: list[tuple[Word, str]]) -> list[list[tuple[Word, str]]]:
    """Words that fit on one page at the full size; a new one begins after a sentence or a pause."""
    face = sheet.face("display", layer.weight, layer.size, "#ffffff")
    room = max(int((layer.box.height / layer.size - CAP) / _LEADING) + 1, 1)
    lines = min(layer.lines, room)
    pages: list[list[tuple[Word, str]]] = []
    used, line = 0.0, 1
    for index, (word, text) in enumerate(words):
        wide = face.width(text.upper() if layer.upper else text)
        joined = used + face.width(" ") + wide
        ended = index and (
            (_SENTENCE_END.search(words[index - 1][1]) and word.start - pages[-1][0][0].start >= _SHORTEST_PAGE)
            or word.start - words[index - 1][0].end > _PAUSE
        )
        if not pages or ended:
            pages.append([])
            used, line = wide, 1
        elif joined <= layer.box.width:
            used = joined
        elif line < lines:
            used, line = wide, line + 1
        else:
            pages.append([])
            used, line = wide, 1
        pages[-1].append((word, text))
    return pages


def _page(sheet: Sheet, layer: KineticLayer, words: list[tuple[Word, str]], start: float, stop: float) -> None:
    box = layer.box
    tokens = _tokens(words, layer)
    sizes = list(range(round(layer.size), max(round(layer.size * 0.35), 12), -4))
    room = {s: max(int((box.height / s - CAP) / _LEADING) + 1, 1) for s in sizes}
    size, lines = flow.fit(
        tokens, family=sheet.theme.display, weight=layer.weight, width=box.width, sizes=sizes, max_lines=layer.lines,
        lines_at=room,
    )  # fmt: skip
    face = sheet.face("display", layer.weight, size, sheet.on(layer.colour))
    height = (len(lines) - 1) * size * _LEADING + size * CAP
    top = box.y + (box.height - height) / 2
    text = " ".join(t for _, t in words)
    align = side(layer.align, text)
    x = {"left": box.x, "centre": box.x + box.width / 2, "right": box.x + box.width}[align]
    if not is_rtl(text):
        _separate(sheet, layer, lines, words, face, x, align, top, start, stop)
        return
    times = [w.start for w, _ in words]
    for number, line in enumerate(lines):
        sheet.line(line, face, x=x, baseline=top + size * CAP + number * size * _LEADING, align=align, start=start,
                   stop=stop, enter="words", depth=layer.depth, opacity=layer.opacity,
                   strong=sheet.on(layer.emphasis), word_times=times[: len(line)])  # fmt: skip
        times = times[len(line) :]


def _separate(
    sheet: Sheet, layer: KineticLayer, lines: list[Line], words: list[tuple[Word, str]], face: Face, x: float,
    align: str, top: float, start: float, stop: float,
) -> None:  # fmt: skip
    """Each word an event of its own that pops up where it stands in its line, when it is said."""
    queue = [word for word, _ in words]
    said = queue[0]
    for number, line in enumerate(lines):
        total = face.width(flow.line_text(line))
        left = {"left": x, "centre": x - total / 2, "right": x - total}[align]
        for place, token in enumerate(line):
            if token.space and queue:  # what follows without a blank is the rest of a word that was broken
                said = queue.pop(0)
            lead = face.width(flow.line_text(line[:place]) + (" " if token.space and place else ""))
            own = face
            if token.strong:
                own = replace(face, colour=sheet.on(layer.emphasis))
            middle = left + lead + face.width(token.text) / 2
            sheet.line((token,), own, x=middle, baseline=top + face.size * CAP + number * face.size * _LEADING,
                       align="centre", start=max(said.start, start), stop=stop, enter="pop", depth=layer.depth,
                       opacity=layer.opacity)  # fmt: skip
