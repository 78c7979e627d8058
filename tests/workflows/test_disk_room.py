"""A full disk ends no run: its step is left as it is, and made again when there is room."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

import chimera_local.world
from chimera.errors import error_class
from chimera.media.process import disk_full
from chimera.settings import Settings
from chimera_local.asl import JSON, TaskFailure, load_machine
from chimera_local.asl.engine import Engine
from chimera_local.functions import FunctionError
from chimera_local.jobs import JobError
from chimera_local.tasks import LocalTasks
from chimera_local.world import World

JOB = {
    "Type": "Task", "Resource": "arn:aws:states:::batch:submitJob.sync", "End": True,
    "Arguments": {"JobName": "j", "JobQueue": "q", "JobDefinition": "d"},
}  # fmt: skip
STEP = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"FunctionName": "f"}, "Next": "job"}
MACHINE = json.dumps({"QueryLanguage": "JSONata", "StartAt": "step", "States": {"step": STEP, "job": JOB}})


class Disk:
    """Functions and jobs in one: the function is done at once, the job finds the disk full until there is room."""

    def __init__(self, fail: Callable[[], Exception], room_at: int = 99) -> None:
        self.room_at, self.calls, self.jobs, self._fail = room_at, 0, 0, fail

    def invoke(self, *_: Any, **__: Any) -> JSON:
        self.calls += 1
        return {}

    def run(self, *_: Any, **__: Any) -> JSON:
        self.jobs += 1
        if self.jobs < self.room_at:
            raise self._fail()
        return {"Status": "SUCCEEDED"}


def as_job() -> Exception:
    said = str(disk_full("render"))
    return JobError(
        "States.TaskFailed", json.dumps({"StatusReason": "Essential container in task exited", "Cause": said})
    )


def as_function() -> Exception:
    return FunctionError("OSError", f"[Errno {errno.ENOSPC}] {os.strerror(errno.ENOSPC)}", (), "r")


def tasks_of(disk: Any, pause_seconds: float = 0.0) -> LocalTasks:
    return LocalTasks(disk, disk, pause_seconds=pause_seconds)


def test_a_run_on_a_full_disk_goes_on_at_the_next_start(asl_database: str, tmp_path: Path) -> None:
    disk = Disk(as_job)
    world = World(Settings(home=tmp_path))
    world.tasks = tasks_of(disk, 60.0)

    def launched() -> Engine:
        engine = Engine(database_url=asl_database, machines={"m": load_machine("m", MACHINE, {})}, tasks=world.tasks)
        engine.launch()
        return engine

    engine = launched()
    try:
        world.check_room()
        execution = engine.start_execution("m", {}, "run")
        deadline = time.monotonic() + 60
        while not world.tasks.without_room:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with pytest.raises(error_class("INTERNAL"), match="free some space, then `chimera resume`"):
            world.check_room()
    finally:
        engine.close()
    assert not world.tasks.without_room
    disk.room_at = 0
    engine = launched()
    try:
        assert engine.wait(execution, 60).status == "SUCCEEDED"
    finally:
        engine.close()
    assert (disk.calls, disk.jobs) == (1, 2)


def test_the_call_is_made_again_until_there_is_room() -> None:
    go = threading.Event()
    for fail, as_a_function in ((as_job, False), (as_function, True), (lambda: OSError(errno.EDQUOT, ""), False)):
        disk = Disk(fail, room_at=3)
        tasks = tasks_of(SimpleNamespace(invoke=disk.run, run=disk.run))
        if as_a_function:
            assert tasks.invoke_function("f", {}, timeout_seconds=60, cancel=go)["Status"] == "SUCCEEDED"
        else:
            assert tasks.run_job("k", {}, timeout_seconds=None, cancel=go)["Status"] == "SUCCEEDED"
        assert disk.jobs == 3


def test_other_failures_and_time_that_is_over_end_it() -> None:
    other = Disk(lambda: JobError("States.TaskFailed", json.dumps({"StatusReason": "Essential container"})))
    for disk, seconds in ((other, None), (Disk(as_job), 0.0)):
        with pytest.raises(TaskFailure):
            tasks_of(disk).run_job("k", {}, timeout_seconds=seconds, cancel=threading.Event())
        assert disk.jobs == 1


def test_a_database_without_room_is_told_as_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_start(*_: Any) -> World:
        raise psycopg.OperationalError("FATAL:  could not write init file")

    monkeypatch.setattr(World, "start", no_start)
    for bytes_of_a_full_disk, expected in ((1 << 62, error_class("INTERNAL")), (0, psycopg.OperationalError)):
        monkeypatch.setattr(chimera_local.world, "FULL_BYTES", bytes_of_a_full_disk)
        with pytest.raises(expected), chimera_local.world.world(Settings(home=tmp_path)):
            raise AssertionError("it does not come so far")
