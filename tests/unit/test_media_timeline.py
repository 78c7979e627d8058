"""Timeline, layout, figures, theme: pure rules of how a video is put together."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera.media.figures import key_figure
from chimera.media.layers import Area, ChartLayer, Point, SourcesLayer, TextLayer
from chimera.media.layout import LAYOUTS, OVERSIZE, headline_style, layout_for, scene_kind
from chimera.media.models import RenderJob, RenderScene, SceneSpec, Word, frame_size
from chimera.media.theme import THEMES, contrast, mix, theme_for
from chimera.media.timeline import Motion, Timeline, build, matrix_at, plan_motion


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
        motion = plan_motion(seed, index, kind, LAYOUTS[aspect])  # type: ignore[index]
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


def test_sizes_are_even() -> None:
    for aspect in ("9:16", "16:9", "1:1"):
        for height in ("360p", "720p", "1080p", "4k"):
            width, tall = frame_size(aspect, height)
            assert width % 2 == 0 and tall % 2 == 0
            assert layout_for((width, tall)).aspect == aspect
    assert frame_size("9:16", "1080p") == (1080, 1920)


def story(**changes: object) -> RenderJob:
    """A job as a template gives it: an opening, a chart, two chapters, a closing list of its own."""
    box = Area(x=120, y=300, width=640, height=300)
    words = tuple(Word(text=w, start=0.3 * i, end=0.3 * i + 0.2) for i, w in enumerate(["This", "is", "said"]))
    point = Point(label="a", value=1.5)
    scenes = (
        RenderScene(key="open", seconds=2, layers=(TextLayer(box=box, text="Opening"),), marker="Start"),
        RenderScene(key="a", narration="This is said", words=words, layers=(ChartLayer(box=box, points=(point,)),),
                    transition="cut", marker="Numbers", motion="left"),
        RenderScene(key="b", narration="More", layers=(), transition="push", marker="Numbers", motion="still"),
        RenderScene(key="end", seconds=3, layers=(SourcesLayer(box=box),), marker="Sources"),
    )  # fmt: skip
    values = {"title": "T", "scenes": scenes, "sources": ("https://a.org",), "template": "news@1.0.0", **changes}
    return RenderJob.model_validate(values)


VOICES = (0.0, 1.2, 2.0, 0.0)


def test_a_template_closes_with_its_own_list_and_gets_no_second_one() -> None:
    timeline = build(story(), VOICES, LAYOUTS["9:16"])
    assert [c.kind for c in timeline.clips] == ["title", "number", "statement", "outro"]
    assert [c.transition for c in timeline.clips] == ["cut", "cut", "push", "dissolve"]
    assert [c.transition_frames for c in timeline.clips] == [0, 0, 12, 12]
    scenes = story().scenes
    without = story(scenes=scenes[:-1])
    assert build(without, VOICES[:-1], LAYOUTS["9:16"]).clips[-1].kind == "outro", "who made it is always said"


def test_scenes_last_as_long_as_asked_and_never_shorter_than_their_voice() -> None:
    clips = build(story(), VOICES, LAYOUTS["9:16"]).clips
    assert clips[0].frames == 60 and clips[3].frames == 90, "silent scenes last what was asked for"
    assert clips[1].seconds(30) == pytest.approx(0.22 + 1.2 + 0.3, abs=1 / 30)
    asked = story().scenes[1].model_copy(update={"seconds": 5})
    assert build(story(scenes=(asked,), sources=()), (1.2,), LAYOUTS["9:16"]).clips[0].frames == 150
    long = story().scenes[1].model_copy(update={"seconds": 1})
    assert build(story(scenes=(long,), sources=()), (9.0,), LAYOUTS["9:16"]).clips[0].seconds(30) > 9


def test_chapters_ascend_and_neighbours_of_one_name_are_one() -> None:
    timeline = build(story(), VOICES, LAYOUTS["9:16"])
    assert [c.title for c in timeline.chapters] == ["Start", "Numbers", "Sources"]
    assert [c.seconds for c in timeline.chapters] == [
        round(timeline.clips[i].start(30), 3) for i in (0, 1, 3)
    ]  # fmt: skip


def test_a_timeline_is_the_same_after_json() -> None:
    for made in (story(), job()):
        timeline = build(made, (1.0, 1.2, 2.0, 0.0), LAYOUTS["9:16"])
        assert Timeline.model_validate_json(timeline.model_dump_json()) == timeline
    assert Timeline.model_json_schema()["properties"]["clips"]


def test_a_timeline_with_a_gap_or_falling_chapters_is_refused() -> None:
    data = build(story(), VOICES, LAYOUTS["9:16"]).model_dump(mode="json")
    moved = {**data, "clips": [*data["clips"][:1], {**data["clips"][1], "start_frame": 61}, *data["clips"][2:]]}
    with pytest.raises(ValueError, match="expected clip 1 at frame 60"):
        Timeline.model_validate(moved)
    with pytest.raises(ValueError, match="ascending"):
        Timeline.model_validate({**data, "chapters": data["chapters"][::-1]})


def test_what_is_published_names_files_and_not_this_machine() -> None:
    scene = RenderScene(image=Path("/home/me/secret/a.png"), audio=Path("/home/me/secret/a.wav"), layers=())
    made = story(scenes=(scene,), sources=(), logo=Path("/home/me/l.png"), music_file=Path("/home/me/m.mp3"))
    published = build(made, (0.0,), LAYOUTS["9:16"]).published()
    assert "/home" not in published.model_dump_json() and published.clips[0].scene.image == Path("a.png")


def test_effects_and_music_are_part_of_it() -> None:
    beds = build(job(), (3.0, 4.0, 0.0, 2.5), LAYOUTS["9:16"]).beds
    assert beds.music == "auto" and beds.effects
    assert all(a.at < b.at for a, b in pairwise(beds.effects))
    assert build(job(music="off"), (3.0, 4.0, 0.0, 2.5), LAYOUTS["9:16"]).beds.effects == ()


@pytest.mark.parametrize("motion", ["still", "in", "out", "left", "right", "up", "down", "turn"])
def test_named_motions_stay_inside_the_picture(motion: str) -> None:
    scene = RenderScene(motion=motion, layers=())
    move = build(story(scenes=(scene,), sources=()), (0.0,), LAYOUTS["9:16"]).clips[0].motion
    frame, picture = (1080, 1920), (1232, 2188)
    corners = {}
    for progress in (0.0, 0.5, 1.0):
        (a, b, tx), (c, d, ty) = matrix_at(move, progress, frame=frame, picture=picture)
        corners[progress] = (tx, ty, a)
        for x in (0, 1080):
            for y in (0, 1920):
                assert -1e-6 <= a * x + b * y + tx <= picture[0] + 1e-6
                assert -1e-6 <= c * x + d * y + ty <= picture[1] + 1e-6
    assert (corners[0.0] == corners[1.0]) == (motion == "still")


@given(
    voices=st.lists(st.floats(0, 20), min_size=1, max_size=12),
    seconds=st.lists(st.floats(0, 12), min_size=12, max_size=12),
    fps=st.sampled_from([24, 30, 60]),
    marks=st.lists(st.sampled_from(["", "A", "B", "C"]), min_size=12, max_size=12),
)
def test_frames_add_up_and_chapters_ascend(
    voices: list[float], seconds: list[float], fps: int, marks: list[str]
) -> None:
    scenes = tuple(
        RenderScene(narration="some words", layers=(), seconds=s, marker=m)
        for _, s, m in zip(voices, seconds, marks, strict=False)
    )
    timeline = build(story(scenes=scenes, fps=fps), tuple(voices), LAYOUTS["1:1"])
    assert timeline.frames == timeline.clips[-1].start_frame + timeline.clips[-1].frames
    for a, b in pairwise(timeline.clips):
        assert b.start_frame == a.start_frame + a.frames and b.transition_frames <= b.frames
    times = [c.seconds for c in timeline.chapters]
    assert times == sorted(set(times)) and all(t < timeline.seconds for t in times)
