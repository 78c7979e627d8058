"""Cards: painted for real, the same for the same seed, different from their neighbours."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from chimera.adapters.canvases.cards import CardCanvas
from chimera.adapters.canvases.icons import icons_for, names, svg
from chimera.adapters.canvases.looks import FAMILIES, ICONS, MOODS, CardLook, choose_looks, palette_of
from chimera.errors import ChimeraError
from chimera.media.layers import Area
from chimera.media.models import SceneSpec, Theme
from chimera.media.theme import LIGHT_THEMES, THEMES, contrast
from chimera.templates.storyboard import PictureWish

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


LIGHT = Theme(
    name="paper",
    background="#f5f1e8",
    surface="#e3dccb",
    accent="#c2331f",
    highlight="#1f4fa3",
    ink="#16181d",
    mode="light",
)
ALL = [*FAMILIES, *ICONS, "icon.dial", "icon.wall"]
WORDS = Area(x=84, y=920, width=912, height=560)


def painted(folder: Path, family: str, theme: Theme, *, mood: int = 1, areas: list[Area], **wish: object) -> np.ndarray:
    path = CardCanvas().paint(
        SCENES[1], index=1, count=5, title="T", seed=5, size=(180, 320), theme=theme, look=CardLook(family, mood),
        wish=PictureWish.model_validate(wish), type_areas=areas, out_png=folder / "card.png",
    )  # fmt: skip
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


def ratios(picture: np.ndarray, area: Area, ink: str) -> np.ndarray:
    """Contrast of ink to each pixel behind an area (9:16)."""
    height, width = picture.shape[:2]
    scale, left, top = 180 / 1080, (width - 180) / 2, (height - 320) / 2
    part = picture[
        int(top + area.y * scale) : int(top + (area.y + area.height) * scale),
        int(left + area.x * scale) : int(left + (area.x + area.width) * scale),
    ]
    shades, counts = np.unique(part.reshape(-1, 3) // 4 * 4, axis=0, return_counts=True)
    return np.repeat([contrast(ink, "#{2:02x}{1:02x}{0:02x}".format(*shade)) for shade in shades], counts)


@pytest.mark.parametrize("family", ALL)
@pytest.mark.parametrize("theme", [THEMES[0], LIGHT], ids=["dark", "light"])
def test_type_is_readable_on_every_family_dark_and_light(tmp_path: Path, family: str, theme: Theme) -> None:
    picture = painted(tmp_path, family, theme, areas=[WORDS])
    assert np.quantile(ratios(picture, WORDS, theme.ink), 0.02) >= 4.4
    free = painted(tmp_path, family, theme, areas=[])
    assert free.std() > 2, "a card shows something"
    light = free.mean() > 127
    assert light == (theme.mode == "light") or not family.startswith(("plain", "chart"))


def test_the_motif_keeps_to_its_focus(tmp_path: Path) -> None:
    for x, side in ((60, 0), (560, 1)):
        focus = {"x": x, "y": 300, "width": 440, "height": 440}
        picture = painted(tmp_path, "icon.poster", THEMES[0], areas=[], focus=focus)
        halves = picture[:, :102].std(), picture[:, 102:].std()
        assert halves[side] > halves[1 - side]


def test_neighbours_differ_in_family_and_ground_whatever_is_wished() -> None:
    for wants in (["card"] * 30, ["plain"] * 12, ["chart"] * 6, ["map"] * 5, ["photo", "footage"] * 5):
        wishes = [PictureWish(want=want) for want in wants]  # type: ignore[arg-type]
        for seed in range(12):
            looks = choose_looks([SceneSpec()] * len(wants), wishes, seed=seed)
            for a, b in pairwise(looks):
                assert a.family != b.family and a.mood != b.mood
    thirty = choose_looks([SceneSpec()] * 30, [PictureWish()] * 30, seed=1)
    assert len({look.family for look in thirty[:18]}) == 18, "every family before one comes again"


def test_a_named_style_is_kept_and_recent_openings_are_not_repeated() -> None:
    chosen = choose_looks([SceneSpec()] * 2, [PictureWish(style="split"), PictureWish(style="blocks")], seed=1)
    assert [look.family for look in chosen] == ["split", "blocks"]
    recent: list[str] = []
    for _ in range(9):
        (look,) = choose_looks([SceneSpec()], [None], seed=4, recent=recent)
        assert look.family not in {name.partition("/")[0] for name in recent}
        recent.append(look.name)


def test_every_ground_carries_the_themes_ink() -> None:
    for theme in (*THEMES, *LIGHT_THEMES, LIGHT):
        for mood in range(MOODS):
            assert contrast(palette_of(theme, mood).ground, theme.ink) >= 7


def test_a_senseless_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChimeraError) as error:
        CardCanvas().paint(SCENES[0], index=0, count=1, title="", seed=1, size=(0, 99999), out_png=tmp_path / "x.png")
    assert error.value.code == "VALIDATION_FAILED" and "0x99999" in error.value.message
