"""A stop in the middle of a production: what runs ends, nothing more is drawn, and what was used is settled."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("e2e")


@pytest.mark.slow
def test_a_stop_in_the_middle_refuses_the_next_step_its_money(chimera: Any) -> None:
    process = chimera.popen("run", *chimera.words(), "--auto-approve", "--json")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list((chimera.home / "work").glob("*/segments/*.mp4")):
        time.sleep(0.02)  # until the render has its first scene
    stopped = chimera("control", "stop", "--reason", "in the middle", "--by", "Ada", "--json").json
    assert stopped["state"] == "STOP"
    out, err = process.communicate(timeout=200)
    answer = chimera.answer(process.returncode, out, err)
    assert answer.code == 3, answer.err + answer.out
    run = answer.json
    assert run["status"] == "failed" and run["error"]["code"] == "SYSTEM_STOPPED"
    assert run["publications"] == []
    (approval,) = run["approvals"]
    assert approval["state"] == "SETTLED" and 0 < float(run["cost"]["actual"]) < float(approval["amount"])
    assert run["ledger"]["verified"]
    assert all(float(line["reserved"]) == 0 for line in chimera("budget", "--json").json["budgets"])
    made = {path.name for path in chimera.home.glob("media/tenants/*/content/*/reports/*.json")}
    assert "render.json" in made and "technical.json" not in made, "the inspection ran without its money"
    costs = {path.stem for path in chimera.home.glob("media/tenants/*/content/*/costs/*.json")}
    assert costs == {"brief", "voice", "pictures", "render"}
