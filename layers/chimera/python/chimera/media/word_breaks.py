"""Where words end in Thai, Lao and Khmer, which write no blanks between them: by the dictionaries of ICU.

ICU is reached through skia, which breaks paragraphs with it but does not say where. So each seam is asked for: all but the
two characters at it are set too small to count, and the narrowest width the text can have then tells whether they part.
For Burmese, and in a container without skia, there is no dictionary: a phrase is cut between characters.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from itertools import accumulate, pairwise
from typing import Any

from chimera.media.text import graphemes

_RUN = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff]{2,}|[\u1000-\u109f]{2,}")
_BURMESE = range(0x1000, 0x10A0)
_PHRASE = 4  # characters of a piece without a dictionary
_LONGEST = 20  # characters of a word; what is longer is none
_LARGE, _SMALL = 10.0, 0.001
_AT_ONCE = 40  # characters; ICU looks three words ahead
_lock = threading.Lock()


def word_ends(text: str) -> frozenset[int]:
    """The positions in `text` between two letters of these scripts where one word ends and the next begins.

    About 0.1 ms a character, once for each phrase.
    """
    return frozenset(run.start() + end for run in _RUN.finditer(text) for end in _ends(run[0]))


@lru_cache(maxsize=4_096)
def _ends(run: str) -> tuple[int, ...]:
    clusters = graphemes(run)
    known = ord(run[0]) not in _BURMESE and find_spec("skia") is not None
    words = [0, *_by_dictionary(clusters), len(clusters)] if known else [0, len(clusters)]
    most = _LONGEST if known else _PHRASE
    cuts = sorted({*words[1:-1], *(k for a, b in pairwise(words) for k in range(a + most, b, most))})
    sums = [0, *accumulate(map(len, clusters))]
    return tuple(sums[k] for k in cuts)


def _by_dictionary(clusters: list[str]) -> Iterator[int]:
    first = 0
    while first < len(clusters):
        part = clusters[first : first + _AT_ONCE]
        with _lock:
            ends = [k for k in range(1, len(part)) if _parts(part, k)]
        if first + len(part) == len(clusters):
            yield from (first + k for k in ends)
            return
        ends = ends[:-1] or ends or [len(part)]  # the last words may go on beyond this stretch: they begin the next one
        yield from (first + k for k in ends)
        first += ends[-1]


def _parts(clusters: list[str], at: int) -> bool:
    """Whether a line may break before the cluster `at`."""
    import skia

    builder = skia.textlayout.ParagraphBuilder.make(_paragraph_style(), _shaper()[1], _shaper()[2])
    seam = clusters[at - 1] + clusters[at]
    for text, size in (("".join(clusters[: at - 1]), _SMALL), (seam, _LARGE), ("".join(clusters[at + 1 :]), _SMALL)):
        builder.pushStyle(_style(size))
        builder.addText(text)
    paragraph = builder.Build()
    paragraph.layout(1e6)
    return bool(paragraph.MinIntrinsicWidth < paragraph.MaxIntrinsicWidth - 1.0)


@lru_cache(maxsize=1)
def _shaper() -> tuple[Any, Any, Any]:
    import skia

    from chimera.media.fonts import typeface

    provider = skia.textlayout.TypefaceFontProvider()
    provider.registerTypeface(typeface("Inter", 400), "any")  # boxes are as good as letters here
    collection = skia.textlayout.FontCollection()
    collection.setDefaultFontManager(provider)
    return provider, collection, skia.Unicodes.ICU.Make()


@lru_cache(maxsize=2)
def _style(size: float) -> Any:
    import skia

    style = skia.textlayout.TextStyle()
    style.setFontFamilies(["any"])
    style.setFontSize(size)
    return style


@lru_cache(maxsize=1)
def _paragraph_style() -> Any:
    import skia

    style = skia.textlayout.ParagraphStyle()
    style.setTextStyle(_style(_LARGE))
    return style
