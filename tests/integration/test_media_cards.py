"""Cards: painted for real, the same for the same seed, different from their neighbours."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from chimera.adapters.canvases.cards import CardCanvas
from chimera.adapters.canvases.icons import icons_for, names, svg
from chimera.errors import ChimeraError
from chimera.media.models import SceneSpec

SCENES = [
    SceneSpec(narration="AI chips", on_screen_text="Chips", visual_prompt="Robot brain of chips"),
    SceneSpec(narration="It rose by 37%", on_screen_text="37% more", visual_prompt="Rising chart"),
    SceneSpec(narration="Oceans", on_screen_text="Oceans warm", visual_prompt="Ocean waves"),
    SceneSpec(narration="", on_screen_text="", visual_prompt=""),
    SceneSpec(narration="مرحبا 😀", on_screen_text="日本語 <script>", visual_prompt="x" * 5000),
]


def paint(folder: Path, index: int, seed: int, size: tuple[int, int] = (180, 320)) -> np.ndarray:
    path = CardCanvas().paint(
        SCENES[min(index, len(SCENES) - 1)], index=index, count=len(SCENES), title="T" * 2_000_000 if index == 0 else "Title",
        seed=seed, size=size, out_png=folder / f"{seed}-{index}-{size[0]}.png",
    )  # fmt: skip
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_look(tmp_path: Path) -> None:
    first, other = paint(tmp_path / "a", 2, 7), paint(tmp_path / "c", 2, 8)
    paint(tmp_path / "b", 2, 7)
    assert (tmp_path / "a/7-2-180.png").read_bytes() == (tmp_path / "b/7-2-180.png").read_bytes()
    assert np.abs(first.astype(int) - other.astype(int)).mean() > 4


@pytest.mark.parametrize("size", [(180, 320), (320, 180), (180, 180)])
def test_cards_are_larger_than_the_frame_and_neighbours_differ(tmp_path: Path, size: tuple[int, int]) -> None:
    pictures = [paint(tmp_path, i, 3, size) for i in range(len(SCENES) + 1)]
    for picture in pictures:
        assert picture.shape[0] >= size[1] * 1.1 and picture.shape[1] >= size[0] * 1.1
        assert picture.std() > 8, "a card is not a flat colour"
    for a, b in pairwise(pictures):
        assert np.abs(a.astype(int) - b.astype(int)).mean() > 5


def test_type_stands_on_dark_ground(tmp_path: Path) -> None:
    """Captions are white: the ground behind them is dark enough for 4.5:1 on every card."""
    for seed in range(4):
        for index in range(3):
            picture = paint(tmp_path, index, seed)
            band = picture[int(picture.shape[0] * 0.68) : int(picture.shape[0] * 0.76)].astype(float) / 255
            linear = np.where(band <= 0.04045, band / 12.92, ((band + 0.055) / 1.055) ** 2.4)
            luminance = (linear * np.array([0.0722, 0.7152, 0.2126])).sum(axis=2)
            assert 1.05 / (np.quantile(luminance, 0.98) + 0.05) >= 4.5


def test_icons_follow_the_words() -> None:
    assert icons_for("a rocket launch into orbit")[0] == "rocket"
    assert icons_for("Judges in court")[0] == "scale"
    assert icons_for("", "", "data leak by hackers")[0] in {"lock", "database"}
    assert icons_for("zzz") == []
    assert all(svg(name, stroke="#ffffff").startswith(b"<svg") for name in names())


def test_a_senseless_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChimeraError) as error:
        CardCanvas().paint(SCENES[0], index=0, count=1, title="", seed=1, size=(0, 99999), out_png=tmp_path / "x.png")
    assert error.value.code == "VALIDATION_FAILED" and "0x99999" in error.value.message
