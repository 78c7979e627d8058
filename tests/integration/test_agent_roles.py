"""Each agent's functions log in as a role that may touch what its work needs, and nothing else; deployments make the roles."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors, sql

from chimera.adapters.postgres.schema import PostgresSchema
from chimera.domain.agents import AGENT_OF, DATABASE_ROLES, database_role
from chimera.errors import ChimeraError
from chimera.settings import Settings
from chimera.usecases.deployment import Change, migrate

ROOT = Path(__file__).resolve().parents[2]


def as_role(url: str, role: str) -> str:
    return url.replace("chimera_app@", f"{role}@")


@pytest.fixture
def ask(database_urls, tenant) -> Iterator[Callable[[str, str], None]]:  # type: ignore[no-untyped-def]
    """Run a statement as a role within the tenant; nothing is kept."""

    def run(role: str, statement: str) -> None:
        with psycopg.connect(as_role(database_urls.app, role)) as connection:
            connection.execute("SELECT set_config('app.tenant', %s, true)", (tenant,))
            connection.execute(statement)
            connection.rollback()

    yield run


MAY = [
    ("chimera_cfo", "UPDATE ledger_key SET kid = kid"),
    ("chimera_publisher", "UPDATE publications SET attempts = attempts"),
    ("chimera_publisher", "SELECT state FROM controls FOR SHARE"),
    ("chimera_artist", "SELECT state FROM controls FOR SHARE"),
    ("chimera_analyst", "SELECT count(*) FROM engagement"),
    ("chimera_people", "UPDATE controls SET reason = 'by a person'"),
    ("chimera_scout", "UPDATE trends SET title = title"),
    ("chimera_people", "UPDATE personas SET daily_quota = 1"),
    ("chimera_people", "DELETE FROM personas"),
]
MAY_NOT = [
    ("chimera_artist", "UPDATE controls SET state = 'RUN'"),
    ("chimera_publisher", "UPDATE controls SET state = 'RUN'"),
    ("chimera_cfo", "UPDATE controls SET state = 'RUN'"),
    ("chimera_artist", "SELECT 1 FROM ledger"),
    ("chimera_judge", "UPDATE budget_tracking SET spent_micros = 0"),
    ("chimera_people", "UPDATE budget_limits SET limit_micros = 1"),
    ("chimera_people", "INSERT INTO reservation SELECT * FROM reservation"),
    ("chimera_publisher", "UPDATE reservation SET state = 'RELEASED'"),
    ("chimera_scout", "SELECT 1 FROM publications"),
    ("chimera_planner", "UPDATE personas SET daily_quota = 1000"),
    ("chimera_analyst", "UPDATE publications SET state = 'CONFIRMED'"),
    ("chimera_director", "UPDATE channels SET connected = true"),
    ("chimera_cfo", "DELETE FROM ledger"),
    ("chimera_cfo", "UPDATE ledger SET reason = ''"),
    ("chimera_supervisor", "SELECT 1 FROM ledger"),
    ("chimera_people", "CREATE TABLE mine (a int)"),
    ("chimera_director", "UPDATE personas SET daily_quota = 1"),
]


@pytest.mark.parametrize(("role", "statement"), MAY)
def test_a_role_may_do_its_work(ask: Callable[[str, str], None], role: str, statement: str) -> None:
    try:
        ask(role, statement)
    except errors.IntegrityError:
        return  # the right was there; the row was not a sensible one


@pytest.mark.parametrize(("role", "statement"), MAY_NOT)
def test_a_role_may_not_do_anothers(ask: Callable[[str, str], None], role: str, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        ask(role, statement)


def test_row_level_security_holds_for_every_role(database_urls, new_tenant) -> None:  # type: ignore[no-untyped-def]
    mine, other = new_tenant(), new_tenant()
    with psycopg.connect(database_urls.super) as connection:
        found = connection.execute(
            "SELECT grantee, table_name FROM information_schema.role_table_grants"
            " JOIN pg_class c ON c.relname = table_name AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace"
            " WHERE table_schema = 'public' AND privilege_type = 'SELECT' AND grantee = ANY(%s)",
            (list(DATABASE_ROLES),),
        ).fetchall()
        assert len({role for role, _ in found}) == len(DATABASE_ROLES)
    by_role: dict[str, list[str]] = {}
    for role, table in found:
        by_role.setdefault(role, []).append(table)
    for role, tables in by_role.items():
        with psycopg.connect(as_role(database_urls.app, role)) as connection:
            for table in tables:
                query = sql.SQL("SELECT count(*) FROM {} WHERE tenant_id <> %s").format(sql.Identifier(table))
                connection.execute("SELECT set_config('app.tenant', %s, false)", (mine,))
                assert connection.execute(query, (mine,)).fetchone() == (0,), (role, table)
                connection.execute("SELECT set_config('app.tenant', '', false)")
                assert connection.execute(query, (other,)).fetchone() == (0,), (role, table)


def test_every_function_has_an_agent() -> None:
    there = {path.parent.name for path in (ROOT / "functions").glob("*/handler.py")}
    assert there - set(AGENT_OF) <= {"api"}
    assert database_role("approve") == "chimera_cfo"
    assert database_role("migrate") == "chimera_owner"
    assert database_role("api") == "chimera_app"


# --- deployment


def test_a_deployment_makes_roles_schema_and_tenant_and_again_changes_nothing(  # type: ignore[no-untyped-def]
    postgres_server, tmp_path: Path
) -> None:
    name = f"chimera_deploy_{uuid.uuid4().hex[:8]}"
    admin_url = postgres_server.url("postgres", "postgres")
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        tenant = str(uuid.uuid4())
        settings = Settings().model_copy(update={"home": tmp_path, "tenant_id": tenant})
        schema = PostgresSchema(postgres_server.url("postgres", name), settings, password=lambda: "an IAM token")
        first = migrate(Change(RequestType="Create"), lambda: schema)
        assert first["PhysicalResourceId"] == "chimera-schema"
        assert migrate(Change(RequestType="Update"), lambda: schema) == first
        with psycopg.connect(postgres_server.url("chimera_cfo", name)) as connection:
            connection.execute("SELECT set_config('app.tenant', %s, true)", (tenant,))
            assert connection.execute("SELECT count(*) FROM ledger").fetchone() == (1,)
    finally:
        with psycopg.connect(admin_url, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def test_deleting_the_stack_touches_no_data() -> None:
    def never() -> PostgresSchema:
        raise AssertionError("the database is not even asked")

    assert migrate(Change(RequestType="Delete"), never)["PhysicalResourceId"] == "chimera-schema"


def test_a_database_that_stays_away_says_so() -> None:
    schema = PostgresSchema("postgresql://nobody@/none?host=/nowhere", Settings(), patience=0)
    with pytest.raises(ChimeraError) as caught:
        schema.prepare()
    assert caught.value.code == "DATABASE_WAKING"
    assert caught.value.retryable
