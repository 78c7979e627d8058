"""Draws docs/images/templates.jpg: every built-in template in its three shapes, with the sample words of the previews."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import skia

from chimera.adapters.canvases.cards import CardCanvas
from chimera.media.fonts import typeface
from chimera.media.models import Aspect
from chimera.templates.engine import expand
from chimera.templates.preview import stills
from chimera.templates.sample import sample_of, sample_wish
from chimera_local.cli.template import library

OUT = Path(__file__).resolve().parents[1] / "docs" / "images"
HEIGHT, GAP, LABEL = 380, 10, 54
# Which scenes are shown: four tall, one wide, one square.
SHOWN: tuple[tuple[Aspect, tuple[int, ...]], ...] = (("9:16", (0, 1, 2, 3)), ("16:9", (1,)), ("1:1", (2,)))
Mode = Literal["dark", "light"] | None


def row(resolved: Any, mode: Mode) -> Any:
    """The chosen stills of a template side by side, its name above them."""
    tiles = []
    with tempfile.TemporaryDirectory(prefix="contact-") as scratch:
        for aspect, chosen in SHOWN:
            board = expand(resolved, sample_wish(sample_of(resolved.pack), aspect=aspect, mode=mode, seed=7))
            found = stills(board, CardCanvas(), Path(scratch) / aspect.replace(":", "x"), "360p")
            for index in chosen:
                picture = found[min(index, len(found) - 1)]
                width = round(picture.shape[1] * HEIGHT / picture.shape[0])
                tiles += [
                    cv2.resize(picture, (width, HEIGHT), interpolation=cv2.INTER_AREA),
                    np.full((HEIGHT, GAP, 3), 24, np.uint8),
                ]
    return np.vstack([label(resolved.pack, sum(t.shape[1] for t in tiles)), np.hstack(tiles)])


def label(pack: Any, width: int) -> Any:
    """The template's name and title on a strip of `width` pixels."""
    pixels = np.zeros((LABEL, width, 4), np.uint8)
    canvas = skia.Surface(pixels, colorType=skia.ColorType.kBGRA_8888_ColorType).getCanvas()
    canvas.clear(0xFF181818)
    text = f"{pack.name}   {pack.text('title')}"
    canvas.drawString(text, 2, 38, skia.Font(typeface("Inter", 600), 24), skia.Paint(AntiAlias=True, Color=0xFFEDEDED))
    return pixels[:, :, :3].copy()


def main() -> int:
    """As the templates are, and for a persona with a light theme."""
    templates = library()
    names = sorted(entry.name for entry in templates.entries() if entry.origin == "builtin")
    for mode, name in ((None, "templates.jpg"), ("light", "templates-light.jpg")):
        rows = [row(templates.resolve(found), mode) for found in names]  # type: ignore[arg-type]
        width = max(r.shape[1] for r in rows)
        sheet = np.vstack([np.pad(r, ((0, GAP), (0, width - r.shape[1]), (0, 0)), constant_values=24) for r in rows])
        cv2.imwrite(str(OUT / name), sheet, [cv2.IMWRITE_JPEG_QUALITY, 82])
        sys.stderr.write(f"{name}: {(OUT / name).stat().st_size / 1e3:.0f} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
