"""Director: lays a draft out with the persona's template, before anything is asked of the CFO."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chimera.domain.models import Draft, Material, Persona
from chimera.domain.options import RunOptions
from chimera.errors import ChimeraError
from chimera.media.layers import texts_of
from chimera.media.timeline import SILENT_SCENE_SECONDS, unspoken_seconds
from chimera.templates.context import BriefWords
from chimera.templates.engine import Wish, check_parameters, expand
from chimera.templates.resolving import Resolved
from chimera.templates.shelves import Templates
from chimera.templates.storyboard import Storyboard


def template_of(name: str, parameters: Mapping[str, Any], templates: Templates) -> Resolved:
    """The template of that name with its parameters checked: before a word is written, and before a run begins.

    `VALIDATION_FAILED` names the template, also where there is none of that name.
    """
    try:
        resolved = templates.resolve(name)
    except ChimeraError as error:
        if error.code != "NOT_FOUND":
            raise
        raise ChimeraError("VALIDATION_FAILED", f"template {name}: {error.message}", {"template": name}) from None
    check_parameters(resolved, parameters)
    return resolved


def lay_out(
    resolved: Resolved, ask: dict[str, Any], options: RunOptions, material: Material, draft: Draft
) -> Storyboard:
    """The storyboard of a draft; the same for the same draft, persona, options and template."""
    return expand(
        resolved,
        Wish(
            brief=BriefWords.of(draft, material.language),
            persona=Persona.model_validate(ask["persona"]),
            aspect=options.aspect,
            platform=options.platform,
            seed=material.seed,
            parameters=options.parameters,
            assets=tuple(options.assets),
            captions=options.captions,
            soft_captions=options.soft_captions,
            mask_profanity=options.mask_profanity,
        ),
    )


def unspoken(board: Storyboard) -> float:
    """How much longer than its speech the storyboard's video is: leads, tails and silent scenes, in seconds."""
    silent = [scene for scene in board.scenes if not scene.narration.strip()]
    closes = any(layer.kind == "sources" for scene in board.scenes for layer in scene.layers)
    spoken = len(board.scenes) - len(silent)
    own_outro = bool(board.sources) and not closes
    quiet = sum(scene.seconds or SILENT_SCENE_SECONDS for scene in silent)
    return unspoken_seconds(max(spoken, 1), has_outro=own_outro) + quiet


def shown_texts(board: Storyboard) -> list[str]:
    """Every text that the storyboard puts on the screen, each once: what the judge reads besides the brief."""
    found: list[str] = []
    for scene in board.scenes:
        found += [scene.on_screen_text, scene.marker]
        for layer in scene.layers:
            found += texts_of(layer)
    return list(dict.fromkeys(text for text in found if text.strip()))
