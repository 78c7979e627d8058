"""Container jobs on a laptop: limits, outcome and logs as Batch gives them; found or resumed."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from chimera.settings import Settings
from chimera_local.jobs import JobDefinition, JobError, JobRunner, folder_name, progress_of

PROGRAM = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
what = sys.argv[1]
with open("starts", "a") as file: file.write("x")
print("args", sys.argv[1:], "env", os.environ.get("GREETING"), os.environ.get("AWS_SECRET_ACCESS_KEY"),
    flush=True)
if what == "fail":
    for n in range(30): print("line", n)
    print(json.dumps({"success": False, "error": {"code": "QUALITY_FAILED", "message": "too dark"}}))
    sys.exit(7)
if what == "flaky" and len(Path("starts").read_text()) < 3: sys.exit(1)
if what == "fill":
    with open("big", "wb") as file:
        for _ in range(100): file.write(b"x" * 1_000_000)
if what == "hang":
    if sys.argv[2] == "deaf": signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "600"])
    print("progress 0.25", flush=True)
    Path(sys.argv[3]).write_text(f"{os.getpid()} {child.pid}")
    if not Path("go").exists(): time.sleep(600)
    child.kill()
print("progress 1.0", flush=True)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "containers").mkdir()
    (tmp_path / "containers" / "job.py").write_text(PROGRAM)
    return tmp_path / "home"


def runner(home: Path) -> JobRunner:
    definitions = {"job": JobDefinition(program=Path("containers/job.py"), file_bytes=50_000_000)}
    return JobRunner(Settings(home=home), home.parent, definitions=definitions, parallel=2)


def arguments(*command: str, **more: Any) -> dict[str, Any]:
    return {
        "JobName": "render-1",
        "JobDefinition": "job",
        "JobQueue": "local",
        "ContainerOverrides": {
            "Command": list(command),
            "Environment": [{"Name": "GREETING", "Value": "hi"}],
        },
        **more,
    }


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 30
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.01)
    return path.read_text()


def ended(pids: list[int]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not [p for p in pids if psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE]:
            return True
        time.sleep(0.02)
    return False


def test_a_job_answers_as_batch_describes_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "must not arrive")
    answer = runner(home).run("creation:1:4", arguments("ok", "ü"))
    assert (answer["Status"], answer["JobName"]) == ("SUCCEEDED", "render-1")
    assert answer["Container"]["ExitCode"] == 0
    assert answer["StartedAt"] <= answer["StoppedAt"]
    assert len(answer["Attempts"]) == 1
    log = home / "logs" / "jobs" / answer["Container"]["LogStreamName"]
    assert "args ['ok', 'ü'] env hi None" in log.read_text()
    assert runner(home).progress("creation:1:4") == 1.0
    assert (home / "work" / folder_name("creation:1:4") / "starts").exists(), "its work folder is its own"


def test_a_finished_job_is_found_not_repeated(home: Path) -> None:
    first = runner(home).run("key", arguments("ok"))
    assert runner(home).run("key", arguments("ok")) == first
    assert (home / "work" / "key" / "starts").read_text() == "x"
    assert runner(home).run("key", arguments("ok", "other"))["JobId"] != first["JobId"]


def test_a_failed_job_is_task_failed_with_the_job_as_cause(home: Path) -> None:
    with pytest.raises(JobError) as caught:
        runner(home).run("key", arguments("fail"))
    assert caught.value.error == "States.TaskFailed"
    job = json.loads(caught.value.cause or "")
    assert (job["Status"], job["Container"]["ExitCode"]) == ("FAILED", 7)
    assert job["StatusReason"] == "Essential container in task exited"
    assert len(job["LogTail"]) == 20
    assert job["LogTail"][0] == "line 11"
    assert json.loads(job["Cause"])["error"]["code"] == "QUALITY_FAILED"


def test_attempts_are_repeated_up_to_the_retry_strategy(home: Path) -> None:
    answer = runner(home).run("key", arguments("flaky", RetryStrategy={"Attempts": 3}))
    assert [a["Container"]["ExitCode"] for a in answer["Attempts"]] == [1, 1, 0]
    with pytest.raises(JobError):
        runner(home).run("other", arguments("flaky", RetryStrategy={"Attempts": 2}))


def test_a_file_over_the_limit_ends_the_job(home: Path) -> None:
    with pytest.raises(JobError) as caught:
        runner(home).run("key", arguments("fill"))
    assert json.loads(caught.value.cause or "")["Container"]["ExitCode"] != 0
    assert (home / "work" / "key" / "big").stat().st_size <= 50_000_000


@pytest.mark.parametrize("manner", ["polite", "deaf"])
def test_after_its_timeout_the_whole_group_is_ended(
    home: Path, tmp_path: Path, manner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chimera_local.jobs.GRACE_SECONDS", 0.3)
    mark = tmp_path / "mark"
    with pytest.raises(JobError) as caught:
        runner(home).run(
            "key",
            arguments(
                "hang",
                manner,
                str(mark),
                Timeout={"AttemptDurationSeconds": 1},
                RetryStrategy={"Attempts": 3},
            ),
        )
    job = json.loads(caught.value.cause or "")
    assert job["StatusReason"] == "Job attempt duration exceeded timeout"
    assert len(job["Attempts"]) == 1, "Batch does not repeat what took too long"
    assert ended([int(pid) for pid in mark.read_text().split()])


def test_cancel_and_the_states_own_timeout(home: Path, tmp_path: Path) -> None:
    mark, cancel, errors = tmp_path / "mark", threading.Event(), []

    def call() -> None:
        try:
            runner(home).run("key", arguments("hang", "polite", str(mark)), cancel=cancel)
        except JobError as error:
            errors.append(error.error)

    thread = threading.Thread(target=call)
    thread.start()
    pids = [int(pid) for pid in wait_for(mark).split()]
    assert progress_of(home, "render-1") == 0.25
    cancel.set()
    thread.join(20)
    assert errors == ["States.Timeout"]
    assert ended(pids)
    with pytest.raises(JobError) as caught:
        runner(home).run("other", arguments("hang", "polite", str(tmp_path / "m2")), timeout_seconds=0.5)
    assert (caught.value.error, caught.value.cause) == ("States.Timeout", None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"JobDefinition": "nothing"},
        {"JobName": 5},
        {"Timeout": {"AttemptDurationSeconds": 0}},
        {"RetryStrategy": {"Attempts": 11}},
        {"ContainerOverrides": {"Command": ["ok", 5]}},
        {"ContainerOverrides": {"Environment": [{"Name": "AWS_BATCH_JOB_ID", "Value": "x"}]}},
        {"ContainerOverrides": {"Environment": [{"Name": "A=B", "Value": "x"}]}},
    ],
)
def test_what_batch_would_refuse_is_a_client_exception(home: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(JobError) as caught:
        runner(home).run("key", arguments("ok", **wrong) | wrong)
    assert caught.value.error == "Batch.ClientException"


ENGINE = """
    import sys
    from pathlib import Path
    from chimera.settings import Settings
    from chimera_local.jobs import JobDefinition, JobRunner
    home, *command = sys.argv[1:]
    home = Path(home)
    definitions = {"job": JobDefinition(program=Path("containers/job.py"), file_bytes=50_000_000)}
    JobRunner(Settings(home=home), home.parent, definitions=definitions).run("key", {
        "JobName": "render-1", "JobDefinition": "job", "JobQueue": "local",
        "ContainerOverrides": {"Command": command, "Environment": [{"Name": "GREETING", "Value": "hi"}]}})
