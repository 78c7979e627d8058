"""The timeline: one declarative model of a video, in whole frames, from which picture, type, captions and chapters are made.

`build` is a pure function of the job and the lengths of its sound files. Each scene is one clip; clips follow each
other without a gap and are rendered on their own. During the first `transition_frames` of a clip the background of the
one before moves on underneath.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from chimera.media.base import Frozen
from chimera.media.cues import Cue
from chimera.media.layers import Area, CaptionLook, Layer
from chimera.media.layout import OVERSIZE, Layout, SceneKind, motif_of, scene_kind
from chimera.media.models import Aspect, MotionName, RenderJob, RenderScene, Theme, Transition, Word
from chimera.media.text import clean
from chimera.media.theme import seeded, theme_for

LEAD_SECONDS = 0.22
FIRST_LEAD_SECONDS = 0.40
TAIL_SECONDS = 0.30
LAST_TAIL_SECONDS = 0.60
DISSOLVE_SECONDS = 0.40
OUTRO_SECONDS = 3.0
SILENT_SCENE_SECONDS = 2.5
_SILENT_CHARS_PER_SECOND = 14.0
_CAPTION_GAP_SECONDS = 0.05


class Motion(Frozen):
    """How a background moves: zoom (1 = the picture just covers the frame), shift of the centre as a share of the
    frame, a turn in degrees; from → to, with a gentle ease; `anchor` (share of the frame) stays where it is."""

    zoom: tuple[float, float]
    shift_x: tuple[float, float] = (0.0, 0.0)
    shift_y: tuple[float, float] = (0.0, 0.0)
    turn: tuple[float, float] = (0.0, 0.0)
    anchor: tuple[float, float] = (0.5, 0.5)


class Clip(Frozen):
    """One scene on the timeline. Times inside a clip are seconds from its own first frame.

    `scene` names the files: picture or footage with its in-point, and the voice, which begins at `voice_start`. Its
    words and layers stand here, in the clip's time, and not there.
    """

    index: int = Field(ge=0)
    kind: SceneKind
    scene: RenderScene
    start_frame: int = Field(ge=0)
    frames: int = Field(gt=0)
    voice_start: float = Field(default=0.0, ge=0)
    voice_seconds: float = Field(default=0.0, ge=0)
    words: tuple[Word, ...] = ()
    cues: tuple[Cue, ...] = ()
    motion: Motion
    transition: Transition = "dissolve"
    transition_frames: int = Field(default=0, ge=0)
    layers: tuple[Layer, ...] = ()

    def start(self, fps: int) -> float:
        """When the clip begins in the video, in seconds."""
        return self.start_frame / fps

    def seconds(self, fps: int) -> float:
        """How long the clip is."""
        return self.frames / fps


class EffectAt(Frozen):
    """A sound effect, `at` seconds into the video."""

    at: float = Field(ge=0)
    effect: str = Field(description="As `media/effects` names it: whoosh, tick, hit")


class Beds(Frozen):
    """What sounds below the voice. The voice's own parts are the clips': file, start and length."""

    music: str = Field(default="off", description="A mood, `auto` (by tone) or `off`")
    music_file: Path | None = None
    tone: str = ""
    effects: tuple[EffectAt, ...] = ()


class Chapter(Frozen):
    """A chapter begins `seconds` into the video."""

    seconds: float = Field(ge=0)
    title: str = Field(min_length=1, max_length=120)


class Timeline(Frozen):
    """A whole video as data, at a constant frame rate; nothing else is looked at when it is drawn and written."""

    version: Literal[1] = 1
    title: str
    language: str = "en"
    aspect: Aspect
    platform: str = ""
    size: tuple[int, int]
    fps: int = Field(gt=0)
    seed: int = 0
    template: str = ""
    theme: Theme
    sources: tuple[str, ...] = ()
    captions: CaptionLook
    logo: Path | None = None
    logo_box: Area | None = None
    clips: tuple[Clip, ...] = Field(min_length=1)
    beds: Beds = Beds()
    chapters: tuple[Chapter, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Timeline:
        position = 0
        for index, clip in enumerate(self.clips):
            if clip.index != index or clip.start_frame != position:
                raise ValueError(
                    f"clip {clip.index} begins at frame {clip.start_frame}; expected clip {index} at frame {position}"
                )
            position += clip.frames
        times = [chapter.seconds for chapter in self.chapters]
        if times != sorted(set(times)):
            raise ValueError(f"chapters begin at {times}; expected ascending times")
        return self

    @property
    def frames(self) -> int:
        """Frames in all."""
        return sum(clip.frames for clip in self.clips)

    @property
    def seconds(self) -> float:
        """Length of the video."""
        return self.frames / self.fps

    def published(self) -> Timeline:
        """The same with the names of its files instead of where one machine keeps them."""

        def named(path: Path | None) -> Path | None:
            return None if path is None else Path(path.name)

        def clip(one: Clip) -> Clip:
            scene = one.scene
            files = {"image": named(scene.image), "audio": named(scene.audio), "footage": named(scene.footage)}
            return one.model_copy(update={"scene": scene.model_copy(update=files)})

        fonts = {name: Path(getattr(self.theme, name)).name for name in ("display", "text")}
        return self.model_copy(
            update={
                "clips": tuple(clip(one) for one in self.clips),
                "theme": self.theme.model_copy(update=fonts),
                "logo": named(self.logo),
                "beds": self.beds.model_copy(update={"music_file": named(self.beds.music_file)}),
            }
        )


def build(job: RenderJob, voice_seconds: tuple[float, ...], layout: Layout) -> Timeline:
    """The timeline of a job whose scenes' sound files last `voice_seconds` (0 for a silent scene)."""
    from chimera.media import plain  # typefaces are loaded only where type is set

    theme = job.theme or theme_for(job.seed)
    look = job.captions or layout.caption_look()
    scenes = list(job.scenes)
    has_outro = has_plain_outro(job)
    if has_outro:
        scenes.append(RenderScene(image=job.outro_image))
    fade = round(DISSOLVE_SECONDS * job.fps)
    clips: list[Clip] = []
    position = 0
    for index, scene in enumerate(scenes):
        outro = has_outro and index == len(scenes) - 1
        voice = 0.0 if outro else voice_seconds[index]
        last = index == len(scenes) - 1
        kind: SceneKind = "outro" if outro else _kind(scene, index)
        lead, frames, spoken = _length(job, scene, voice, first=index == 0, last=last, outro=outro)
        words = tuple(
            Word(text=w.text, start=round(lead + min(w.start, spoken), 3), end=round(lead + min(w.end, spoken), 3))
            for w in scene.words
        )
        transition: Transition = scene.transition if index else "cut"
        clips.append(
            Clip(
                index=index, kind=kind, scene=scene.model_copy(update={"words": (), "layers": None}),
                start_frame=position, frames=frames, voice_start=lead, voice_seconds=voice, words=words,
                cues=_cues(words, look, job.language, theme, frames / job.fps - _CAPTION_GAP_SECONDS),
                motion=motion_of(scene, job.seed, index, kind, layout), transition=transition,
                transition_frames=0 if transition == "cut" else min(fade, frames // 3),
                layers=() if scene.layers is None else scene.layers,
            )
        )  # fmt: skip
        position += frames
    asked = [scene.layers for scene in scenes]
    clips = [
        clip if layers is not None else clip.model_copy(update={"layers": plain.layers(clip, job, theme, layout, len(clips))})
        for clip, layers in zip(clips, asked, strict=True)
    ]  # fmt: skip
    return Timeline(
        title=clean(job.title, limit=300), language=job.language, aspect=job.aspect, platform=job.platform, size=job.size,
        fps=job.fps, seed=job.seed, template=job.template, theme=theme, sources=job.sources, captions=look,
        logo=job.logo, logo_box=job.logo_box, clips=tuple(clips), beds=_beds(job, clips), chapters=_chapters(job, clips),
    )  # fmt: skip


def has_plain_outro(job: RenderJob) -> bool:
    """Whether the plain closing card is added: sources and AI label are shown in any case, but not twice."""
    return bool(job.sources) and not any(_closes(scene) for scene in job.scenes)


def _length(
    job: RenderJob, scene: RenderScene, voice: float, *, first: bool, last: bool, outro: bool
) -> tuple[float, int, float]:
    """When the voice of a scene begins, the scene's frames, and the seconds that the voice (or reading) takes."""
    if outro:
        return 0.0, round(OUTRO_SECONDS * job.fps), 0.0
    lead = FIRST_LEAD_SECONDS if first else LEAD_SECONDS
    if voice <= 0 and scene.seconds > 0:
        return lead, max(round(scene.seconds * job.fps), 1), max(scene.seconds - lead, 0.0)
    tail = LAST_TAIL_SECONDS if last else TAIL_SECONDS
    spoken = voice if voice > 0 else silent_seconds(scene)
    return lead, max(math.ceil((lead + spoken + tail) * job.fps), round(scene.seconds * job.fps), 1), spoken


def _closes(scene: RenderScene) -> bool:
    return any(layer.kind == "sources" for layer in scene.layers or ())


def _kind(scene: RenderScene, index: int) -> SceneKind:
    """What kind of scene it is, for its motion and its sound."""
    if scene.layers is None:
        return scene_kind(scene, index)
    if _closes(scene):
        return "outro"
    if index == 0:
        return "title"
    return "number" if any(layer.kind in ("number", "chart") for layer in scene.layers) else "statement"


def _cues(words: tuple[Word, ...], look: CaptionLook, language: str, theme: Theme, limit: float) -> tuple[Cue, ...]:
    from chimera.media import caption_styles, captions

    return tuple(captions.make_cues(words, limit=limit, **caption_styles.cue_options(look, language, theme)))


def _beds(job: RenderJob, clips: list[Clip]) -> Beds:
    if job.music == "off" and job.music_file is None:
        return Beds(tone=job.tone)
    from chimera.media.effects import choose  # numpy is imported only where sound is made

    chosen = choose(tuple(clip.kind for clip in clips), job.seed)
    effects = tuple(
        EffectAt(at=round(clip.start(job.fps), 6), effect=effect)
        for clip, effect in zip(clips, chosen, strict=True)
        if effect is not None
    )
    return Beds(music=job.music, music_file=job.music_file, tone=job.tone, effects=effects)


def _chapters(job: RenderJob, clips: list[Clip]) -> tuple[Chapter, ...]:
    """A chapter for each scene with a marker; two with the same name next to each other are one."""
    found: list[Chapter] = []
    for clip in clips:
        title = clean(clip.scene.marker, limit=120)
        if title and (not found or found[-1].title != title):
            found.append(Chapter(seconds=round(clip.start(job.fps), 3), title=title))
    return tuple(found)


def unspoken_seconds(scenes: int, *, has_outro: bool) -> float:
    """How much longer than its speech a video of so many spoken scenes is: leads, tails and the closing card."""
    tails = TAIL_SECONDS * (scenes - 1) + (TAIL_SECONDS if has_outro else LAST_TAIL_SECONDS)
    return FIRST_LEAD_SECONDS + LEAD_SECONDS * (scenes - 1) + tails + (OUTRO_SECONDS if has_outro else 0.0)


def silent_seconds(scene: RenderScene) -> float:
    """How long a scene without sound stays: long enough to read it."""
    text = clean(scene.narration) or clean(scene.on_screen_text)
    if not text:
        text = " ".join(clean(layer.text) for layer in scene.layers or () if layer.kind == "text")
    return max(SILENT_SCENE_SECONDS, min(len(text) / _SILENT_CHARS_PER_SECOND, 30.0))


def motion_of(scene: RenderScene, seed: int, index: int, kind: SceneKind, layout: Layout) -> Motion:
    """The move that a scene asks for; `auto` is planned, and footage, which moves by itself, then stands."""
    if scene.motion == "auto":
        return Motion(zoom=(1.0, 1.0)) if scene.footage is not None else plan_motion(seed, index, kind, layout)
    return _NAMED[scene.motion]


# `still` shows a picture as it was painted: its margin outside the frame, pixel on pixel.
_NAMED: dict[MotionName, Motion] = {
    "still": Motion(zoom=(OVERSIZE, OVERSIZE)),
    "in": Motion(zoom=(1.02, 1.12)),
    "out": Motion(zoom=(1.12, 1.02)),
    "left": Motion(zoom=(1.10, 1.10), shift_x=(0.036, -0.036)),
    "right": Motion(zoom=(1.10, 1.10), shift_x=(-0.036, 0.036)),
    "up": Motion(zoom=(1.10, 1.10), shift_y=(0.030, -0.030)),
    "down": Motion(zoom=(1.10, 1.10), shift_y=(-0.030, 0.030)),
    "turn": Motion(zoom=(1.10, 1.12), turn=(-0.6, 0.6)),
}


def plan_motion(seed: int, index: int, kind: SceneKind, layout: Layout) -> Motion:
    """A slow move for a scene's background; neighbours move differently. A dial only zooms, about its own centre.

    None of them turns: a move without a turn is a resize, at a third of the cost of a warp (media-measurements.md).
    """
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
        Motion(zoom=(1.080, 1.095), shift_x=(-0.027, 0.027)),
        Motion(zoom=(1.11, 1.03), anchor=motif),
        Motion(zoom=(1.085, 1.085), shift_y=(0.024, -0.024)),
        Motion(zoom=(1.05, 1.10), shift_x=(0.022, -0.022), shift_y=(0.006, -0.006)),
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
