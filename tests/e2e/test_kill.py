"""kill -9 of everything (engine, functions, jobs, database) at some moment, then `resume`: one post, one settled approval."""

from __future__ import annotations

import random
import time
from typing import Any

import feedparser
import pytest

pytestmark = pytest.mark.xdist_group("e2e")


def killed_and_resumed(chimera: Any, seconds: list[float], title: str = "Tides") -> dict[str, Any]:
    """Start a run, kill it after each of these times in turn, resume to the end; gives the final report."""
    process = chimera.popen("run", *chimera.words(title), "--auto-approve", "--json")
    for wait in seconds:
        time.sleep(wait)
        chimera.kill_everything()
        process.communicate()
        process = chimera.popen("resume", "--json")
    out, err = process.communicate(timeout=280)
    answer = chimera.answer(process.returncode, out, err)
    if answer.code == 2 or answer.json["trend"]["title"] != title:  # killed before this run was entered
        answer = chimera("run", *chimera.words(title), "--auto-approve", "--json")
    assert answer.code == 0, answer.err + answer.out
    run: dict[str, Any] = answer.json
    return run


def check_whole(chimera: Any, run: dict[str, Any], posts: int = 1) -> None:
    """One post for each run, every approval settled once, the ledger verified, the feed valid."""
    assert run["status"] == "published"
    assert [p["status"] for p in run["publications"]] == ["published"]
    assert [a["state"] for a in run["approvals"]] == ["SETTLED"]
    assert run["ledger"]["verified"]
    feed = feedparser.parse((chimera.home / "channel/feed.xml").read_bytes())
    assert not feed.bozo and len(feed.entries) == posts
    assert len(list((chimera.home / "channel/posts").iterdir())) == posts
    entries = chimera("ledger", "ls", "--limit", "500", "--json").json["entries"]
    settled = [e["request_id"] for e in entries if e["entry_type"] == "SETTLE"]
    assert len(settled) == len(set(settled)) == posts
    budgets = chimera("budget", "--json").json["budgets"]
    assert all(float(b["reserved"]) == 0 for b in budgets)


@pytest.mark.slow
def test_three_kills_at_any_moment_change_nothing(chimera: Any) -> None:
    chance = random.Random(20261121)
    run = killed_and_resumed(chimera, [chance.uniform(2, 9) for _ in range(3)])
    check_whole(chimera, run)


def test_a_killed_render_goes_on_with_the_scenes_it_had(chimera: Any) -> None:
    process = chimera.popen("run", *chimera.words(), "--auto-approve", "--json")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:  # until the first scene is there
        if list((chimera.home / "work").glob("*/segments/*.mp4")):
            break
        time.sleep(0.02)
    chimera.kill_everything()
    process.communicate()
    answer = chimera("resume", "--json")
    assert answer.code == 0, answer.err
    check_whole(chimera, answer.json)
    report = next(chimera.home.glob("media/tenants/*/content/*/reports/render.json"))
    assert chimera.read_json(report)["segments_reused"] >= 1
