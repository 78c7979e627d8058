"""Renders a job: timeline, captions, segments side by side, sound, joining; a killed render goes on where it was.

Each scene is a segment whose file is named by the hash of all it is made of. What exists is used again, so a resume
costs only what is missing and a changed line costs one scene (and its neighbour's dissolve). Where the folder does not
outlive the machine, `Checkpoints` keep the segments elsewhere.
"""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from chimera.errors import ChimeraError
from chimera.media import audio, captions, effects, encode, mixing, process
from chimera.media.fonts import write_fontconfig
from chimera.media.frames import Background, clip_frames, load
from chimera.media.models import RenderJob, RenderResult, SoundUse
from chimera.media.music.bed import OURS, from_file, generated
from chimera.media.music.moods import mood_for
from chimera.media.music.samples import Stems
from chimera.media.plan import Plan, make_plan, sha256, warnings_of, write_captions
from chimera.media.text import clean
from chimera.media.timeline import Clip
from chimera.media.typeset import typeset

_THUMBNAIL_AT = 1.6
Progress = Callable[[float], None]


class Checkpoints(Protocol):
    """Where finished segments are kept beyond the working folder. Neither call raises: without it, they are made again."""

    def restore(self, names: Sequence[str], folder: Path) -> None:
        """Bring those of `names` that are kept into `folder`; each file appears whole or not at all."""
        ...

    def keep(self, path: Path) -> None:
        """Keep a finished segment under its file's name; called by several threads."""
        ...


def render(
    job: RenderJob,
    work_dir: Path,
    progress: Progress = lambda _share: None,
    *,
    encoder: encode.EncoderChoice = "auto",
    checkpoints: Checkpoints | None = None,
) -> RenderResult:
    """Renders `job` into `work_dir` (`video.mp4`, `captions.srt`, …; finished segments stay in `segments/`).

    `progress` gets shares from 0 to 1. `checkpoints` hold finished segments where `work_dir` is empty at each start. Raises `VALIDATION_FAILED` for unreadable inputs, `VIDEO_TOO_LONG` over 600 s,
    `FILE_TOO_LARGE` over the job's limit, `INTERNAL` with `details.reason` `disk_full` when the disk is full: then no
    partial final file is left, and finished segments are.
    """
    started, cpu = time.monotonic(), _cpu_seconds()
    work_dir = work_dir.resolve()  # ffmpeg runs in folders below it
    process.allow_children()
    with process.full_disk_reported("render"):
        work_dir.mkdir(parents=True, exist_ok=True)
        segments_dir = work_dir / "segments"
        segments_dir.mkdir(exist_ok=True)
        for leftover in work_dir.glob("render-*"):  # of a render that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        plan = make_plan(job, encode.choose_encoder(encoder))
        progress(0.02)
        fonts = write_fontconfig(work_dir / "fonts", (plan.page.theme.display, plan.page.theme.text))
        paths = [segments_dir / f"{key}.mp4" for key in plan.keys]
        if checkpoints is not None:
            checkpoints.restore([path.name for path in paths if not path.exists()], segments_dir)
        reused = sum(path.exists() for path in paths)
        with tempfile.TemporaryDirectory(prefix="render-", dir=work_dir) as scratch:
            loudness, music = _make(plan, paths, Path(scratch), fonts, progress, checkpoints)
            video = work_dir / "video.mp4"
            encode.join(
                paths,
                [c.frames / job.fps for c in plan.timeline.clips],
                Path(scratch) / "sound.m4a",
                folder=segments_dir,
                out=video,
            )
            progress(0.97)
            thumbnail, poster = _stills(plan, Path(scratch), fonts, work_dir)
        srt, vtt, ass_path = write_captions(plan, work_dir)
        size = video.stat().st_size
        if size > job.max_bytes:
            video.unlink()
            raise ChimeraError(
                "FILE_TOO_LARGE",
                f"the video has {size:,} bytes; at most {job.max_bytes:,} are allowed",
                {"size_bytes": size},
            )
        narration = " ".join(clean(scene.narration) for scene in job.scenes)
        shown = " ".join(cue.text for cues in plan.cues for cue in cues)
        result = RenderResult(
            video=video, srt=srt, vtt=vtt, ass=ass_path, thumbnail=thumbnail, poster=poster,
            duration_seconds=round(plan.timeline.seconds, 3), width=job.size[0], height=job.size[1], fps=job.fps,
            size_bytes=size, sha256=sha256(video), loudness_lufs=loudness.integrated, true_peak_dbtp=loudness.true_peak,
            caption_coverage=round(captions.coverage(narration, shown), 4), cpu_seconds=round(_cpu_seconds() - cpu, 3),
            wall_seconds=round(time.monotonic() - started, 3), segments_total=len(paths), segments_reused=reused,
            encoder=plan.settings.encoder, music=tuple(used.model_dump(mode="json") for used in music),
            warnings=warnings_of(job),
        )  # fmt: skip
    progress(1.0)
    return result


