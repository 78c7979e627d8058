"""Revision 0010: since when a stage lasts."""

from chimera.migrations.run_sql import run_sql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Forward only."""
    run_sql("0010_stage_since.sql")
