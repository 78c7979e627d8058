"""Functions on a laptop: Lambda's contract, and nothing left over after kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from chimera.settings import Settings
from chimera_local import frames
from chimera_local.functions import SYNCHRONOUS_BYTES, FunctionError, FunctionLimits, LambdaPool

HANDLER = """
import json, os, subprocess, sys, time

class BudgetGone(Exception):
    pass

def handler(event, context):
    op = event.get("op")
    if op == "raise": raise BudgetGone("no more")
    if op == "exit": os._exit(3)
    if op == "die": os.kill(os.getpid(), 9)
    if op == "sleep":
        if event.get("child"): subprocess.Popen(["sleep", "600"])
        open(event["mark"], "w").write(str(os.getpid()))
        time.sleep(event["seconds"])
    if op == "wait":
        open(event["mark"], "w").close()
        while not os.path.exists(event["until"]): time.sleep(0.01)
    if op == "set": return {1, 2}
    if op == "big": return "x" * event["size"]
    if op == "say": print("said", event["what"])
    return {
        "event": event, "pid": os.getpid(), "name": context.function_name, "arn":
        context.invoked_function_arn,
        "left": context.get_remaining_time_in_millis(), "request_id": context.aws_request_id,
        "environment": dict(os.environ), "modules": "chimera_local.functions" in sys.modules,
    }
