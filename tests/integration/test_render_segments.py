"""What a changed line costs and leaves alone, how pictures give way to each other, footage to the frame, what is in the file."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import av
import cv2
import numpy as np
import pytest

from chimera.errors import ChimeraError
from chimera.media import joining, segments, transitions
from chimera.media.composing import logo, shade
from chimera.media.encode import VideoSettings
from chimera.media.footage import Footage
from chimera.media.frames import Background, load
from chimera.media.layers import Area
from chimera.media.models import RenderJob, RenderScene, Transition, Word
from chimera.media.plan import make_plan
from chimera.media.planes import Plane, frame_bytes, from_bgr, planes_of
from chimera.media.render import render
from chimera.media.theme import LIGHT_THEMES, THEMES
from chimera.media.timeline import Motion, matrix_at

FPS = 24
SIZE = (360, 640)


def picture(path: Path, seed: int) -> Path:
    """A soft, coloured picture."""
    noise = np.random.default_rng(seed).integers(0, 255, (8, 5, 3), dtype=np.uint8)
    cv2.imwrite(str(path), cv2.resize(noise, (410, 730), interpolation=cv2.INTER_CUBIC))
    return path


def scene(folder: Path, number: int, seconds: float = 1.0, **changes_: object) -> RenderScene:
    """A silent scene with a picture of its own."""
    values = {
        "seconds": seconds,
        "on_screen_text": f"Line {number}",
        "image": picture(folder / f"{number}.png", number),
    }
    return RenderScene.model_validate({**values, **changes_})


def job_of(scenes: Sequence[RenderScene], **changes_: object) -> RenderJob:
    values = {
        "title": "T",
        "scenes": tuple(scenes),
        "height": "360p",
        "fps": FPS,
        "quality_preset": "draft",
        "music": "off",
    }
    return RenderJob.model_validate({**values, **changes_})


def decoded(path: Path) -> list[str]:
    """The hash of each frame's planes."""
    with av.open(str(path)) as container:
        return [hashlib.sha256(f.to_ndarray(format="yuv420p").tobytes()).hexdigest() for f in container.decode(video=0)]


def luma_at(path: Path, frames: Sequence[int]) -> dict[int, Plane]:
    with av.open(str(path)) as container:
        found = {n: f.to_ndarray(format="gray") for n, f in enumerate(container.decode(video=0)) if n in frames}
    return {n: np.asarray(f, dtype=np.uint8) for n, f in found.items()}


# --- segments


def test_a_changed_line_leaves_every_other_scene_bit_identical(tmp_path: Path) -> None:
    scenes = [scene(tmp_path, n, 0.6) for n in range(5)]
    before = job_of(scenes)
    first = render(before, tmp_path / "work")
    old = make_plan(before, "x264")
    files = {s.name: (tmp_path / "work/segments" / s.name).read_bytes() for s in old.segments}
    pictures = decoded(first.video)
    after = job_of([*scenes[:2], scenes[2].model_copy(update={"on_screen_text": "Another line"}), *scenes[3:]])
    second = render(after, tmp_path / "work")
    new = make_plan(after, "x264")
    parts = [(s.clip, s.first > 0 or s.clip == 0) for s in old.segments]
    assert parts == [(0, True), *((clip, rest) for clip in range(1, 5) for rest in (False, True))]
    differ = [(a.clip, a.first) for a, b in zip(old.segments, new.segments, strict=True) if a.key != b.key]
    fade = old.timeline.clips[2].transition_frames
    assert differ == [(2, 0), (2, fade)], "the way in of the next scene shows only the picture, which did not change"
    assert (second.segments_total, second.segments_reused) == (9, 7)
    for segment in new.segments:
        if segment.name in files:
            assert (tmp_path / "work/segments" / segment.name).read_bytes() == files[segment.name]
    again = decoded(second.video)
    clip = new.timeline.clips[2]
    inside = range(clip.start_frame, clip.start_frame + clip.frames)
    assert len(again) == len(pictures) == new.timeline.frames
    assert [n for n, (a, b) in enumerate(zip(pictures, again, strict=True)) if a != b and n not in inside] == []
    assert any(pictures[n] != again[n] for n in inside)


def test_a_changed_picture_costs_its_scene_and_the_next_ones_way_in(tmp_path: Path) -> None:
    scenes = [scene(tmp_path, n) for n in range(4)]
    old = make_plan(job_of(scenes), "x264")
    other = scenes[1].model_copy(update={"image": picture(tmp_path / "other.png", 99)})
    new = make_plan(job_of([scenes[0], other, *scenes[2:]]), "x264")
    differ = [(a.clip, a.first > 0) for a, b in zip(old.segments, new.segments, strict=True) if a.key != b.key]
    assert differ == [(1, False), (1, True), (2, False)]


