"""Sample briefs for previews and for validation: a pack's own `preview.json`, else the one that comes with Chimera."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from chimera.domain.models import BrandGuidelines, BrandTheme, Persona, Scene
from chimera.media.models import Aspect
from chimera.templates.context import BriefWords
from chimera.templates.engine import Wish
from chimera.templates.packs import SAMPLE, Pack
from chimera.templates.problems import MOST, Problem, ProblemsError, path_text

_OURS = Path(__file__).parent / "sample.json"


class Sample(BriefWords):
    """The words of a preview, and names of the user's own material that it pretends to have."""

    assets: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def _ours() -> Sample:
    return Sample.model_validate_json(_OURS.read_bytes())


def sample_of(pack: Pack) -> Sample:
    """The pack's sample data. `ProblemsError` if its `preview.json` is not of the form."""
    data = pack.files.get(SAMPLE)
    if data is None:
        return _ours()
    try:
        return Sample.model_validate(json.loads(data))
    except ValidationError as error:
        raise ProblemsError(
            Problem(SAMPLE, 0, 0, path_text(w["loc"]), f"got {str(w.get('input'))[:60]!r}, expected: {w['msg']}")
            for w in error.errors()[:MOST]
        ) from None
    except ValueError as error:
        raise ProblemsError([Problem(SAMPLE, 0, 0, "", f"not JSON: {error}", "check it with a JSON editor")]) from None


def bare_sample() -> Sample:
    """The least that a brief can be: one scene without an on-screen text, no sources."""
    scene = Scene(narration="Good morning.", visual_prompt="A sunrise")
    return Sample(title="Hello", scenes=(scene,))


def sample_wish(
    sample: Sample,
    *,
    aspect: Aspect = "9:16",
    mode: Literal["dark", "light"] | None = None,
    parameters: dict[str, object] | None = None,
    seed: int = 7,
    platform: str = "",
    brand: str = "Harbour Post",
) -> Wish:
    """What a preview asks the engine for. `mode` None: the template's own ground."""
    theme = BrandTheme(mode=mode, name=brand) if mode else BrandTheme(name=brand)
    persona = Persona(persona_id="preview", name="Preview", brand_guidelines=BrandGuidelines(theme=theme))
    words = BriefWords.model_validate(sample.model_dump(exclude={"assets"}))
    return Wish(
        brief=words,
        persona=persona,
        aspect=aspect,
        platform=platform,
        seed=seed,
        parameters=parameters,
        assets=sample.assets,
    )
