"""Asks whether the file is fit to be shown: turns the report of the decode pass into answers."""

from __future__ import annotations

from typing import Any

from chimera.adapters.checks.answers import answer
from chimera.domain.judge import Subject
from chimera.domain.models import Check
from chimera.errors import ChimeraError

QUALITY = "quality.score"
STILLS = "stills"
_SHAPES = {"9:16": 9 / 16, "16:9": 16 / 9, "1:1": 1.0}


class TechnicalCheck:
    """The technical gate's answers for the strictest platform's limits, the picture's shape, and the quality score."""

    name = "technical"
    category = "technical"

    def run(self, subject: Any) -> list[Check]:
        """Judge the measurements; checks that only the report could make (its expected size) are taken from it.

        Raises `VALIDATION_FAILED` when nothing was measured: no report is no answer.
        """
        from chimera.media.technical import Limits, evaluate

        content = Subject.model_validate(subject)
        report = content.technical
        measured = report.get("measurements") if report else None
        if report is None or not isinstance(measured, dict) or not measured:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"technical: got {'no report' if report is None else sorted(report)[:8]}, expected measurements",
            )
        if report.get("kind") == STILLS:
            return _stills(content, report, measured)
        limits = Limits(
            min_seconds=content.limits.min_seconds,
            max_seconds=content.limits.max_seconds,
            max_bytes=content.limits.max_bytes,
            expected_seconds=content.duration_seconds or None,
        )
        checks = evaluate(measured, limits)
        asked = {check.name for check in checks}
        stated = [Check.model_validate(check) for check in report.get("checks") or []]
        more = (check for check in stated if check.name not in asked)
        return [*checks, *more, _shape(content, measured), _quality(report)]


def _stills(content: Subject, report: dict[str, Any], measured: dict[str, Any]) -> list[Check]:
    """The answers about an image post, carousel or thread."""
    from chimera.media.card_checks import evaluate_cards

    try:
        checks = evaluate_cards(measured, report["limits"])
    except (KeyError, TypeError, ValueError) as error:
        raise ChimeraError("VALIDATION_FAILED", f"technical: the report on the cards lacks {error}") from error
    return [*checks, _shape(content, measured), _quality(report)]


def _shape(content: Subject, measured: dict[str, Any]) -> Check:
    width, height = measured.get("width"), measured.get("height")
    if not width or not height:
        raise ChimeraError("VALIDATION_FAILED", "technical: the picture's width and height were not measured")
    off = abs(float(width) / float(height) / _SHAPES[content.aspect] - 1)
    return answer(
        "technical.aspect",
        "technical",
        1 - min(1.0, off * 10),
        threshold=0.8,
        evidence=f"is {width}x{height}, expected {content.aspect}",
        severity="reject",
    )


def _quality(report: dict[str, Any]) -> Check:
    """The quality score against its threshold; a report without one leaves the question open."""
    from chimera.media.quality import THRESHOLD, Quality

    if report.get("quality") is None:
        return Check(
            name=QUALITY, category="quality", score=0.0, threshold=THRESHOLD, passed=None,
            evidence="the report has no quality score", provider=TechnicalCheck.name,
        )  # fmt: skip
    quality = Quality.model_validate(report["quality"])
    weakest = sorted(quality.parts.items(), key=lambda part: part[1])[:3]
    said = ", ".join(f"{name} {value:.2f}" for name, value in weakest if value < 1)
    return answer(
        QUALITY,
        "quality",
        quality.score,
        threshold=THRESHOLD,
        evidence=f"quality {quality.score:.2f}, expected {THRESHOLD}" + (f"; weakest: {said}" if said else ""),
    )
