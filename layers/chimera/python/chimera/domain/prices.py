"""Prices of what a production uses, and what it can cost at most. Amounts in micros (1e-6 USD), times in
seconds.

Prices are on-demand list prices of us-east-1 (AWS Fargate pricing and AWS Lambda pricing pages, November
2026):
Fargate Linux/x86 0.04048 USD a vCPU-hour and 0.004445 USD a GB-hour; Lambda arm64 0.0000133334 USD a
GB-second;
calls to keyless sources are free. The laptop charges the same prices, so its ledger says what the cloud would
cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from statistics import median
from typing import Any

from chimera.domain.money import round_up_to_cents, round_up_to_micros
from chimera.errors import ChimeraError

FARGATE_VCPU_HOUR_USD = Decimal("0.04048")
FARGATE_GB_HOUR_USD = Decimal("0.004445")
LAMBDA_GB_SECOND_USD = Decimal("0.0000133334")
KEYLESS_CALL_USD = Decimal(0)

JOB_VCPU = 2
JOB_GB = 4
FUNCTION_GB = 2
"""Shape of the container jobs (render, inspect) and memory of the functions (voice, pictures)."""

BRIEF_GB = Decimal("0.5")

DEFAULT_CPU_RATE = {360: Decimal("0.27"), 720: Decimal("0.62"), 1080: Decimal("1.27"), 2160: Decimal("5.0")}
"""CPU seconds per output second of a whole production by its shorter side, until there is a history: what `make bench`
measured on two x86 cores in November 2026 (360 and 1080), between and beyond by the number of pixels."""
DEFAULT_SHARES = {
    "render": Decimal("0.80"),
    "inspect": Decimal("0.08"),
    "pictures": Decimal("0.07"),
    "voice": Decimal("0.03"),
    "brief": Decimal("0.02"),
}
"""Which part of the cost each step has, until there is a history."""

CARD_CPU_SECONDS = {360: Decimal("1.2"), 720: Decimal("1.8"), 1080: Decimal("2.6"), 2160: Decimal("8.0")}
STILL_CPU_SECONDS = Decimal("4")
"""CPU seconds of an image post: for each card, and for the rest, until there is a history; measured on two x86 cores."""
STILL_SHARES = {
    "render": Decimal("0.50"),
    "pictures": Decimal("0.35"),
    "inspect": Decimal("0.10"),
    "brief": Decimal("0.05"),
}
STILL_VOICE_SECONDS = 60
"""The voice's step of an image post, which has nothing to do."""

FUNCTION_SECONDS = 900
"""The most that a function may be given: a Lambda's longest."""

BRIEF_TIMEOUT_SECONDS = 120
"""The brief (pages, writer) is ended after this much wall time."""
JUDGE_TIMEOUT_SECONDS = 120
"""So is the judge."""

STEP_GB: dict[str, Decimal] = {
    "brief": BRIEF_GB,
    "voice": Decimal(FUNCTION_GB),
    "pictures": Decimal(FUNCTION_GB),
    "render": Decimal(JOB_GB),
    "inspect": Decimal(JOB_GB),
    "judge": BRIEF_GB,
}
"""The memory that each step may hold for its whole time."""

RETRIED_STEPS = ("pictures", "render", "inspect", "judge")
"""What is done once more, with another seed, for a video that is not good enough; brief and voice are used again."""
RETRY_TIME_DIVISOR = 3
"""The second render and inspection get this part of the first one's time. The first one has shown that the work can be
done; the limits are twenty times what it takes, and all of that once more would be reserved for nothing."""


@dataclass(frozen=True)
class Outside:
    """What a production asks of others, by step: micros that it cannot exceed, seconds that it may have to wait for."""

    micros: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, int] = field(default_factory=dict)


def _scale(height: int) -> int:
    """4k has four times the pixels of 1080p; nothing smaller is given less time."""
    return 1 if height <= 1080 else 4


