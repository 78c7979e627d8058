"""Fonts: the bundled files, how wide text runs in them, and a fontconfig file so that libass finds exactly these.

libass picks a variable font's weights only through fontconfig's named instances, hence the configuration file.
Montserrat, Inter and Roboto cover Latin, Greek, Cyrillic and Vietnamese; `SCRIPTS` cover other scripts and emoji where
their packages are installed, else the system's fonts do where there are any. A character that no font has is not
burned in (the SRT and VTT files still carry it).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import struct
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import skia

from chimera.errors import ChimeraError
from chimera.media.text import graphemes

# A bundled family's name, or the path of a font file of the user's own (`Theme.display`, `Theme.text`).
Family = str
BUNDLED = ("Montserrat", "Inter", "Roboto")
MAX_FONT_BYTES = 32_000_000

_PACKAGES: dict[str, tuple[str, str]] = {
    "Montserrat": ("fontpkg_montserrat", "files/Montserrat[[]wght].ttf"),
    "Inter": ("fontpkg_inter", "files/Inter[[]opsz,wght].ttf"),
    "Roboto": ("font_roboto", "files/Roboto-Bold.ttf"),
    # Optional, in the order in which they stand in for what the three above lack.
    "Noto Sans Arabic": ("fontpkg_noto_sans_arabic", "files/NotoSansArabic*.ttf"),
    "Heebo": ("fontpkg_heebo", "files/Heebo*.ttf"),  # Hebrew
    "Noto Sans Devanagari": ("fontpkg_noto_sans_devanagari", "files/NotoSansDevanagari*.ttf"),
    "Noto Sans Thai": ("fontpkg_noto_sans_thai", "files/NotoSansThai*.ttf"),
    "Noto Sans Khmer": ("fontpkg_noto_sans_khmer", "files/NotoSansKhmer*.ttf"),
    "Noto Sans CJK JP": ("noto_cjk_sans_jp_bold", "NotoSansCJKjp-Bold.otf"),
    "Font Awesome 6 Free": ("fonticon_fa6", "fonts/*Free-Solid-900.otf"),  # one-coloured pictures of common emoji
}
SCRIPTS = tuple(family for family in _PACKAGES if family not in BUNDLED)
EMOJI = "Font Awesome 6 Free"
_WEIGHT = {"Roboto": 700, "Noto Sans CJK JP": 700, EMOJI: 900}  # of static families
_SYSTEM_DIRS = tuple(
    Path(p) for p in ("/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "/Library/Fonts")
)
_SYSTEM_FONTS_LOOKED_AT = 400
_shaping = threading.Lock()
_OS2, _FVAR = (int.from_bytes(tag, "big") for tag in (b"OS/2", b"fvar"))


@lru_cache(maxsize=32)
def _packaged(family: Family) -> Path | None:
    """The file of a packaged family; None where the package is not installed, or holds no such file."""
    package, pattern = _PACKAGES[family]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob(pattern))), None)


@lru_cache(maxsize=32)
def font_file(family: Family) -> Path:
    """The family's font file (for a static family the bold one). `VALIDATION_FAILED` for a file that is no font."""
    if family not in _PACKAGES:
        return _system_files().get(family) or _own_file(family)
    found = _packaged(family)
    if found is None:
        raise ChimeraError("INTERNAL", f"the font package {_PACKAGES[family][0]!r} is not installed", {"font": family})
    return found


def _own_file(family: Family) -> Path:
    path, expected = Path(family), f"one of {', '.join(BUNDLED)} or the path of a TrueType or OpenType file"
    if "\0" in family or not path.is_file():
        raise ChimeraError("VALIDATION_FAILED", f"font {family[:200]!r}: expected {expected}", {"font": family[:200]})
    size = path.stat().st_size
    face = skia.Typeface.MakeFromFile(str(path)) if 0 < size <= MAX_FONT_BYTES else None
    if face is None or not face.getFamilyName() or not face.getTableData(_OS2):
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"font file {path.name} ({size:,} bytes) cannot be used; expected {expected}, at most {MAX_FONT_BYTES:,} bytes",
            {"font": path.name},
        )
    return path


