"""Asks whether what is said and shown stands in the sources, and whether there are sources."""

from __future__ import annotations

from typing import Any

from chimera.adapters.checks.answers import answer, listed
from chimera.domain import claims
from chimera.domain.judge import Subject
from chimera.domain.models import Check


class ClaimsCheck:
    """Three answers: every narrated sentence, the numbers of title and cards, and that sources are named."""

    name = "claims"
    category = "claims"

    def run(self, subject: Any) -> list[Check]:
        """Compare with trend and pages; the score of the weakest sentence decides."""
        content = Subject.model_validate(subject)
        basis = claims.ground(content.material, [content.profile.name])
        assessed = claims.assess(content.script, basis)
        weak = sorted((c for c in assessed if not c.is_supported), key=lambda c: c.score)
        shown = "\n".join([content.title, *(s.on_screen_text for s in content.scenes)])
        numbers = claims.unsupported_numbers(shown, basis)
        web = [s for s in content.sources if s.startswith(("http://", "https://"))]
        # Text that comes with the program and is said to be a sample has no outside source to name.
        sample = content.material.trend.platforms == ["sample"] and "sample" in content.script
        return [
            answer(
                "claims.supported",
                "claims",
                min((c.score for c in assessed), default=0.0),
                threshold=claims.THRESHOLD,
                evidence=listed([f"{c.sentence[:110]!r}: {c.reason}" for c in weak], 3),
            ),
            answer(
                "claims.figures",
                "claims",
                0.0 if numbers else 1.0,
                evidence=f"shown but not in the material: {', '.join(numbers)}" if numbers else "",
            ),
            answer(
                "claims.sources",
                "claims",
                1.0 if web or sample else 0.0,
                evidence=f"{len(web)} named" if web else "a bundled sample" if sample else "no address to check it at",
            ),
        ]