def _checked(duration_seconds: int, height: int) -> None:
    if not 1 <= duration_seconds <= 600 or not 16 <= height <= 2160:
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"got {duration_seconds} s at {height} lines, expected 1–600 s and a shorter side of 16–2160",
            {"duration_seconds": duration_seconds, "height": height},
        )


def render_timeout_seconds(duration_seconds: int, height: int = 1080) -> int:
    """The render job is ended after this much wall time: 300 s + 20 s for each second of video, four times
    that for 4k."""
    _checked(duration_seconds, height)
    return (300 + 20 * duration_seconds) * _scale(height)


def inspect_timeout_seconds(duration_seconds: int, height: int = 1080) -> int:
    """The technical inspection (decode, black, freeze, loudness) is ended after this much wall time."""
    _checked(duration_seconds, height)
    return (120 + 4 * duration_seconds) * _scale(height)


def voice_timeout_seconds(duration_seconds: int) -> int:
    """Speech is ended after this much wall time; within a Lambda's 900 s."""
    _checked(duration_seconds, 1080)
    return 120 + duration_seconds


def pictures_timeout_seconds(duration_seconds: int, height: int = 1080) -> int:
    """Pictures are ended after this much wall time; within a Lambda's 900 s."""
    _checked(duration_seconds, height)
    return min(FUNCTION_SECONDS, (120 + duration_seconds) * _scale(height))


def production_limits(duration_seconds: int, height: int = 1080) -> dict[str, int]:
    """The timeouts, in seconds, that the state machine enforces and that `production_upper_bound` rests
    on."""
    return {
        "voice_seconds": voice_timeout_seconds(duration_seconds),
        "pictures_seconds": pictures_timeout_seconds(duration_seconds, height),
        "render_seconds": render_timeout_seconds(duration_seconds, height),
        "inspect_seconds": inspect_timeout_seconds(duration_seconds, height),
    }


