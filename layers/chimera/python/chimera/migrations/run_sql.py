"""Runs one SQL file of this folder inside alembic's transaction."""

from alembic import op

from chimera.migrations import FOLDER


def run_sql(name: str) -> None:
    """Send the file as it stands: straight to the driver without parameters, so `%` and `:` mean nothing special."""
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    driver.execute((FOLDER / "sql" / name).read_text(encoding="utf-8"))
