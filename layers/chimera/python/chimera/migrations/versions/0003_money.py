"""Revision 0003: money."""

from chimera.migrations.run_sql import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Forward only."""
    run_sql("0003_money.sql")
