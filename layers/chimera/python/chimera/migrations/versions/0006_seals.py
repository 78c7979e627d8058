"""Revision 0006: seals."""

from chimera.migrations.run_sql import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Forward only."""
    run_sql("0006_seals.sql")
