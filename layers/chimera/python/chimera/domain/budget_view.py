"""A budget row as those see it who only look."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BudgetView:
    """One counter at one version; micros. `period`: daily, weekly or monthly; `category`: a category or total."""

    period: str
    category: str
    period_id: str
    ver: int
    limit_micros: int
    reserved_micros: int
    spent_micros: int
    frozen: bool = False
