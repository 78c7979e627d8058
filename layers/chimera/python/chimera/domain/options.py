"""What a run can be asked for; the same fields on the command line, in the API and in the state machine's
input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, field_validator, model_validator

from chimera.domain.cleaning import without_invisible
from chimera.domain.models import Aspect, Format, Model

CAPTIONS = ("", "karaoke", "pop", "box", "minimal", "off")
MUSIC = ("", "auto", "off", "calm", "curious", "upbeat", "tense", "warm", "newsroom")
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
KEYLESS = ("hackernews", "wikipedia", "google_trends", "rss")


def _refuse_unwritable(name: str, value: object) -> None:
    """What no database takes: a NUL character, half a surrogate pair."""
    if isinstance(value, str):
        if _UNWRITABLE.search(value):
            raise ValueError(f"{name[:40]}: got {value[:60]!r}, expected text without NUL or half a surrogate pair")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _refuse_unwritable(name, key)
            _refuse_unwritable(name, inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _refuse_unwritable(name, inner)


class OwnMaterial(Model):
    """What a person wants a video of: a text that a writer may use, or a script that is spoken as it stands."""

    title: str = Field(default="", max_length=500)
    text: str = Field(default="", max_length=5000, description="Material: a writer chooses from it")
    script: str = Field(
        default="",
        max_length=5000,
        description="Spoken to the letter; an empty line begins a scene, `# …` is shown with it",
    )
    url: str = Field(default="", max_length=2000, description="Where it comes from, cited as the source")

    @field_validator("title", "text", "script", mode="before")
    @classmethod
    def _written(cls, words: object) -> object:
        return without_invisible(words) if isinstance(words, str) else words

    @model_validator(mode="after")
    def _says_something(self) -> OwnMaterial:
        if not any(c.isalnum() for c in self.title + self.text + self.script):
            raise ValueError("material with no letter or digit; expected a title, a text or a script")
        if self.text and self.script:
            raise ValueError("material with a text and a script; expected one of them")
        return self


class RunOptions(Model):
    """Options of one run; `sources` empty means every keyless source, `topic` empty means the best trend."""

    sources: list[str] = Field(default=[], max_length=20)
    topic: str = Field(default="", max_length=500)
    duration_seconds: int = Field(default=45, ge=15, le=180)
    format: Format = Field(default="video", description="video, image, carousel (2–10 cards) or thread")
    aspect: Aspect = "9:16"
    resolution: Literal["360p", "720p", "1080p", "4k"] = "1080p"
    fps: Literal[24, 30, 60] = 30
    quality_preset: Literal["preview", "draft", "standard", "high"] = Field(
        default="standard", description="preview: half the width and height, to look at while you change things"
    )
    stop_at: Literal["", "brief", "approval", "render", "judge"] = ""
    auto_approve: bool = False
    approved_by: str = Field(default="", max_length=200)
    persona_id: str = Field(default="", max_length=200, description="A persona's id or name; empty: any")
    timeframe: str = "24h"
    keywords: list[str] = Field(default=[], max_length=20)
    min_velocity: float = Field(default=0, ge=0, le=10)
    max_results: int = Field(default=20, ge=1, le=50)
    max_tasks: int = Field(default=1, ge=0, le=20, description="0 only looks: a scan plans nothing")
    force: bool = Field(default=False, description="Make a topic again within its cool-down if nothing else is there")
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    music: str = Field(default="", max_length=4096, description="auto, off, a mood or file:PATH; empty: the persona's")
    material: OwnMaterial | None = Field(default=None, description="Instead of trends: what the video is made from")
    template: str = Field(default="", max_length=200, description="NAME or NAME@VERSION; empty: the persona's")
    parameters: dict[str, str | int | float | bool] = Field(default={}, max_length=50, description="The template's own")
    assets: list[str] = Field(
        default=[],
        max_length=200,
        description="The user's own pictures and footage: file:PATH (a file or a folder) or key:KEY",
    )
    captions: str = Field(default="", description="karaoke, pop, box, minimal, off; empty: the template's")
    soft_captions: bool = Field(default=False, description="Captions as a track of the file, not burned in")
    mask_profanity: bool = Field(default=False, description="Stars in captions for words that are not for everyone")
    platform: str = Field(default="", max_length=40, description="Whose safe area is kept; empty: the strictest of all")

    @model_validator(mode="before")
    @classmethod
    def _can_be_kept(cls, given: object) -> object:
        if isinstance(given, Mapping):
            for name, value in given.items():
                if name != "material":
                    _refuse_unwritable(str(name), value)
        return given

    @field_validator("captions")
    @classmethod
    def _known_captions(cls, captions: str) -> str:
        if captions not in CAPTIONS:
            raise ValueError(f"captions {captions[:80]!r}: expected one of {', '.join(c for c in CAPTIONS if c)}")
        return captions

    @field_validator("assets")
    @classmethod
    def _known_assets(cls, assets: list[str]) -> list[str]:
        for asset in assets:
            kind, _, rest = asset.partition(":")
            if kind not in {"file", "key"} or not rest or len(asset) > 4096 or "\0" in asset:
                raise ValueError(f"asset {asset[:80]!r}: expected file:PATH or key:KEY")
        return assets

    @field_validator("music")
    @classmethod
    def _known_music(cls, music: str) -> str:
        if music in MUSIC or (music.startswith("file:") and len(music) > 5 and "\0" not in music):
            return music
        raise ValueError(f"music {music[:80]!r}: expected {', '.join(m for m in MUSIC if m)} or file:PATH")

    @field_validator("sources")
    @classmethod
    def _known_form(cls, sources: list[str]) -> list[str]:
        for source in sources:
            if not source or len(source) > 4096 or "\0" in source:
                raise ValueError(f"source {source[:80]!r}: expected a source's name, file:PATH or rss:ADDRESS")
        return sources
