"""Revision 0002: content."""

from chimera.migrations.run_sql import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Forward only."""
    run_sql("0002_content.sql")
