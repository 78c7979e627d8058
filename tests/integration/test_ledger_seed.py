"""A tenant's first moment, and what a restart with other settings does."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg

from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.tenancy import ROLES, agent_id, seed_tenant
from chimera.settings import Settings


def _rows(db: Database, tenant: str, query: str) -> list[dict[str, Any]]:
    with db.transaction(tenant) as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


def test_a_new_tenant_has_agents_limits_persona_channel_and_runs(db: Database, tenant: str) -> None:
    agents = {row["role"]: str(row["id"]) for row in _rows(db, tenant, "SELECT role, id FROM agents")}
    assert agents == {role: agent_id(tenant, role) for role in ROLES}
    assert _rows(db, tenant, "SELECT state FROM controls") == [{"state": "RUN"}]
    assert _rows(db, tenant, "SELECT name, channels FROM personas") == [
        {"name": "Chimera Daily", "channels": ["local"]}
    ]
    assert _rows(db, tenant, "SELECT id, platform FROM channels") == [{"id": "local", "platform": "local"}]
    limits = {(r["scope"], r["kind"]): r["limit_micros"] for r in _rows(db, tenant, "SELECT * FROM budget_limits")}
    assert len(limits) == 12
    assert limits["total", "D"] == 10**9
    assert limits["compute", "W"] == 5 * 10**9
    assert limits["storage", "M"] == 20 * 10**9
    assert [row["entry_type"] for row in _rows(db, tenant, "SELECT entry_type FROM ledger")] == ["LIMIT_CHANGE"]


def test_seeding_again_changes_nothing(db: Database, tenant: str, database_urls: Any) -> None:
    with psycopg.connect(database_urls.app) as connection:
        seed_tenant(connection, tenant, Settings())
    assert _rows(db, tenant, "SELECT count(*) AS n FROM ledger") == [{"n": 1}]
    assert _rows(db, tenant, "SELECT count(*) AS n FROM agents") == [{"n": 10}]


def test_changed_settings_change_limits_through_the_ledger(
    db: Database, new_tenant: Callable[..., str], database_urls: Any
) -> None:
    tenant = new_tenant()
    cheap = Settings().model_copy(update={"daily_budget_limit": Decimal("0.01")})
    for _ in range(2):
        with psycopg.connect(database_urls.app) as connection:
            seed_tenant(connection, tenant, cheap)
    rows = _rows(db, tenant, "SELECT entry_type, details FROM ledger ORDER BY seq")
    assert [row["entry_type"] for row in rows] == ["LIMIT_CHANGE", "LIMIT_CHANGE"]
    assert {c["after"] for c in rows[1]["details"]["changes"]} == {"10000"}
    limits = _rows(db, tenant, "SELECT DISTINCT limit_micros FROM budget_limits WHERE kind = 'D'")
    assert limits == [{"limit_micros": 10_000}]