def test_every_frame_is_there_once_at_its_time_and_the_sound_is_as_long(tmp_path: Path) -> None:
    scenes = [scene(tmp_path, n, 0.7, transition=kind) for n, kind in enumerate(("cut", "dissolve", "cut", "wipe"))]
    result = render(job_of(scenes, fps=30, music="calm"), tmp_path / "work")
    with av.open(str(result.video)) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert video.time_base is not None and video.duration is not None and sound.duration is not None
        times = [float((f.pts or 0) * video.time_base) for f in container.decode(video=0)]
        lasts = float(video.duration * video.time_base), float(sound.duration * (sound.time_base or 0))
    assert times == pytest.approx([n / 30 for n in range(4 * 21)], abs=1e-4)
    assert lasts[0] == pytest.approx(result.duration_seconds, abs=1e-3)
    assert lasts[1] == pytest.approx(result.duration_seconds, abs=1 / 30)
    assert result.segments_total == 6, "a cut has no way in"


def test_old_segments_go_first_and_those_of_the_video_stay(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.mp4").write_bytes(bytes(100))
        os.utime(tmp_path / f"{number}.mp4", (number, number))
    assert segments.prune(tmp_path, ["0.mp4"], most=250) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.mp4", "3.mp4", "4.mp4"]
    assert (tmp_path / "0.mp4").stat().st_mtime > 1_000
    assert segments.prune(tmp_path, ["0.mp4"], most=200) == 0


@pytest.mark.parametrize(("seconds", "scenes"), [(600.0, 10), (600.0, 200), (300.0, 60)])
def test_the_bit_rate_leaves_room_for_what_each_piece_may_overdraw(seconds: float, scenes: int) -> None:
    pieces = 2 * scenes
    settings = VideoSettings.plan(
        size=(1080, 1920), fps=30, quality="standard", seconds=seconds, max_bytes=100_000_000, pieces=pieces
    )
    most = settings.maxrate * (seconds + min(2 * pieces, seconds)) + 192_000 * seconds
    assert most / 8 <= 100_000_000 and settings.maxrate >= 250_000
    short = VideoSettings.plan(size=(1080, 1920), fps=30, quality="standard", seconds=45, max_bytes=10**8, pieces=20)
    assert short.maxrate == 8_000_000


# --- motion


@pytest.mark.parametrize("zoom", [(1.02, 1.105), (1.085, 1.085), (1.14, 1.14), (1.115, 1.03)])
def test_a_move_without_a_turn_is_what_the_affine_warp_makes_of_it(zoom: tuple[float, float]) -> None:
    rng = np.random.default_rng(5)
    soft = cv2.GaussianBlur(rng.integers(0, 255, (730, 410, 3), dtype=np.uint8), (0, 0), 2)
    cv2.normalize(soft, soft, 0, 255, cv2.NORM_MINMAX)
    planes = from_bgr(np.asarray(soft, dtype=np.uint8))
    background = Background(*planes)
    motion = Motion(zoom=zoom, shift_x=(-0.02, 0.02), anchor=(0.4, 0.3))
    out = np.empty(frame_bytes(SIZE), np.uint8)
    for progress in (0.0, 0.31, 0.77, 1.0):
        background.frame(out, motion, progress, SIZE)
        (a, b, tx), (c, d, ty) = matrix_at(motion, progress, frame=SIZE, picture=background.size)
        for plane, made, factor in zip(planes[:2], planes_of(out, SIZE)[:2], (1.0, 0.5), strict=True):
            matrix = np.array([[a, b, tx * factor + a / 2 - 0.5], [c, d, ty * factor + d / 2 - 0.5]])
            size = (made.shape[1], made.shape[0])
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            wanted = cv2.warpAffine(plane, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
            assert np.abs(wanted.astype(int) - made).mean() < 0.6 and np.abs(wanted.astype(int) - made).max() <= 6


# --- transitions


@pytest.mark.parametrize("kind", get_args(Transition))
def test_a_transition_begins_with_the_old_picture_and_ends_with_the_new(kind: Transition) -> None:
    size = (120, 160)

    def flat(y: int, u: int, v: int) -> Plane:
        out = np.empty(frame_bytes(size), np.uint8)
        for plane, value in zip(planes_of(out, size), (y, u, v), strict=True):
            plane[:] = value
        return out

    shares = []
    for number in range(12):
        new, old = flat(200, 90, 160), flat(50, 140, 100)
        transitions.change(kind, new, old, number, 12, size=size, ground="#000000")
        luma = planes_of(new, size)[0].astype(float)
        shares.append((luma.mean() - 50) / 150)
        assert np.ptp(luma.mean(axis=1)) < 1, "every row alike"
    if kind == "dip":
        assert (
            min(shares) < -0.1 and shares[0] == pytest.approx(0, abs=0.06) and shares[-1] == pytest.approx(1, abs=0.06)
        )
    else:
        assert all(b >= a - 1e-9 for a, b in itertools.pairwise(shares))
        assert shares[-1] > 0.9 and (kind == "cut" or shares[0] < 0.1)


# --- footage


def counter(path: Path, frames: int, size: tuple[int, int], *, rate: int = FPS) -> Path:
    """Footage in which each frame says its number: twelve bits as stripes, black or white."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "12", "g": "15"}
        for number in range(frames):
            bits = [235 if number >> bit & 1 else 16 for bit in range(12)]
            rows = np.repeat(np.repeat(np.array(bits, np.uint8), size[0] // 12)[None], size[1], axis=0)
            y = np.pad(rows, ((0, 0), (0, size[0] - rows.shape[1])), constant_values=16)
            planes = np.concatenate([y.reshape(-1), np.full(size[0] * size[1] // 2, 128, np.uint8)])
            frame = av.VideoFrame.from_ndarray(planes.reshape(-1, size[0]), format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read_counter(luma: Plane) -> int:
    width = luma.shape[1] // 12
    row = luma[luma.shape[0] // 3]
    return sum(1 << bit for bit in range(12) if row[bit * width + width // 2] > 125)


def test_a_minute_of_footage_does_not_drift_by_a_frame_and_is_held_on_its_last(tmp_path: Path) -> None:
    path = counter(tmp_path / "a.mp4", 60 * FPS, (48, 64))
    out = np.empty(frame_bytes((48, 64)), np.uint8)
    with Footage(path, start=0.0, fps=FPS, size=(48, 64)) as footage:
        shown = []
        for number in range(60 * FPS + 30):
            footage.frame(out, number)
            shown.append(read_counter(planes_of(out, (48, 64))[0]))
    assert shown == [*range(60 * FPS), *[60 * FPS - 1] * 30]
    for start, first in ((10.0, 240), (59.9, 1438), (100.0, 1439)):
        with Footage(path, start=start, fps=FPS, size=(48, 64)) as footage:
            footage.frame(out, 0)
            assert read_counter(planes_of(out, (48, 64))[0]) == first
    with Footage(path, start=1.0, fps=2 * FPS, size=(48, 64)) as footage:  # another rate: by time
        shown = []
        for number in range(6):
            footage.frame(out, number)
            shown.append(read_counter(planes_of(out, (48, 64))[0]))
    assert shown == [24, 24, 25, 25, 26, 26]


def test_footage_in_a_video_is_shown_frame_by_frame_between_transitions(tmp_path: Path) -> None:
    path = counter(tmp_path / "a.mp4", 30, SIZE)
    film = scene(tmp_path, 1, 1.5, footage=path, footage_start=0.25, image=None, on_screen_text="", layers=())
    scenes = [scene(tmp_path, 0, 1.0), film, scene(tmp_path, 2, 1.0)]
    result = render(job_of(scenes), tmp_path / "work")
    plan = make_plan(job_of(scenes), "x264")
    clip = plan.timeline.clips[1]
    wanted = range(clip.start_frame + clip.transition_frames, clip.start_frame + clip.frames)
    found = {n: read_counter(luma) for n, luma in luma_at(result.video, wanted).items()}
    assert found == {n: min(6 + n - clip.start_frame, 29) for n in wanted}
    with pytest.raises(ChimeraError, match=r"footage bad\.mp4 cannot be read: Invalid data"):
        (tmp_path / "bad.mp4").write_bytes(b"nope")
        render(job_of([film.model_copy(update={"footage": tmp_path / "bad.mp4"})]), tmp_path / "bad")


def test_footage_is_darkened_like_a_picture() -> None:
    frame = np.full(frame_bytes((48, 64)), 200, np.uint8)
    shade((48, 64), 0.8).blend(planes_of(frame, (48, 64)))
    y, u, _ = planes_of(frame, (48, 64))
    assert y[0, 0] == pytest.approx(16 + 184 * (1 - 0.28), abs=2) and y[-1, 0] == pytest.approx(16 + 184 * 0.2, abs=2)
    assert u[-1, 0] == pytest.approx(128 + 72 * 0.2, abs=2)


def test_in_a_light_theme_pictures_and_footage_are_held_back_towards_white(tmp_path: Path) -> None:
    frame = np.full(frame_bytes((48, 64)), 100, np.uint8)
    shade((48, 64), 0.8, light=True).blend(planes_of(frame, (48, 64)))
    y, u, _ = planes_of(frame, (48, 64))
    assert y[-1, 0] == pytest.approx(235 - 135 * 0.2, abs=2) and u[-1, 0] == pytest.approx(128 - 28 * 0.2, abs=2)
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((64, 48, 3), 100, np.uint8))
    for theme, foot in ((LIGHT_THEMES[0], 255 - 155 * 0.2), (THEMES[0], 100 * 0.2)):
        held = np.empty(frame_bytes((48, 64)), np.uint8)
        load(tmp_path / "grey.png", frame=(48, 64), theme=theme, scrim=0.8).frame(
            held, Motion(zoom=(1, 1)), 0, (48, 64)
        )
        assert planes_of(held, (48, 64))[0][-1, 0] == pytest.approx(16 + foot * 219 / 255, abs=2)


# --- the logo, captions as a track, chapters, preview


def test_the_logo_stands_still_above_every_picture(tmp_path: Path) -> None:
    mark = np.zeros((40, 80, 4), np.uint8)
    mark[:, :40] = (255, 255, 255, 255)
    cv2.imwrite(str(tmp_path / "logo.png"), mark)
    box = Area(x=780, y=120, width=240, height=120)
    scenes = [scene(tmp_path, n, 0.6, layers=()) for n in range(2)]
    with_logo = render(job_of(scenes, logo=tmp_path / "logo.png", logo_box=box), tmp_path / "a")
    frames = (1, 12, 16, 25)  # 16 is in the way in of the second scene
    for luma in luma_at(with_logo.video, frames).values():
        part = luma[44:76, 262:298]
        assert part.min() > 225, "white, everywhere in its opaque half"
    without = luma_at(render(job_of(scenes), tmp_path / "b").video, frames)
    for number, luma in luma_at(with_logo.video, frames).items():
        assert np.abs(luma[200:].astype(int) - without[number][200:]).mean() < 1.5
        assert np.abs(luma[42:78, 304:338].astype(int) - without[number][42:78, 304:338]).mean() < 4, (
            "and clear beside it"
        )
    (tmp_path / "no.png").write_bytes(b"x")
    with pytest.raises(ChimeraError, match=r"no\.png is not a picture"):
        logo(tmp_path / "no.png", box, SIZE)


def test_captions_may_be_a_track_and_markers_are_chapters(tmp_path: Path) -> None:
    words = tuple(
        Word(text=w, start=0.3 * n, end=0.3 * n + 0.28) for n, w in enumerate(["Dies", "ist", "ein", "Satz."])
    )
    look = {"box": {"x": 100, "y": 1300, "width": 700, "height": 180}, "soft": True}
    scenes = [
        scene(tmp_path, 0, 1.5, words=words, narration="Dies ist ein Satz.", marker="Eins; = #1\\ a\\"),
        scene(tmp_path, 1, 1.0, marker="Zwei [x]"),
    ]
    result = render(job_of(scenes, captions=look, language="de-DE"), tmp_path / "work")
    with av.open(str(result.video)) as container:
        track = container.streams.subtitles[0]
        assert track.codec_context.name == "mov_text" and track.language == "deu"
        assert bool(track.disposition & type(track.disposition).default)
        told = b"".join(bytes(p) for p in container.demux(track) if p.size)
        chapters = [(float(c["start"] * (c["time_base"] or 0)), c["metadata"]["title"]) for c in container.chapters()]
    assert b"Dies ist" in told
    assert chapters == [(0.0, "Eins; = #1\\ a\\"), (1.5, "Zwei [x]")]
    assert "Caption" not in make_plan(job_of(scenes, captions=look), "x264").overlays[0].split("[Events]")[1]
    assert joining.track_language("xx") == "und"


def test_a_preview_has_half_the_size_and_the_same_timing_and_layout(tmp_path: Path) -> None:
    scenes = [scene(tmp_path, n, 0.7) for n in range(2)]
    small = render(job_of(scenes, quality_preset="preview", height="720p"), tmp_path / "a")
    assert (small.width, small.height) == SIZE and small.fps == FPS
    same = render(job_of(scenes), tmp_path / "b")
    assert small.duration_seconds == same.duration_seconds and small.segments_total == same.segments_total
    for one, other in zip(luma_at(small.video, (8, 27)).values(), luma_at(same.video, (8, 27)).values(), strict=True):
        assert np.abs(one.astype(int) - other).mean() < 4
