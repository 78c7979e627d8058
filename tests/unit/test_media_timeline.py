"""Timeline, layout, figures, theme: pure rules of how a video is put together."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera.media.figures import key_figure
from chimera.media.layout import LAYOUTS, OVERSIZE, headline_style, layout_for, scene_kind
from chimera.media.models import RenderJob, RenderScene, SceneSpec, Word, frame_size
from chimera.media.theme import THEMES, contrast, mix, theme_for
from chimera.media.timeline import Motion, build, matrix_at, plan_motion


def job(**changes: object) -> RenderJob:
    scenes = tuple(RenderScene(narration=f"scene {i}", on_screen_text=f"headline {i}") for i in range(4))
    return RenderJob.model_validate({"title": "A title", "scenes": scenes, "sources": ("https://a.org",), **changes})


def test_clips_follow_each_other_without_a_gap_and_end_with_the_sources() -> None:
    timeline = build(job(), (3.0, 4.0, 0.0, 2.5), LAYOUTS["9:16"])
    assert [c.kind for c in timeline.clips] == ["title", "statement", "statement", "statement", "outro"]
    for a, b in pairwise(timeline.clips):
        assert b.start_frame == a.start_frame + a.frames
    assert timeline.clips[0].transition_frames == 0 and timeline.clips[1].transition_frames == 12
    assert build(job(sources=()), (3.0, 4.0, 0.0, 2.5), LAYOUTS["9:16"]).clips[-1].kind == "statement"


def test_words_are_moved_by_the_lead_and_stay_inside_the_clip() -> None:
    scene = RenderScene(narration="a b", words=(Word(text="a", start=0, end=0.5), Word(text="b", start=0.5, end=9)))
    clip = build(job(scenes=(scene,)), (1.0,), LAYOUTS["9:16"]).clips[0]
    assert clip.words[0].start == pytest.approx(clip.voice_start)
    assert clip.words[1].end <= clip.seconds(30)


@pytest.mark.parametrize("aspect", ["9:16", "16:9", "1:1"])
@given(seed=st.integers(0, 10_000), index=st.integers(0, 20), progress=st.floats(0, 1.15))
def test_the_moving_window_never_leaves_the_picture(aspect: str, seed: int, index: int, progress: float) -> None:
    frame = frame_size(aspect, "1080p")  # type: ignore[arg-type]
    picture = (round(frame[0] * OVERSIZE / 2) * 2, round(frame[1] * OVERSIZE / 2) * 2)
    for kind in ("title", "number", "statement", "outro"):
        motion = plan_motion(seed, index, kind, LAYOUTS[aspect])  # type: ignore[index,arg-type]
        (a, b, tx), (c, d, ty) = matrix_at(motion, progress, frame=frame, picture=picture)
        for x in (0, frame[0]):
            for y in (0, frame[1]):
                assert -1e-6 <= a * x + b * y + tx <= picture[0] + 1e-6
                assert -1e-6 <= c * x + d * y + ty <= picture[1] + 1e-6


def test_an_anchor_stays_in_its_place_while_the_picture_zooms() -> None:
    layout = LAYOUTS["16:9"]
    frame, picture = (1920, 1080), (2188, 1232)
    motion = plan_motion(1, 3, "number", layout)
    places = []
    for progress in np.linspace(0, 1, 5):
        (a, _, tx), (_, d, ty) = matrix_at(motion, float(progress), frame=frame, picture=picture)
        places.append((a * layout.motif.x + tx, d * layout.motif.y + ty))
    assert np.ptp(np.array(places), axis=0).max() < 0.5


def test_motion_goes_on_evenly_and_neighbours_move_differently() -> None:
    first = matrix_at(Motion(zoom=(1.0, 1.1)), 0.50, frame=(100, 100), picture=(114, 114))
    later = matrix_at(Motion(zoom=(1.0, 1.1)), 0.51, frame=(100, 100), picture=(114, 114))
    assert first != later
    for seed in range(20):
        moves = [plan_motion(seed, i, "statement", LAYOUTS["9:16"]) for i in range(6)]
        assert all(a != b for a, b in pairwise(moves))
        assert all(headline_style(seed, i) != headline_style(seed, i + 1) for i in range(6))


@pytest.mark.parametrize(
    ("text", "big", "unit"),
    [
        ("Demand rose by 37% this year", "37%", ""),
        ("It costs $1.6 billion before a single watt", "$1.6", "billion"),
        ("About 1,250,000 people watched", "1,250,000", "people"),
        ("a 3.5x gain", "3.5×", ""),
        ("used 300 hours of film", "300", "hours"),
        ("raised €50m", "€50m", ""),
    ],
)
def test_the_telling_number_is_shown_as_it_was_written(text: str, big: str, unit: str) -> None:
    figure = key_figure(text)
    assert figure is not None and (figure.big, figure.unit) == (big, unit)
    assert figure.at(1.0) == big and figure.at(0.3) != big


@pytest.mark.parametrize(
    "text",
    [
        "In 2024 it began",
        "iPhone 17 is out",
        "GPT-5 answers",
        "at 10:30 today",
        "version 3.11.2",
        "no number",
        "on 21 November",
    ],
)
def test_years_versions_and_times_are_no_figures(text: str) -> None:
    assert key_figure(text) is None


def test_scene_kinds() -> None:
    assert scene_kind(SceneSpec(narration="up 40%"), 0) == "title"
    assert scene_kind(SceneSpec(narration="up 40%"), 1) == "number"
    assert scene_kind(SceneSpec(narration="up"), 1) == "statement"


def test_type_is_readable_on_every_palette() -> None:
    for theme in THEMES:
        assert contrast(theme.ink, theme.background) >= 7
        assert contrast(theme.accent, theme.background) >= 4.5
        assert contrast(theme.ink, mix(theme.background, theme.surface, 0.3)) >= 4.5
    assert theme_for(5) == theme_for(5)


def test_sizes_are_even_and_layouts_keep_the_safe_areas() -> None:
    for aspect in ("9:16", "16:9", "1:1"):
        for height in ("360p", "720p", "1080p", "4k"):
            width, tall = frame_size(aspect, height)  # type: ignore[arg-type]
            assert width % 2 == 0 and tall % 2 == 0
            assert layout_for((width, tall)).aspect == aspect
    assert frame_size("9:16", "1080p") == (1080, 1920)
    vertical = LAYOUTS["9:16"]
    assert vertical.progress.y >= 0.06 * 1920 and vertical.captions.bottom <= 0.81 * 1920
    assert vertical.source.bottom <= 0.82 * 1920
    for layout in LAYOUTS.values():
        assert layout.headline.bottom <= layout.captions.y
        assert layout.captions.bottom <= layout.source.y
