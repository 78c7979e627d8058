"""Pushes budget rows that changed into the read model, for those who only look; nothing is ever approved from there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chimera.domain.budget_view import BudgetView
from chimera.domain.models import Model


class ProjectBudgets(Model):
    """Input of `project_budgets`; without a tenant the settings' own."""

    tenant_id: str = ""


class BudgetSource(Protocol):
    """The budget rows in Postgres (adapters.postgres.budget_rows)."""

    def rows(self) -> list[BudgetView]:
        """Every row that changed in the last two months."""
        ...


class BudgetMirror(Protocol):
    """The read model (adapters.aws.dynamo_budgets)."""

    def versions(self, period_ids: Sequence[str]) -> dict[tuple[str, str, str], int]:
        """The version kept of each row."""
        ...

    def put(self, view: BudgetView) -> bool:
        """Keep a row if its version is greater than what is kept."""
        ...


def project_budgets(source: BudgetSource, mirror: BudgetMirror) -> int:
    """Push the rows whose version changed; how many were taken. Run every minute; late, twice or by two at once is fine."""
    rows = source.rows()
    kept = mirror.versions([row.period_id for row in rows])
    changed = [row for row in rows if row.ver > kept.get((row.period, row.category, row.period_id), -1)]
    return sum(mirror.put(row) for row in changed)
