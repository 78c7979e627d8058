"""What every layer is drawn with: the script, the theme's colours repaired for contrast, times, entrances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from chimera.media import ass
from chimera.media.flow import Line, Token, line_text
from chimera.media.fonts import Family, ascent, ass_size, drawable, family_name, real_weight, runs, text_width
from chimera.media.layers import Align, Enter, Placed
from chimera.media.layout import Layout
from chimera.media.models import Theme
from chimera.media.text import clean, is_rtl, source_names, without_emoji
from chimera.media.theme import readable, resolved
from chimera.media.timeline import Clip
from chimera.media.type.draw import drawing

# `plain`: there at once and gone at once, a step of an animation; `pulse`: there, and it beats once.
Coming = Enter | Literal["plain", "pulse"]
CAP = 0.70  # cap height of the bundled families in ems
LEAVE_MS = 180
_LABELS = {
    "en": ("Source", "Sources", "Made with AI"), "de": ("Quelle", "Quellen", "Mit KI erstellt"),
    "fr": ("Source", "Sources", "Créé avec l’IA"), "es": ("Fuente", "Fuentes", "Hecho con IA"),
    "pt": ("Fonte", "Fontes", "Feito com IA"), "it": ("Fonte", "Fonti", "Creato con l’IA"),
    "nl": ("Bron", "Bronnen", "Gemaakt met AI"), "pl": ("Źródło", "Źródła", "Stworzone z AI"),
    "tr": ("Kaynak", "Kaynaklar", "Yapay zekâ ile yapıldı"), "ru": ("Источник", "Источники", "Создано с помощью ИИ"),
    "uk": ("Джерело", "Джерела", "Створено за допомогою ШІ"), "sv": ("Källa", "Källor", "Gjord med AI"),
    "el": ("Πηγή", "Πηγές", "Φτιαγμένο με ΤΝ"), "vi": ("Nguồn", "Nguồn", "Được tạo bằng AI"),
    "ar": ("المصدر", "المصادر", "صُنع بالذكاء الاصطناعي"), "he": ("מקור", "מקורות", "נוצר עם בינה מלאכותית"),
    "ja": ("出典", "出典", "AIで作成"), "zh": ("来源", "来源", "由人工智能制作"), "ko": ("출처", "출처", "AI로 제작"),
}  # fmt: skip


def labels_of(language: str) -> tuple[str, str, str]:
    """ "Source", "Sources", "Made with AI" in a language; English where it is not known."""
    return _LABELS.get(language.split("-")[0].lower(), _LABELS["en"])


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
        """ "Source", "Sources", "Made with AI" in the video's language; English where that cannot be drawn."""
        found = labels_of(self.language)
        return found if all(drawable(label)[1] == 0 for label in found) else _LABELS["en"]

    @property
    def source_names(self) -> list[str]:
        """The sources' short names that can be drawn."""
        return [name for name in (shown(name, limit=48) for name in source_names(self.sources)) if name]


def shown(text: str, *, limit: int = 400) -> str:
    """What of a text from outside can be drawn: cleaned, without emoji and without characters no font has."""
    return drawable(without_emoji(clean(text, limit=limit)))[0]


def fade(start: float, stop: float, coming: int = 220) -> str:
    """A fade in and out that fits into the time there is."""
    room = max((stop - start) * 1000 * 0.4, 0)
    return f"\\fad({round(min(coming, room))},{round(min(LEAVE_MS, room))})"


def side(align: Align, text: str) -> Align:
    """`start` as the side where the text's own direction begins."""
    return ("right" if is_rtl(text) else "left") if align == "start" else align


@dataclass(frozen=True, kw_only=True)
class Face:
    """How a run of type is set."""

    family: Family
    weight: int
    size: float
    colour: str
    spacing: float = 0.0
    outline: float = 0.0
    outline_colour: str = "#000000"

    def tags(self) -> str:
        """As ASS overrides, whole, so that no style has to be known."""
        more = f"\\fsp{self.spacing:g}" if self.spacing else ""
        edge = f"\\bord{self.outline:g}\\3c{ass.inline(self.outline_colour)}" if self.outline else "\\bord0"
        weight = real_weight(self.family, self.weight)
        name = family_name(self.family)
        size = ass_size(self.family, self.size)
        return f"\\fn{name}\\b{weight}\\fs{size:.2f}\\1c{ass.inline(self.colour)}{edge}{more}"

    def parts(self, text: str, tags: str = "") -> list[tuple[str, str]]:
        """The text as (overrides, piece): a piece that another family has to draw names it, and the next goes back."""
        found: list[tuple[str, str]] = []
        before = self.family
        for family, piece in runs(text, self.family):
            own = ""
            if family != before:
                weight = real_weight(family, self.weight)
                own = f"\\fn{family_name(family)}\\b{weight}\\fs{ass_size(family, self.size):.2f}"
            found.append((tags + own, piece))
            before, tags = family, ""
        if found and before != self.family:
            found.append((self._back(), ""))
        return found

    def _back(self) -> str:
        weight = real_weight(self.family, self.weight)
        return f"\\fn{family_name(self.family)}\\b{weight}\\fs{ass_size(self.family, self.size):.2f}"

    def width(self, text: str) -> float:
        """Width of a line of it."""
        return text_width(text, self.family, self.weight, self.size, self.spacing)

    def fitted(self, text: str, width: float, *, smallest: float = 0.45) -> Face:
        """The same face, smaller if the text would be wider than that."""
        wide = self.width(text)
        share = max(min(width / wide, 1.0), smallest) if wide > 0 else 1.0
        return replace(self, size=self.size * share, spacing=self.spacing * share)


