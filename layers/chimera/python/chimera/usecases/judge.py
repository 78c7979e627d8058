"""Judge: asks every check, each on its own, and never takes silence for a yes."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from chimera.domain.judge import Subject, missing, verdict
from chimera.domain.models import Check, Verdict
from chimera.errors import ChimeraError
from chimera.media.technical import MENDABLE
from chimera.ports import CheckProvider

CHECK_TIMEOUT_SECONDS = 30.0
MOST_RETRIES = 1
"""Of a video that is not good enough; then a person decides."""
QUALITY = "quality.score"


def review(
    subject: Subject, checks: Sequence[CheckProvider], *, timeout_seconds: float = CHECK_TIMEOUT_SECONDS
) -> tuple[list[Check], Verdict, float]:
    """Every answer, the verdict, and the confidence in it (0–1).

    A provider that raises, gives nothing, gives something else than checks, or takes longer than
    `timeout_seconds` becomes a check without an answer, and so does a required kind of question that nobody
    asked: a review.
    """
    answers: list[Check] = []
    for provider in checks:
        answers.extend(_ask(provider, subject, timeout_seconds))
    for category in missing(answers):
        answers.append(_unanswered(f"{category}.missing", category, "no installed check asks this", "judge"))
    decided, confidence = verdict(answers)
    return answers, decided, confidence


def quality_of(answers: Sequence[Check]) -> Check | None:
    """The check that carries the quality score; None if nobody gave one."""
    return next((check for check in answers if check.name == QUALITY), None)


def wants_another_seed(answers: Sequence[Check], verdict: Verdict, attempt: int) -> bool:
    """Whether the video is to be made once more with another seed: exactly once, and only where that can help.

    It is when the quality score is below its threshold, unless the verdict is a rejection (the words do not change) or
    a check of the technical gate failed, or has no answer, that another seed cannot mend (`MENDABLE`): those go to a
    person at once.
    """
    quality = quality_of(answers)
    if attempt >= MOST_RETRIES or verdict == "reject" or quality is None or quality.passed is not False:
        return False
    open_ = {check.name for check in answers if check.category == "technical" and check.passed is not True}
    return open_ <= MENDABLE


def _ask(provider: CheckProvider, subject: Subject, timeout_seconds: float) -> list[Check]:
    given: list[Check] = []
    problem: list[str] = []

    def run() -> None:
        try:
            found = provider.run(subject)
            if not found or not all(isinstance(check, Check) for check in found):
                problem.append("it gave no answer")
            else:
                given.extend(found)
        except ChimeraError as error:
            problem.append(f"{error.code}: {error.message}")
        except Exception as error:  # noqa: BLE001 - a plugin may fail in any way
            problem.append(f"{type(error).__name__}: {error}")

    # A check cannot be stopped from outside; one that hangs is left behind and the verdict is a review.
    thread = threading.Thread(target=run, name=f"check-{provider.name}", daemon=True)
    started = time.monotonic()
    thread.start()
    thread.join(timeout_seconds)
    if thread.is_alive():
        waited = time.monotonic() - started
        return [_unanswered(provider.name, _category(provider), f"no answer after {waited:.0f} s", provider.name)]
    if problem:
        return [_unanswered(provider.name, _category(provider), problem[0], provider.name)]
    return given


def _category(provider: CheckProvider) -> str:
    return str(getattr(provider, "category", "quality"))


def _unanswered(name: str, category: str, why: str, provider: str) -> Check:
    return Check.model_validate(
        {
            "name": name,
            "category": category if category in _CATEGORIES else "quality",
            "score": 0.0,
            "threshold": 0.5,
            "passed": None,
            "evidence": f"could not run: {why}"[:500],
            "provider": provider,
        }
    )


_CATEGORIES = frozenset(("policy", "privacy", "security", "brand", "claims", "technical", "quality"))
