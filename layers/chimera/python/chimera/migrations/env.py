"""Alembic's environment: one connection as the owner, one transaction for all pending revisions."""

from alembic import context
from sqlalchemy import create_engine, pool, text
from sqlalchemy.engine import make_url

url = make_url(context.config.attributes["url"]).set(drivername="postgresql+psycopg")
if context.config.attributes.get("password"):
    url = url.set(password=context.config.attributes["password"])
engine = create_engine(url, poolclass=pool.NullPool)
with engine.begin() as connection:
    # a transaction-scoped lock: two processes that start at once migrate one after the other
    connection.execute(text("SELECT pg_advisory_xact_lock(727474)"))
    context.configure(connection=connection, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
