"""Revision 0005: the money engine."""

from chimera.migrations.run_sql import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Forward only."""
    run_sql("0005_money_engine.sql")
