"""Revision 0004: publishing."""

from chimera.migrations.run_sql import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Forward only."""
    run_sql("0004_publishing.sql")
