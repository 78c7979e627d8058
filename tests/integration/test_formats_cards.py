"""Cards: every scene as a still with its words, in the right colours, sharp, and nothing over anything else."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from chimera.adapters.canvases.cards import CardCanvas
from chimera.errors import ChimeraError
from chimera.media.card_checks import text_contrast
from chimera.media.cards import SMALLEST_WORDS, make_cards, write_jpeg
from chimera.media.layers import Area, CaptionLook, KineticLayer, NumberLayer, ShapeLayer, SourcesLayer, TextLayer
from chimera.media.models import RenderJob, RenderScene, SceneSpec, Theme
from chimera.media.theme import rgb
from chimera.templates.storyboard import PictureWish

THEME = Theme(background="#101820", surface="#1b2a38", accent="#ff6b4a", highlight="#5ac8ff")
WORDS = Area(x=72, y=820, width=936, height=190)
LOOK = CaptionLook(box=WORDS)
HEADLINE = TextLayer(box=Area(x=72, y=560, width=936, height=220), text="A headline", size=80)
SHORT = "Boats sail again. Many people are on them."


def scene(narration: str, *layers: object, **more: object) -> RenderScene:
    return RenderScene.model_validate({"narration": narration, "layers": layers or (HEADLINE,), **more})


def job(*scenes: RenderScene, sources: tuple[str, ...] = (), **more: object) -> RenderJob:
    return RenderJob.model_validate(
        {"title": "Ferries", "scenes": scenes, "sources": sources, "aspect": "1:1", "height": "360p", "theme": THEME,
         "captions": LOOK, "seed": 3, **more}
    )  # fmt: skip


def pixels(path: Path) -> np.ndarray:
    found = cv2.imread(str(path))
    assert found is not None
    return found


def test_colours_are_the_themes_and_chroma_is_whole(tmp_path: Path) -> None:
    left = ShapeLayer(box=Area(x=90, y=90, width=600, height=600), form="rectangle", colour="accent")
    (card,) = make_cards(job(scene("", left)), tmp_path, format="thread")
    blue, green, red = pixels(card.path)[130, 130]
    assert np.abs(np.array([red, green, blue], int) - np.array(rgb(THEME.accent))).max() <= 3
    data = card.path.read_bytes()
    frame = data.index(b"\xff\xc0")
    assert [data[frame + 11 + 3 * i] for i in range(3)] == [0x11, 0x11, 0x11], "4:4:4"
    assert pixels(card.path).shape == (360, 360, 3)


def test_what_nobody_says_stands_where_captions_would(tmp_path: Path) -> None:
    with_words, without = make_cards(job(scene(SHORT), scene("")), tmp_path, format="thread")
    assert (with_words.words, with_words.dropped, without.words) == (SHORT, (), "")
    place = (24, 273, 312, 63)  # WORDS at a third of its size
    y = slice(place[1], place[1] + place[3])
    assert float(pixels(with_words.path)[y, 24:336].std()) > 20 > float(pixels(without.path)[y, 24:336].std())
    assert all((text_contrast(pixels(with_words.path), area) or 0) >= 4.5 for area in with_words.areas)
    assert len(with_words.areas) == 2


def test_as_many_whole_sentences_as_fit_and_no_smaller_than_can_be_read(tmp_path: Path) -> None:
    sentences = [f"This is sentence number {n} of a narration that is far too long for it." for n in range(9)]
    (card,) = make_cards(job(scene(" ".join(sentences))), tmp_path, format="thread")
    kept = len(sentences) - len(card.dropped)
    assert 1 <= kept < 9
    assert card.words == " ".join(sentences[:kept]) and list(card.dropped) == sentences[kept:]
    heights = [area[3] for area in card.areas[-1:]]
    assert heights[0] >= SMALLEST_WORDS / 3 * 0.7


def test_words_that_the_headline_says_already_are_not_said_twice(tmp_path: Path) -> None:
    headline = HEADLINE.model_copy(update={"text": "*Boats* sail again"})
    (card,) = make_cards(job(scene(SHORT, headline)), tmp_path, format="thread")
    assert card.words == "Many people are on them."


def test_words_keep_clear_of_the_headline_above_them(tmp_path: Path) -> None:
    low = HEADLINE.model_copy(update={"box": Area(x=72, y=700, width=936, height=190), "size": 60})
    (card,) = make_cards(job(scene("Boats sail again.", low)), tmp_path, format="thread")
    (_, top, _, height), (_, words_top, _, _) = card.areas
    assert words_top >= top + height + 10
    full = HEADLINE.model_copy(
        update={"box": Area(x=72, y=100, width=936, height=920), "text": "Word " * 60, "lines": 12}
    )
    (card,) = make_cards(job(scene("Boats sail again.", full)), tmp_path / "b", format="thread")
    assert card.words == "" and card.dropped == ("Boats sail again.",)


def test_kinetic_words_stand_all_together(tmp_path: Path) -> None:
    kinetic = KineticLayer(box=Area(x=72, y=120, width=936, height=800))
    text = "Seven harbours run a night ferry again this winter. Two years ago there was only one."
    (card,) = make_cards(job(scene(text, kinetic)), tmp_path, format="thread")
    picture = pixels(card.path)
    rows = [float(picture[y : y + 20].std()) for y in range(50, 300, 25)]
    assert card.words == text and card.dropped == ()
    assert sum(row > 25 for row in rows) >= 7, "lines over the whole block, not one page of it"


def test_animations_have_ended(tmp_path: Path) -> None:
    number = NumberLayer(box=Area(x=72, y=100, width=936, height=400), text="9,999", seconds=5.0)
    late = number.model_copy(update={"at": 4.0})
    gone = HEADLINE.model_copy(update={"until": 2.0})
    settled, same, empty = make_cards(
        job(scene("", number), scene("", late), scene("", gone)), tmp_path, format="thread"
    )
    assert np.abs(pixels(settled.path)[20:180].astype(int) - pixels(same.path)[20:180]).mean() < 2
    accent = np.abs(pixels(settled.path).astype(int) - np.array(rgb(THEME.accent))[::-1]).max(axis=2) < 12
    assert accent.mean() > 0.01, "a number in its final colour"
    assert empty.areas == () and float(pixels(empty.path)[150:300].std()) < 12


@pytest.mark.parametrize(
    ("format", "sources", "own", "count"),
    [("carousel", True, False, 2), ("carousel", True, True, 2), ("carousel", False, False, 1), ("image", True, False, 1),
     ("thread", True, False, 1)],
)  # fmt: skip
def test_the_sources_have_the_last_card_of_a_carousel(
    tmp_path: Path, format: str, sources: bool, own: bool, count: int
) -> None:
    scenes = [scene(SHORT)]
    if own:
        scenes.append(scene("", SourcesLayer(box=Area(x=72, y=100, width=936, height=800))))
    named = ("https://example.org/a",) if sources else ()
    cards = make_cards(job(*scenes, sources=named), tmp_path, format=format)  # type: ignore[arg-type]
    assert len(cards) == count
    assert (cards[-1].kind == "outro") == (format == "carousel" and sources)
    # a single card names them, and what it was made with, at its foot; so does the last card where no card of theirs does
    (*others, last) = (any(y > 330 for _, y, _, _ in card.areas) for card in cards)
    assert not any(others) and last == (format == "image" or (format == "carousel" and not sources))


def test_a_broken_picture_is_said_and_a_large_file_is_made_smaller(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(ChimeraError) as caught:
        make_cards(job(scene("", image=tmp_path / "broken.png")), tmp_path / "c", format="thread")
    assert caught.value.code == "VALIDATION_FAILED" and "broken.png" in caught.value.message
    noise = np.random.default_rng(1).integers(0, 255, (400, 400, 3), np.uint8)
    whole = write_jpeg(tmp_path / "a.jpg", noise).stat().st_size
    assert write_jpeg(tmp_path / "b.jpg", noise, most_bytes=whole * 3 // 4).stat().st_size <= whole * 3 // 4
    with pytest.raises(ChimeraError) as caught:
        write_jpeg(tmp_path / "d.jpg", noise, most_bytes=10_000)
    assert caught.value.code == "FILE_TOO_LARGE" and not (tmp_path / "d.jpg").exists()


@pytest.mark.parametrize("size", [(350, 212), (348, 220), (200, 330), (900, 330)])
def test_a_card_for_a_window_fills_all_of_it(tmp_path: Path, size: tuple[int, int]) -> None:
    wish, path = PictureWish(want="photo"), tmp_path / "window.png"
    CardCanvas().paint(
        SceneSpec(narration="x"), index=2, count=5, title="T", seed=5, size=size, out_png=path, wish=wish, type_areas=[]
    )
    brightest = pixels(path).max(axis=2)
    assert int((brightest.max(axis=1) < 12).sum()) == 0 and int((brightest.max(axis=0) < 12).sum()) == 0
