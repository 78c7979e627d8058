"""What a tenant has from its first moment: agents, limits, a switch on RUN, a persona and a channel."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from chimera.adapters.postgres.money import PostgresTransaction
from chimera.domain.cfo import SCOPES
from chimera.domain.ids import stable_id
from chimera.domain.money import to_micros
from chimera.settings import Settings
from chimera.usecases.ledger_marks import change_limits

ROLES = (
    "supervisor",
    "scout",
    "planner",
    "director",
    "artist",
    "cfo",
    "judge",
    "publisher",
    "analyst",
    "worker",
)
CAPABILITIES: dict[str, list[str]] = {
    "supervisor": [],
    "scout": ["read:trends", "write:trends"],
    "planner": ["read:trends", "read:ledger"],
    "director": ["read:trends", "write:content_pipeline"],
    "artist": ["read:content_pipeline", "write:content_pipeline", "write:video_metadata", "call:mcp_tools"],
    "cfo": ["read:ledger", "write:ledger", "approve:transactions"],
    "judge": ["read:content_pipeline", "write:safety_reports"],
    "publisher": ["read:content_pipeline", "write:publications"],
    "analyst": ["read:publications", "write:engagement"],
    "worker": [],
}
DEFAULT_PERSONA = "Chimera Daily"
LOCAL_CHANNEL = "local"


def agent_id(tenant_id: str, role: str) -> str:
    """The tenant's agent of a role; always the same."""
    return stable_id(tenant_id, role)


def persona_id(tenant_id: str) -> str:
    """The tenant's default persona."""
    return stable_id(tenant_id, "persona", DEFAULT_PERSONA)


def seed_tenant(connection: psycopg.Connection[Any], tenant_id: str, settings: Settings) -> None:
    """Insert what is missing, in one transaction; safe to run at every start-up and by several processes at
    once.

    Limits follow the settings when those changed since the last time (a LIMIT_CHANGE row in the ledger); a
    limit that
    a person set at run time stays otherwise. What a person changed (switch, persona, channel) is left alone.
    """
    with connection.transaction():
        cursor = connection.cursor(row_factory=dict_row)
        cursor.execute("SELECT set_config('app.tenant', %s, true)", (tenant_id,))
        cursor.execute(
            "INSERT INTO tenants (tenant_id, name) VALUES (%s, 'Chimera') ON CONFLICT DO NOTHING",
            (tenant_id,),
        )
        cursor.execute("SELECT 1 FROM tenants WHERE tenant_id = %s FOR NO KEY UPDATE", (tenant_id,))
        cursor.execute(
            "INSERT INTO controls (state, changed_by, reason) VALUES ('RUN', 'start-up', 'new tenant') ON"
            " CONFLICT DO NOTHING"
        )
        for role in ROLES:
            cursor.execute(
                "INSERT INTO agents (id, role, capabilities) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (agent_id(tenant_id, role), role, Jsonb(CAPABILITIES[role])),
            )
        cursor.execute(
            "INSERT INTO channels (id, platform, name) VALUES (%s, 'local', 'Local feed') ON CONFLICT DO NOTHING",
            (LOCAL_CHANNEL,),
        )
        cursor.execute(
            "INSERT INTO personas (id, name, tone, target_audience, brand_guidelines, channels, daily_quota)"
            " SELECT %s::uuid, %s, 'clear and curious', 'general', %s::jsonb, %s::text[], 100"
            " WHERE NOT EXISTS (SELECT 1 FROM personas) ON CONFLICT DO NOTHING",  # who deleted it has others
            (persona_id(tenant_id), DEFAULT_PERSONA, Jsonb({"voice": "clear", "avoid": []}), [LOCAL_CHANNEL]),
        )
        _apply_limits(cursor, connection, tenant_id, settings)


def _apply_limits(
    cursor: psycopg.Cursor[dict[str, Any]],
    connection: psycopg.Connection[Any],
    tenant_id: str,
    settings: Settings,
) -> None:
    by_kind = {
        "D": to_micros(settings.daily_budget_limit, "daily_budget_limit"),
        "W": to_micros(settings.weekly_budget_limit, "weekly_budget_limit"),
        "M": to_micros(settings.monthly_budget_limit, "monthly_budget_limit"),
    }
    rows = cursor.execute("SELECT scope, kind, configured_micros FROM budget_limits").fetchall()
    configured = {(row["scope"], row["kind"]): row["configured_micros"] for row in rows}
    wanted = {
        (scope, kind): micros
        for scope in SCOPES
        for kind, micros in by_kind.items()
        if configured.get((scope, kind)) != micros
    }
    if wanted:
        change_limits(
            PostgresTransaction(connection, tenant_id),
            tenant_id,
            wanted,
            by="settings",
            reason="limits of the settings",
        )
        # so that the next start-up sees whether the settings were edited
        for (scope, kind), micros in wanted.items():
            cursor.execute(
                "UPDATE budget_limits SET configured_micros = %s WHERE scope = %s AND kind = %s"
                " AND configured_micros <> %s",
                (micros, scope, kind, micros),
            )
