"""The judge's question and answer: what is judged, and how single checks become a verdict.

Every check scores 0–1 where 1 is best, and passes when its score reaches its threshold. The rules, in order:

1. a failed check of severity `reject` → `reject`;
2. any failed check, any check without an answer, or a kind of question that nobody answered → `review`;
3. otherwise → `pass`.

Confidence, 0–1: how far the deciding checks were from their thresholds. A check's certainty is `0.5 + 0.5 ·
|score − threshold| / room`, where room is the distance from the threshold to the end of the scale on the
score's side. `pass`: the least certain check; `reject`: the most certain rejecting one; `review`: the most
certain failed one, or 0 when the review is only for want of answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from chimera.domain.bill import BillOfMaterials
from chimera.domain.models import Aspect, Check, Material, Model, PersonalityProfile, Scene, Verdict

POLICY_VERSION = "2026-11.2"

# Kinds of questions that must be answered before anything may pass.
REQUIRED: tuple[str, ...] = ("policy", "privacy", "security", "brand", "claims", "technical")


class PlatformLimits(Model):
    """What the strictest target platform takes; the defaults are the product's own limits."""

    title_characters: int = Field(default=100, ge=1)
    description_characters: int = Field(default=5000, ge=0)
    hashtags: int = Field(default=30, ge=0)
    min_seconds: float = Field(default=1, ge=0)
    max_seconds: float = Field(default=600, gt=0)
    max_bytes: int = Field(default=100_000_000, gt=0)


class Subject(Model):
    """One piece of content as the judge sees it. `technical` is the report on the video file; None: not
    measured. `bill` is what the file is made of; None: not known.
    """

    title: str
    script: str
    scenes: list[Scene]
    shown: list[str] = Field(default=[], description="Further texts on the screen, of the template's own making")
    hashtags: list[str] = Field(default=[])
    description: str = ""
    sources: list[str] = Field(default=[])
    material: Material
    profile: PersonalityProfile
    technical: dict[str, Any] | None = None
    bill: BillOfMaterials | None = None
    duration_seconds: float = Field(default=0, ge=0)
    aspect: Aspect = "9:16"
    limits: PlatformLimits = PlatformLimits()

    def published_text(self) -> dict[str, str]:
        """Every text that viewers get, by where it stands."""
        return {
            "title": self.title,
            "script": self.script,
            "on screen": "\n".join([*(s.on_screen_text for s in self.scenes), *self.shown]),
            "hashtags": " ".join(self.hashtags),
            "description": self.description,
        }

    def material_texts(self) -> list[str]:
        """Every text that came from outside: the trend's, then each page's."""
        trend = self.material.trend
        own = "\n".join(t for t in (trend.title, trend.description, trend.topic, " ".join(trend.tags)) if t)
        return [own, *(f"{s.title}\n{s.text}" for s in self.material.snippets)]


def missing(checks: Sequence[Check]) -> list[str]:
    """Required kinds of questions that no check is about."""
    asked = {c.category for c in checks}
    return [category for category in REQUIRED if category not in asked]


def verdict(checks: Sequence[Check]) -> tuple[Verdict, float]:
    """Verdict and confidence of a set of answers; no answers at all are a review with confidence 0."""
    failed = [c for c in checks if c.passed is False]
    rejecting = [c for c in failed if c.severity == "reject"]
    if rejecting:
        return "reject", max(map(_certainty, rejecting))
    if failed:
        return "review", max(map(_certainty, failed))
    if missing(checks) or any(c.passed is None for c in checks):
        return "review", 0.0
    return "pass", min(map(_certainty, checks))


def _certainty(check: Check) -> float:
    room = 1 - check.threshold if check.score >= check.threshold else check.threshold
    return round(0.5 + 0.5 * min(1.0, abs(check.score - check.threshold) / room), 4) if room > 0 else 1.0