"""


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("code")
    for name, text in {"echo": HANDLER, "broken": "import no_such_module_at_all"}.items():
        folder = root / "testfunctions" / name
        folder.mkdir(parents=True)
        (folder / "handler.py").write_text(text)
    return root


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def pool(home: Path, code: Path) -> Iterator[LambdaPool]:
    limits = {"echo": FunctionLimits(timeout_seconds=30, concurrency=2)}
    settings = Settings(home=home, database_url="postgresql://app@/chimera")
    with LambdaPool(settings, prefix="testfunctions", python_path=[code], limits=limits) as made:
        yield made


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 30
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.01)
    return path.read_text()


def gone(pid: int) -> bool:
    try:
        psutil.Process(pid).wait(20)
    except psutil.NoSuchProcess:
        return True
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def error_of(pool: LambdaPool, event: object, **options: float) -> FunctionError:
    with pytest.raises(FunctionError) as caught:
        pool.invoke("echo", event, **options)  # type: ignore[arg-type]
    return caught.value


def test_a_call_gives_json_back_with_lambdas_context_and_environment(
    pool: LambdaPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "must not arrive")
    answer = pool.invoke("echo", {"text": "é 🎬 שלום"})
    assert answer["event"] == {"text": "é 🎬 שלום"}
    assert answer["name"] == "echo"
    assert answer["arn"].endswith(":function:echo")
    assert 0 < answer["left"] <= 30_000
    assert answer["environment"]["AWS_LAMBDA_FUNCTION_NAME"] == "echo"
    assert answer["environment"]["CHIMERA_DATABASE_URL"] == "postgresql://app@/chimera"
    assert "AWS_SECRET_ACCESS_KEY" not in answer["environment"]
    assert not answer["modules"], "a worker does not carry the engine's modules"


def test_a_worker_stays_warm_between_calls(pool: LambdaPool) -> None:
    first, second = pool.invoke("echo", {}), pool.invoke("echo", {})
    assert first["pid"] == second["pid"]
    assert first["request_id"] != second["request_id"]


def test_an_exception_is_reported_by_its_class_name_with_the_stack(pool: LambdaPool) -> None:
    error = error_of(pool, {"op": "raise"})
    assert (error.error_type, error.error_message) == ("BudgetGone", "no more")
    cause = json.loads(error.cause or "")
    assert list(cause) == ["errorMessage", "errorType", "requestId", "stackTrace"]
    assert "BudgetGone" in cause["stackTrace"][0]


@pytest.mark.parametrize(("op", "how"), [("exit", "exit status 3"), ("die", "signal: kill")])
def test_a_worker_that_ends_is_an_exit_error_and_the_next_call_works(pool: LambdaPool, op: str, how: str) -> None:
    error = error_of(pool, {"op": op})
    assert error.error_type == "Runtime.ExitError"
    assert error.error_message.endswith(f"Runtime exited with error: {how}")
    assert pool.invoke("echo", {"again": 1})["event"] == {"again": 1}


def test_what_is_not_json_is_a_marshal_error(pool: LambdaPool) -> None:
    assert error_of(pool, {"op": "set"}).error_type == "Runtime.MarshalError"


def test_a_module_that_does_not_load_and_a_function_that_is_not_there(pool: LambdaPool) -> None:
    with pytest.raises(FunctionError) as broken:
        pool.invoke("broken", {})
    assert broken.value.error_type == "Runtime.ImportModuleError"
    for name in ("nothing", "../echo", ""):
        with pytest.raises(FunctionError) as missing:
            pool.invoke(name, {})
        assert missing.value.error_type == "Lambda.ResourceNotFoundException"


def test_256_kib_is_the_limit_on_both_sides(pool: LambdaPool) -> None:
    assert len(pool.invoke("echo", {"op": "big", "size": 262_142})) == 262_142  # with its quotes: exactly 256 KiB
    assert error_of(pool, {"op": "big", "size": 262_143}).error_type == "States.DataLimitExceeded"
    assert error_of(pool, "x" * 262_143).error_type == "States.DataLimitExceeded"
    assert len(pool.invoke("echo", {"op": "big", "size": 300_000}, max_bytes=SYNCHRONOUS_BYTES)) == 300_000


def test_at_the_deadline_the_worker_and_its_children_are_killed(pool: LambdaPool, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    pool.invoke("echo", {})  # warm, so that the deadline meets the handler, not the import
    event = {"op": "sleep", "seconds": 600, "mark": str(mark), "child": True}
    error = error_of(pool, event, timeout_seconds=1.0)
    assert (error.error_type, error.cause) == ("States.Timeout", None)
    pid = int(mark.read_text())
    assert gone(pid)
    assert [p for p in psutil.process_iter() if _group(p) == pid] == []


def _group(process: psutil.Process) -> int:
    try:
        return os.getpgid(process.pid) if process.status() != psutil.STATUS_ZOMBIE else 0
    except (psutil.Error, ProcessLookupError):
        return 0


def test_the_functions_own_timeout_is_lambdas_error(tmp_path: Path, code: Path) -> None:
    limits = {"echo": FunctionLimits(timeout_seconds=1.0)}
    settings = Settings(home=tmp_path / "home")
    with LambdaPool(settings, prefix="testfunctions", python_path=[code], limits=limits) as pool:
        error = error_of(pool, {"op": "sleep", "seconds": 600, "mark": str(tmp_path / "m")}, timeout_seconds=60)
    assert error.error_type == "Sandbox.Timedout"
    assert error.error_message.endswith("Task timed out after 1.00 seconds")


def test_cancel_ends_a_running_call(pool: LambdaPool, tmp_path: Path) -> None:
    cancel, mark, errors = threading.Event(), tmp_path / "mark", []

    def call() -> None:
        try:
            pool.invoke("echo", {"op": "sleep", "seconds": 600, "mark": str(mark)}, cancel=cancel)
        except FunctionError as error:
            errors.append(error.error_type)

    thread = threading.Thread(target=call)
    thread.start()
    pid = int(wait_for(mark))
    cancel.set()
    thread.join(20)
    assert errors == ["States.Timeout"]
    assert gone(pid)


def test_over_the_concurrency_limit_lambda_says_too_many_requests(pool: LambdaPool, tmp_path: Path) -> None:
    go = tmp_path / "go"
    marks = [tmp_path / "a", tmp_path / "b"]
    threads = [
        threading.Thread(target=pool.invoke, args=("echo", {"op": "wait", "mark": str(mark), "until": str(go)}))
        for mark in marks
    ]
    for thread in threads:
        thread.start()
    while not all(mark.exists() for mark in marks):
        time.sleep(0.01)
    error = error_of(pool, {})
    go.touch()
    for thread in threads:
        thread.join(30)
    assert error.error_type == "Lambda.TooManyRequestsException"
    assert pool.invoke("echo", {"free": True})["event"] == {"free": True}


def test_what_a_function_prints_is_in_its_log(pool: LambdaPool, home: Path) -> None:
    answer = pool.invoke("echo", {"op": "say", "what": "hello"})
    log = (home / "logs" / "echo.log").read_text()
    assert "said hello" in log
    assert f"REPORT RequestId: {answer['request_id']}" in log


def test_an_idle_worker_that_was_killed_is_replaced(pool: LambdaPool) -> None:
    pid = pool.invoke("echo", {})["pid"]  # the one used last is used next
    [worker] = [w for w in pool._idle["echo"] if w.pid == pid]
    os.kill(pid, signal.SIGKILL)
    assert frames.readable(worker.channel, 20), "its end of the channel is closed"
    assert pool.invoke("echo", {})["pid"] != pid


def test_a_killed_host_takes_its_workers_along_and_is_started_again(pool: LambdaPool) -> None:
    pid = pool.invoke("echo", {})["pid"]
    host = psutil.Process(pid).parent()
    assert host is not None
    host.kill()
    assert gone(pid)
    assert pool.invoke("echo", {})["pid"] != pid


def test_kill_9_of_the_engine_leaves_no_worker(tmp_path: Path, code: Path) -> None:
    mark = tmp_path / "mark"
    engine = textwrap.dedent(
        f"""
        from pathlib import Path
        from chimera.settings import Settings
        from chimera_local.functions import LambdaPool
        pool = LambdaPool(Settings(home={str(tmp_path / "home")!r}), prefix="testfunctions",
                          python_path=[Path({str(code)!r})])
        pool.invoke("echo", {{"op": "sleep", "seconds": 600, "mark": {str(mark)!r}, "child": True}},
                    timeout_seconds=900)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", engine])
    worker = psutil.Process(int(wait_for(mark)))
    family = [worker, *worker.children(recursive=True), *filter(None, [worker.parent()])]
    assert len(family) == 3, "the worker, its child and the host"
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []
