"""Revision 0001: base."""

from chimera.migrations.run_sql import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Forward only."""
    run_sql("0001_base.sql")