class _Pictures:
    """Loads each background once, on first use, and lets it go when no clip needs it any more."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lock = threading.Lock()
        self._held: dict[int, Background] = {}
        self._left = [2] * len(plan.timeline.clips)

    def get(self, index: int) -> Background:
        with self._lock:
            found = self._held.get(index)
            if found is None:
                scene = self._plan.timeline.clips[index].scene
                found = load(scene.image, frame=self._plan.job.size, theme=self._plan.page.theme, scrim=scene.scrim)
                self._held[index] = found
            return found

    def done(self, *indices: int) -> None:
        with self._lock:
            for index in indices:
                self._left[index] -= 1
                if self._left[index] <= 0:
                    self._held.pop(index, None)


def _make(
    plan: Plan, paths: list[Path], scratch: Path, fonts: Path, progress: Progress, checkpoints: Checkpoints | None
) -> tuple[audio.Loudness, tuple[SoundUse, ...]]:
    """Encodes the missing segments and the sound, as many at a time as there are cores."""
    clips, pictures = plan.timeline.clips, _Pictures(plan)
    counted = threading.Lock()
    frames_left = sum(c.frames for c, path in zip(clips, paths, strict=True) if not path.exists())
    frames_all, frames_done = max(frames_left, 1), 0
    cv2.setNumThreads(1)

    def ticking(frames: Iterable[Any]) -> Iterable[Any]:
        nonlocal frames_done
        for number, frame in enumerate(frames):
            yield frame
            with counted:
                frames_done += 1
            if number % 15 == 0:
                progress(0.02 + 0.92 * frames_done / frames_all)

    def make_segment(clip: Clip) -> None:
        before = (pictures.get(clip.index - 1), clips[clip.index - 1]) if clip.transition_frames else None
        frames = clip_frames(clip, pictures.get(clip.index), before, size=plan.job.size)
        encode.segment(
            ticking(frames), plan.overlays[clip.index], settings=plan.settings, folder=scratch / f"clip-{clip.index}",
            fonts=fonts, out=paths[clip.index],
        )  # fmt: skip
        if checkpoints is not None:
            checkpoints.keep(paths[clip.index])
        pictures.done(clip.index, *([clip.index - 1] if clip.index else []))

    missing = [clip for clip, path in zip(clips, paths, strict=True) if not path.exists()]
    pool = ThreadPoolExecutor(max_workers=max(_cores(), 1), thread_name_prefix="segment")
    try:
        sound = pool.submit(_make_sound, plan, scratch / "sound.m4a", scratch.parent / "music")
        # the longest first: the last ones to finish are then short
        futures: list[Future[Any]] = [
            pool.submit(make_segment, c) for c in sorted(missing, key=lambda c: (-c.frames, c.index))
        ]
        done, _ = wait([sound, *futures], return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        return sound.result()
    except BaseException:
        process.stop_children()  # whoever stops us (SIGTERM, Ctrl-C, an error) does not wait for half a segment
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _make_sound(plan: Plan, out: Path, cache: Path) -> tuple[audio.Loudness, tuple[SoundUse, ...]]:
    """Voice, bed and effects, mixed and mastered; the bed is kept in `cache` for a resume."""
    job, clips, seconds = plan.job, plan.timeline.clips, plan.timeline.seconds
    parts = [(c.start(job.fps) + c.voice_start, plan.voices[c.index]) for c in clips if c.index < len(plan.voices)]
    voice = audio.polish(audio.voice_track(parts, seconds))
    bed = _bed(job, seconds, cache)
    if bed is None:
        return audio.master(mixing.buses(voice, seed=job.seed, stems=None, effects=None).mixed(), out), ()
    stems, music = bed
    chosen = effects.choose(tuple(c.kind for c in clips), job.seed)
    changes = tuple((c.start(job.fps), effect) for c, effect in zip(clips, chosen, strict=True))
    sounds = effects.track(changes, seconds, job.seed)
    mixed = mixing.buses(voice, seed=job.seed, stems=stems, effects=sounds).mixed()
    used = [
        SoundUse(kind="sound", name=name, author="Chimera", licence=OURS, source="chimera.media.effects", seed=job.seed)
        for name in sorted({effect for effect in chosen if effect})
    ]
    return audio.master(mixed, out), (music, *used)


def _bed(job: RenderJob, seconds: float, cache: Path) -> tuple[Stems, SoundUse] | None:
    if job.music == "off":
        return None
    if job.music_file is not None:
        return from_file(job.music_file, seconds)
    return generated(mood_for(job.tone) if job.music == "auto" else job.music, seconds, job.seed, cache)


def _stills(plan: Plan, scratch: Path, fonts: Path, work_dir: Path) -> tuple[Path, Path]:
    """Thumbnail (full size) and poster (540 high at most on the short side): the title card without captions."""
    clip = plan.timeline.clips[0]
    at = min(_THUMBNAIL_AT, clip.seconds(plan.job.fps) * 0.6)
    frame = np.empty(plan.job.size[0] * plan.job.size[1] * 3 // 2, np.uint8)
    background = load(clip.scene.image, frame=plan.job.size, theme=plan.page.theme, scrim=clip.scene.scrim)
    background.frame(frame, clip.motion, at * plan.job.fps / clip.frames, plan.job.size)
    overlay = typeset(clip, (), plan.page, captions=False)
    thumbnail, poster = work_dir / "thumbnail.jpg", work_dir / "poster.jpg"
    arguments = {"settings": plan.settings, "at": at, "folder": scratch / "still", "fonts": fonts}
    encode.still(frame, overlay, out=thumbnail, **arguments)  # type: ignore[arg-type]
    encode.still(frame, overlay, out=poster, height=plan.job.size[1] // 2 // 2 * 2, **arguments)  # type: ignore[arg-type]
    return thumbnail, poster


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_seconds() -> float:
    """User and system time of this process and of its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def clear_segments(work_dir: Path) -> None:
    """Removes the finished segments of a render that is over."""
    shutil.rmtree(work_dir / "segments", ignore_errors=True)
