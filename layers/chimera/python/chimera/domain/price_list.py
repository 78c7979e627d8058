"""List prices of paid vendors, and what a call costs by them: at most before it is made, really after it.

The prices are the vendors' published list prices in USD, without discounts, taxes and regional premiums. Vendors change
them: compare before use, and override what differs with the setting `price_list`. A model without a price cannot be
called: what nobody can price, nobody can cap.

| prefix | source | as published |
| --- | --- | --- |
| openai | OpenAI API pricing page, text, image and audio models | by March 2026 |
| anthropic | Anthropic pricing page, API models | by November 2025 |
| elevenlabs | ElevenLabs API pricing page, pay as you go | by November 2025 |
| runway | Runway API pricing page: credits a second of video, at 0.01 USD a credit | by March 2026 |
| polly | Amazon Polly pricing page, us-east-1; speech marks are billed like sound | by November 2025 |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from chimera.domain.money import round_up_to_micros
from chimera.domain.prices import compute_cost, function_cost
from chimera.errors import ChimeraError

__all__ = [
    "compute_cost",
    "function_cost",
    "image_cost",
    "parse_prices",
    "speech_cost",
    "token_cost",
    "tokens_at_most",
    "video_cost",
]

UNITS = ("input", "output", "image", "characters", "video_second")
"""USD for 1,000,000 input tokens, 1,000,000 output tokens, one image, 1,000,000 spoken characters, one second of video."""

PRICES: dict[str, dict[str, str]] = {
    "openai/gpt-4.1": {"input": "2.00", "output": "8.00"},
    "openai/gpt-4.1-mini": {"input": "0.40", "output": "1.60"},
    "openai/gpt-4.1-nano": {"input": "0.10", "output": "0.40"},
    "openai/gpt-4o": {"input": "2.50", "output": "10.00"},
    "openai/gpt-4o-mini": {"input": "0.15", "output": "0.60"},
    "openai/gpt-5": {"input": "1.25", "output": "10.00"},
    "openai/gpt-5-mini": {"input": "0.25", "output": "2.00"},
    "openai/gpt-5-nano": {"input": "0.05", "output": "0.40"},
    "openai/gpt-image-1:low:1024x1536": {"image": "0.016"},
    "openai/gpt-image-1:medium:1024x1536": {"image": "0.063"},
    "openai/gpt-image-1:high:1024x1536": {"image": "0.25"},
    "openai/gpt-image-1": {"input": "5.00", "output": "40.00"},
    "openai/gpt-image-1.5": {"input": "5.00", "output": "32.00"},
    "openai/tts-1": {"characters": "15.00"},
    "openai/tts-1-hd": {"characters": "30.00"},
    "openai/sora-2": {"video_second": "0.10"},
    "anthropic/claude-haiku-4-5": {"input": "1.00", "output": "5.00"},
    "anthropic/claude-sonnet-4-5": {"input": "3.00", "output": "15.00"},
    "anthropic/claude-opus-4-5": {"input": "5.00", "output": "25.00"},
    "elevenlabs/eleven_multilingual_v2": {"characters": "300.00"},
    "elevenlabs/eleven_turbo_v2_5": {"characters": "150.00"},
    "elevenlabs/eleven_flash_v2_5": {"characters": "150.00"},
    "runway/gen4.5": {"video_second": "0.12"},
    "runway/veo3.1_fast": {"video_second": "0.15"},
    "polly/standard": {"characters": "4.00"},
    "polly/neural": {"characters": "16.00"},
    "polly/generative": {"characters": "30.00"},
    "polly/long-form": {"characters": "100.00"},
}

Prices = Mapping[str, Mapping[str, Decimal]]
_MILLION = Decimal(1_000_000)


def parse_prices(override: str = "") -> Prices:
    """The list with a setting's JSON over it: `{"openai/gpt-4o-mini": {"input": "0.15", "output": "0.60"}}`.

    A price is a decimal string of 0 or more; anything else is `VALIDATION_FAILED`.
    """
    prices: dict[str, dict[str, Decimal]] = {
        model: {unit: Decimal(price) for unit, price in units.items()} for model, units in PRICES.items()
    }
    if not override.strip():
        return prices
    try:
        given = json.loads(override, parse_float=str, parse_int=str)
        for model, units in given.items():
            for unit, price in units.items():
                number = Decimal(price)
                if unit not in UNITS or not number.is_finite() or not 0 <= number <= 1_000_000:
                    raise ValueError(f"{model}: {unit} = {price}")
                prices.setdefault(model, {})[unit] = number
    except (ValueError, AttributeError, TypeError, InvalidOperation) as error:
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"price_list: got {override[:80]!r}, expected JSON of model -> {', '.join(UNITS)} -> USD as a decimal",
            {"reason": str(error)[:200]},
        ) from None
    return prices


def token_cost(prices: Prices, model: str, input_tokens: int, output_tokens: int) -> int:
    """Micros of a call of a language model. The worst case is all of its `max_tokens` as output, which the vendor
    enforces, and `tokens_at_most` of what is sent."""
    used = _count(input_tokens) * _price(prices, model, "input") + _count(output_tokens) * _price(
        prices, model, "output"
    )
    return round_up_to_micros(used / _MILLION)


def tokens_at_most(text: str) -> int:
    """More tokens than a text can have: byte-level tokenisers make at most one of each UTF-8 byte; 64 for the frame."""
    return len(text.encode("utf-8")) + 64


def image_cost(prices: Prices, model: str, images: int = 1) -> int:
    """Micros of images; quality and size are part of the model's name where the vendor prices them."""
    return round_up_to_micros(_count(images) * _price(prices, model, "image"))


def speech_cost(prices: Prices, model: str, characters: int) -> int:
    """Micros of spoken characters."""
    return round_up_to_micros(_count(characters) * _price(prices, model, "characters") / _MILLION)


def video_cost(prices: Prices, model: str, seconds: Decimal | int) -> int:
    """Micros of generated video."""
    return round_up_to_micros(_count(seconds) * _price(prices, model, "video_second"))


def _price(prices: Prices, model: str, unit: str) -> Decimal:
    try:
        return prices[model][unit]
    except KeyError:
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"no price for {unit} of {model[:80]!r}: add it to the setting price_list",
            {"model": model[:80], "unit": unit, "priced": sorted(m for m, units in prices.items() if unit in units)},
        ) from None


def _count(value: Any) -> Decimal:
    if isinstance(value, bool | float) or not isinstance(value, int | Decimal) or not 0 <= value <= 10**12:
        raise ChimeraError(
            "VALIDATION_FAILED", f"quantity: got {value!r}, expected a whole or decimal number from 0 on"
        )
    return Decimal(value)
