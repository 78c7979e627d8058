"""Revision 0009: agent roles."""

from chimera.migrations.run_sql import run_sql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Forward only."""
    run_sql("0009_agent_roles.sql")
