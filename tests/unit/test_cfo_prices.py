"""Prices, rounded up, and the bound that a production cannot exceed while its limits hold."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera.domain.prices import (
    BRIEF_GB,
    BRIEF_TIMEOUT_SECONDS,
    FUNCTION_GB,
    JOB_GB,
    JUDGE_TIMEOUT_SECONDS,
    compute_cost,
    cpu_limit_seconds,
    expected_production,
    function_cost,
    production_limits,
    production_upper_bound,
    production_worst_cases,
    retry_limits,
    retry_worst_cases,
    step_worst_case,
)
from chimera.errors import ChimeraError


def test_prices_are_the_documented_ones() -> None:
    assert compute_cost(3600, 0, 0) == 40_480
    assert compute_cost(0, 1, 3600) == 4_445
    assert function_cost(1, 1) == 14  # 13.3334 micros, rounded up
    assert compute_cost("0.001", 0, 0) == 1  # never nothing for something
    assert compute_cost(0, 4, 0) == 0


@pytest.mark.parametrize("bad", [-1, 1.5, True, "x", "NaN", None])
def test_quantities_are_checked(bad: Any) -> None:
    with pytest.raises(ChimeraError) as caught:
        compute_cost(bad, 1, 1)
    assert caught.value.code == "VALIDATION_FAILED"


@given(duration=st.integers(1, 600), height=st.sampled_from([360, 720, 1080, 2160]), data=st.data())
def test_nothing_within_the_limits_costs_more_than_the_bound(duration: int, height: int, data: st.DataObject) -> None:
    limits = production_limits(duration, height)
    shapes: list[tuple[int, Any]] = [
        (limits["render_seconds"], JOB_GB),
        (limits["inspect_seconds"], JOB_GB),
        (limits["voice_seconds"], FUNCTION_GB),
        (limits["pictures_seconds"], FUNCTION_GB),
        (BRIEF_TIMEOUT_SECONDS, BRIEF_GB),
        (JUDGE_TIMEOUT_SECONDS, BRIEF_GB),
    ]
    total = 0
    for seconds, gb in shapes:
        wall = data.draw(st.integers(0, seconds))
        total += compute_cost(data.draw(st.integers(0, cpu_limit_seconds(seconds))), gb, wall)
    bound = production_upper_bound(duration, height)
    assert total <= bound
    assert bound % 10_000 == 0
    expected, parts = expected_production(duration, height)
    assert 0 < expected <= bound
    assert sum(parts.values()) == expected


@given(duration=st.integers(1, 600), height=st.sampled_from([360, 720, 1080, 2160]))
def test_all_steps_can_draw_their_worst_cases_from_one_approval(duration: int, height: int) -> None:
    worst = production_worst_cases(duration, height)
    assert set(worst) == {"brief", "voice", "pictures", "render", "inspect", "judge"}
    assert all(micros > 0 for micros in worst.values())
    again = retry_worst_cases(duration, height)  # what the one attempt with another seed does once more
    assert set(again) == {"pictures", "render", "inspect", "judge"}
    both = sum(worst.values()) + sum(again.values())
    assert both <= production_upper_bound(duration, height) < both + 10_000
    for name, seconds in retry_limits(duration, height).items():
        step = name.removesuffix("_seconds")
        assert step == "voice" or step_worst_case(step, seconds) == again[step]
    # what a step draws at run time rests on the limit that the state machine was given
    for name, seconds in production_limits(duration, height).items():
        step = name.removesuffix("_seconds")
        assert step_worst_case(step, seconds) == worst[step]


def test_the_limits_are_those_that_the_state_machine_enforces() -> None:
    text = (Path(__file__).parents[2] / "statemachines" / "creation.asl.json").read_text(encoding="utf-8")
    states = json.loads(text)["States"]
    assert states["judge"]["TimeoutSeconds"] == JUDGE_TIMEOUT_SECONDS
    assert states["write_brief"]["TimeoutSeconds"] == BRIEF_TIMEOUT_SECONDS
    for name in ("render", "inspect"):
        assert states[name]["TimeoutSeconds"] == f"{{% $limits.{name}_seconds %}}"
    branches = {branch["StartAt"]: branch["States"][branch["StartAt"]] for branch in states["make"]["Branches"]}
    for name in ("voice", "pictures"):
        assert branches[name]["TimeoutSeconds"] == f"{{% $limits.{name}_seconds %}}"
    with pytest.raises(ChimeraError):
        step_worst_case("lunch", 60)


def test_a_45_second_video_costs_cents() -> None:
    assert 0 < expected_production(45, 1080)[0] < production_upper_bound(45, 1080) < 200_000
    assert production_limits(45)["render_seconds"] == 1200


def test_history_teaches_the_estimate() -> None:
    history = [
        {"video_seconds": 30, "actual_micros": micros, "cpu_seconds": {"render": "60", "voice": "20"}}
        for micros in (3000, 300_000, 2700, 3300)
    ]
    unusable = [{"video_seconds": 0, "actual_micros": 5}, {"actual_micros": 5}, {}]
    expected, parts = expected_production(60, 1080, [*unusable, *history])
    assert expected == 6300  # the median of 90, 100, 110 and an outlier, micros a second
    assert parts == {"render": 4725, "voice": 1575}
    assert expected_production(60, 1080, [{"video_seconds": 1, "actual_micros": 10**9}])[0] == production_upper_bound(
        60
    )


@pytest.mark.parametrize(("duration", "height"), [(0, 1080), (601, 1080), (45, 8), (45, 4320)])
def test_sizes_are_checked(duration: int, height: int) -> None:
    with pytest.raises(ChimeraError):
        production_upper_bound(duration, height)
    with pytest.raises(ChimeraError):
        expected_production(duration, height, [])


def test_memory_is_part_of_the_price() -> None:
    assert compute_cost(Decimal(10), 4, 5) > compute_cost(Decimal(10), 0, 5)
