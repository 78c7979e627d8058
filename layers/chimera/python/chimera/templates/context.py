"""What a template can see: the brief's words, its numbers, the persona, the user's own material; all of it plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from pydantic import Field

from chimera.domain.models import Draft, Model, Persona, Scene
from chimera.media.figures import Series, as_data, figures_of, key_figure, series_of
from chimera.media.text import clean, is_rtl
from chimera.templates.language import sentences

_FOOTAGE = frozenset({".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi"})
_PICTURE = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".avif"})


class BriefWords(Model):
    """The part of a brief that a template lays out."""

    title: str = Field(min_length=1)
    description: str = ""
    language: str = "en"
    scenes: tuple[Scene, ...] = Field(min_length=1, max_length=60)
    hashtags: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def rtl(self) -> bool:
        """Whether the video runs from right to left: as its title does."""
        return is_rtl(clean(self.title, limit=300))

    @classmethod
    def of(cls, draft: Draft, language: str) -> BriefWords:
        """Of what a writer gave, in that language."""
        return cls(
            title=draft.title,
            description=draft.description,
            language=language,
            scenes=tuple(draft.scenes),
            hashtags=tuple(draft.hashtags),
            sources=tuple(draft.sources),
        )


def context_of(
    brief: BriefWords,
    *,
    persona: Persona,
    aspect: str,
    platform: str,
    seed: int,
    assets: Sequence[str],
    template: Mapping[str, str],
) -> dict[str, Any]:
    """The names that expressions can use, besides `params` and the block's arguments."""
    texts = [f"{scene.on_screen_text}\n{scene.narration}" for scene in brief.scenes]
    theme = persona.brand_guidelines.theme
    return {
        "brief": {
            "title": brief.title,
            "description": brief.description,
            "language": brief.language,
            "rtl": brief.rtl,
            "hashtags": list(brief.hashtags),
            "sources": list(brief.sources),
            "scenes": [_scene(i, scene) for i, scene in enumerate(brief.scenes)],
        },
        "numbers": [
            {**(as_data(figure) or {}), "label": label, "scene": index}
            for index, text in enumerate(texts)
            for figure, label in figures_of(text)
        ],
        "series": [_series(one) for one in series_of(texts)],
        "persona": {
            "name": persona.name,
            "tone": persona.tone,
            "audience": persona.target_audience,
            "brand": theme.name if theme else "",
            "mode": theme.mode if theme else "dark",
            "has_logo": bool(theme and theme.logo),
        },
        "assets": [_asset(i, given) for i, given in enumerate([*assets, *persona.brand_guidelines.assets])],
        "aspect": aspect,
        "platform": platform,
        "seed": seed,
        "template": dict(template),
    }


def _scene(index: int, scene: Scene) -> dict[str, Any]:
    figure = key_figure(scene.on_screen_text) or key_figure(scene.narration)
    return {
        "index": index,
        "narration": scene.narration,
        "on_screen_text": scene.on_screen_text,
        "visual_prompt": scene.visual_prompt,
        "sentences": sentences(scene.narration),
        "number": as_data(figure),
    }


def _series(series: Series) -> dict[str, Any]:
    return {
        "unit": series.unit,
        "share": series.share,
        "dated": series.dated,
        "scenes": list(series.scenes),
        "at": [p.text for p in series.points],  # the scene of each point
        "points": [{"label": p.label, "value": p.value, "shown": p.shown} for p in series.points],
    }


def _asset(index: int, given: str) -> dict[str, Any]:
    name = PurePosixPath(given.partition(":")[2].replace("\\", "/")).name
    suffix = PurePosixPath(name).suffix.lower()
    kind = "footage" if suffix in _FOOTAGE else "picture" if suffix in _PICTURE else "folder" if not suffix else "other"
    return {"index": index, "name": name, "kind": kind, "ref": given}
