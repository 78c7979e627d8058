"""Asks whether any published text gives away what belongs to one person: mail, telephone, card, account,
address.
"""

from __future__ import annotations

from typing import Any

from chimera.adapters.checks.answers import answer, listed
from chimera.domain import personal_data
from chimera.domain.judge import Subject
from chimera.domain.models import Check

_REJECTED = frozenset(("CREDIT_CARD", "IBAN_CODE", "US_SSN", "SECRET"))


class PersonalDataCheck:
    """One answer: 1 − the surest finding. Cards, accounts, social security numbers and keys are rejected."""

    name = "personal_data"
    category = "privacy"

    def run(self, subject: Any) -> list[Check]:
        """Check every published text; the evidence names kind and place, never the value."""
        content = Subject.model_validate(subject)
        found: list[str] = []
        score, reject = 0.0, False
        for place, text in content.published_text().items():
            for finding in personal_data.find(text):
                value = text[finding.start : finding.end]
                found.append(f"{finding.kind} in {place} ({value[:2]}…, {len(value)} characters)")
                score = max(score, finding.score)
                reject = reject or finding.kind in _REJECTED
        severity = "reject" if reject else "review"
        return [
            answer("personal_data", "privacy", 1 - score, evidence=listed(found), severity=severity)  # type: ignore[arg-type]
        ]
