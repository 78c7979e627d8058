"""`chimera ingest`, as a user runs it: a talk becomes material and a brief, and what cannot be used is one clear line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chimera.adapters.voices.espeak import EspeakVoice
from tests.fakes.http_server import Reply, fake_server
from tests.fakes.own_media import film

pytestmark = pytest.mark.xdist_group("e2e")

SAID = "The government of the country said that the people must work for the future of the children."
"""The embedded transcriber hears these words well, whatever noise the synthesiser happens to breathe with."""


def test_a_talk_becomes_a_brief_from_the_disk_and_from_the_net(chimera: Any, tmp_path: Path) -> None:
    voice = tmp_path / "said.wav"
    EspeakVoice().synthesize(SAID, speed_wpm=140, out_wav=voice)
    talk = film(
        tmp_path / "My talk_1.mp4", "-f", "lavfi", "-i", "testsrc2=s=128x96:r=10", "-i", str(voice), "-shortest",
        "-c:v", "libx264", "-preset", "ultrafast",
    )  # fmt: skip
    with fake_server() as server:
        server.answer("/talk", Reply(talk.read_bytes(), content_type="video/mp4"))
        server.answer("/page", Reply("<!doctype html><video src=x>"))
        chimera.env["CHIMERA_ALLOW_PRIVATE_ADDRESSES"] = "1"
        fetched = chimera("ingest", f"{server.url}/talk.mp4", "--json", "--title", "From the net")
        page = chimera("ingest", f"{server.url}/page", "--json")
    assert fetched.code == 0, fetched.err
    assert (page.code, page.json["error"]["code"]) == (2, "VALIDATION_FAILED") and "a page" in page.err
    material = fetched.json
    assert material["title"] == "From the net" and material["transcript"]["rough"] is True
    assert (
        sum(word in material["transcript"]["text"].lower() for word in ("government", "people", "must", "future")) >= 3
    )

    made = chimera("ingest", str(talk), "--make", "--resolution", "360p", "--duration", "15", "--json")
    assert made.code == 0, made.err
    assert made.json["status"] == "stopped" and "the transcript is rough" in made.err
    assert made.json["stages"][-1]["name"] == "brief"
    uploads = chimera.home / "media/tenants"
    found = list(uploads.glob("*/uploads/*/material.json"))
    assert len(found) == 1, "the same file is the same upload, wherever it came from"
    assert json.loads(found[0].read_text("utf-8"))["upload_id"] == material["upload_id"]
    assert json.loads(found[0].read_text("utf-8"))["title"] == "My talk 1"
    assert not list(chimera.home.glob(".ingest-*"))


def test_wrong_wishes_are_refused_before_anything_starts(chimera: Any, tmp_path: Path) -> None:
    answer = chimera("ingest", str(tmp_path / "none.mp4"), "--script", "-", "--json")
    assert answer.code == 2 and "--script" in answer.err and not (chimera.home / "media").exists()
