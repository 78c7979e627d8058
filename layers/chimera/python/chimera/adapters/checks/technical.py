"""Asks whether the file is fit to be shown: turns the report of the decode pass into answers."""

from __future__ import annotations

from typing import Any

from chimera.domain.judge import Subject
from chimera.domain.models import Check
from chimera.errors import ChimeraError


class TechnicalCheck:
    """Answers of `chimera.media.technical.evaluate` over the report; without a report it has no answer."""

    name = "technical"
    category = "technical"

    def run(self, subject: Any) -> list[Check]:
        """Evaluate the report against the strictest platform's limits; raises when nothing was measured."""
        content = Subject.model_validate(subject)
        if content.technical is None:
            raise ChimeraError("VALIDATION_FAILED", "the video file was not measured; expected a technical report")
        from chimera.media.technical import evaluate

        return list(evaluate(content.technical, content.limits.model_dump()))
