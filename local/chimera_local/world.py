"""The laptop's world, put together: Postgres, functions, jobs, state machines, one engine for each CHIMERA_HOME."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from chimera.adapters.local.workflows import HttpWorkflows
from chimera.adapters.postgres.tenancy import seed_tenant
from chimera.bootstrap import App
from chimera.domain.options import MUSIC
from chimera.errors import ChimeraError
from chimera.settings import Settings
from chimera_local.lock import EngineInfo, EngineLock, find_engine
from chimera_local.machines import ROOT, machine_files, substitutions
from chimera_local.postgres import EmbeddedPostgres

FULL_BYTES = 20_000_000
"""Free space below which a failure of the database or of a file is the disk's; Postgres alone writes 16 MB at a time."""


class World:
    """Everything running for one command. `app` is wired to it; `workflows` may belong to another process.

    A world without an engine (`engine=False`) has the database only: enough to read, decide and verify.
    """

    def __init__(
        self, settings: Settings, *, engine: bool = True, require_own: bool = False, port: int | None = None
    ) -> None:
        self._given = settings
        self._want_engine = engine
        self._require_own = require_own
        self._port = port
        self._closers: list[Callable[[], None]] = []
        self.app: App
        self.engine: Any = None
        self.pool: Any = None
        self.jobs: Any = None
        self.tasks: Any = None
        self.lock: EngineLock | None = None
        self.shared = False

    def start(self, note: Callable[[str], None] = lambda _: None) -> World:
        """Bring everything up; what is half up is taken down again on an error."""
        try:
            self._start(note)
        except BaseException:
            self.close()
            raise
        return self

    def _start(self, note: Callable[[str], None]) -> None:
        home = self._given.home_path
        try:
            for folder in (home, home / "logs", home / "keys", self._given.media_path, self._given.channel_path):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"CHIMERA_HOME={home} cannot be used: {error.strerror}; name a folder that can be written",
                {"home": str(home)},
            ) from None
        (home / "keys").chmod(0o700)
        settings = self._given
        other = find_engine(home, wait_seconds=15) if self._want_engine else None
        if other and self._require_own:
            raise ChimeraError(
                "CONFLICT",
                f"an engine of this CHIMERA_HOME runs already (process {other.pid}); stop it first",
                {"pid": other.pid},
            )
        if self._want_engine and not other:
            self.lock = EngineLock(home)
            self.lock.acquire()
            self._closers.append(self.lock.release)
        note("database")
        postgres = EmbeddedPostgres(home)
        postgres.start()
        self._closers.append(postgres.stop)
        updates: dict[str, Any] = {
            "home": home,
            "database_url": postgres.app_url,
            "database_owner_url": postgres.owner_url,
        }
        if other:
            self.shared = True
            updates |= {"workflows_endpoint": other.control_endpoint, "workflows_secret": other.control_secret}
        settings = settings.model_copy(update=updates)
        if self._want_engine and not other:
            note("engine")
            settings = self._start_engine(settings, postgres.engine_url)
        self.app = App(settings)
        self._closers.append(self.app.close)
        if not self._want_engine:
            seed(settings)
        if self.engine is not None:
            self.catch_up()

    def _start_engine(self, settings: Settings, engine_url: str) -> Settings:
        from chimera_local.asl.definition import load_machine
        from chimera_local.asl.engine import Engine
        from chimera_local.control import ControlServer
        from chimera_local.functions import LambdaPool
        from chimera_local.jobs import JobRunner
        from chimera_local.tasks import LocalTasks

        secret = secrets.token_urlsafe(24)
        control = ControlServer(secret, home=settings.home_path)
        self._closers.append(control.close)
        settings = settings.model_copy(update={"workflows_endpoint": control.endpoint, "workflows_secret": secret})
        self.pool = LambdaPool(settings)
        self._closers.append(self.pool.close)
        self.jobs = JobRunner(settings, ROOT)
        self._closers.append(self.jobs.close)
        values = substitutions()
        machines = {
            name: load_machine(name, file.read_text(encoding="utf-8"), values)
            for file in machine_files()
            for name in [file.name.removesuffix(".asl.json")]
        }
        # before the engine: its first recovered step may already need the tenant
        seed(settings)
        self.tasks = LocalTasks(self.pool, self.jobs)
        self.engine = Engine(database_url=engine_url, machines=machines, tasks=self.tasks)
        control.engine = self.engine
        self._closers.append(self.engine.close)
        self.engine.launch()
        assert self.lock is not None
        self.lock.publish(
            EngineInfo(
                pid=os.getpid(),
                port=self._port,
                control_endpoint=control.endpoint,
                control_secret=secret,
                started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            )
        )
        return settings

    def reopen(self, note: Callable[[str], None] = lambda _: None) -> None:
        """Start again in place: the process whose engine we used has ended, so this one gets an engine of its own."""
        self.close()
        self.engine, self.tasks, self.shared = None, None, False
        self.start(note)

    def catch_up(self) -> None:
        """What a crash or a decision without an engine left undone: recover the money, tell waiting runs."""
        from chimera.usecases.review import deliver_pending

        self.app.recovery(self.tenant).run()
        deliver_pending(self.app.reviews(self.tenant), self.app.workflows)

    def check_room(self) -> None:
        """End the command while a step of our own engine waits for room on the disk: whoever sits here can make some.

        The step is left as it is, so that it is made again at the next start; `INTERNAL`, `details.reason` `disk_full`.
        """
        if self.tasks is not None and self.tasks.without_room:
            raise _no_room()

    @property
    def tenant(self) -> str:
        """The tenant of this laptop."""
        return self.app.settings.tenant_id

    @property
    def workflows(self) -> HttpWorkflows:
        """The state machines: our engine's, or the one of a running `up`."""
        settings = self.app.settings
        return HttpWorkflows(settings.workflows_endpoint, settings.workflows_secret)

    def close(self) -> None:
        """Take everything down, last up first; executions stay resumable."""
        while self._closers:
            self._closers.pop()()


