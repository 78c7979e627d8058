"""Flashes as WCAG 2.3.1 and ITU-R BT.1702 count them, on cells made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from chimera.media.flashes import count_flashes

FPS = 30


def coded(luminance: float) -> int:
    """The sRGB value, 0–255, of a relative luminance."""
    value = 12.92 * luminance if luminance <= 0.0031308 else 1.055 * luminance ** (1 / 2.4) - 0.055
    return round(value * 255)


def blinking(
    per_second: int, low: float, high: float, *, cells: int = 100, of: int = 100, seconds: int = 3
) -> NDArray[np.uint8]:
    """`of` cells, the first `cells` of which go from `low` to `high` luminance and back `per_second` times a second."""
    frames = np.full((seconds * FPS, 1, of, 3), coded(low), np.uint8)
    on = (np.arange(seconds * FPS) * per_second / FPS) % 1 >= 0.5
    frames[on, :, :cells] = coded(high)
    return frames


@pytest.mark.parametrize(
    ("cells", "flashes"),
    [
        (blinking(3, 0.1, 0.6), 3.0),
        (blinking(5, 0.1, 0.6), 5.0),
        (blinking(5, 0.1, 0.19), 0.0),  # less than a tenth of the maximum
        (blinking(5, 0.1, 0.22), 5.0),
        (blinking(5, 0.84, 1.0), 0.0),  # the darker state is bright itself
        (blinking(5, 0.1, 0.6, cells=24), 0.0),  # less than a quarter of the picture
        (blinking(5, 0.1, 0.6, cells=25), 5.0),
        (blinking(5, 0.1, 0.6)[:1], 0.0),
    ],
)
def test_a_flash_is_a_pair_of_opposing_changes_of_a_tenth(cells: NDArray[np.uint8], flashes: float) -> None:
    found = count_flashes(cells, FPS)
    assert found["general_flashes_per_second"] == pytest.approx(flashes, abs=0.5 if flashes else 0)
    assert (found["general_flashes_per_second"] > 3) is (flashes > 3)
    assert found["red_flashes_per_second"] == 0


def test_one_change_up_and_no_way_back_is_no_flash() -> None:
    ramp = np.repeat(np.linspace(0, 255, 90).astype(np.uint8), 300).reshape(90, 1, 100, 3)
    assert count_flashes(ramp, FPS)["general_flashes_per_second"] == 0.5


def test_cells_that_flash_against_each_other_are_counted() -> None:
    board = blinking(5, 0.1, 0.6)
    other = blinking(5, 0.6, 0.1)
    board[:, :, ::2] = other[:, :, ::2]  # the picture's mean stays where it is
    assert count_flashes(board, FPS)["general_flashes_per_second"] > 3


def test_changes_spread_over_many_seconds_are_not_added_up() -> None:
    assert count_flashes(blinking(1, 0.1, 0.6, seconds=20), FPS)["general_flashes_per_second"] <= 1.5


def test_red_is_counted_by_itself() -> None:
    frames = np.full((90, 1, 100, 3), 127, np.uint8)
    on = (np.arange(90) * 5 / FPS) % 1 >= 0.5
    frames[on] = (255, 0, 0)  # as bright as that grey
    found = count_flashes(frames, FPS)
    assert found["red_flashes_per_second"] > 3 and found["general_flashes_per_second"] == 0
    blue = frames[..., ::-1]
    assert count_flashes(blue, FPS)["red_flashes_per_second"] == 0


def test_a_red_that_only_gets_a_little_redder_is_no_flash() -> None:
    frames = np.full((90, 1, 100, 3), (200, 95, 60), np.uint8)
    frames[(np.arange(90) * 5 / FPS) % 1 >= 0.5] = (200, 60, 50)
    assert count_flashes(frames, FPS)["red_flashes_per_second"] == 0


def test_any_rate_is_taken() -> None:
    assert count_flashes(blinking(5, 0.1, 0.6), 0)["general_flashes_per_second"] == 0
    assert count_flashes(np.zeros((0, 28, 16, 3), np.uint8), FPS)["general_flashes_per_second"] == 0
