"""Forks workers for functions from a process that has the common libraries loaded, so that one starts in
milliseconds.

`python -m chimera_local.function_host FD`: reads orders on that socket. It has one thread, so fork is safe,
and it
is the workers' parent, so their pids cannot be reused before their end was told. When the engine goes, so
does all.
multiprocessing's fork server does not fit: it imports the engine's main module into every worker again.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from chimera.settings import adopt_environment
from chimera_local import frames
from chimera_local.function_worker import serve

PRELOADED = (
    "decimal",
    "pydantic",
    "pydantic_settings",
    "psycopg",
    "psycopg.rows",
    "psycopg.types.json",
    "aws_lambda_powertools",
    "aws_lambda_powertools.event_handler.api_gateway",
    "chimera.errors",
    "chimera.ports",
    "chimera.domain.models",
)
PR_SET_PDEATHSIG = 1
LOG_BYTES = 10_000_000


def _worker(order: dict[str, Any], channel: socket.socket) -> None:
    """Turn this fresh fork into the function's worker; never returns."""
    code = 1
    try:
        os.setsid()
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the engine, which then ends us in order
        log = Path(order["log"])
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.is_file() and log.stat().st_size > LOG_BYTES:
            log.replace(log.with_name(log.name + ".1"))
        out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.close(out)
        adopt_environment(order["environment"])
        time.tzset()
        serve(channel, *order["serve"])
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:  # noqa: BLE001 - this process ends here, with its reason in its log
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code & 0xFF)


def _end(pid: int) -> str:
    """Kill a worker and all it started (it may have ended already); how it ended, as Lambda words it."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return "unknown"
    if os.WIFSIGNALED(status):
        return f"signal: {signal.Signals(os.WTERMSIG(status)).name.removeprefix('SIG').lower()}"
    return f"exit status {os.WEXITSTATUS(status)}"


def main(orders: socket.socket) -> None:
    """Do what the engine orders until it is gone; then end every worker."""
    for name in PRELOADED:
        try:
            importlib.import_module(name)
        except ImportError:
            traceback.print_exc()  # the worker that needs it will say so to its caller
    workers: set[int] = set()
    while True:
        message, files, _, _ = socket.recv_fds(orders, 4096, 1)
        if not message:
            break
        while not message.endswith(b"\n"):
            more = orders.recv(1 << 16)
            if not more:
                break
            message += more
        order = _parse(message)
        if order["op"] == "spawn":
            pid = os.fork()
            if pid == 0:
                orders.close()
                _worker(order, socket.socket(fileno=files[0]))
            workers.add(pid)
            for file in files:
                os.close(file)
            frames.send(orders, {"pid": pid})
        else:
            workers.discard(order["pid"])
            # one that ended by itself has a status of its own: give it a moment before it is killed
            frames.send(orders, {"status": _settled(order["pid"], order["grace"])})
    for pid in workers:
        _end(pid)


def _parse(message: bytes) -> dict[str, Any]:
    order: dict[str, Any] = json.loads(message)
    return order


def _settled(pid: int, grace: float) -> str:
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline:
        try:
            # WNOWAIT leaves the zombie, so that `_end` still owns its pid when it clears the process group
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                break
        except ChildProcessError:
            break
        time.sleep(0.002)
    return _end(pid)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
