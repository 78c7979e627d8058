"""The form in which the built-in checks answer: 1 is best, a check passes when its score reaches its
threshold.
"""

from __future__ import annotations

from typing import Literal

from chimera.domain.models import Check

Category = Literal["policy", "privacy", "security", "brand", "claims", "technical", "quality"]
EVIDENCE_LIMIT = 500


def answer(
    name: str,
    category: Category,
    score: float,
    *,
    threshold: float = 0.5,
    evidence: str = "",
    severity: Literal["review", "reject"] = "review",
) -> Check:
    """A Check whose `passed` follows from score and threshold; evidence is cut at 500 characters."""
    bounded = round(min(1.0, max(0.0, score)), 4)
    return Check(
        name=name,
        category=category,
        score=bounded,
        threshold=threshold,
        passed=bounded >= threshold,
        evidence=evidence[:EVIDENCE_LIMIT],
        provider="builtin",
        severity=severity,
    )


def listed(items: list[str], limit: int = 4) -> str:
    """The first few items and how many more there are."""
    more = len(items) - limit
    return "; ".join(items[:limit]) + (f"; and {more} more" if more > 0 else "")
