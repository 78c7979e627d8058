"""kill -9 in the middle of executions: the next launch goes on at the step they had reached."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from chimera_local.asl import JSON, load_machine
from chimera_local.asl.engine import Engine

WAIT = 90.0


class Recorder:
    """Appends a line before and after each call, so that the test sees what a killed process had done."""

    def __init__(self, file: Path, pause: float) -> None:
        self.file = file
        self.pause = pause

    def _write(self, line: str) -> None:
        with self.file.open("a") as out:
            out.write(line + "\n")

    def invoke_function(
        self, name: str, payload: JSON, *, timeout_seconds: float | None, cancel: threading.Event
    ) -> JSON:
        key = f"{name}-{payload['n']}"
        self._write(f"begin {key}")
        cancel.wait(self.pause)
        if name == "ask":
            self._write(f"token {payload['token']}")
        self._write(f"end {key}")
        return payload

    def run_job(self, job_key: str, arguments: JSON, *, timeout_seconds: float | None, cancel: threading.Event) -> JSON:
        self._write(f"job {job_key}")
        cancel.wait(self.pause * 4)
        return {}


def _call(name: str, n: JSON, following: str | None) -> dict[str, JSON]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": name, "Payload": {"n": n}},
        "Output": "{% $states.result.Payload %}",
        **({"Next": following} if following else {"End": True}),
    }


STEPS = 6
_chain = {f"S{index}": _call("work", index, f"S{index + 1}" if index < STEPS - 1 else "Each") for index in range(STEPS)}
MACHINES = {
    "chain": {
        "QueryLanguage": "JSONata",
        "StartAt": "S0",
        "States": {
            **_chain,
            "Each": {
                "Type": "Map",
                "Items": [100, 101, 102],
                "MaxConcurrency": 2,
                "ItemProcessor": {
                    "StartAt": "Item",
                    "States": {"Item": _call("item", "{% $states.input %}", None)},
                },
                "Next": "Render",
            },
            "Render": {
                "Type": "Task",
                "Resource": "arn:aws:states:::batch:submitJob.sync",
                "Arguments": {"JobName": "r", "JobQueue": "q", "JobDefinition": "d"},
                "Next": "Nap",
            },
            "Nap": {"Type": "Wait", "Seconds": 1, "Output": "done", "End": True},
        },
    },
    "review": {
        "QueryLanguage": "JSONata",
        "StartAt": "Ask",
        "States": {
            "Ask": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
                "Arguments": {
                    "FunctionName": "ask",
                    "Payload": {"n": 0, "token": "{% $states.context.Task.Token %}"},
                },
                "End": True,
            }
        },
    },
}


def _engine(url: str, file: Path, pause: float) -> Engine:
    machines = {name: load_machine(name, definition) for name, definition in MACHINES.items()}
    return Engine(database_url=url, machines=machines, tasks=Recorder(file, pause))


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def _run_and_kill(url: str, file: Path, at_lines: int) -> None:
    """Start this file as a process and kill it once `at_lines` lines are written."""
    process = subprocess.Popen([sys.executable, "-W", "ignore", __file__, url, str(file)])
    deadline = time.monotonic() + WAIT
    while len(_lines(file)) < at_lines:
        assert process.poll() is None, "the process ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_killed_again_and_again_it_finishes_and_no_completed_call_is_repeated(
    asl_database: str, tmp_path: Path
) -> None:
    file = tmp_path / "calls"
    for at_lines in (3, 9, 15, 20):
        _run_and_kill(asl_database, file, at_lines)
    engine = _engine(asl_database, file, 0.01)
    engine.launch()
    try:
        assert engine.wait("chain:one", WAIT).output == "done"
        (token,) = [line.split()[1] for line in _lines(file) if line.startswith("token")][-1:]
        assert engine.describe("review:one").status == "RUNNING"
        engine.send_task_success(token, "seen")
        assert engine.wait("review:one", WAIT).output == "seen"
        history = engine.history("chain:one")
    finally:
        engine.close()
    # Four kills: at most so many calls were cut off between begin and record, and only those were repeated.
    ended = Counter(line for line in _lines(file) if line.startswith("end"))
    assert set(ended) == {
        *(f"end work-{n}" for n in range(STEPS)),
        *(f"end item-{n}" for n in (100, 101, 102)),
        "end ask-0",
    }
    assert sum(ended.values()) - len(ended) <= 4
    # A job that was cut off is started again under the same key, to find itself.
    assert {line for line in _lines(file) if line.startswith("job")} == {"job chain:one:7"}
    succeeded = Counter(event.state for event in history if event.type == "TaskSucceeded")
    assert succeeded == {**{f"S{n}": 1 for n in range(STEPS)}, "Item": 3, "Render": 1}
    assert [event.id for event in history] == list(range(1, len(history) + 1))
    assert len([event for event in history if event.type == "ExecutionSucceeded"]) == 1


def _main(url: str, file: str) -> None:
    engine = _engine(url, Path(file), 0.05)
    engine.launch()
    engine.start_execution("chain", {}, "one")
    engine.start_execution("review", {}, "one")
    engine.wait("review:one")


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2])
