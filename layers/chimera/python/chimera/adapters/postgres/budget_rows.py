"""Budget rows with their versions, for the read model."""

from __future__ import annotations

from chimera.adapters.postgres.database import Database
from chimera.domain.budget_view import BudgetView
from chimera.domain.cfo import PERIOD_NAMES


class PostgresBudgetRows:
    """The budget rows of one tenant."""

    def __init__(self, db: Database, tenant_id: str) -> None:
        self._db = db
        self._tenant = tenant_id

    def rows(self) -> list[BudgetView]:
        """Every row that changed in the last 62 days: a settlement may come long after its period."""
        with self._db.transaction(self._tenant) as c:
            found = c.execute(
                "SELECT * FROM budget_tracking WHERE updated_at > clock_timestamp() - interval '62 days'"
                " ORDER BY scope, kind, period_id"
            ).fetchall()
        return [
            BudgetView(
                period=PERIOD_NAMES[row["kind"]],
                category=row["scope"],
                period_id=row["period_id"],
                ver=row["ver"],
                limit_micros=row["limit_micros"],
                reserved_micros=row["reserved_micros"],
                spent_micros=row["spent_micros"],
            )
            for row in found
        ]
