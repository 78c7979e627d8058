"""Runs the real `chimera` command in a home of its own, as a user would."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

TREND = {
    "topic": "Tidal power",
    "title": "A tidal power station in Orkney has delivered electricity for one thousand days",
    "description": (
        "The floating tidal turbine near Orkney has now delivered electricity to the grid for one thousand days. "
        "Engineers moored the machine in a strait where the tide runs at up to four metres per second. "
        "Two rotors of twenty metres turn under a steel hull, and the hull can be raised to the surface for repair. "
        "Because the tide follows the moon, its output can be predicted years ahead, unlike wind or sunshine. "
        "The station supplies roughly two thousand homes and stores surplus energy as hydrogen on land. "
        "Researchers found that seals keep their distance from the rotors and that fish pass around the hull. "
        "The operator plans six further turbines in the same strait, and the grid link has been widened for them. "
        "Critics note that each machine still costs more than a wind turbine of the same output."
    ),
    "platforms": ["hackernews"],
    "volume": 5200,
    "sentiment_score": 0.4,
    "rising_velocity": 4.2,
    "url": "https://example.org/tidal",
    "tags": ["energy"],
    "timestamp": "2026-11-20T09:00:00Z",
}


WORDS = """The tide follows the moon.

A turbine near Orkney turns with it, day and night.

Nobody has to wait for wind."""


@dataclass
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The last JSON object on stdout."""
        return json.loads(self.out.strip().splitlines()[-1])


@dataclass
class Chimera:
    """The command line in one home."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """Ours, with this home."""
        own = {k: v for k, v in os.environ.items() if not k.startswith("CHIMERA_")}
        # a short wait for sources: these tests run without a network
        return {**own, "CHIMERA_HOME": str(self.home), "NO_COLOR": "1", "CHIMERA_HTTP_TIMEOUT_SECONDS": "2", **self.env}

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        """The command, running, in a session of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "chimera_local.cli", *arguments],
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=self.home.parent,
        )

    def __call__(self, *arguments: str, timeout: float = 280) -> Answer:
        process = self.popen(*arguments)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.kill_everything()
            raise
        return Answer(process.returncode, out, err)

    @staticmethod
    def answer(code: int, out: str, err: str) -> Answer:
        """What a process that `popen` started has answered."""
        return Answer(code, out, err)

    @staticmethod
    def read_json(path: Path) -> Any:
        """A JSON file."""
        return json.loads(path.read_text(encoding="utf-8"))

    def source(self, *trends: dict[str, Any], name: str = "trends.json") -> str:
        """A file of trends as `--source` takes it."""
        path = self.home.parent / name
        path.write_text(json.dumps(list(trends or [TREND])), encoding="utf-8")
        return f"file:{path}"

    def words(self, title: str = "Tides") -> tuple[str, ...]:
        """Options of a run of a few seconds: its own script, which names no source, so that a person must look."""
        path = self.home.parent / f"{title}.txt"
        path.write_text(WORDS, encoding="utf-8")
        return ("--script", str(path), "--title", title, "--resolution", "360p", "--fps", "24", "--quality", "draft")

    def processes(self) -> list[psutil.Process]:
        """Every process that belongs to this home, by its environment or arguments; the database included."""
        found = []
        for process in psutil.process_iter():
            try:
                words = " ".join(process.cmdline())
                mine = str(self.home) in words or process.environ().get("CHIMERA_HOME") == str(self.home)
            except (psutil.Error, OSError):
                continue
            if mine and process.pid != os.getpid():
                found.append(process)
        return found

    def kill_everything(self) -> int:
        """kill -9 of every process of this home, the database included; gives how many there were."""
        count = 0
        for _ in range(20):
            found = self.processes()
            if not found:
                break
            for process in found:
                try:
                    process.send_signal(signal.SIGKILL)
                    count += 1
                except psutil.Error:
                    pass
            time.sleep(0.05)
        return count


@pytest.fixture
def chimera() -> Iterator[Chimera]:
    """A home on a short path (sockets), removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="ch-", dir="/tmp"))
    folder.chmod(0o755)
    it = Chimera(folder / "home")
    yield it
    it.kill_everything()
    shutil.rmtree(folder, ignore_errors=True)
