"""Renders a job: timeline, captions, segments, sound, joining; a killed render goes on where it was.

Each scene is two segments, its way in and the rest, whose files are named by the hash of all they are made of. What
exists is used again, so a resume costs only what is missing and a changed line costs one scene (and the next one's way
in). Where the folder does not outlive the machine, `Checkpoints` keep the segments elsewhere.
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

from chimera.errors import ChimeraError
from chimera.media import audio, captions, encode, joining, process, segments, sound
from chimera.media.composing import Stage
from chimera.media.fonts import write_fontconfig
from chimera.media.models import RenderJob, RenderResult, SoundUse
from chimera.media.plan import Plan, make_plan, sha256, warnings_of, write_captions
from chimera.media.segments import Segment
from chimera.media.text import clean
from chimera.media.thumbnails import make_thumbnails

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
    with process.full_disk_reported("render"):
        work_dir.mkdir(parents=True, exist_ok=True)
        segments_dir = work_dir / "segments"
        segments_dir.mkdir(exist_ok=True)
        for leftover in work_dir.glob("render-*"):  # of a render that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        plan = make_plan(job, encode.choose_encoder(encoder))
        progress(0.02)
        fonts = write_fontconfig(work_dir / "fonts", (plan.page.theme.display, plan.page.theme.text))
        paths = [segments_dir / segment.name for segment in plan.segments]
        if checkpoints is not None:
            checkpoints.restore([path.name for path in paths if not path.exists()], segments_dir)
        reused = sum(path.exists() for path in paths)
        with tempfile.TemporaryDirectory(prefix="render-", dir=work_dir) as scratch:
            heard, loudness, music = _make(plan, paths, Path(scratch), fonts, progress, checkpoints)
            srt, vtt, ass_path = write_captions(plan, work_dir)
            video = work_dir / "video.mp4"
            joining.join(
                paths, [segment.frames / job.fps for segment in plan.segments], heard,
                folder=Path(scratch), out=video, extras=_extras(plan, srt),
            )  # fmt: skip
            progress(0.97)
            stills = make_thumbnails(plan, Path(scratch), fonts, work_dir)
        segments.prune(segments_dir, [path.name for path in paths])
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
            video=video, srt=srt, vtt=vtt, ass=ass_path, thumbnail=stills.a, thumbnail_b=stills.b, poster=stills.poster,
            duration_seconds=round(plan.timeline.seconds, 3), width=job.size[0], height=job.size[1], fps=job.fps,
            size_bytes=size, sha256=sha256(video), loudness_lufs=loudness.integrated, true_peak_dbtp=loudness.true_peak,
            caption_coverage=round(captions.coverage(narration, shown), 4), cpu_seconds=round(_cpu_seconds() - cpu, 3),
            wall_seconds=round(time.monotonic() - started, 3), segments_total=len(paths), segments_reused=reused,
            encoder=plan.settings.encoder, music=tuple(used.model_dump(mode="json") for used in music),
            warnings=warnings_of(job),
        )  # fmt: skip
    progress(1.0)
    return result


def _make(
    plan: Plan, paths: list[Path], scratch: Path, fonts: Path, progress: Progress, checkpoints: Checkpoints | None
) -> tuple[Path, audio.Loudness, tuple[SoundUse, ...]]:
    """Encodes the sound beside the missing segments. An encoder uses two cores, so half as many run at a time."""
    missing = [(s, path) for s, path in zip(plan.segments, paths, strict=True) if not path.exists()]
    workers = max(_cores() // 2, 1)
    stage = Stage(plan.timeline, kept=2 * workers)
    counted = threading.Lock()
    frames_all, frames_done = max(sum(segment.frames for segment, _ in missing), 1), 0
    cv2.setNumThreads(1)

    def ticking(frames: Iterable[Any]) -> Iterable[Any]:
        nonlocal frames_done
        for number, frame in enumerate(frames):
            yield frame
            with counted:
                frames_done += 1
            if number % 15 == 0:
                progress(0.02 + 0.92 * frames_done / frames_all)

    def make_segment(segment: Segment, path: Path) -> None:
        moving = plan.timeline.clips[segment.clip].scene.footage is not None
        encode.segment(
            ticking(stage.frames(segment)), plan.overlays[segment.clip], settings=plan.settings,
            folder=scratch / segment.key, fonts=fonts, out=path, first=segment.first,
            steady=not moving and (segment.first > 0 or segment.clip == 0),
        )  # fmt: skip
        shutil.rmtree(scratch / segment.key, ignore_errors=True)
        if checkpoints is not None:
            checkpoints.keep(path)

    pool = ThreadPoolExecutor(max_workers=workers + 1, thread_name_prefix="segment")
    try:
        heard = pool.submit(sound.kept, plan.timeline, scratch.parent / "sound")
        lanes: list[Future[Any]] = [pool.submit(_each, make_segment, part) for part in _shared(missing, workers)]
        done, _ = wait([heard, *lanes], return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        return heard.result()
    except BaseException:
        with process.stopped():  # whoever stops us (SIGTERM, Ctrl-C, an error) does not wait for half a segment
            pool.shutdown(wait=True, cancel_futures=True)
        raise
    finally:
        pool.shutdown()


def _each(make: Callable[[Segment, Path], None], jobs: list[tuple[Segment, Path]]) -> None:
    for segment, path in jobs:
        make(segment, path)


def _shared(missing: list[tuple[Segment, Path]], workers: int) -> list[list[tuple[Segment, Path]]]:
    """The segments dealt out: stretches of neighbours, which share pictures, of about equal length."""
    lanes: list[list[tuple[Segment, Path]]] = [[] for _ in range(workers)]
    share = sum(segment.frames for segment, _ in missing) / workers
    position = 0.0
    for segment, path in missing:
        lanes[min(int((position + segment.frames / 2) / share), workers - 1)].append((segment, path))
        position += segment.frames
    return [lane for lane in lanes if lane]


def _extras(plan: Plan, srt: Path) -> joining.Extras:
    soft = plan.timeline.captions.soft and srt.stat().st_size > 0
    chapters = tuple((chapter.seconds, chapter.title) for chapter in plan.timeline.chapters)
    return joining.Extras(plan.timeline.language, srt if soft else None, chapters)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_seconds() -> float:
    """User and system time of this process and of its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def clear_segments(work_dir: Path) -> None:
    """Removes the finished segments of a render that is over."""
    shutil.rmtree(work_dir / "segments", ignore_errors=True)
