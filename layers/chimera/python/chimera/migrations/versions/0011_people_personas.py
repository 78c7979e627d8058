"""Revision 0011: people may write personas."""

from chimera.migrations.run_sql import run_sql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Forward only."""
    run_sql("0011_people_personas.sql")
