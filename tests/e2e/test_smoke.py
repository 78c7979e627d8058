"""The smoke script, driven against `chimera up`: the same API as a deployment's. And what a person finds in the history."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chimera.adapters.local.workflows import HttpWorkflows

pytestmark = pytest.mark.xdist_group("e2e")
ROOT = Path(__file__).resolve().parents[2]
READABLE_BYTES = 16_000


def states_of(chimera: Any, run_id: str) -> list[tuple[str, str, str]]:
    """Of every state of the run's executions: its name, `input` or `output`, and the JSON text."""
    info = chimera.read_json(chimera.home / "engine.json")
    workflows = HttpWorkflows(info["control_endpoint"], info["control_secret"])
    found, seen, waiting = [], set(), [f"supervisor:{run_id}"]
    while waiting:
        execution = waiting.pop()
        if execution in seen:
            continue
        seen.add(execution)
        for event in workflows.history(execution):
            for side, key in (("input", "stateEnteredEventDetails"), ("output", "stateExitedEventDetails")):
                if details := event.get(key):
                    found.append((details["name"], side, details.get(side, "")))
            waiting += re.findall(r"execution:([\w-]+:[\w-]+)", json.dumps(event))
    return found


def smoke(address: str, token: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "token.txt"
    file.write_text(token)
    command = [sys.executable, str(ROOT / "tools/smoke.py"), address, "--token-file", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)


@pytest.mark.slow
def test_the_smoke_script_carries_a_run_through_and_finds_all_well(chimera: Any, tmp_path: Path) -> None:
    chimera.env["CHIMERA_RISK_THRESHOLD"] = "0.0"  # so that a person is asked on the way
    up = chimera.popen("up", "--port", "0", "--json")
    try:
        base = json.loads(up.stdout.readline())["url"]
        viewer = chimera("token", "--role", "viewer", "--json").json["access_token"]
        refused = smoke(base, viewer, tmp_path)
        assert refused.returncode == 1 and "got 403" in refused.stderr
        operator = chimera("token", "--role", "operator", "--json").json["access_token"]
        done = smoke(base, operator, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        said = done.stdout
        assert "approved review" in said and "ledger of" in said and "published: http" in said
        assert said.rstrip().endswith("smoke: all is well")

        found = states_of(chimera, re.findall(r"^run (\S+) begun$", said, re.MULTILINE)[0])
        largest = sorted(((len(text.encode()), name, side) for name, side, text in found), reverse=True)
        print("largest state inputs and outputs:", largest[:5])  # noqa: T201
        assert len(found) > 40 and largest[0][0] < READABLE_BYTES, largest[:5]
        shown = {
            name: json.loads(text) for name, side, text in found if side == "input" and name.startswith("request_")
        }
        assert set(shown) <= {"request_approval", "request_review"} and "request_approval" in shown
        for asked in shown.values():
            assert asked["review"] == f"{base}/v1/reviews/{asked['review_id']}" and asked["why"]
            assert asked["approve"] == f"POST {asked['review']}/approve"
        if "request_review" in shown:
            assert set(shown["request_review"]["links"]) == {"video", "vtt", "judge_report", "technical_report"}
    finally:
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=60)
