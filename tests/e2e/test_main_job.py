"""The main job, as a user runs it, on a small picture."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import feedparser
import pytest

SMALL = ("--resolution", "360p", "--duration", "20", "--fps", "24", "--quality", "draft")

pytestmark = pytest.mark.xdist_group("e2e")


def test_one_command_carries_a_trend_to_a_published_video(chimera: Any) -> None:
    answer = chimera("run", "--source", chimera.source(), *SMALL, "--auto-approve", "--json")
    assert answer.code == 0, answer.err
    run = answer.json
    assert run["status"] == "published"
    assert run["trend"]["title"].startswith("A tidal power station")
    assert Path(run["video"]["path"]).stat().st_size == run["video"]["size_bytes"]
    assert (run["video"]["width"], run["video"]["height"], run["video"]["fps"]) == (360, 640, 24)
    assert 14 <= run["video"]["duration_seconds"] <= 60
    for path in (run["captions"]["srt"], run["captions"]["vtt"], run["thumbnail"]):
        assert Path(path).stat().st_size > 0
    assert 100 <= len(run["script"].split()) <= 500
    assert run["ledger"]["verified"] and run["ledger"]["entries"] >= 2
    assert [a["decision"] for a in run["approvals"]] == ["approved"]
    assert run["approvals"][0]["state"] == "SETTLED"
    assert 0 < float(run["cost"]["actual"]) <= float(run["approvals"][0]["amount"])
    assert run["judge"]["verdict"] in {"pass", "review"}
    assert [p["status"] for p in run["publications"]] == ["published"]
    names = [s["name"] for s in run["stages"]]
    for stage in ("scan", "plan", "brief", "approval", "voice", "pictures", "render", "judge", "publish"):
        assert stage in names
    # which facts are told depends on the seed; that the title is, does not
    assert "tidal power station in orkney" in run["script"].lower()
    assert run["sources"] == ["https://example.org/tidal"]

    feed = feedparser.parse((chimera.home / "channel/feed.xml").read_bytes())
    assert not feed.bozo and len(feed.entries) == 1
    assert feed.entries[0].enclosures[0].type == "video/mp4"

    again = chimera("resume", "--json")
    assert again.code == 0, again.err
    assert again.json["run_id"] == run["run_id"] and again.json["publications"] == run["publications"]
    verified = chimera("ledger", "verify", "--json").json
    assert verified["verified"] is True and verified["entries"] == run["ledger"]["entries"]


def test_a_budget_of_a_cent_approves_nothing(chimera: Any) -> None:
    chimera.env["DAILY_BUDGET_LIMIT"] = "0.01"
    answer = chimera("run", "--source", chimera.source(), *SMALL, "--auto-approve", "--json")
    assert answer.code == 4, answer.err
    run = answer.json
    assert run["status"] == "rejected" and run["error"]["code"] == "BUDGET_EXCEEDED"
    assert run["video"] is None and run["publications"] == []
    assert run["approvals"][0]["decision"] == "rejected"
    assert run["ledger"]["verified"]


def test_stopping_at_the_approval_gives_the_money_back(chimera: Any) -> None:
    brief = chimera("run", "--source", chimera.source(), *SMALL, "--stop-at", "brief", "--json")
    assert brief.code == 0 and brief.json["status"] == "stopped" and brief.json["approvals"] == []
    other = dict(json.loads(Path(chimera.source()[5:]).read_text())[0], topic="Fermentation", title="Bakers share rye")
    stopped = chimera(
        "run", "--source", chimera.source(other, name="b.json"), *SMALL, "--stop-at", "approval", "--json"
    )
    assert stopped.code == 0, stopped.err
    assert stopped.json["approvals"][0]["state"] == "RELEASED"
    budgets = chimera("budget", "--json").json["budgets"]
    assert all(float(b["reserved"]) == 0 for b in budgets)


def test_bad_input_is_one_clear_error(chimera: Any, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("colour,shape\nred,round\n", encoding="utf-8")
    answer = chimera("run", "--source", f"file:{wrong}", *SMALL, "--json")
    assert answer.code != 0
    assert "colour" in answer.out + answer.err and "title" in answer.out + answer.err
    missing = chimera("run", "--source", "file:/no/such/file.json", "--json")
    assert missing.code == 2 and missing.json["error"]["code"] == "VALIDATION_FAILED"
    for arguments in (("--duration", "0"), ("--duration", "100000"), ("--aspect", "4:3")):
        assert chimera("run", *arguments).code == 2
    assert chimera("nonsense").code == 2


@pytest.mark.slow
def test_a_run_that_shares_an_engine_goes_on_when_that_one_ends(chimera: Any) -> None:
    first = chimera.popen("run", *chimera.words(), "--auto-approve", "--json")
    deadline = time.monotonic() + 60
    while not (chimera.home / "engine.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    second = chimera.popen("run", *chimera.words("Rye"), "--auto-approve", "--json")
    out, err = first.communicate(timeout=200)
    assert first.returncode == 0, err
    out, err = second.communicate(timeout=200)
    answer = chimera.answer(second.returncode, out, err)
    assert answer.code == 0, err
    assert answer.json["status"] == "published" and answer.json["trend"]["title"] == "Rye"
    feed = feedparser.parse((chimera.home / "channel/feed.xml").read_bytes())
    assert len(feed.entries) == 2


def test_the_switch_stops_spending_and_is_written_down(chimera: Any) -> None:
    assert chimera("control", "--json").json["state"] == "RUN"
    stopped = chimera("control", "stop", "--reason", "night", "--by", "Ada", "--json").json
    assert (stopped["state"], stopped["changed_by"]) == ("STOP", "Ada")
    answer = chimera("run", "--source", chimera.source(), *SMALL, "--auto-approve", "--json")
    assert answer.code == 3, answer.err
    assert answer.json["error"]["code"] == "SYSTEM_STOPPED" and answer.json["video"] is None
    assert chimera("control", "run", "--json").json["epoch"] == stopped["epoch"] + 1
    again = chimera("run", "--source", chimera.source(), *SMALL, "--stop-at", "approval", "--json")
    assert again.code == 0, again.err
