"""Runs ffmpeg: commands built by ffmpeg-python, stderr drained, children ended with us, a full disk told apart."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import ffmpeg
import imageio_ffmpeg

from chimera.errors import ChimeraError

_children: set[subprocess.Popen[bytes]] = set()
_lock = threading.RLock()
_stopping = threading.Event()
_TAIL = 4000
_PIPE_BYTES = 1 << 20
TERMINATED = 143
_FULL = ("No space left on device", "Disk quota exceeded", "File too large")


@functools.lru_cache(maxsize=1)
def executable() -> str:
    """The ffmpeg program that comes with imageio-ffmpeg (GPL-3.0; only ever run as a process)."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def command(stream: Any, *, options: tuple[str, ...] = ()) -> list[str]:
    """The argument list of an ffmpeg-python graph; no banner, no progress, no reading of the terminal."""
    compiled: list[str] = ffmpeg.compile(stream, cmd=executable(), overwrite_output=True)
    return [compiled[0], "-hide_banner", "-nostats", *options, *compiled[1:]]


def disk_full(where: str) -> ChimeraError:
    """The error for a full disk; what was finished stays, so a resume goes on from there."""
    return ChimeraError(
        "INTERNAL", f"the disk is full ({where}); free some space and run again",
        {"reason": "disk_full"}, retryable=False,
    )  # fmt: skip


@contextlib.contextmanager
def full_disk_reported(where: str) -> Iterator[None]:
    """Turns an OSError for lack of space (or quota) into the documented error."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise disk_full(where) from error
        raise


@contextlib.contextmanager
def ends_on_sigterm() -> Iterator[None]:
    """While this is open SIGTERM ends the children and this process with 143; finished segments stay on disk."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        _stop_children()
        raise SystemExit(TERMINATED)

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
        _stopping.clear()


@contextlib.contextmanager
def stopped() -> Iterator[None]:
    """Ends every ffmpeg that runs, and lets none be started while this is open."""
    _stop_children()
    try:
        yield
    finally:
        _stopping.clear()


def _stop_children() -> None:
    _stopping.set()
    with _lock:
        for child in list(_children):
            with contextlib.suppress(ProcessLookupError):
                child.kill()


def run(
    arguments: list[str],
    *,
    cwd: Path | None = None,
    feed: Iterable[Any] | None = None,
    data: bytes | None = None,
    fonts: Path | None = None,
) -> tuple[bytes, str]:
    """Runs a command; gives stdout and the end of stderr. `feed` is written to stdin piece by piece, `data` at once.

    The child gets no environment but what it needs. Raises `INTERNAL` when it fails; `details.reason` is `disk_full`
    when that was why, `stopped` when we ended it.
    """
    child = _start(arguments, cwd, fonts, has_input=feed is not None or data is not None)
    try:
        out, text = _talk(child, feed, data)
    finally:
        _forget(child)
    _check(child.returncode, text)
    return out, text


@contextlib.contextmanager
def reading(
    arguments: list[str], *, cwd: Path | None = None, fonts: Path | None = None, feed: Iterable[Any] | None = None
) -> Iterator[Any]:
    """Runs a command and gives its stdout to read from, as it comes; `feed` is written to stdin meanwhile.

    At the end of the block the child is ended if it still runs; if it ended itself, wrongly, that is raised as by `run`.
    """
    child = _start(arguments, cwd, fonts, has_input=feed is not None)
    tail: list[bytes] = []
    failed: list[BaseException] = []

    def write() -> None:
        try:
            _write(child, feed or ())
        except BaseException as error:  # noqa: BLE001 (raised again by the one who reads)
            failed.append(error)

    threads = [threading.Thread(target=_drain, args=(child.stderr, tail), daemon=True)]
    if feed is not None:
        threads.append(threading.Thread(target=write, daemon=True))
    for thread in threads:
        thread.start()
    broken: BaseException | None = None
    try:
        yield child.stdout
    except BaseException as error:
        broken = error
        raise
    finally:
        if broken is not None and not isinstance(broken, _ShortError):
            child.kill()
        if child.stdout is not None:
            child.stdout.close()
        child.wait()
        for thread in threads:
            thread.join()
        _forget(child)
        if failed and (broken is None or isinstance(broken, _ShortError)):
            raise failed[0]
        if broken is None or isinstance(broken, _ShortError):
            _check(child.returncode, b"".join(tail).decode("utf-8", "replace"))


