"""What a paid call costs at most is priced from a list with a source; what nobody can price cannot be called."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera.domain.price_list import (
    PRICES,
    UNITS,
    image_cost,
    parse_prices,
    speech_cost,
    token_cost,
    tokens_at_most,
    video_cost,
)
from chimera.errors import ChimeraError

LIST = parse_prices()


def code(call: Callable[[], object]) -> str:
    with pytest.raises(ChimeraError) as caught:
        call()
    return caught.value.code


def test_prices_are_those_of_the_list() -> None:
    assert token_cost(LIST, "openai/gpt-4o-mini", 1_000_000, 0) == 150_000
    assert token_cost(LIST, "openai/gpt-4o-mini", 0, 1_000_000) == 600_000
    assert token_cost(LIST, "anthropic/claude-haiku-4-5", 1000, 500) == 3500
    assert token_cost(LIST, "openai/gpt-5-nano", 1, 0) == 1  # 0.05 micros, rounded up
    assert image_cost(LIST, "openai/gpt-image-1:medium:1024x1536", 3) == 189_000
    assert speech_cost(LIST, "openai/tts-1", 1000) == 15_000
    assert video_cost(LIST, "openai/sora-2", 8) == 800_000
    assert video_cost(LIST, "openai/sora-2", Decimal("2.5")) == 250_000
    assert all(unit in UNITS and Decimal(price) > 0 for units in PRICES.values() for unit, price in units.items())


def test_a_setting_overrides_and_adds_prices() -> None:
    prices = parse_prices('{"openai/tts-1": {"characters": 12.5}, "acme/painter": {"image": "0.005"}}')
    assert speech_cost(prices, "openai/tts-1", 1_000_000) == 12_500_000
    assert image_cost(prices, "acme/painter") == 5000
    assert token_cost(prices, "openai/gpt-4o", 1_000_000, 0) == 2_500_000
    assert parse_prices(" ") == LIST


@pytest.mark.parametrize(
    "bad",
    ["{", "[]", '{"a": 1}', '{"a": {"image": "-1"}}', '{"a": {"image": "NaN"}}', '{"a": {"pixels": "1"}}',
     '{"a": {"image": "1e30"}}', '{"a": {"image": "x"}}', '{"a": {"image": null}}'],
)  # fmt: skip
def test_a_bad_list_is_refused(bad: str) -> None:
    assert code(lambda: parse_prices(bad)) == "VALIDATION_FAILED"


def test_what_has_no_price_is_refused() -> None:
    assert code(lambda: token_cost(LIST, "openai/gpt-99", 1, 1)) == "VALIDATION_FAILED"
    assert code(lambda: image_cost(LIST, "openai/gpt-4o")) == "VALIDATION_FAILED"


@pytest.mark.parametrize("count", [-1, 1.5, True, "3", None, 10**13])
def test_bad_quantities_are_refused(count: Any) -> None:
    assert code(lambda: speech_cost(LIST, "openai/tts-1", count)) == "VALIDATION_FAILED"


@given(st.text(max_size=300), st.integers(0, 4096))
def test_the_worst_case_covers_every_call_within_its_caps(text: str, output: int) -> None:
    most = token_cost(LIST, "openai/gpt-4o", tokens_at_most(text), 4096)
    assert token_cost(LIST, "openai/gpt-4o", len(text.encode()), output) <= most
