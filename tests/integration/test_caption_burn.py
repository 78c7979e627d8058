"""Captions as libass really draws them: on the nearest frame, inside their box, in visual order, never as a box glyph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from chimera.media import ass, process
from chimera.media.caption_styles import cue_options, draw
from chimera.media.captions import make_cues
from chimera.media.fonts import can_draw, write_fontconfig
from chimera.media.layers import Area, CaptionLook
from chimera.media.models import Theme, Word

WIDTH, HEIGHT, FPS = 270, 480, 30
THEME = Theme(background="#000000", surface="#333333", accent="#ff0000", highlight="#00ff00", ink="#ffffff")
BOX = Area(x=84, y=1318, width=912, height=180)
Frames = npt.NDArray[np.uint8]


def burned(folder: Path, words: list[Word], style: str, language: str = "en", seconds: float = 2.0) -> Frames:
    """The frames (n, height, width, rgb) of captions on a mid-grey ground."""
    look = CaptionLook.model_validate({"style": style, "box": BOX, "glow": False, "plate": "#000000"})
    script = ass.Script(1080, 1920, [])
    cues = make_cues(words, limit=seconds, **cue_options(look, language, THEME))
    draw(script, cues, look, THEME, seconds, fps=FPS)
    (folder / "captions.ass").write_text(script.text(), "utf-8")
    command = [
        process.executable(), "-loglevel", "error", "-f", "lavfi", "-i",
        f"color=0x606060:s={WIDTH}x{HEIGHT}:r={FPS}:d={seconds}", "-vf", "ass=captions.ass", "-pix_fmt", "rgb24",
        "-f", "rawvideo", "-",
    ]  # fmt: skip
    raw, _ = process.run(command, cwd=folder, fonts=write_fontconfig(folder / "fonts"))
    return np.frombuffer(raw, np.uint8).reshape(-1, HEIGHT, WIDTH, 3)


def where(frame: Frames, colour: str) -> tuple[npt.NDArray[np.intp], ...]:
    """Rows and columns of pixels that are clearly red or green."""
    channel = {"red": 0, "green": 1}[colour]
    others = frame.astype(np.int16).sum(axis=2) - frame[:, :, channel]
    return np.nonzero((frame[:, :, channel] > 150) & (others < 120))


def said(*items: tuple[str, float, float]) -> list[Word]:
    return [Word(text=t, start=a, end=b) for t, a, b in items]


@pytest.mark.parametrize("style", ["karaoke", "pop", "box", "minimal"])
def test_each_style_draws_inside_its_box_while_the_cue_lasts(style: str, tmp_path: Path) -> None:
    frames = burned(tmp_path, said(("Wonderful", 0.5, 0.9), ("mountains", 0.9, 1.4)), style)
    drawn = np.abs(frames.astype(np.int16) - 0x60).max(axis=(2, 3)) > 40  # frame, row
    columns = np.abs(frames.astype(np.int16) - 0x60).max(axis=(1, 3)) > 40
    shown = drawn.any(axis=1)
    first, last = int(np.argmax(shown)), len(shown) - 1 - int(np.argmax(shown[::-1]))
    assert first in {15, 16}, "0.5 s; minimal fades in from there"
    assert 42 <= last <= 52
    rows = np.nonzero(drawn.any(axis=0))[0] * 4
    assert BOX.y - 40 <= rows.min() and rows.max() <= BOX.y + BOX.height + 40
    across = np.nonzero(columns.any(axis=0))[0] * 4
    assert across.min() >= BOX.x - 24 and across.max() <= BOX.x + BOX.width + 24


def test_the_active_word_changes_on_the_frame_nearest_to_the_voice(tmp_path: Path) -> None:
    words = said(("one", 0.21, 0.5), ("small", 0.516, 0.8), ("town", 0.93, 1.3))
    frames = burned(tmp_path, words, "karaoke", seconds=1.6)
    centre = [float(np.median(where(f, "red")[1])) if len(where(f, "red")[1]) else -1.0 for f in frames]
    changes = [n for n in range(1, len(centre)) if abs(centre[n] - centre[n - 1]) > 8]
    assert changes[:3] == [round(w.start * FPS) for w in words]


@pytest.mark.parametrize("style", ["karaoke", "box", "pop"])
def test_hebrew_is_said_from_right_to_left(style: str, tmp_path: Path) -> None:
    if not can_draw("ש"):
        pytest.skip("no font here has Hebrew")
    frames = burned(tmp_path, said(("שלום", 0.1, 0.5), ("לכל", 0.6, 1.0), ("העם.", 1.1, 1.5)), style, "he")
    places = [float(np.median(where(frames[n], "red")[1])) for n in (10, 25, 40)]
    assert places[0] > places[1] > places[2]


def test_numbers_are_in_the_highlight_colour(tmp_path: Path) -> None:
    frames = burned(tmp_path, said(("only", 0.1, 0.5), ("415", 0.5, 1.0), ("homes", 1.0, 1.4)), "pop")
    assert len(where(frames[24], "green")[0]) > 60
    assert len(where(frames[36], "green")[0]) > 60, "it keeps it after it was said"


def test_a_character_without_a_font_leaves_no_mark(tmp_path: Path) -> None:
    without = burned(tmp_path, said(("hi", 0.1, 0.5), ("you", 0.5, 1.0)), "karaoke", seconds=0.8)
    with_it = burned(tmp_path, said(("hi\U000130b8", 0.1, 0.5), ("you", 0.5, 1.0)), "karaoke", seconds=0.8)
    assert can_draw("\U000130b8") or np.array_equal(without, with_it)
