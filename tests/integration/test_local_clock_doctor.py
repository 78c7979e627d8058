"""The clock outlives its callables' errors; the doctor tells what is there; the log holds no content."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chimera.settings import Settings
from chimera.telemetry import bind, logger
from chimera_local.clock import LocalClock
from chimera_local.doctor import Finding, report


def test_a_callable_that_fails_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []
    thrice, failed = threading.Event(), threading.Event()

    def good() -> None:
        calls.append("good")
        if len(calls) >= 3:
            thrice.set()

    def bad() -> None:
        failed.set()
        raise ValueError("broken today")

    with LocalClock() as clock:
        clock.every("bad", bad, seconds=0.01)
        clock.every("good", good, seconds=0.01)
        assert thrice.wait(20)
        assert failed.wait(20)
        assert clock.failing().keys() == {"bad"}
    assert "broken today" in caplog.text
    seen = len(calls)
    with pytest.raises(ValueError, match="seconds"):
        clock.every("never", good, seconds=0)
    assert len(calls) == seen, "a closed clock calls nothing"


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_the_doctor_names_what_is_there_and_what_is_not(
    tmp_path: Path, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-shown")
    for name in ("ELEVENLABS_API_KEY", "PEXELS_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    closed = "http://127.0.0.1:9"
    settings = Settings(home=tmp_path / "new", hackernews_url=silent, wikimedia_url=closed, google_trends_url=closed)
    found: dict[str, Finding] = {finding.name: finding for finding in report(settings)}
    for name in (
        "python",
        "ffmpeg",
        "voice",
        "fonts",
        "voices",
        "libraries",
        "templates",
        "home",
        "database",
        "engine",
    ):
        assert found[name].status == "ok", found[name]
    for name in ("Hacker News", "Wikipedia pageviews", "Google Trends"):
        assert found[name].status == "warning"
        assert "the bundled sample will be used" in found[name].detail
    assert found["ELEVENLABS_API_KEY"].status == "missing"
    assert "voices: elevenlabs" in found["ELEVENLABS_API_KEY"].gives
    assert "stock photos" in found["PEXELS_API_KEY"].gives and "libraries: pexels" in found["PEXELS_API_KEY"].gives
    assert found["libraries"].detail.startswith("commons, openverse; with a key: pexels (PEXELS_API_KEY)")
    assert found["voices"].detail.startswith("espeak-ng, openai, recording; with a key: elevenlabs")
    assert "explainer" in found["templates"].detail
    assert "sk-not-shown" not in str(found)
    assert not (tmp_path / "new").exists(), "looking changes nothing"


def test_only_known_fields_are_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    log = bind(logger("test-telemetry"), run_id="r1", tenant="t1")
    log.info("scanned", extra={"body": "the whole page", "status": "ok"})
    log.info("x" * 2000, extra={"provider": {"prompt": "secret"}})
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (first["service"], first["run_id"], first["tenant"], first["status"]) == (
        "test-telemetry",
        "r1",
        "t1",
        "ok",
    )
    assert "body" not in first
    assert len(second["message"]) == 500
    assert "secret" not in str(second)
    with pytest.raises(ValueError, match="script"):
        bind(log, script="text")
