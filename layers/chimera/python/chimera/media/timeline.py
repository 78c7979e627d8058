"""From spoken scenes to a timeline of whole frames: what is shown when, how the background moves and dissolves.

Pure functions. Each scene is one clip; clips follow each other without a gap and are rendered on their own. During
the first `transition_frames` of a clip the background of the one before moves on underneath.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from chimera.media.layout import Layout, SceneKind, motif_of, scene_kind
from chimera.media.models import RenderJob, RenderScene, Word
from chimera.media.text import clean
from chimera.media.theme import seeded

LEAD_SECONDS = 0.22
FIRST_LEAD_SECONDS = 0.40
TAIL_SECONDS = 0.30
LAST_TAIL_SECONDS = 0.60
DISSOLVE_SECONDS = 0.40
OUTRO_SECONDS = 3.0
SILENT_SCENE_SECONDS = 2.5
_SILENT_CHARS_PER_SECOND = 14.0


@dataclass(frozen=True)
class Motion:
    """How a background moves: zoom (1 = the picture just covers the frame), shift of the centre as a share of the
    frame, a turn in degrees; from → to, with a gentle ease; `anchor` (share of the frame) stays where it is."""

    zoom: tuple[float, float]
    shift_x: tuple[float, float] = (0.0, 0.0)
    shift_y: tuple[float, float] = (0.0, 0.0)
    turn: tuple[float, float] = (0.0, 0.0)
    anchor: tuple[float, float] = (0.5, 0.5)


@dataclass(frozen=True)
class Clip:
    """One scene on the timeline. Times inside a clip are seconds from its own first frame."""

    index: int
    kind: SceneKind
    scene: RenderScene
    start_frame: int
    frames: int
    voice_start: float
    voice_seconds: float
    words: tuple[Word, ...]
    motion: Motion
    transition_frames: int

    def start(self, fps: int) -> float:
        """When the clip begins in the video, in seconds."""
        return self.start_frame / fps

    def seconds(self, fps: int) -> float:
        """How long the clip is."""
        return self.frames / fps


@dataclass(frozen=True)
class Timeline:
    """All clips in order, at a constant frame rate."""

    fps: int
    clips: tuple[Clip, ...]

    @property
    def frames(self) -> int:
        """Frames in all."""
        return sum(clip.frames for clip in self.clips)

    @property
    def seconds(self) -> float:
        """Length of the video."""
        return self.frames / self.fps


def build(job: RenderJob, voice_seconds: tuple[float, ...], layout: Layout) -> Timeline:
    """The timeline of a job whose scenes' sound files last `voice_seconds` (0 for a silent scene)."""
    clips: list[Clip] = []
    position = 0
    has_outro = bool(job.sources)
    fade = round(DISSOLVE_SECONDS * job.fps)
    for index, (scene, voice) in enumerate(zip(job.scenes, voice_seconds, strict=True)):
        last = index == len(job.scenes) - 1
        lead = FIRST_LEAD_SECONDS if index == 0 else LEAD_SECONDS
        tail = LAST_TAIL_SECONDS if last and not has_outro else TAIL_SECONDS
        spoken = voice if voice > 0 else silent_seconds(scene)
        frames = max(math.ceil((lead + spoken + tail) * job.fps), 1)
        words = tuple(
            Word(text=w.text, start=round(lead + min(w.start, spoken), 3), end=round(lead + min(w.end, spoken), 3))
            for w in scene.words
        )
        kind = scene_kind(scene, index)
        clips.append(
            Clip(
                index=index, kind=kind, scene=scene, start_frame=position, frames=frames, voice_start=lead,
                voice_seconds=voice, words=words, motion=plan_motion(job.seed, index, kind, layout),
                transition_frames=min(fade, frames // 3) if index else 0,
            )
        )  # fmt: skip
        position += frames
    if has_outro:
        frames = round(OUTRO_SECONDS * job.fps)
        index = len(clips)
        clips.append(
            Clip(
                index=index, kind="outro", scene=RenderScene(image=job.outro_image), start_frame=position, frames=frames,
                voice_start=0.0, voice_seconds=0.0, words=(), motion=plan_motion(job.seed, index, "outro", layout),
                transition_frames=fade,
            )
        )  # fmt: skip
    return Timeline(fps=job.fps, clips=tuple(clips))


def unspoken_seconds(scenes: int, *, has_outro: bool) -> float:
    """How much longer than its speech a video of so many spoken scenes is: leads, tails and the closing card."""
    tails = TAIL_SECONDS * (scenes - 1) + (TAIL_SECONDS if has_outro else LAST_TAIL_SECONDS)
    return FIRST_LEAD_SECONDS + LEAD_SECONDS * (scenes - 1) + tails + (OUTRO_SECONDS if has_outro else 0.0)


def silent_seconds(scene: RenderScene) -> float:
    """How long a scene without sound stays: long enough to read it."""
    text = clean(scene.narration) or clean(scene.on_screen_text)
    return max(SILENT_SCENE_SECONDS, min(len(text) / _SILENT_CHARS_PER_SECOND, 30.0))


def plan_motion(seed: int, index: int, kind: SceneKind, layout: Layout) -> Motion:
    """A slow move for a scene's background; neighbours move differently. A dial only zooms, about its own centre."""
    circle = motif_of(layout, kind)
    motif = (circle.x / layout.width, circle.y / layout.height)
    if kind == "number":
        return Motion(zoom=(1.055, 1.105), anchor=motif)
    if kind == "title":
        return Motion(zoom=(1.115, 1.03), anchor=motif)
    if kind == "outro":
        return Motion(zoom=(1.04, 1.07), shift_y=(0.010, -0.010))
    moves = (
        Motion(zoom=(1.02, 1.105), anchor=motif),
        Motion(zoom=(1.085, 1.085), shift_x=(-0.026, 0.026), turn=(-0.3, 0.3)),
        Motion(zoom=(1.11, 1.03), anchor=motif, turn=(0.35, 0.0)),
        Motion(zoom=(1.085, 1.085), shift_y=(0.024, -0.024)),
        Motion(zoom=(1.05, 1.10), shift_x=(0.020, -0.020), turn=(0.3, -0.3)),
    )
    return moves[(index + seeded(seed, "motion") % len(moves)) % len(moves)]


def matrix_at(
    motion: Motion, progress: float, *, frame: tuple[int, int], picture: tuple[int, int]
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """The affine map from frame pixels to picture pixels at `progress` (0–1, beyond 1 while it dissolves away).

    Pixel centres are at half pixels, so the same map holds for planes of any subsampling. The window never leaves
    the picture: shifts are limited by what the zoom leaves over.
    """
    eased = ease(progress)
    zoom = max(_between(motion.zoom, eased), 1.0)
    scale = max(frame[0] / picture[0], frame[1] / picture[1]) * zoom
    turn = math.radians(_between(motion.turn, eased))
    cos, sin = math.cos(turn) / scale, math.sin(turn) / scale
    need_x = (frame[0] * abs(cos) + frame[1] * abs(sin)) / 2
    need_y = (frame[0] * abs(sin) + frame[1] * abs(cos)) / 2
    # pictures are painted with their margin around the frame: at scale 1 the two coincide, and at any other scale
    # the anchor keeps its place if the centre moves by this much
    pull = 1.0 - 1.0 / scale
    free_x, free_y = max(picture[0] / 2 - need_x, 0.0), max(picture[1] / 2 - need_y, 0.0)
    offset_x = (motion.anchor[0] - 0.5) * pull * frame[0] + _between(motion.shift_x, eased) * frame[0] / scale
    offset_y = (motion.anchor[1] - 0.5) * pull * frame[1] + _between(motion.shift_y, eased) * frame[1] / scale
    centre_x = picture[0] / 2 + min(max(offset_x, -free_x), free_x)
    centre_y = picture[1] / 2 + min(max(offset_y, -free_y), free_y)
    half_w, half_h = frame[0] / 2, frame[1] / 2
    return (
        (cos, -sin, centre_x - cos * half_w + sin * half_h),
        (sin, cos, centre_y - sin * half_w - cos * half_h),
    )


def ease(progress: float) -> float:
    """Mostly even, softer at both ends; goes on beyond 1 at the speed it had, so a dissolve never stops the move."""
    if progress >= 1.0:
        return 1.0 + (progress - 1.0) * 0.65
    progress = max(progress, 0.0)
    smooth = progress * progress * (3 - 2 * progress)
    return 0.65 * progress + 0.35 * smooth


def _between(pair: tuple[float, float], share: float) -> float:
    return pair[0] + (pair[1] - pair[0]) * share
