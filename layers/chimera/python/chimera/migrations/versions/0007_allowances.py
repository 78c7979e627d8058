"""Revision 0007: allowances."""

from chimera.migrations.run_sql import run_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Forward only."""
    run_sql("0007_allowances.sql")
