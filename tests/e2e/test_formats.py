"""A carousel as a user asks for one: from a trend to cards on the channel's page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import feedparser
import pytest

from chimera.media.provenance import read

pytestmark = pytest.mark.xdist_group("e2e")


@pytest.mark.slow
def test_one_command_makes_and_publishes_a_carousel(chimera: Any) -> None:
    answer = chimera(
        "run", "--format", "carousel", "--aspect", "1:1", "--resolution", "360p", "--source", chimera.source(),
        "--auto-approve", "--json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    run = answer.json
    assert (run["status"], run["format"], run["video"], run["captions"]) == ("published", "carousel", None, None)
    assert 2 <= len(run["images"]) <= 10
    for image in run["images"]:
        path = Path(image["path"])
        assert (path.stat().st_size, image["width"], image["height"]) == (image["size_bytes"], 360, 360)
        assert read(path).state == "intact" and image["alt"].startswith("Card ")
    assert run["judge"]["quality_score"] >= 0.8 and run["provenance"]["manifest"]
    assert [step["step"] for step in run["cost"]["steps"] if float(step["actual"] or 0) > 0].count("voice") == 0
    assert 0 < float(run["cost"]["actual"]) <= float(run["approvals"][0]["amount"]) < 0.1
    (publication,) = run["publications"]
    assert publication["status"] == "published"
    post = chimera.home / "channel/posts" / publication["post_id"]
    assert json.loads((post / "post.json").read_bytes())["format"] == "carousel"
    assert (post / "card-01.jpg").read_bytes() == Path(run["images"][0]["path"]).read_bytes()
    (entry,) = feedparser.parse((chimera.home / "channel/feed.xml").read_bytes()).entries
    assert entry.enclosures[0].type == "image/jpeg"

    shown = chimera("resume")
    assert shown.code == 0 and f"({len(run['images'])} of 360x360" in shown.out
