"""Runs one SQL file of this folder inside alembic's transaction."""

from alembic import op

from chimera.migrations import FOLDER


def run_sql(name: str) -> None:
    """Send the file as it stands: the driver sees no parameters, so `%` and `:` mean nothing special."""
    op.get_bind().exec_driver_sql((FOLDER / "sql" / name).read_text(encoding="utf-8"))