def family_name(family: Family) -> str:
    """What libass calls the family: a file's own family name, without what ASS would read as a separator."""
    if family in _PACKAGES or family in _system_files():
        return family
    name = str(typeface(family, 400).getFamilyName())
    if any(c in name for c in ",\\{}\n\r"):
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"font file {Path(family).name} has the family name {name[:80]!r}, which cannot be used",
        )
    return name


def write_fontconfig(folder: Path, fonts: Sequence[Family] = ()) -> Path:
    """A fontconfig file in `folder` that names the bundled fonts first and the system's as fallback.

    `fonts` may hold the user's own font files; they are copied into `folder`, so that nothing else of theirs is seen.
    """
    folder = folder.resolve()  # ffmpeg runs elsewhere
    folder.mkdir(parents=True, exist_ok=True)
    own = [_kept(font_file(family), folder / "own") for family in fonts if family not in _PACKAGES]
    scripts = [path.parent for path in map(_packaged, SCRIPTS) if path is not None]
    bundled = [*(font_file(f).parent for f in BUNDLED), *scripts]
    dirs = [*dict.fromkeys(path.parent for path in own), *dict.fromkeys(bundled), *_SYSTEM_DIRS]
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


def _kept(path: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    kept = folder / f"{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}{path.suffix.lower()}"
    if not kept.exists():
        temporary = kept.with_suffix(f".{os.getpid()}.tmp")
        shutil.copyfile(path, temporary)
        temporary.replace(kept)
    return kept


@lru_cache(maxsize=64)
def typeface(family: Family, weight: int) -> Any:
    """The family as a skia typeface at a weight (100–900); a static family has the one it has."""
    base = skia.Typeface.MakeFromFile(str(font_file(family)))
    if base is None:
        raise ChimeraError("INTERNAL", f"the font file of {family} cannot be read", {"font": family})
    if family in _WEIGHT or not base.getTableData(_FVAR):
        return base
    position = skia.FontArguments.VariationPosition
    axis = position.Coordinate(int.from_bytes(b"wght", "big"), float(weight))
    arguments = skia.FontArguments()
    coordinates = position.Coordinates([axis])
    arguments.setVariationDesignPosition(position(coordinates))
    return base.makeClone(arguments)


@lru_cache(maxsize=64)
def real_weight(family: Family, weight: int) -> int:
    """The weight that libass is asked for: a static file's own, so that nothing is emboldened beyond its measure."""
    if family in _WEIGHT:
        return _WEIGHT[family]
    if family in _PACKAGES or typeface(family, weight).getTableData(_FVAR):
        return weight
    return int(typeface(family, weight).fontStyle().weight())


@lru_cache(maxsize=32)
def _metrics(family: Family) -> tuple[float, float]:
    """OS/2 winAscent and winDescent in ems."""
    face = typeface(family, 400)
    table = bytes(face.getTableData(_OS2))
    ascent, descent = struct.unpack_from(">HH", table, 74)
    per_em = float(face.getUnitsPerEm())
    return ascent / per_em, descent / per_em


def em_ratio(family: Family) -> float:
    """Em size per ASS font size: libass, like VSFilter, scales so that OS/2 winAscent + winDescent is the size."""
    return 1.0 / sum(_metrics(family))


def ascent(family: Family) -> float:
    """From the top of an ASS line to its baseline, in ems."""
    return _metrics(family)[0]


def descent(family: Family) -> float:
    """From the baseline to the bottom of an ASS line, in ems."""
    return _metrics(family)[1]


def ass_size(family: Family, em_pixels: float) -> float:
    """The ASS `\\fs` value that sets the family at `em_pixels`."""
    return em_pixels / em_ratio(family)


def text_width(text: str, family: Family, weight: int, em_pixels: float, spacing: float = 0.0) -> float:
    """Width in pixels of one line, shaped and kerned as libass does; what the family lacks counts as its fallback's."""
    ems = sum(_ems(piece, font, weight) for font, piece in runs(text, family))
    return ems * em_pixels + spacing * len(text)


@lru_cache(maxsize=1)
def _shaper() -> tuple[Any, Any, Any]:
    provider = skia.textlayout.TypefaceFontProvider()
    collection = skia.textlayout.FontCollection()
    collection.setDefaultFontManager(provider)
    return provider, collection, skia.Unicodes.ICU.Make()


@lru_cache(maxsize=128)
def _registered(family: Family, weight: int) -> str:
    name = f"{family}/{weight}"
    _shaper()[0].registerTypeface(typeface(family, weight), name)
    return name


@lru_cache(maxsize=65_536)
def _ems(text: str, family: Family, weight: int) -> float:
    # HarfBuzz through skia's paragraph: Arabic joins, Devanagari reorders, Latin kerns; 20 µs a word
    with _shaping:
        style = skia.textlayout.TextStyle()
        style.setFontSize(100.0)
        style.setFontFamilies([_registered(family, weight)])
        paragraph_style = skia.textlayout.ParagraphStyle()
        paragraph_style.setTextStyle(style)
        builder = skia.textlayout.ParagraphBuilder.make(paragraph_style, _shaper()[1], _shaper()[2])
        builder.pushStyle(style)
        builder.addText(text.replace(" ", "\u00a0"))  # a space at the end has its width too
        paragraph = builder.Build()
        paragraph.layout(1e7)
        return float(paragraph.LongestLine) / 100.0


@lru_cache(maxsize=16_384)
def _covers(family: Family, char: str) -> bool:
    return bool(typeface(family, 400).unicharToGlyph(ord(char)))


@lru_cache(maxsize=16_384)
def family_for(cluster: str, preferred: Family) -> Family | None:
    """The first family that has every character of a grapheme cluster (joiners and selectors aside)."""
    chars = [c for c in cluster if not _invisible(c)]
    others = (f for f in _PACKAGES if f != preferred and _packaged(f) is not None)
    for family in (preferred, *others):
        if all(_covers(family, c) for c in chars):
            return family
    return next((f for f, face in _system_faces().items() if all(face.unicharToGlyph(ord(c)) for c in chars)), None)


def _invisible(char: str) -> bool:
    return char.isspace() or char in "\u200b\u200c\u200d\u200e\u200f\u2060" or 0xFE00 <= ord(char) <= 0xFE0F


@lru_cache(maxsize=16_384)
def runs(text: str, preferred: Family) -> tuple[tuple[Family, str], ...]:
    """The text as (family, piece): `preferred` where it can, its fallbacks elsewhere; what none has is left out."""
    found: list[tuple[Family, str]] = []
    for cluster in graphemes(text):
        # a blank, and what any font has (a full stop), goes with what stands before it: fewer changes of font
        if found and (not cluster.strip() or (not cluster[0].isalnum() and _covers(found[-1][0], cluster[0]))):
            family: Family | None = found[-1][0]
        else:
            family = family_for(cluster, preferred)
        if family is None:
            continue
        if found and found[-1][0] == family:
            found[-1] = (family, found[-1][1] + cluster)
        else:
            found.append((family, cluster))
    return tuple(found)


def can_draw(char: str) -> bool:
    """Whether a bundled font, or a font of this machine, has the character."""
    return _invisible(char) or family_for(char, "Montserrat") is not None


@lru_cache(maxsize=1)
def _system_fonts() -> tuple[dict[Family, Any], dict[Family, Path]]:
    """The machine's own fonts by family (faces, files): of each the bold file before others."""
    files: list[Path] = []
    for folder in _SYSTEM_DIRS:
        if folder.is_dir():
            files += [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in {".ttf", ".otf", ".ttc"}]
    faces: dict[Family, Any] = {}
    paths: dict[Family, Path] = {}
    bold_first = sorted(files[:_SYSTEM_FONTS_LOOKED_AT], key=lambda p: (not p.stem.lower().endswith("-bold"), str(p)))
    for path in bold_first:
        face = skia.Typeface.MakeFromFile(str(path))
        # colour fonts hold pictures, which libass does not draw
        if face is not None and face.getFamilyName() and "color" not in face.getFamilyName().lower():
            faces.setdefault(str(face.getFamilyName()), face)
            paths.setdefault(str(face.getFamilyName()), path)
    return faces, paths


def _system_faces() -> dict[Family, Any]:
    return _system_fonts()[0]


def _system_files() -> dict[Family, Path]:
    return _system_fonts()[1]


def drawable(text: str) -> tuple[str, int]:
    """The text without characters that no font here has, and how many were left out."""
    kept = [c for c in text if can_draw(c)]
    return " ".join("".join(kept).split()), len(text) - len(kept)