class _ShortError(ChimeraError):
    """A stream that ended too early: the child's own words say why, if it has any."""


def read_exactly(pipe: Any, into: memoryview) -> None:
    """Fills `into`. Raises `INTERNAL` if the stream ends before."""
    at = 0
    while at < len(into):
        count = pipe.readinto(into[at:])
        if not count:
            if _stopping.is_set():
                raise _stopped()
            raise _ShortError("INTERNAL", "ffmpeg gave less than was asked for", {"reason": "ffmpeg"})
        at += count


def _start(arguments: list[str], cwd: Path | None, fonts: Path | None, *, has_input: bool) -> subprocess.Popen[bytes]:
    environment = {"LANG": "C.UTF-8"}
    if fonts is not None:
        environment["FONTCONFIG_FILE"] = str(fonts)
    with _lock:
        if _stopping.is_set():
            raise _stopped()
        child = subprocess.Popen(
            arguments, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
            stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
        )  # fmt: skip
        _children.add(child)
    for pipe in (child.stdin, child.stdout):
        _widen(pipe)
    return child


def _widen(pipe: Any) -> None:
    """A pipe that holds a third of a frame instead of a fiftieth: fewer changes between the two processes."""
    if pipe is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):  # more than this user may have
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _forget(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()
        child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    with _lock:
        _children.discard(child)


def _check(code: int, text: str) -> None:
    if code == 0:
        return
    if _stopping.is_set():
        raise _stopped()
    if code == -signal.SIGXFSZ or any(reason in text for reason in _FULL):
        raise disk_full("ffmpeg")
    raise ChimeraError("INTERNAL", f"ffmpeg ended with {code}", {"reason": "ffmpeg", "stderr": text[-1500:]})


def _write(child: subprocess.Popen[bytes], feed: Iterable[Any]) -> None:
    """Writes pieces to stdin and closes it. A child that ended before says why by its return code."""
    assert child.stdin is not None
    try:
        for piece in feed:
            rest = memoryview(piece).cast("B")
            while rest:
                rest = rest[child.stdin.write(rest) :]
    except (BrokenPipeError, ConnectionResetError):
        pass
    finally:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            child.stdin.close()


def _talk(child: subprocess.Popen[bytes], feed: Iterable[Any] | None, data: bytes | None) -> tuple[bytes, str]:
    if feed is None:
        out, error = child.communicate(input=data)
        return out, error.decode("utf-8", "replace")
    tail: list[bytes] = []
    assert child.stderr is not None and child.stdout is not None and child.stdin is not None
    drains = [
        threading.Thread(target=_drain, args=(child.stderr, tail), daemon=True),
        threading.Thread(target=_drain, args=(child.stdout, []), daemon=True),
    ]
    for drain in drains:
        drain.start()
    _write(child, feed)
    child.wait()
    for drain in drains:
        drain.join()
    return b"", b"".join(tail).decode("utf-8", "replace")


def _drain(pipe: Any, tail: list[bytes]) -> None:
    size = 0
    while chunk := os.read(pipe.fileno(), 65536):
        tail.append(chunk)
        size += len(chunk)
        while size > _TAIL * 4 and len(tail) > 1:
            size -= len(tail.pop(0))


def _stopped() -> ChimeraError:
    return ChimeraError(
        "INTERNAL",
        "the render was stopped; a resume goes on from its finished scenes",
        {"reason": "stopped"},
        retryable=True,
    )
