"""Watches the budgets: a warning that is newly crossed is entered in the audit log, once, and logged."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from chimera.domain.forecast import LEVELS, Level, level, used_percent
from chimera.domain.ids import stable_id
from chimera.domain.money import MICROS, usd
from chimera.domain.money_views import Frozen
from chimera.metrics import measure
from chimera.usecases.budgets import BudgetLines

logger = logging.getLogger("chimera.budget")


class WarningRows(Protocol):
    """Frozen scopes, and the audit log (adapters.postgres.money_views)."""

    def frozen(self) -> list[Frozen]:
        """Scopes that are frozen."""
        ...

    def warned(self, ids: Sequence[str]) -> set[str]:
        """Which of these warnings were entered."""
        ...

    def enter_warning(self, warning_id: str, subject: dict[str, str], found: dict[str, str]) -> bool:
        """Enter a warning; False if it was entered meanwhile."""
        ...


@dataclass(frozen=True)
class BudgetWarning:
    """A level that a budget reached for the first time in its period; `used` is reserved + spent, in micros."""

    period: str
    period_id: str
    category: str
    level: Level
    used_micros: int
    limit_micros: int


def watch(tenant_id: str, ledger: BudgetLines, rows: WarningRows) -> list[BudgetWarning]:
    """Enter and log the warnings that are new since the last time; gives them.

    Once for each (period, category, level). A budget that jumps over levels warns of the highest only, and one that falls
    back warns of nothing. Asked again, or by two at once, it enters nothing twice.
    """
    stopped = {f.scope: f.reason for f in rows.frozen()}
    found: list[tuple[BudgetWarning, list[str]]] = []
    for line in ledger.budgets():
        used = line.reserved_micros + line.spent_micros
        now = level(used, line.limit_micros, frozen=line.category in stopped)
        if now == "ok":
            continue
        # a higher level of money includes the lower ones; being frozen says nothing about how much is used
        covering = [now] if now == "frozen" else [name for name in LEVELS[LEVELS.index(now) :] if name != "frozen"]
        ids = [stable_id(tenant_id, "budget.warning", line.period, line.period_id, line.category, n) for n in covering]
        warning = BudgetWarning(line.period, line.period_id, line.category, now, used, line.limit_micros)
        found.append((warning, ids))
    known = rows.warned([one for _, ids in found for one in ids]) if found else set()
    new = []
    for warning, ids in found:
        if known.isdisjoint(ids) and rows.enter_warning(ids[0], *_told(warning, stopped.get(warning.category, ""))):
            new.append(warning)
            logger.warning(
                "budget %s: %s %s (%s) is at %s %% of %s USD",
                warning.level,
                warning.period,
                warning.category,
                warning.period_id,
                used_percent(warning.used_micros, warning.limit_micros),
                usd(warning.limit_micros),
                extra={"tenant": tenant_id, "status": warning.level, "amount_micros": warning.used_micros},
            )
    return new


def _told(warning: BudgetWarning, reason: str) -> tuple[dict[str, str], dict[str, str]]:
    subject = {"period": warning.period, "period_id": warning.period_id, "category": warning.category}
    found = {
        "level": warning.level,
        "used": usd(warning.used_micros),
        "limit": usd(warning.limit_micros),
        "used_percent": str(used_percent(warning.used_micros, warning.limit_micros)),
    }
    return subject, {**found, "reason": reason} if reason else found


def count(ledger: BudgetLines, backlog: int, problems: int) -> None:
    """Note what the dashboard shows of money and of people: budgets in USD, reviews that wait, what does not fit."""
    for line in ledger.budgets():
        labels = {"period": line.period, "category": line.category}
        measure("budget_spent_total", line.spent_micros / MICROS, **labels)
        measure("budget_limit", line.limit_micros / MICROS, **labels)
    measure("review_backlog", backlog)
    measure("ledger_problems", problems)