def retry_limits(duration_seconds: int, height: int = 1080) -> dict[str, int]:
    """The timeouts, in seconds, of the one attempt with another seed. Pictures have theirs whole: who paints them may
    have to wait for somebody else."""
    limits = production_limits(duration_seconds, height)
    shorter = {name: -(-limits[name] // RETRY_TIME_DIVISOR) for name in ("render_seconds", "inspect_seconds")}
    return {**limits, **shorter}


def with_waiting(limits: Mapping[str, int], seconds: Mapping[str, int]) -> dict[str, int]:
    """The timeouts of a production whose steps may have to wait so long for others; a function's longest is not passed."""
    longer = {f"{step}_seconds": wait for step, wait in seconds.items() if wait > 0}
    return {
        name: max(limit, min(FUNCTION_SECONDS, limit + longer[name])) if name in longer else limit
        for name, limit in limits.items()
    }


def waiting_cost(limits: Mapping[str, int], longer: Mapping[str, int]) -> int:
    """Micros by which the steps' worst cases grow from the timeouts `limits` to `longer`."""
    before, after = _worst_cases(limits), _worst_cases(longer)
    return sum(after.values()) - sum(before.values())


def still_limits(cards: int, height: int = 1080) -> dict[str, int]:
    """The timeouts, in seconds, of an image post of so many cards (1–25). Nothing is spoken and nothing encoded; pictures
    may have to wait for whoever makes them."""
    _checked(1, height)
    if not 1 <= cards <= 25:
        raise ChimeraError("VALIDATION_FAILED", f"got {cards} cards, expected 1–25", {"cards": cards})
    scale = _scale(height)
    return {
        "voice_seconds": STILL_VOICE_SECONDS,
        "pictures_seconds": min(FUNCTION_SECONDS, (120 + 8 * cards) * scale),
        "render_seconds": (120 + 8 * cards) * scale,
        "inspect_seconds": (60 + 2 * cards) * scale,
    }


def still_retry_limits(cards: int, height: int = 1080) -> dict[str, int]:
    """The timeouts of an image post's one attempt with another seed."""
    limits = still_limits(cards, height)
    shorter = {name: -(-limits[name] // RETRY_TIME_DIVISOR) for name in ("render_seconds", "inspect_seconds")}
    return {**limits, **shorter}


def still_upper_bound(cards: int, height: int = 1080) -> int:
    """Micros that an image post cannot exceed while its limits are enforced, in whole cents; as
    `production_upper_bound`, without a voice, which draws nothing."""
    first, again = _worst_cases(still_limits(cards, height)), _worst_cases(still_retry_limits(cards, height))
    once = sum(micros for step, micros in first.items() if step != "voice")
    return round_up_to_cents(once + sum(again[step] for step in RETRIED_STEPS))


def expected_stills(
    cards: int, height: int = 1080, history: Sequence[Mapping[str, Any]] = (), *, pixel_share: Decimal = Decimal(1)
) -> tuple[int, dict[str, int]]:
    """What an image post is expected to cost, at most its upper bound, and each step's part of it; micros.

    As `expected_production`, a card standing for a second: `history` is of image posts of this size.
    """
    bound = still_upper_bound(cards, height)
    used = [row for row in history if _positive(row.get("video_seconds")) and _positive(row.get("actual_micros"))][:20]
    if used:
        rate = median(Decimal(str(row["actual_micros"])) / Decimal(str(row["video_seconds"])) for row in used)
        expected = min(bound, int((rate * cards).to_integral_value(rounding=ROUND_CEILING)))
        shares = _shares(used)
    else:
        default = next(rate for side, rate in sorted(CARD_CPU_SECONDS.items()) if height <= side)
        cpu = default * cards * pixel_share + STILL_CPU_SECONDS
        expected, shares = min(bound, compute_cost(cpu, JOB_GB, cpu / JOB_VCPU)), STILL_SHARES
    parts = {step: int(expected * share) for step, share in shares.items()}
    largest = max(parts, key=lambda step: parts[step])
    parts[largest] += expected - sum(parts.values())
    return expected, parts


def cpu_limit_seconds(timeout_seconds: int) -> int:
    """CPU seconds that a step may use (RLIMIT_CPU): two vCPUs for the whole of its wall time."""
    return JOB_VCPU * timeout_seconds


def compute_cost(cpu_seconds: Decimal | int | str, gb: Decimal | int | str, wall_seconds: Decimal | int | str) -> int:
    """Micros for CPU seconds and for memory held over wall time, at Fargate's prices, rounded up."""
    cpu, memory, wall = (_number(value) for value in (cpu_seconds, gb, wall_seconds))
    vcpu = cpu * FARGATE_VCPU_HOUR_USD
    held = memory * wall * FARGATE_GB_HOUR_USD
    return round_up_to_micros((vcpu + held) / 3600)


def function_cost(gb: Decimal | int | str, wall_seconds: Decimal | int | str) -> int:
    """Micros for a function's memory over its wall time, at Lambda's arm64 price, rounded up."""
    return round_up_to_micros(_number(gb) * _number(wall_seconds) * LAMBDA_GB_SECOND_USD)


def step_worst_case(step: str, seconds: int) -> int:
    """Micros that a step cannot exceed that is ended after `seconds` of wall time: both vCPUs and all its memory for all
    of it. What the step draws from its allowance before it begins."""
    if step not in STEP_GB:
        raise ChimeraError("VALIDATION_FAILED", f"step: got {step[:40]!r}, expected one of {', '.join(STEP_GB)}")
    gb = STEP_GB[step]
    return max(compute_cost(cpu_limit_seconds(seconds), gb, seconds), function_cost(gb, seconds))


def production_worst_cases(duration_seconds: int, height: int = 1080) -> dict[str, int]:
    """Each step's worst case in micros, done once; the approval covers their sum and that of `retry_worst_cases`."""
    worst = _worst_cases(production_limits(duration_seconds, height))
    return {step: worst[step] for step in STEP_GB}


def retry_worst_cases(duration_seconds: int, height: int = 1080) -> dict[str, int]:
    """The worst case in micros of each step that is done again with another seed."""
    worst = _worst_cases(retry_limits(duration_seconds, height))
    return {step: worst[step] for step in RETRIED_STEPS}


def _worst_cases(limits: Mapping[str, int]) -> dict[str, int]:
    seconds = {name.removesuffix("_seconds"): value for name, value in limits.items()}
    seconds |= {"brief": BRIEF_TIMEOUT_SECONDS, "judge": JUDGE_TIMEOUT_SECONDS}
    return {step: step_worst_case(step, seconds[step]) for step in STEP_GB}


def production_upper_bound(duration_seconds: int, height: int = 1080) -> int:
    """Micros that a production cannot exceed while its limits are enforced, in whole cents: what the CFO is
    asked for.

    Every step for the whole of its timeout with both vCPUs and all its memory (`production_worst_cases`), and
    `retry_worst_cases`: the one retry of a video below the quality threshold is paid from the same approval. `height` is
    the shorter side in pixels.
    """
    first, again = production_worst_cases(duration_seconds, height), retry_worst_cases(duration_seconds, height)
    return round_up_to_cents(sum(first.values()) + sum(again.values()))


def expected_production(
    duration_seconds: int,
    height: int = 1080,
    history: Sequence[Mapping[str, Any]] = (),
    *,
    pixel_share: Decimal = Decimal(1),
) -> tuple[int, dict[str, int]]:
    """What a production is expected to cost, at most its upper bound, and each step's part of it; micros.

    `history`: what the last productions of this size used, newest first, as `{"video_seconds",
    "actual_micros",
    "cpu_seconds": {step: CPU seconds}}`. The estimate is the median cost per output second of the newest 20,
    times the duration; without a history `DEFAULT_CPU_RATE` at the price of a job, times `pixel_share`: the pixels a
    second of this video in those of a 16:9 one at 30 frames a second.
    """
    _checked(duration_seconds, height)
    used = [row for row in history if _positive(row.get("video_seconds")) and _positive(row.get("actual_micros"))][:20]
    bound = production_upper_bound(duration_seconds, height)
    if used:
        rate = median(Decimal(str(row["actual_micros"])) / Decimal(str(row["video_seconds"])) for row in used)
        expected = min(bound, int((rate * duration_seconds).to_integral_value(rounding=ROUND_CEILING)))
        shares = _shares(used)
    else:
        default = next(rate for side, rate in sorted(DEFAULT_CPU_RATE.items()) if height <= side)
        cpu = default * duration_seconds * pixel_share
        expected = min(bound, compute_cost(cpu, JOB_GB, cpu / JOB_VCPU))
        shares = DEFAULT_SHARES
    parts = {step: int(expected * share) for step, share in shares.items()}
    largest = max(parts, key=lambda step: parts[step])
    parts[largest] += expected - sum(parts.values())  # rounding: the parts are the whole
    return expected, parts


def _shares(used: Sequence[Mapping[str, Any]]) -> Mapping[str, Decimal]:
    seconds: dict[str, list[Decimal]] = {}
    for row in used:
        for step, value in (row.get("cpu_seconds") or {}).items():
            seconds.setdefault(str(step), []).append(max(Decimal(0), Decimal(str(value))))
    middle = {step: Decimal(median(values)) for step, values in seconds.items()}
    total = sum(middle.values())
    return {step: value / total for step, value in middle.items()} if total > 0 else DEFAULT_SHARES


def _positive(value: Any) -> bool:
    try:
        return value is not None and Decimal(str(value)).is_finite() and Decimal(str(value)) > 0
    except InvalidOperation:
        return False


def _number(value: Decimal | int | str) -> Decimal:
    if isinstance(value, bool | float) or not isinstance(value, Decimal | int | str):
        raise ChimeraError("VALIDATION_FAILED", f"quantity: got {value!r}, expected a decimal, not a float")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ChimeraError("VALIDATION_FAILED", f"quantity: got {value!r}, expected a decimal number") from None
    if not number.is_finite() or number < 0:
        raise ChimeraError("VALIDATION_FAILED", f"quantity: got {value!r}, expected 0 or more")
    return number
