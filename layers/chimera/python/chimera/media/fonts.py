"""Fonts: the bundled files, how wide text runs in them, and a fontconfig file so that libass finds exactly these.

libass picks a variable font's weights only through fontconfig's named instances, hence the configuration file.
Bundled families cover Latin, Greek, Cyrillic and Vietnamese; other scripts fall back to the system's fonts where
there are any. A character that no font has is not burned in (the SRT and VTT files still carry it).
"""

from __future__ import annotations

import importlib.util
import os
import struct
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape

import skia

from chimera.errors import ChimeraError

Family = Literal["Montserrat", "Inter", "Roboto"]

_PACKAGES: dict[Family, tuple[str, str]] = {
    "Montserrat": ("fontpkg_montserrat", "Montserrat[[]wght].ttf"),
    "Inter": ("fontpkg_inter", "Inter[[]opsz,wght].ttf"),
    "Roboto": ("font_roboto", "Roboto-Bold.ttf"),
}
_SYSTEM_DIRS = tuple(
    Path(p) for p in ("/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "/Library/Fonts")
)
_SYSTEM_FONTS_LOOKED_AT = 400


def _package_files(family: Family) -> Path:
    spec = importlib.util.find_spec(_PACKAGES[family][0])
    if spec is None or spec.origin is None:
        raise ChimeraError("INTERNAL", f"the font package {_PACKAGES[family][0]!r} is not installed", {"font": family})
    return Path(spec.origin).parent / "files"


@lru_cache(maxsize=8)
def font_file(family: Family) -> Path:
    """The family's font file (for a static family the bold one)."""
    found = sorted(_package_files(family).glob(_PACKAGES[family][1]))
    if not found:
        raise ChimeraError("INTERNAL", f"the package of {family} holds no font file", {"font": family})
    return found[0]


def write_fontconfig(folder: Path) -> Path:
    """A fontconfig file in `folder` that names the bundled fonts first and the system's as fallback."""
    folder = folder.resolve()  # ffmpeg runs elsewhere
    folder.mkdir(parents=True, exist_ok=True)
    dirs = [font_file("Montserrat").parent, font_file("Inter").parent, font_file("Roboto").parent, *_SYSTEM_DIRS]
    lines = "".join(f"  <dir>{escape(str(d))}</dir>\n" for d in dirs)
    text = (
        '<?xml version="1.0"?>\n<!DOCTYPE fontconfig SYSTEM "fonts.dtd">\n<fontconfig>\n'
        f"{lines}  <cachedir>{escape(str(folder / 'cache'))}</cachedir>\n</fontconfig>\n"
    )
    path = folder / "fonts.conf"
    if not path.exists() or path.read_text("utf-8") != text:
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(text, "utf-8")
        temporary.replace(path)
    return path


@lru_cache(maxsize=64)
def typeface(family: Family, weight: int) -> Any:
    """The family as a skia typeface at a weight (100–900); a static family has the one it has."""
    base = skia.Typeface.MakeFromFile(str(font_file(family)))
    if base is None:
        raise ChimeraError("INTERNAL", f"the font file of {family} cannot be read", {"font": family})
    if family == "Roboto":
        return base
    position = skia.FontArguments.VariationPosition
    axis = position.Coordinate(int.from_bytes(b"wght", "big"), float(weight))
    arguments = skia.FontArguments()
    coordinates = position.Coordinates([axis])
    arguments.setVariationDesignPosition(position(coordinates))
    return base.makeClone(arguments)


@lru_cache(maxsize=8)
def _metrics(family: Family) -> tuple[float, float]:
    """OS/2 winAscent and winDescent in ems."""
    face = typeface(family, 400)
    table = bytes(face.getTableData(int.from_bytes(b"OS/2", "big")))
    ascent, descent = struct.unpack_from(">HH", table, 74)
    per_em = float(face.getUnitsPerEm())
    return ascent / per_em, descent / per_em


def em_ratio(family: Family) -> float:
    """Em size per ASS font size: libass, like VSFilter, scales so that OS/2 winAscent + winDescent is the size."""
    return 1.0 / sum(_metrics(family))


def ascent(family: Family) -> float:
    """From the top of an ASS line to its baseline, in ems."""
    return _metrics(family)[0]


def ass_size(family: Family, em_pixels: float) -> float:
    """The ASS `\\fs` value that sets the family at `em_pixels`."""
    return em_pixels / em_ratio(family)


def text_width(text: str, family: Family, weight: int, em_pixels: float, spacing: float = 0.0) -> float:
    """Width in pixels of one line (kerned pairs aside)."""
    font = skia.Font(typeface(family, weight), 100.0)
    font.setSubpixel(True)
    font.setHinting(skia.FontHinting.kNone)
    font.setLinearMetrics(True)
    return float(font.measureText(text)) * em_pixels / 100.0 + spacing * len(text)


@lru_cache(maxsize=4096)
def can_draw(char: str) -> bool:
    """Whether a bundled font, or a font of this machine, has the character."""
    if char.isspace():
        return True
    if any(typeface(family, 400).unicharToGlyph(ord(char)) for family in ("Montserrat", "Inter", "Roboto")):
        return True
    return any(face.unicharToGlyph(ord(char)) for face in _system_faces())


@lru_cache(maxsize=1)
def _system_faces() -> tuple[Any, ...]:
    files: list[Path] = []
    for folder in _SYSTEM_DIRS:
        if folder.is_dir():
            files += [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in {".ttf", ".otf", ".ttc"}]
    faces = (skia.Typeface.MakeFromFile(str(path)) for path in files[:_SYSTEM_FONTS_LOOKED_AT])
    return tuple(face for face in faces if face is not None)


def drawable(text: str) -> tuple[str, int]:
    """The text without characters that no font here has, and how many were left out."""
    kept = [c for c in text if can_draw(c)]
    return " ".join("".join(kept).split()), len(text) - len(kept)


def wrap(
    text: str, *, family: Family, weight: int, width: float, sizes: tuple[int, ...], max_lines: int
) -> tuple[int, list[str]]:
    """The largest of `sizes` (em pixels, falling) at which the text fits, and its lines, evenly filled.

    At the smallest size what does not fit is cut with an ellipsis; a word longer than a line is broken.
    """
    for size in sizes:
        lines = _balanced(text.split(), family, weight, width, size, max_lines)
        if lines is not None:
            return size, lines
    size = sizes[-1]
    lines = _greedy(text, family, weight, width, size)
    if len(lines) > max_lines:
        lines = lines[:max_lines]
        lines[-1] = lines[-1].rstrip(" ,;:.") + "…"
    return size, lines


def _balanced(
    words: list[str], family: Family, weight: int, width: float, size: int, max_lines: int
) -> list[str] | None:
    widths = [text_width(w, family, weight, size) for w in words]
    space = text_width(" ", family, weight, size)
    if not words or max(widths) > width or sum(widths) > width * max_lines:
        return None if words else []
    for count in range(1, max_lines + 1):
        lines = _even(words, widths, space, width, count)
        if lines is not None:
            return lines
    return None


def _even(words: list[str], widths: list[float], space: float, measure: float, count: int) -> list[str] | None:
    """The words on exactly `count` lines with the least sum of squared gaps, or None if they do not fit."""
    total = len(words)
    if count > total:
        return None
    best: dict[tuple[int, int], tuple[float, int]] = {(0, 0): (0.0, 0)}
    for line in range(1, count + 1):
        for end in range(line, total + 1):
            for start in range(end - 1, line - 2, -1):
                used = sum(widths[start:end]) + space * (end - start - 1)
                if used > measure:
                    break
                before = best.get((line - 1, start))
                if before is not None:
                    cost = before[0] + (measure - used) ** 2
                    if end - start == 1 and count > 1:
                        cost += (0.25 * measure) ** 2  # a word alone on a line looks lost
                    if cost < best.get((line, end), (float("inf"), 0))[0]:
                        best[line, end] = (cost, start)
    if (count, total) not in best:
        return None
    lines: list[str] = []
    end = total
    for line in range(count, 0, -1):
        start = best[line, end][1]
        lines.insert(0, " ".join(words[start:end]))
        end = start
    return lines


def _fill(words: list[str], widths: list[float], space: float, measure: float) -> list[str]:
    lines: list[str] = []
    used = 0.0
    for word, width in zip(words, widths, strict=True):
        if lines and used + space + width <= measure:
            lines[-1] += f" {word}"
            used += space + width
        else:
            lines.append(word)
            used = width
    return lines


def _greedy(text: str, family: Family, weight: int, width: float, size: int) -> list[str]:
    pieces: list[str] = []
    for word in text.split():
        while text_width(word, family, weight, size) > width and len(word) > 1:
            take = next(
                n for n in range(len(word), 0, -1) if n == 1 or text_width(word[:n], family, weight, size) <= width
            )
            pieces.append(word[:take])
            word = word[take:]
        pieces.append(word)
    widths = [text_width(p, family, weight, size) for p in pieces]
    return _fill(pieces, widths, text_width(" ", family, weight, size), width)
