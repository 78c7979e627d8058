"""Which Retry, Catch or Choice rule applies: pure decisions, exactly as the recordings of AWS show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chimera_local.asl.errors import ALL, RUNTIME, TASK_FAILED, TIMEOUT, StatesError

_DEFAULT_INTERVAL = 1
_DEFAULT_ATTEMPTS = 3
_DEFAULT_RATE = 2.0
MAX_DELAY_SECONDS = 31_622_400
"""AWS's ceiling of MaxDelaySeconds: 366 days."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Which retrier applies, and after how many seconds the state runs again."""

    index: int
    delay_seconds: float


def matches_error(names: Sequence[str], failure: StatesError) -> bool:
    """Whether an ErrorEquals list matches a failure.

    States.Runtime is never caught. States.ALL catches everything else (States.DataLimitExceeded too:
    recorded, the documentation says otherwise). States.TaskFailed catches everything but States.Timeout.
    """
    if failure.error == RUNTIME:
        return False
    for name in names:
        if name == ALL or name == failure.error or name in failure.aliases:
            return True
        if name == TASK_FAILED and failure.error != TIMEOUT:
            return True
    return False


def choose_retry(
    retriers: Sequence[Mapping[str, Any]],
    failure: StatesError,
    used: Mapping[str, int],
    random_number: Callable[[], float],
) -> Retry | None:
    """The first retrier that matches, if it has attempts left. `used` counts attempts by retrier index.

    Delay = IntervalSeconds * BackoffRate^(attempts used), at most MaxDelaySeconds; with FULL jitter uniform
    between 0 and that.
    """
    for index, retrier in enumerate(retriers):
        if not matches_error(retrier["ErrorEquals"], failure):
            continue
        attempts = used.get(str(index), 0)
        if attempts >= retrier.get("MaxAttempts", _DEFAULT_ATTEMPTS):
            return None
        ceiling = float(retrier.get("MaxDelaySeconds", MAX_DELAY_SECONDS))
        interval = float(retrier.get("IntervalSeconds", _DEFAULT_INTERVAL))
        rate = float(retrier.get("BackoffRate", _DEFAULT_RATE))
        try:
            delay = min(interval * rate**attempts, ceiling)
        except OverflowError:
            delay = ceiling
        if retrier.get("JitterStrategy") == "FULL":
            delay *= random_number()
        return Retry(index, delay)
    return None


def choose_catch(catchers: Sequence[Mapping[str, Any]], failure: StatesError) -> int | None:
    """The index of the first catcher that matches."""
    for index, catcher in enumerate(catchers):
        if matches_error(catcher["ErrorEquals"], failure):
            return index
    return None


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How many items of a Map may fail: absolute, in percent (0-100) or both; without either, none may."""

    count: int | None = None
    percentage: float | None = None

    @property
    def explicit(self) -> bool:
        """Whether the state says anything about failures."""
        return self.count is not None or self.percentage is not None

    def exceeded(self, failed: int, total: int) -> bool:
        """Whether `failed` of `total` items break a threshold; of two thresholds either one is enough."""
        if not self.explicit:
            return failed > 0
        over_count = self.count is not None and failed > self.count
        over_percentage = self.percentage is not None and failed * 100 > self.percentage * total
        return over_count or over_percentage
