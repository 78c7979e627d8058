"""Revision 0008: recovery."""

from chimera.migrations.run_sql import run_sql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Forward only."""
    run_sql("0008_recovery.sql")