def shortened(text: str, face: Face, width: float) -> str:
    """A line that is still too wide ends with an ellipsis; where not even a letter fits, nothing."""
    if face.width(text) <= width:
        return text
    while len(text) > 1 and face.width(text.rstrip() + "…") > width:
        text = text[:-1]
    cut = text.rstrip() + "…"
    return cut if face.width(cut) <= width else ""


@dataclass(frozen=True)
class Sheet:
    """One clip's script in the making."""

    script: ass.Script
    page: Page
    clip: Clip
    end: float

    @property
    def theme(self) -> Theme:
        """The video's theme."""
        return self.page.theme

    def span(self, placed: Placed) -> tuple[float, float]:
        """When a layer comes and when it is gone, in seconds of the clip; a word that is not there counts as the last."""
        start, words = placed.at, self.clip.words
        if placed.at_word >= 0 and words:
            start = words[min(placed.at_word, len(words) - 1)].start
        stop = min(placed.until, self.end) if placed.until > 0 else self.end
        return start, stop

    def colour(self, name: str) -> str:
        """A role of the theme, or the colour itself."""
        return resolved(self.theme, name)

    def on(self, name: str, ground: str = "background") -> str:
        """A colour for type on a ground: as asked for if it can be read there (4.5:1), else made readable."""
        return readable(self.theme, self.colour(name), self.colour(ground))

    def face(
        self, role: str, weight: int, size: float, colour: str, *, spacing: float = 0.0, outline: float = 0.0
    ) -> Face:
        """The theme's display or text family; `colour` as `#rrggbb`."""
        family = self.theme.display if role == "display" else self.theme.text
        return Face(family=family, weight=weight, size=size, colour=colour, spacing=spacing, outline=outline,
                    outline_colour=self.theme.background)  # fmt: skip

    def line(
        self, line: Line | str, face: Face, *, x: float, baseline: float, align: str = "left", start: float,
        stop: float, enter: Coming = "fade", depth: int = 3, opacity: float = 1.0, strong: str = "",
        word_times: Sequence[float] = (),
    ) -> None:  # fmt: skip
        """A line of type; `x` is its left edge, middle or right edge as `align` says, `word_times` are for `words`."""
        text = line if isinstance(line, str) else line_text(line)
        top = baseline - max((ascent(f) for f, _ in runs(text, face.family)), default=ascent(face.family)) * face.size
        anchor = {"left": 7, "centre": 8, "right": 9}[align]
        head = f"\\an{anchor}{_alpha(opacity)}"
        if enter == "type":
            self._typed(text, face, x, top, align, start, stop, depth, opacity)
            return
        width = face.width(text)
        left = {"left": x, "centre": x - width / 2, "right": x - width}[align]
        tags = head + self._enter(enter, x, top, left, width, face.size, is_rtl(text), start, stop) + face.tags()
        parts: list[tuple[str, str]] = [(tags, "")]
        tokens: Line = (Token(line),) if isinstance(line, str) else line
        coloured = bool(strong) and any(token.strong for token in tokens)
        for place, token in enumerate(tokens):
            own = f"\\1c{ass.inline(strong if token.strong else face.colour)}" if coloured else ""
            if enter == "words" and place < len(word_times):
                begin = max(round((word_times[place] - start) * 1000), 0)
                own += f"\\alpha&HFF&\\t({begin},{begin + 140},\\alpha&H{round((1 - opacity) * 255):02X}&)"
            parts += face.parts((" " if token.space and place else "") + token.text, own)
        self.script.add_marked("Type", start, stop, parts, layer=depth * 4 + 3)

    def _enter(
        self, enter: Coming, x: float, y: float, left: float, width: float, size: float, rtl: bool, start: float,
        stop: float,
    ) -> str:  # fmt: skip
        place = f"\\pos({x:.1f},{y:.1f})"
        if enter == "plain":
            return place
        if enter == "pulse":
            return f"{place}\\t(0,110,\\fscx107\\fscy107)\\t(110,260,\\fscx100\\fscy100)" + fade(start, stop, 0)
        if enter == "none":
            return place + fade(start, stop, 0)
        if enter in ("rise", "drop", "slide"):
            dx, dy = {"rise": (0.0, 38.0), "drop": (0.0, -38.0), "slide": (90.0 if rtl else -90.0, 0.0)}[enter]
            return f"\\move({x + dx:.1f},{y + dy:.1f},{x:.1f},{y:.1f},0,300)" + fade(start, stop)
        if enter == "wipe":
            wiped = self.wipe(left - 8, y - size * 0.3, width + 16, size * 2, from_right=rtl)
            return place + wiped + fade(start, stop, 0)
        if enter == "pop":
            return f"{place}\\fscx78\\fscy78\\t(0,130,\\fscx104\\fscy104)\\t(130,230,\\fscx100\\fscy100)" + fade(
                start, stop, 90
            )
        return place + fade(start, stop, 0 if enter == "words" else 300)

    def _typed(
        self, text: str, face: Face, x: float, top: float, align: str, start: float, stop: float, depth: int,
        opacity: float,
    ) -> None:  # fmt: skip
        """Letter after letter: each step its own event, so that nothing is drawn twice in a frame."""
        width = face.width(text)
        rtl = is_rtl(text)
        edge = {"left": x, "centre": x - width / 2, "right": x - width}[align] + (width if rtl else 0)
        steps = min(len(text), 48)
        each = min(0.045, max(stop - start, 0.1) * 0.5 / max(steps, 1))
        tags = f"\\an{9 if rtl else 7}\\pos({edge:.1f},{top:.1f}){_alpha(opacity)}{face.tags()}"
        for step in range(1, steps + 1):
            begin = start + (step - 1) * each
            last = step == steps
            part = text[: round(len(text) * step / steps)]
            leaving = fade(begin, stop, 0) if last else ""
            parts = [(tags + leaving, ""), *face.parts(part)]
            self.script.add_marked("Type", begin, stop if last else begin + each, parts, layer=depth * 4 + 3)

    def form(
        self, path: Any, colour: str, *, start: float, stop: float, depth: int = 2, opacity: float = 1.0,
        enter: str = "none", over: int = 0,
    ) -> None:  # fmt: skip
        """A filled path; `over` 0–3 orders the parts of one layer."""
        found = drawing(path)
        if found is None:
            return
        x, y, width, height = found.x, found.y, found.width, found.height
        tags = f"\\an7\\pos({x:.1f},{y:.1f})"
        if enter == "pop":
            tags = (
                f"\\an5\\pos({x + width / 2:.1f},{y + height / 2:.1f})\\fscx60\\fscy60"
                "\\t(0,140,\\fscx106\\fscy106)\\t(140,250,\\fscx100\\fscy100)" + fade(start, stop, 90)
            )
        elif enter == "slide":
            tags = f"\\an7\\move({x - 90:.1f},{y:.1f},{x:.1f},{y:.1f},0,300)" + fade(start, stop)
        elif enter in ("grow-x", "draw"):
            seconds = 0.38 if enter == "grow-x" else 0.7
            tags += self.wipe(x, y - 2, width, height + 4, seconds=seconds) + fade(start, stop, 0)
        elif enter == "grow-right":
            tags += self.wipe(x, y - 2, width, height + 4, from_right=True) + fade(start, stop, 0)
        elif enter == "grow-y":
            tags += self.wipe(x - 2, y, width + 4, height, downward=True) + fade(start, stop, 0)
        elif enter == "grow-up":
            tags += self.wipe(x - 2, y, width + 4, height, upward=True, seconds=0.6) + fade(start, stop, 0)
        elif enter != "plain":
            tags += fade(start, stop, 300 if enter == "fade" else 0)
        tags += f"{_alpha(opacity)}\\1c{ass.inline(colour)}\\bord0"
        self.script.shape("Shape", start, stop, tags, found.code, layer=depth * 4 + over)

    def wipe(
        self, x: float, y: float, width: float, height: float, *, from_right: bool = False, downward: bool = False,
        upward: bool = False, seconds: float = 0.38,
    ) -> str:  # fmt: skip
        """Shows an area from one side on: a moving clip, which costs libass nothing but the copy."""
        left, top = round(x), round(y)
        right, bottom = round(x + width + 1), round(y + height + 1)
        whole = f"\\clip({left},{top},{right},{bottom})"
        if downward:
            first = f"\\clip({left},{top},{right},{top})"
        elif upward:
            first = f"\\clip({left},{bottom},{right},{bottom})"
        elif from_right:
            first = f"\\clip({right},{top},{right},{bottom})"
        else:
            first = f"\\clip({left},{top},{left},{bottom})"
        return f"{first}\\t(0,{round(seconds * 1000)},0.6,{whole})"


def _alpha(opacity: float) -> str:
    return f"\\alpha&H{round((1 - opacity) * 255):02X}&" if opacity < 0.999 else ""
