"""What a production asks of others: what its paid calls can cost at most, counted into the amount that the CFO is asked for,
and how long its steps may have to wait, counted into the time that they get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chimera.domain.cards import is_still
from chimera.domain.models import BrandGuidelines, Draft, VoiceChoice
from chimera.domain.prices import Outside
from chimera.ports import Voice
from chimera.usecases.casting import NARRATOR, Policy, candidates, is_paid
from chimera.usecases.picture_asks import allowed_makers, picture_seconds, picture_worst_case

PACES = 2
"""A script is spoken at most twice: as it comes, and at the pace that fits the asked duration."""
VOICE_SECONDS = 180
"""What a vendor of voices that does not answer may hold up the step; it is not asked again in the same video."""


def outside_work(
    draft: Draft,
    ask: Mapping[str, Any],
    *,
    voices: Mapping[str, Voice],
    policy: Policy,
    makers: Mapping[str, Any] | None = None,
    paid_pictures: bool = False,
) -> Outside:
    """What the paid calls for a draft cannot exceed and how long others are waited for, by step; a step without is left out.

    `ask` is the content's `material.json`.
    """
    micros, seconds = {}, {}
    guidelines = BrandGuidelines.model_validate(ask["persona"]["brand_guidelines"])
    if not is_still(str(ask["options"].get("format", "video"))):  # an image post says nothing
        able = _paid_voices(guidelines, voices, policy)
        micros["voice"] = _voice_micros([scene.narration for scene in draft.scenes], able, guidelines)
        seconds["voice"] = VOICE_SECONDS * len(able)
    allowed = allowed_makers(makers or {}, guidelines.libraries, paid_pictures=paid_pictures)
    micros["pictures"] = picture_worst_case(draft, allowed, aspect=str(ask["options"]["aspect"]))
    finds = any(name not in (makers or {}) for name in guidelines.libraries)
    seconds["pictures"] = picture_seconds(len(draft.scenes), allowed, finds=finds)
    return Outside({s: m for s, m in micros.items() if m}, {s: n for s, n in seconds.items() if n})


def _paid_voices(guidelines: BrandGuidelines, voices: Mapping[str, Voice], policy: Policy) -> list[Voice]:
    """Each paid voice that may speak a role and is ready."""
    choices = [guidelines.voices.get(NARRATOR, VoiceChoice()), *guidelines.voices.values()]
    able = {v.name: v for choice in choices for v in candidates(choice, voices, policy) if is_paid(v) and v.ready}
    return list(able.values())


def _voice_micros(texts: Sequence[str], able: Sequence[Voice], guidelines: BrandGuidelines) -> int:
    """Each of the voices, all of the script, at two paces.

    Which role says which scene is not known yet, and a voice that fails has been paid for what it said, so none is left
    out of the sum.
    """
    total = 0
    for voice in able:
        worst: Any = voice  # a PaidVoice: `is_paid` said so
        total += PACES * int(worst.worst_case_micros(texts, lexicon=guidelines.pronunciations))
    return total
