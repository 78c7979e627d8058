"""What the picture-and-sound part takes and gives, as frozen models; times are seconds, sizes are pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from chimera.media.base import Colour, Frozen
from chimera.media.layers import Area, CaptionLook, Layer

Aspect = Literal["9:16", "16:9", "1:1"]
HeightPreset = Literal["360p", "720p", "1080p", "4k"]
# `preview` is half of the frame in each direction, for looking at timing and layout; nothing is published at it.
QualityPreset = Literal["preview", "draft", "standard", "high"]

# The short side in pixels; 360p is for previews and tests, nothing is published at it.
SHORT_SIDE: dict[str, int] = {"360p": 360, "720p": 720, "1080p": 1080, "4k": 2160}


# How a background moves in a scene (`auto`: a slow move that differs from its neighbours'), and how it comes in.
MotionName = Literal["auto", "still", "in", "out", "left", "right", "up", "down", "turn"]
Transition = Literal["cut", "dissolve", "slide", "push", "wipe", "zoom", "dip"]


class Word(Frozen):
    """One spoken word with its time in seconds from the start of its sound file."""

    text: str
    start: float = Field(ge=0)
    end: float = Field(ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> Word:
        if self.end < self.start:
            raise ValueError(f"word {self.text!r} ends at {self.end} before it starts at {self.start}")
        return self


# Where a voice's word times are from: the voice itself, forced alignment with the text, or a guess by syllables.
Times = Literal["engine", "aligned", "estimated"]


class VoiceResult(Frozen):
    """What a voice made: the words of the text as it was given, each with a time; how long; what it cost."""

    words: tuple[Word, ...]
    duration_seconds: float = Field(ge=0)
    sample_rate: int = Field(gt=0)
    cpu_seconds: float = Field(ge=0)
    times: Times = "engine"


class SceneSpec(Frozen):
    """One thought: what is said, what stands on screen, what the picture is of."""

    narration: str = ""
    on_screen_text: str = ""
    visual_prompt: str = ""


class SpokenScene(Frozen):
    """A scene's voice: sound file, its length, its words."""

    wav: Path
    duration: float = Field(ge=0)
    words: tuple[Word, ...] = ()


class Theme(Frozen):
    """The colours of one video and the brand shown in it. Type is `ink` on `background`; `accent` marks."""

    name: str = "custom"
    background: Colour
    surface: Colour
    accent: Colour
    highlight: Colour
    ink: Colour = "#ffffff"
    brand: str = ""
    mode: Literal["dark", "light"] = "dark"
    # A bundled family's name, or the path of a font file.
    display: str = "Montserrat"
    text: str = "Inter"


class RenderScene(SceneSpec):
    """A scene ready to be rendered. Without `image` the theme's gradient is used, without `audio` it is silent."""

    image: Path | None = None
    audio: Path | None = None
    words: tuple[Word, ...] = ()
    # For photographs and footage: 0 … 1, how much black (in light themes white) where type stands. Cards bring their own.
    scrim: float = Field(default=0.0, ge=0, le=1)
    # A moving picture instead of `image`: prepared footage (constant frame rate, the frame's shape), from this second on.
    # It is held on its last frame, never repeated, where it is shorter than the scene.
    footage: Path | None = None
    footage_start: float = Field(default=0.0, ge=0)
    motion: MotionName = "auto"
    transition: Transition = "dissolve"
    # What the template calls it, unique in the video; and the chapter that begins here, if one does.
    key: str = Field(default="", max_length=80)
    marker: str = Field(default="", max_length=120)
    # At least this long, voice or not; 0: as long as the voice, or as reading takes.
    seconds: float = Field(default=0.0, ge=0, le=120)
    # None: the plain layout of cards (title, headline, figure); templates give theirs.
    layers: tuple[Layer, ...] | None = None


class SoundUse(Frozen):
    """A piece of music or an effect in a video, as the bill of materials and the render's report name it."""

    kind: Literal["music", "sound"] = "music"
    name: str
    author: str
    licence: str
    source: str = ""
    sha256: str = ""
    origin: Literal["algorithm", "person"] = "algorithm"
    mood: str = ""
    seed: int | None = None


class RenderJob(Frozen):
    """Everything a render depends on: the same job gives the same file, byte for byte, on the same build."""

    title: str
    scenes: tuple[RenderScene, ...] = Field(min_length=1, max_length=200)
    sources: tuple[str, ...] = ()
    # The closing card's picture; it is shown when there are sources.
    outro_image: Path | None = None
    aspect: Aspect = "9:16"
    height: HeightPreset = "1080p"
    fps: Literal[24, 30, 60] = 30
    quality_preset: QualityPreset = "standard"
    seed: int = Field(default=0, ge=0)
    theme: Theme | None = None
    language: str = "en"
    # `auto` takes the mood from `tone`; a mood's name asks for it; `off` is the voice alone, without effects.
    music: Literal["auto", "off", "calm", "curious", "upbeat", "tense", "warm", "newsroom"] = "auto"
    tone: str = Field(default="", max_length=5_000)
    # The user's own music, instead of ours.
    music_file: Path | None = None
    captions: CaptionLook | None = None
    # The brand's logo: a PNG with alpha, standing still in this box above every picture.
    logo: Path | None = None
    logo_box: Area | None = None
    # NAME@VERSION of the template whose layers these are.
    template: str = ""
    # Whose safe area is kept (media/safe_areas.py); empty: the strictest of all.
    platform: str = Field(default="", max_length=40)
    # 600 s must stay under 100 MB; the bit rate is capped so that it does.
    max_bytes: int = Field(default=100_000_000, gt=0)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the video in pixels; a preview's are half of them."""
        width, height = frame_size(self.aspect, self.height)
        return (width // 4 * 2, height // 4 * 2) if self.quality_preset == "preview" else (width, height)


class RenderResult(Frozen):
    """A finished render, measured from the file itself."""

    video: Path
    srt: Path
    vtt: Path
    ass: Path
    thumbnail: Path
    thumbnail_b: Path
    poster: Path
    duration_seconds: float
    width: int
    height: int
    fps: int
    size_bytes: int
    sha256: str
    loudness_lufs: float | None
    true_peak_dbtp: float | None
    caption_coverage: float
    cpu_seconds: float
    wall_seconds: float
    segments_total: int
    segments_reused: int
    encoder: Literal["x264", "nvenc"] = "x264"
    # Each a `SoundUse` as a dict: what the report and the bill of materials say of music and effects.
    music: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()


def frame_size(aspect: Aspect, height: HeightPreset) -> tuple[int, int]:
    """Pixels for an aspect and a preset; the preset names the short side, both sides are even."""
    short = SHORT_SIDE[height]
    long = short * 16 // 9 // 2 * 2
    return {"9:16": (short, long), "16:9": (long, short), "1:1": (short, short)}[aspect]
