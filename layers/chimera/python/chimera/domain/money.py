"""Money: whole micros of a US dollar (1e-6 USD) inside, decimal strings outside, never a binary float."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any

from chimera.errors import ChimeraError

MICROS = 1_000_000
MAX_MICROS = 10**15  # 1e9 USD: far above any limit, far below bigint


def to_micros(value: Any, field: str = "amount") -> int:
    """Exact micros of a decimal string, int or Decimal.

    Refuses (`VALIDATION_FAILED`) floats, NaN, infinities, negatives, zero, more than 6 decimals and
    anything above 1e9 USD.
    """
    expected = "a positive decimal amount in USD with at most 6 places, at most 1000000000"
    if isinstance(value, bool | float) or not isinstance(value, str | int | Decimal):
        raise _bad(field, value, expected)
    if isinstance(value, str) and (len(value) > 32 or "e" in value.lower() or "_" in value or value != value.strip()):
        raise _bad(field, value, expected)
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise _bad(field, value, expected) from None
    if not amount.is_finite() or amount <= 0 or amount > MAX_MICROS // MICROS:
        raise _bad(field, value, expected)
    micros = amount * MICROS
    if micros != micros.to_integral_value():
        raise _bad(field, value, expected)
    return int(micros)


def round_up_to_micros(amount: Decimal) -> int:
    """Micros of a computed, non-negative cost, rounded up: an estimate or a charge is never shown smaller
    than it is.
    """
    return int((amount * MICROS).to_integral_value(rounding=ROUND_CEILING))


def round_up_to_cents(micros: int) -> int:
    """The micros of the next whole cent: what is asked of the CFO has two decimals."""
    return -(-micros // 10_000) * 10_000


def usd(micros: int) -> str:
    """`1_230_000` -> `"1.23"`, `1_834` -> `"0.001834"`: at least 2 decimals, at most 6."""
    sign = "-" if micros < 0 else ""
    whole, part = divmod(abs(micros), MICROS)
    decimals = f"{part:06d}"
    return f"{sign}{whole}.{decimals[:2]}{decimals[2:].rstrip('0')}"


def _bad(field: str, value: Any, expected: str) -> ChimeraError:
    shown = repr(value)[:80]
    return ChimeraError(
        "VALIDATION_FAILED",
        f"{field}: got {shown}, expected {expected}",
        {field: {"got": shown, "expected": expected}},
    )
