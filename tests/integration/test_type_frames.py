"""Type as libass draws it: ink stands inside its box, a brand's own font is used, a bad one is refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from chimera.errors import ChimeraError
from chimera.media import encode
from chimera.media.fonts import font_file, write_fontconfig
from chimera.media.layers import (
    Area,
    ChartLayer,
    IconLayer,
    KineticLayer,
    ListLayer,
    NumberLayer,
    Placed,
    Point,
    ProgressLayer,
    ShapeLayer,
    SourcesLayer,
    TextLayer,
)
from chimera.media.layout import LAYOUTS
from chimera.media.models import RenderJob, RenderScene, Theme, Word
from chimera.media.plan import make_plan
from chimera.media.theme import LIGHT_THEMES, THEMES
from chimera.media.timeline import Clip, Motion
from chimera.media.typeset import Page, typeset

SIZE = (360, 640)
SCALE = 3
BOX = Area(x=150, y=450, width=690, height=600)
POINTS = (Point(label="2024", value=3), Point(label="2025", value=5), Point(label="A long label", value=-2))
KINDS: dict[str, Placed] = {
    "bar": TextLayer(box=BOX, text="The *quiet* race for chips", plate="bar"),
    "boxes": TextLayer(box=BOX, text="The quiet race for chips", plate="boxes", enter="pop"),
    "panel": TextLayer(box=BOX, text="The quiet race", plate="panel", enter="type"),
    "marker": TextLayer(box=BOX, text="The *quiet* race", plate="marker", enter="words", valign="top"),
    "kinetic": KineticLayer(box=BOX, size=110),
    "shape": ShapeLayer(box=BOX, form="burst", enter="pop"),
    "number": NumberLayer(box=BOX, text="$4.2 billion", ring=True, share=0.7),
    "column": ChartLayer(box=BOX, points=POINTS, title="A title", unit="of things"),
    "line": ChartLayer(box=BOX, points=POINTS, form="line"),
    "donut": ChartLayer(box=BOX, points=POINTS[:2], form="donut"),
    "compare": ChartLayer(box=BOX, points=POINTS[:2], form="compare"),
    "list": ListLayer(box=BOX, items=("One", "Two with more words in it", "Three"), active=1),
    "sources": SourcesLayer(box=BOX),
    "icon": IconLayer(box=BOX, name="rocket", enter="draw"),
    "progress": ProgressLayer(box=BOX.model_copy(update={"height": 12}), number=1, count=4),
}


@pytest.fixture(scope="module")
def fonts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fontconfig(tmp_path_factory.mktemp("fonts"))


def picture(overlay: str, fonts: Path, folder: Path, theme: Theme, at: float = 3.0) -> np.ndarray:
    """The frame with that type on the theme's flat ground, as BGR."""
    settings = encode.VideoSettings.plan(size=SIZE, fps=24, quality="draft", seconds=5, max_bytes=10**8)
    flat = np.full((SIZE[1] * 3 // 2, SIZE[0]), 128, np.uint8)
    flat[: SIZE[1]] = 30 if theme.mode == "dark" else 225
    out = folder / "still.jpg"
    encode.still(flat.reshape(-1), overlay, settings=settings, at=at, folder=folder / "still", fonts=fonts, out=out)
    found = cv2.imread(str(out))
    assert found is not None
    return found


def script(layer: Placed, theme: Theme) -> str:
    words = tuple(
        Word(text=w, start=0.3 * i, end=0.3 * i + 0.2) for i, w in enumerate(["It", "is", "said", "word", "by", "word"])
    )
    clip = Clip(index=1, kind="statement", scene=RenderScene(), start_frame=0, frames=120, words=words,
                motion=Motion(zoom=(1.0, 1.0)), layers=(layer,))  # fmt: skip
    page = Page(layout=LAYOUTS["9:16"], theme=theme, title="T", sources=("https://a.org", "Reuters"), language="en",
                seed=1, clip_count=4, fps=24)  # fmt: skip
    return typeset(clip, (), page)


@pytest.mark.parametrize("theme", [THEMES[0], LIGHT_THEMES[0]], ids=["dark", "light"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_drawn_stands_in_its_box(kind: str, theme: Theme, fonts: Path, tmp_path: Path) -> None:
    layer = KINDS[kind]
    found = picture(script(layer, theme), fonts, tmp_path, theme).astype(int)
    ground = np.median(found.reshape(-1, 3), axis=0)
    drawn = np.argwhere(np.abs(found - ground).max(axis=2) > 40)
    assert len(drawn) > 100, "something is drawn"
    (top, left), (bottom, right) = drawn.min(axis=0) * SCALE, (drawn.max(axis=0) + 1) * SCALE
    box = layer.box
    # descenders of the last line hang below it; a pixel here is three of the box's
    assert box.x - 8 <= left and right <= box.x + box.width + 8
    assert box.y - 8 <= top and bottom <= box.y + box.height + 32


def test_a_layer_is_gone_at_the_cut(fonts: Path, tmp_path: Path) -> None:
    overlay = script(KINDS["panel"], THEMES[0])
    before, after = (picture(overlay, fonts, tmp_path, THEMES[0], at) for at in (4.7, 4.99))
    assert before.std() > 20 and after.std() < before.std() / 3


def test_a_brands_own_font_is_measured_and_drawn(tmp_path: Path) -> None:
    """A copy of a bundled file under another path stands in for a brand's font; nothing else of its folder is seen."""
    own = tmp_path / "brand" / "Acme.ttf"
    own.parent.mkdir()
    own.write_bytes(font_file("Roboto").read_bytes())
    (own.parent / "secret.ttf").write_bytes(b"x")
    theme = THEMES[0].model_copy(update={"display": str(own), "text": str(own)})
    fonts = write_fontconfig(tmp_path / "fonts", (theme.display, theme.text))
    assert str(own.parent) not in fonts.read_text() and len(list((fonts.parent / "own").iterdir())) == 1
    layer = TextLayer(box=BOX, text="Wide words", size=90, lines=1, enter="none", weight=800)
    overlay = script(layer, theme)
    assert r"\fnRoboto\b700" in overlay, "the file's own family and weight"
    drawn = np.argwhere(picture(overlay, fonts, tmp_path, theme).astype(int).max(axis=2) > 120)
    width = (drawn[:, 1].max() - drawn[:, 1].min() + 1) * SCALE
    from chimera.media.fonts import text_width

    assert width == pytest.approx(text_width("Wide words", str(own), 800, 90), abs=14)


@pytest.mark.parametrize("what", ["missing", "text", "cut"])
def test_a_bad_font_file_is_said_before_anything_is_made(what: str, tmp_path: Path) -> None:
    path = tmp_path / "f.ttf"
    if what != "missing":
        path.write_bytes(b"not a font" if what == "text" else font_file("Roboto").read_bytes()[:300])
    theme = THEMES[0].model_copy(update={"display": str(path)})
    with pytest.raises(ChimeraError) as error:
        make_plan(RenderJob(title="t", scenes=(RenderScene(),), theme=theme, music="off"), "x264")
    assert error.value.code == "VALIDATION_FAILED" and "f.ttf" in error.value.message
