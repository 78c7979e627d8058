"""Two thumbnails and a poster from one plan: the opening, and the strongest other moment with the title large."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from chimera.media.composing import Stage
from chimera.media.fonts import write_fontconfig
from chimera.media.layers import Area, NumberLayer, SourcesLayer, TextLayer
from chimera.media.models import RenderJob, RenderScene, Theme
from chimera.media.plan import Plan, make_plan
from chimera.media.theme import rgb
from chimera.media.thumbnails import MAX_BYTES, Thumbnails, make_thumbnails, strongest

THEME = Theme(background="#101820", surface="#1b2a38", accent="#ff6b4a", highlight="#5ac8ff")
OPENING = TextLayer(box=Area(x=100, y=300, width=800, height=300), text="Ferries")
FIGURE = NumberLayer(box=Area(x=1150, y=200, width=600, height=500), text="41%")


def flat(path: Path, level: int) -> Path:
    cv2.imwrite(str(path), np.full((72, 128, 3), level, np.uint8))
    return path


def striped(path: Path) -> Path:
    picture = np.zeros((72, 128, 3), np.uint8)
    picture[:, ::16] = 255
    cv2.imwrite(str(path), picture)
    return path


def planned(tmp_path: Path, *scenes: RenderScene, aspect: str = "16:9", height: str = "360p") -> Plan:
    job = {"title": "Why the night ferry is back", "scenes": scenes, "aspect": aspect, "height": height, "theme": THEME}
    return make_plan(RenderJob.model_validate({**job, "music": "off", "seed": 2}), "x264")


def made(plan: Plan, tmp_path: Path) -> Thumbnails:
    (tmp_path / "scratch").mkdir()
    fonts = write_fontconfig(tmp_path / "fonts", (THEME.display, THEME.text))
    return make_thumbnails(plan, tmp_path / "scratch", fonts, tmp_path)


def test_wide_ones_are_1280_by_720_and_under_2_mb(tmp_path: Path) -> None:
    opening = RenderScene(layers=(OPENING,), image=flat(tmp_path / "a.png", 40))
    other = RenderScene(layers=(OPENING,), image=striped(tmp_path / "b.png"))
    found = made(planned(tmp_path, opening, other, height="1080p"), tmp_path)
    for path in (found.a, found.b):
        picture = cv2.imread(str(path))
        assert picture is not None and picture.shape == (720, 1280, 3)
        assert path.stat().st_size <= MAX_BYTES
    poster = cv2.imread(str(found.poster))
    assert poster is not None and poster.shape[:2] == (540, 960)
    # B has the title on plates of the theme's accent, A has none
    accent = np.array(rgb(THEME.accent))[::-1]
    shares = []
    for path in (found.a, found.b):
        picture = cv2.imread(str(path))
        assert picture is not None
        shares.append(float((np.abs(picture.astype(int) - accent).max(axis=2) < 14).mean()))
    assert shares[0] < 0.002 < 0.02 < shares[1]


@pytest.mark.parametrize("figure", [True, False])
def test_b_is_a_figure_else_the_picture_with_most_contrast_and_never_the_sources(tmp_path: Path, figure: bool) -> None:
    closing = SourcesLayer(box=Area(x=100, y=100, width=900, height=600))
    scenes = (
        RenderScene(layers=(OPENING,), image=striped(tmp_path / "0.png")),
        RenderScene(layers=(OPENING, *((FIGURE,) if figure else ())), image=flat(tmp_path / "1.png", 60)),
        RenderScene(layers=(OPENING,), image=striped(tmp_path / "2.png")),
        RenderScene(layers=(closing,), image=striped(tmp_path / "3.png")),
    )
    plan = planned(tmp_path, *scenes)
    assert strongest(plan, Stage(plan.timeline)).index == (1 if figure else 2)
    alone = planned(tmp_path, scenes[0], scenes[3])
    assert strongest(alone, Stage(alone.timeline)).index == 0


def test_other_shapes_keep_the_videos_size(tmp_path: Path) -> None:
    plan = planned(tmp_path, RenderScene(layers=(OPENING,)), RenderScene(layers=(OPENING,)), aspect="9:16")
    found = made(plan, tmp_path)
    sizes = [picture.shape[:2] for p in (found.a, found.b, found.poster) if (picture := cv2.imread(str(p))) is not None]
    assert sizes == [(640, 360), (640, 360), (320, 180)]
