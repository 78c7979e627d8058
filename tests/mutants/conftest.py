"""The Postgres of the integration tests, for the seeded bugs that only a database shows."""

from tests.integration.conftest import _prepare_cluster, new_database, postgres_server

__all__ = ["_prepare_cluster", "new_database", "postgres_server"]
