"""A person decides: the run waits for days if need be, and the decision is about this very version."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("e2e")


def test_a_review_waits_survives_a_restart_and_binds_to_the_hash(chimera: Any) -> None:
    waiting = chimera("run", *chimera.words(), "--json")
    assert waiting.code == 3, waiting.err
    assert waiting.json["status"] == "waiting_review" and waiting.json["publications"] == []
    assert waiting.json["judge"]["verdict"] == "review"
    chimera.kill_everything()

    reviews = chimera("review", "ls", "--json").json["reviews"]
    assert len(reviews) == 1
    shown = chimera("review", "show", reviews[0]["review_id"], "--json").json
    assert shown["content"]["script"] and shown["content"]["checks"]

    other = chimera("review", "approve", reviews[0]["review_id"], "--hash", "0" * 64, "--json")
    assert other.code == 2 and other.json["error"]["code"] == "CONFLICT"
    approved = chimera("review", "approve", reviews[0]["review_id"], "--note", "fine", "--by", "Ada", "--json")
    assert approved.code == 0 and approved.json["status"] == "approved" and approved.json["decided_by"] == "Ada"
    assert chimera("review", "reject", reviews[0]["review_id"], "--json").json["error"]["code"] == "CONFLICT"

    resumed = chimera("resume", "--json")
    assert resumed.code == 0, resumed.err
    assert resumed.json["status"] == "published"


@pytest.mark.slow
def test_a_rejected_version_is_not_published(chimera: Any) -> None:
    waiting = chimera("run", *chimera.words(), "--json")
    assert waiting.code == 3, waiting.err
    review = chimera("review", "ls", "--json").json["reviews"][0]
    assert chimera("review", "reject", review["review_id"], "--note", "no").code == 0
    resumed = chimera("resume", "--json")
    assert resumed.code == 5 and resumed.json["status"] == "rejected", resumed.err
    assert resumed.json["publications"] == []
    assert not list((chimera.home / "channel").glob("posts/*"))


def call(url: str, token: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """One JSON request; status and answer."""
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_up_runs_reviews_and_publishes_over_the_api(chimera: Any) -> None:
    up = chimera.popen("up", "--port", "0", "--json")
    try:
        base = json.loads(up.stdout.readline())["url"]
        operator = chimera("token", "--role", "operator", "--json").json["access_token"]
        viewer = chimera("token", "--role", "viewer", "--json").json["access_token"]
        assert call(f"{base}/health", "none")[1]["status"] == "healthy"
        assert call(f"{base}/v1/runs", "forged.token.here")[0] == 401
        body = {
            "sources": ["sample"],
            "duration_seconds": 15,
            "resolution": "360p",
            "fps": 24,
            "quality_preset": "draft",
        }
        assert call(f"{base}/v1/runs", viewer, body)[0] == 403
        assert call(f"{base}/v1/runs", operator, {**body, "sources": ["file:/etc/passwd"]})[0] == 403
        key = {"Idempotency-Key": "e2e-1"}
        status, started = call(f"{base}/v1/runs", operator, body, **key)
        assert status in (200, 201, 202)
        assert call(f"{base}/v1/runs", operator, body, **key)[1]["run_id"] == started["run_id"]
        assert call(f"{base}/v1/runs", operator, {**body, "duration_seconds": 30}, **key)[0] == 409
        # a command of the same home talks to the running engine
        answer = chimera("resume", started["run_id"], "--json")
        run = answer.json
        if run["status"] == "waiting_review":
            reviews = call(f"{base}/v1/reviews", operator)[1]["items"]
            decided = call(
                f"{base}/v1/reviews/{reviews[0]['review_id']}/approve",
                operator,
                {"content_hash": reviews[0]["subject_hash"], "note": "seen"},
            )
            assert decided[0] == 200, decided
            deadline = time.monotonic() + 60
            while run["status"] != "published" and time.monotonic() < deadline:
                time.sleep(0.5)
                run = call(f"{base}/v1/runs/{started['run_id']}", viewer)[1]
        assert run["status"] == "published", answer.err
        post = run["publications"][0]
        assert post["url"].startswith(base)
        with urllib.request.urlopen(f"{base}/channel/feed.xml", timeout=10) as response:
            assert post["post_id"] in response.read().decode()
        assert call(f"{base}/v1/ledger/verify", viewer)[1]["verified"] is True
    finally:
        up.send_signal(signal.SIGINT)
        _, err = up.communicate(timeout=60)
    assert up.returncode == 0, err
    assert not [p for p in chimera.processes() if "postgres" not in " ".join(p.cmdline())]


@pytest.mark.slow
def test_an_escalated_spend_waits_for_a_person(chimera: Any) -> None:
    chimera.env["CHIMERA_RISK_THRESHOLD"] = "0.0"
    waiting = chimera("run", *chimera.words(), "--auto-approve", "--json")
    assert waiting.code == 3, waiting.err
    assert waiting.json["status"] == "waiting_approval" and waiting.json["video"] is None
    assert waiting.json["approvals"][0]["decision"] == "escalated"
    review = chimera("review", "ls", "--json").json["reviews"][0]
    assert review["kind"] == "spend"
    assert chimera("review", "approve", review["review_id"]).code == 0
    done = chimera("resume", "--json")
    assert done.code == 0, done.err
    assert done.json["status"] == "published"
    assert [a["decision"] for a in done.json["approvals"]] == ["escalated", "approved"]
    assert done.json["ledger"]["verified"]


@pytest.mark.slow
def test_a_video_that_was_changed_after_its_approval_is_not_published(chimera: Any) -> None:
    waiting = chimera("run", *chimera.words(), "--json")
    assert waiting.code == 3, waiting.err
    review = chimera("review", "ls", "--json").json["reviews"][0]
    assert chimera("review", "approve", review["review_id"]).code == 0
    video = Path(waiting.json["video"]["path"])
    data = video.read_bytes()
    video.unlink()  # the store may share the file's blocks with the job's folder
    video.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    resumed = chimera("resume", "--json")
    assert resumed.code != 0 and resumed.json["status"] == "failed"
    assert [p["status"] for p in resumed.json["publications"]] == ["failed"]
    assert not list((chimera.home / "channel").glob("posts/*"))
