"""One engine process for each CHIMERA_HOME, found by the other `chimera` commands; kill -9 frees it."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from chimera.errors import ChimeraError


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """How to reach the engine that holds this home; `port` is its gateway's (None: it has none)."""

    pid: int
    port: int | None
    control_endpoint: str
    control_secret: str
    started_at: str


def write_private(path: Path, text: str) -> None:
    """Replace a file (mode 0600) atomically: it is there whole, old or new, at every moment."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def open_lock(path: Path) -> IO[bytes]:
    """Open (and make) a lock file. Not inherited by children, so a child never keeps its parent's lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b", buffering=0)


def try_lock(file: IO[bytes], *, shared: bool = False) -> bool:
    """Take the lock if nobody stands in the way; False otherwise."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def held(path: Path, *, wait_seconds: float, doing: str) -> Iterator[None]:
    """Hold a file's lock; `CONFLICT` if another process keeps it for longer than `wait_seconds`."""
    with open_lock(path) as file:
        deadline = time.monotonic() + wait_seconds
        while not try_lock(file):
            if time.monotonic() > deadline:
                raise ChimeraError(
                    "CONFLICT",
                    f"another process has been {doing} for over {wait_seconds:.0f} s (lock {path}); "
                    "wait for it or end it",
                    {"lock": str(path)},
                )
            time.sleep(0.05)
        yield


class EngineLock:
    """The right to be a home's engine: `acquire`, `publish` once it can be reached, `release` at the end."""

    def __init__(self, home: Path) -> None:
        self._path = home / "engine.lock"
        self._info = home / "engine.json"
        self._file: IO[bytes] | None = None

    def acquire(self, *, wait_seconds: float = 1.0) -> None:
        """Take the lock or raise `CONFLICT` naming the holder's pid. The wait covers a look by
        `find_engine`."""
        file = open_lock(self._path)
        deadline = time.monotonic() + wait_seconds
        while not try_lock(file):
            if time.monotonic() > deadline:
                holder = os.pread(file.fileno(), 32, 0).decode("ascii", "replace").strip()
                file.close()
                raise ChimeraError(
                    "CONFLICT",
                    f"another chimera (pid {holder or 'unknown'}) runs on {self._path.parent}; "
                    "use it, stop it, or give another CHIMERA_HOME",
                    {"pid": holder, "home": str(self._path.parent)},
                )
            time.sleep(0.05)
        self._info.unlink(missing_ok=True)  # the last holder's, if it was killed
        os.ftruncate(file.fileno(), 0)
        os.pwrite(file.fileno(), str(os.getpid()).encode(), 0)
        self._file = file

    def publish(self, info: EngineInfo) -> None:
        """Tell other processes of this user how to reach the engine (`engine.json`, mode 0600: it holds the
        secret)."""
        if self._file is None:
            raise RuntimeError("publish() comes after acquire()")
        write_private(self._info, json.dumps(asdict(info)))

    def release(self) -> None:
        """Give the home back."""
        if self._file is not None:
            self._info.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def __enter__(self) -> EngineLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def engine_pid(home: Path) -> int | None:
    """The pid of the engine that holds this home now, started fully or not; None if there is none."""
    path = home / "engine.lock"
    if not path.is_file():
        return None
    with open_lock(path) as file:
        if try_lock(file, shared=True):
            return None
        text = os.pread(file.fileno(), 32, 0)
    return int(text) if text.isdigit() else 0


def find_engine(home: Path, *, wait_seconds: float = 0.0) -> EngineInfo | None:
    """The engine that runs on this home, or None. Waits `wait_seconds` for one that is just starting."""
    deadline = time.monotonic() + wait_seconds
    while True:
        pid = engine_pid(home)
        if pid is None:
            return None
        try:
            info = EngineInfo(**json.loads((home / "engine.json").read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            info = None
        if info is not None and info.pid == pid:
            return info
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.05)
