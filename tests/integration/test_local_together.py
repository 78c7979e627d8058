"""Database, engine, functions, jobs and the endpoint together: one machine, killed in the middle, resumed."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

HANDLER = """
from pathlib import Path

class NotYet(Exception):
    pass

def handler(event, context):
    count = Path(event["folder"]) / "count"
    seen = len(count.read_text()) if count.exists() else 0
    count.write_text("x" * (seen + 1))
    if seen == 0:
        raise NotYet("once more")
    return {"seen": seen}
"""
JOB = """
import sys, time
from pathlib import Path
Path("starts").open("a").write("x")
Path(sys.argv[1]).touch()
while not Path(sys.argv[2]).exists(): time.sleep(0.01)
"""
MACHINE = {
    "QueryLanguage": "JSONata",
    "StartAt": "ask",
    "States": {
        "ask": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": "ask", "Payload": "{% $states.input %}"},
            "Retry": [{"ErrorEquals": ["NotYet"], "IntervalSeconds": 1, "MaxAttempts": 2}],
            "Assign": {"seen": "{% $states.result.Payload.seen %}"},
            "Output": "{% $states.input %}",
            "Next": "render",
        },
        "render": {
            "Type": "Task",
            "Resource": "arn:aws:states:::batch:submitJob.sync",
            "Arguments": {
                "JobName": "render",
                "JobDefinition": "job",
                "JobQueue": "local",
                "ContainerOverrides": {"Command": ["{% $states.input.began %}", "{% $states.input.go %}"]},
            },
            "Output": "{% {'seen': $seen, 'status': $states.result.Status} %}",
            "End": True,
        },
    },
}
PROCESS = """
    import json, sys
    from pathlib import Path
    from chimera.adapters.local.workflows import HttpWorkflows
    from chimera.settings import Settings
    from chimera_local.asl.definition import load_machine
    from chimera_local.asl.engine import Engine
    from chimera_local.control import ControlServer
    from chimera_local.functions import LambdaPool
    from chimera_local.jobs import JobDefinition, JobRunner
    from chimera_local.postgres import EmbeddedPostgres
    from chimera_local.tasks import LocalTasks

    folder, event, machine = Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
    settings = Settings(home=folder / "home")
    postgres = EmbeddedPostgres(settings.home_path)
    postgres.start()
    pool = LambdaPool(settings, prefix="togetherfunctions", python_path=[folder])
    jobs = JobRunner(settings, folder, definitions={"job": JobDefinition(program=Path("job.py"))})
    engine = Engine(database_url=postgres.engine_url, machines={"m": load_machine("m", machine, {})},
                    tasks=LocalTasks(pool, jobs))
    control = ControlServer("a secret of some length", engine)
    engine.launch()
    workflows = HttpWorkflows(control.endpoint, "a secret of some length")
    execution = workflows.start("m", "run", event)
    engine.wait(execution, 120)
    found = workflows.describe(execution)
    types = [e["type"] for e in workflows.history(execution)]
    engine.close(); jobs.close(); pool.close(); control.close(); postgres.stop()
    print(json.dumps({"found": found, "types": types}))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="chimera-test-") as name:
        made = Path(name)
        (made / "togetherfunctions" / "ask").mkdir(parents=True)
        (made / "togetherfunctions" / "ask" / "handler.py").write_text(HANDLER)
        (made / "job.py").write_text(JOB)
        yield made


def start(folder: Path) -> subprocess.Popen[str]:
    event = {"folder": str(folder), "began": str(folder / "began"), "go": str(folder / "go")}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROCESS), str(folder), json.dumps(event), json.dumps(MACHINE)],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_machine_killed_in_its_job_goes_on_where_it_was(folder: Path) -> None:
    first = start(folder)
    deadline = time.monotonic() + 90
    while not (folder / "began").exists():
        assert time.monotonic() < deadline
        assert first.poll() is None
        time.sleep(0.02)
    first.kill()
    first.communicate()
    (folder / "go").touch()
    second = start(folder)
    said, _ = second.communicate(timeout=120)
    assert second.returncode == 0
    answer = json.loads(said)
    assert answer["found"]["status"] == "SUCCEEDED"
    assert answer["found"]["output"] == {"seen": 1, "status": "SUCCEEDED"}
    assert (folder / "count").read_text() == "xx", "the function was tried twice, and not again after the kill"
    [starts] = (folder / "home" / "work").glob("*/starts")
    assert starts.read_text() == "xx", "the job was resumed in its own work folder"
    assert answer["types"].count("TaskFailed") == 1
