"""A batch, as a user runs it: nothing before everything is checked, nothing twice, one object a line."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("e2e")

LINES = [
    {"title": "Hearts", "script": "The octopus has three hearts. Two of them pump blood to the gills."},
    {"title": "Tides", "text": "A tidal turbine near Orkney has run for one thousand days. The tide follows the moon."},
    {"script": "Bees can count to four.", "aspect": "1:1"},
]


def write(path: Path, lines: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return str(path)


def results(out: str) -> dict[int, dict[str, Any]]:
    found = [json.loads(line) for line in out.splitlines()]
    return {one["line"]: one for one in found}


def test_each_line_is_made_once_however_often_the_command_is_given(chimera: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "batch.jsonl", LINES)
    with chimera.popen("batch", file, "--stop-at", "brief") as first:
        told = first.stdout.readline()  # one line is finished: killed now, the others are at work or not begun
        os.killpg(first.pid, signal.SIGKILL)
    answer = chimera("batch", file, "--stop-at", "brief")
    assert answer.code == 0, answer.err
    found = results(answer.out)
    assert sorted(found) == [1, 2, 3] and {one["status"] for one in found.values()} == {"stopped"}
    before = json.loads(told)
    assert found[before["line"]]["made_before"] and found[before["line"]]["run_id"] == before["run_id"]
    assert found[1]["script"] == LINES[0]["script"], "a script is spoken to the letter"
    assert "one thousand days" in found[2]["script"]

    added = write(tmp_path / "batch.jsonl", [LINES[1], {"title": "New", "script": "Wombats."}, LINES[0]])
    more = results(chimera("batch", added, "--stop-at", "brief").out)
    assert [more[n].get("made_before", False) for n in (1, 2, 3)] == [True, False, True]
    assert more[1]["run_id"] == found[2]["run_id"], "a line is known by what it says, not by where it stands"


def test_one_bad_line_and_nothing_is_started(chimera: Any, tmp_path: Path) -> None:
    lines = [LINES[0], {"title": "x", "duration_seconds": 5}, {"colour": "red"}]
    answer = chimera("batch", write(tmp_path / "b.jsonl", lines), "--json")
    assert answer.code == 2 and "line 2: duration_seconds: got '5'" in answer.err and "line 3: colour" in answer.err
    assert not (chimera.home / "postgres").exists(), "nothing was even brought up"


def test_a_line_over_the_budget_is_refused_and_the_exit_code_says_so(chimera: Any, tmp_path: Path) -> None:
    chimera.env["DAILY_BUDGET_LIMIT"] = "0.01"
    command = ("batch", write(tmp_path / "b.jsonl", [LINES[0]]), "--stop-at", "approval")
    answer = chimera(*command)
    assert answer.code == 4, answer.err
    refused = results(answer.out)[1]
    assert refused["error"]["code"] == "BUDGET_EXCEEDED"
    del chimera.env["DAILY_BUDGET_LIMIT"]
    assert chimera("budget", "set", "--period", "daily", "--limit", "100").code == 0
    again = chimera(*command)
    assert again.code == 4 and results(again.out)[1]["made_before"], "what failed is told, not begun again by itself"
    retried = chimera(*command, "--retry-failed")
    assert retried.code == 0, retried.err
    assert results(retried.out)[1]["status"] == "stopped" and results(retried.out)[1]["run_id"] != refused["run_id"]
