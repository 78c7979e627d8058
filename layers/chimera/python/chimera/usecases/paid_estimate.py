"""What the paid calls of a production can cost at most, counted into the amount that the CFO is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chimera.domain.cards import is_still
from chimera.domain.models import BrandGuidelines, Draft, VoiceChoice
from chimera.ports import Voice
from chimera.usecases.casting import NARRATOR, Policy, candidates, is_paid
from chimera.usecases.picture_asks import picture_worst_case

PACES = 2
"""A script is spoken at most twice: as it comes, and at the pace that fits the asked duration."""


def paid_worst_cases(
    draft: Draft,
    ask: Mapping[str, Any],
    *,
    voices: Mapping[str, Voice],
    policy: Policy,
    makers: Mapping[str, Any] | None = None,
    paid_pictures: bool = False,
) -> dict[str, int]:
    """Micros by step that the paid calls for a draft cannot exceed; a step without any is left out.

    `ask` is the content's `material.json`.
    """
    costs = {}
    if not is_still(str(ask["options"].get("format", "video"))):  # an image post says nothing
        texts = [scene.narration for scene in draft.scenes]
        costs["voice"] = voice_worst_case(texts, ask["persona"], voices=voices, policy=policy)
    costs["pictures"] = picture_worst_case(draft, ask, makers=makers or {}, paid_pictures=paid_pictures)
    return {step: micros for step, micros in costs.items() if micros}


def voice_worst_case(
    texts: Sequence[str], persona: Mapping[str, Any], *, voices: Mapping[str, Voice], policy: Policy
) -> int:
    """Micros: each paid voice that may speak a role and is ready, all of the script, at two paces.

    Which role says which scene is not known yet, and a voice that fails has been paid for what it said, so none is left
    out of the sum.
    """
    guidelines = BrandGuidelines.model_validate(persona["brand_guidelines"])
    choices = [guidelines.voices.get(NARRATOR, VoiceChoice()), *guidelines.voices.values()]
    able = {v.name: v for choice in choices for v in candidates(choice, voices, policy) if is_paid(v) and v.ready}
    total = 0
    for voice in able.values():
        worst: Any = voice  # a PaidVoice: `is_paid` said so
        total += PACES * int(worst.worst_case_micros(texts, lexicon=guidelines.pronunciations))
    return total