def _no_room() -> ChimeraError:
    return ChimeraError(
        "INTERNAL",
        "the disk is full; nothing that was done is lost: free some space, then `chimera resume` goes on from here",
        {"reason": "disk_full"},
    )


def seed(settings: Settings) -> None:
    """What the tenant of this laptop has from its first moment; again is nothing."""
    with psycopg.connect(settings.database_url, connect_timeout=10) as connection:
        seed_tenant(connection, settings.tenant_id, settings)


@contextmanager
def world(
    settings: Settings,
    *,
    engine: bool = True,
    require_own: bool = False,
    port: int | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Iterator[World]:
    """A started world, closed at the end."""
    it = World(settings, engine=engine, require_own=require_own, port=port)
    try:
        it.start(note)
        try:
            yield it
        finally:
            it.close()
    except (psycopg.Error, OSError) as error:
        if shutil.disk_usage(settings.home_path).free < FULL_BYTES:  # a database without room fails in many ways
            raise _no_room() from error
        raise


def absolute_source(source: str) -> str:
    """`file:PATH` (or just a file's path) with the path made absolute: a resumed run may start in another folder."""
    if ":" not in source and ("/" in source or source.endswith((".json", ".csv"))):
        source = f"file:{source}"
    if not source.startswith("file:"):
        return source
    path = Path(source.removeprefix("file:")).expanduser()
    if not path.is_file():
        raise ChimeraError("VALIDATION_FAILED", f"--source {source}: there is no file {path}", {"source": source})
    return f"file:{path.resolve()}"


def absolute_music(music: str) -> str:
    """What `--music` names: a known word as it is, else a file's absolute path as `file:PATH`."""
    if music in MUSIC:
        return music
    path = Path(music.removeprefix("file:")).expanduser()
    if not path.is_file():
        words = ", ".join(word for word in MUSIC if word)
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"--music {music}: expected {words} or a file; there is no file {path}",
            {"music": music},
        )
    return f"file:{path.resolve()}"
