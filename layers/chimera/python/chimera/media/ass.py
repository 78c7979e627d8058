"""A small writer of ASS (Advanced SubStation Alpha), the only way type reaches a frame; text is escaped here."""

from __future__ import annotations

from dataclasses import dataclass, field

from chimera.media.theme import rgb

# Captions stand above every layer (depth 0–9, four steps each).
CAPTION_LAYER = 60

_HEADER = """[Script Info]
ScriptType: v4.00+
PlayResX: {width}
PlayResY: {height}
WrapStyle: 2
ScaledBorderAndShadow: yes
YCbCr Matrix: TV.709

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
{styles}
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def escape(text: str) -> str:
    """Text that libass shows as it is. A brace or backslash cannot be escaped everywhere, so look-alikes stand in."""
    table = {ord("{"): "(", ord("}"): ")", ord("\\"): "⁄", ord("\n"): " ", ord("\r"): " ", ord("\t"): " ", 0: ""}
    return text.translate(table)


def colour(value: str, alpha: float = 0.0) -> str:
    """`#rrggbb` as ASS's `&HAABBGGRR`; `alpha` is transparency, 0 opaque … 1 invisible."""
    red, green, blue = rgb(value)
    return f"&H{round(alpha * 255):02X}{blue:02X}{green:02X}{red:02X}"


def inline(value: str) -> str:
    """`#rrggbb` for an override such as `\\1c`."""
    red, green, blue = rgb(value)
    return f"&H{blue:02X}{green:02X}{red:02X}&"


@dataclass(frozen=True)
class Style:
    """A named style: font, size (ASS units), colours, outline and shadow in reference pixels."""

    name: str
    font: str
    size: float
    colour: str
    weight: int = 0
    outline_colour: str = "#000000"
    outline: float = 0.0
    shadow: float = 0.0
    shadow_alpha: float = 0.5
    spacing: float = 0.0

    def line(self) -> str:
        """The style's line in the file."""
        return (
            f"Style: {self.name},{self.font},{self.size:.2f},{colour(self.colour)},{colour(self.colour)},"
            f"{colour(self.outline_colour)},{colour('#000000', self.shadow_alpha)},{self.weight},0,0,0,100,100,"
            f"{self.spacing:.2f},0,1,{self.outline:.2f},{self.shadow:.2f},7,0,0,0,-1"
        )


@dataclass
class Script:
    """An ASS file in the making."""

    width: int
    height: int
    styles: list[Style]
    events: list[str] = field(default_factory=list)

    def add(self, style: str, start: float, end: float, tags: str, text: str, *, layer: int = 1) -> None:
        """Adds a line of text; `tags` are our own overrides, `text` is escaped."""
        self._event(style, start, end, f"{{{tags}}}{escape(text)}", layer)

    def add_marked(self, style: str, start: float, end: float, parts: list[tuple[str, str]], *, layer: int = 1) -> None:
        """Adds text made of (overrides, text) pairs; each text is escaped; `\\N` in overrides' place breaks the line."""
        body = "".join((f"{{{tags}}}" if tags and tags != "\\N" else tags) + escape(text) for tags, text in parts)
        self._event(style, start, end, body, layer)

    def shape(self, style: str, start: float, end: float, tags: str, path: str, *, layer: int = 0) -> None:
        """Adds a drawing; `path` is ASS drawing code of our own making."""
        self._event(style, start, end, f"{{{tags}\\p1}}{path}", layer)

    def _event(self, style: str, start: float, end: float, body: str, layer: int) -> None:
        if end > start:
            self.events.append(f"Dialogue: {layer},{_clock(start)},{_clock(end)},{style},,0,0,0,,{body}")

    def text(self) -> str:
        """The whole file."""
        head = _HEADER.format(
            width=self.width, height=self.height, styles="".join(s.line() + "\n" for s in self.styles)
        )
        return head + "\n".join(self.events) + "\n"


def rectangle(width: float, height: float) -> str:
    """Drawing code of a rectangle from the origin."""
    return f"m 0 0 l {width:.1f} 0 {width:.1f} {height:.1f} 0 {height:.1f}"


def rounded(width: float, height: float, radius: float) -> str:
    """Drawing code of a rectangle with round corners."""
    r, w, h = min(radius, width / 2, height / 2), width, height
    k = r * 0.4477
    return (
        f"m {r:.1f} 0 l {w - r:.1f} 0 b {w - k:.1f} 0 {w:.1f} {k:.1f} {w:.1f} {r:.1f} l {w:.1f} {h - r:.1f} "
        f"b {w:.1f} {h - k:.1f} {w - k:.1f} {h:.1f} {w - r:.1f} {h:.1f} l {r:.1f} {h:.1f} "
        f"b {k:.1f} {h:.1f} 0 {h - k:.1f} 0 {h - r:.1f} l 0 {r:.1f} b 0 {k:.1f} {k:.1f} 0 {r:.1f} 0"
    )


def _clock(seconds: float) -> str:
    centiseconds = round(max(seconds, 0.0) * 100)
    hours, rest = divmod(centiseconds, 360_000)
    minutes, rest = divmod(rest, 6_000)
    return f"{hours}:{minutes:02d}:{rest // 100:02d}.{rest % 100:02d}"