"""


def engine(home: Path, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(ENGINE), str(home), *command])


@pytest.mark.parametrize("victims", ["engine", "engine and supervisor"])
def test_kill_9_of_the_engine_ends_the_job_and_the_next_call_resumes_it(
    home: Path, tmp_path: Path, victims: str
) -> None:
    mark = tmp_path / "mark"
    process = engine(home, "hang", "deaf", str(mark))
    pids = [int(pid) for pid in wait_for(mark).split()]
    supervisor = psutil.Process(pids[0]).parent()
    assert supervisor is not None
    if victims != "engine":
        supervisor.suspend()  # it cannot do its duty before it dies as well
        supervisor.kill()
    process.kill()
    process.wait()
    if victims == "engine":
        assert ended([*pids, supervisor.pid])
    (home / "work" / "key" / "go").touch()
    answer = runner(home).run("key", arguments("hang", "deaf", str(mark)))
    assert answer["Status"] == "SUCCEEDED"
    assert ended(pids), "what the dead engine left running was ended before"
    assert (home / "work" / "key" / "starts").read_text() == "xx"


def test_a_job_that_ended_while_nobody_looked_is_found(home: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    process = engine(home, "hang", "polite", str(mark))
    pids = [int(pid) for pid in wait_for(mark).split()]
    process.send_signal(19)  # SIGSTOP: the engine hangs, the lifeline holds
    psutil.Process(pids[0]).kill()
    outcome = json.loads(wait_for(home / "work" / "key" / "outcome.json"))
    assert outcome["exit_code"] == 137
    outcome["exit_code"] = 0
    (home / "work" / "key" / "outcome.json").write_text(json.dumps(outcome))
    process.kill()
    process.wait()
    answer = runner(home).run("key", arguments("hang", "polite", str(mark)))
    assert answer["Status"] == "SUCCEEDED"
    assert (home / "work" / "key" / "starts").read_text() == "x", "it was not run again"
