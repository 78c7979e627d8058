"""Asks whether any published text carries words that content must not carry."""

from __future__ import annotations

from typing import Any

from chimera.adapters.checks.answers import answer, listed
from chimera.domain import policy_words
from chimera.domain.judge import Subject
from chimera.domain.models import Check


class PolicyWordsCheck:
    """One answer a category; score is 1 − the category's score, the worst of all published texts.

    Below 0.5 a person looks; at an explicit term outside a report (≤ 0.15) the content is rejected.
    """

    name = "policy_words"
    category = "policy"

    def run(self, subject: Any) -> list[Check]:
        """Check title, script, on-screen texts, hashtags and description."""
        content = Subject.model_validate(subject)
        worst: dict[str, tuple[float, str, list[str]]] = {}
        for place, text in content.published_text().items():
            hits = policy_words.find(text)
            for category, score in policy_words.scores(hits).items():
                if score > worst.get(category, (0.0, "", []))[0]:
                    # The level and the place, not the word: reports are read by people and kept in logs.
                    found = [f"{_masked(h.term)} ({h.level})" for h in hits if h.category == category]
                    worst[category] = (score, place, found)
        checks = []
        for category in ("hate", "sexual", "minors", "self_harm", "violence", "harassment", "crime"):
            score, place, found = worst.get(category, (0.0, "", []))
            checks.append(
                answer(
                    f"policy.{category}",
                    "policy",
                    1 - score,
                    threshold=1 - policy_words.REVIEW + 0.0001,
                    evidence=f"{place}: {listed(found)}" if found else "",
                    severity="reject" if score >= policy_words.REJECT and category != "self_harm" else "review",
                )
            )
        return checks


def _masked(term: str) -> str:
    return " ".join(word[0] + "•" * (len(word) - 2) + word[-1] if len(word) > 2 else word for word in term.split())
