"""The main job from outside: a cold and a warm `chimera run` of 45 s at 1080x1920, wall time, CPU and peak memory."""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil


class Peak(threading.Thread):
    """Samples the resident memory of a process and all below it, ten times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.root = psutil.Process(pid)
        self.megabytes = 0.0
        self.ended = threading.Event()

    def run(self) -> None:
        """Until told to end."""
        while not self.ended.wait(0.1):
            try:
                family = [self.root, *self.root.children(recursive=True)]
            except psutil.Error:
                return
            total = 0
            for process in family:
                try:
                    total += process.memory_info().rss
                except psutil.Error:
                    continue
            self.megabytes = max(self.megabytes, total / 1e6)


def once(home: Path, extra: list[str]) -> dict[str, Any]:
    """One run in this home."""
    command = [sys.executable, "-m", "chimera_local.cli", "run", "--auto-approve", "--json", *extra]
    environment = {**os.environ, "CHIMERA_HOME": str(home)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    peak = Peak(process.pid)
    peak.start()
    out, _ = process.communicate()
    peak.ended.set()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = json.loads(out)
    return {
        "wall_seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "peak_megabytes": round(peak.megabytes),
        "video_seconds": run["video"]["duration_seconds"] if run["video"] else None,
        "status": run["status"],
        "estimated_usd": run["cost"]["estimated"],
        "actual_usd": run["cost"]["actual"],
        "stages": {s["name"]: s["seconds"] for s in run["stages"]},
    }


def main() -> int:
    """Print one JSON object with the cold run and the warm one of the middle wall time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", default="sample", help="the bundled sample, so that no network is needed")
    parser.add_argument("--repeat", type=int, default=5, help="warm runs; the one with the middle time is reported")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ch-bench-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        cold = once(folder / "home", ["--source", asked.source])
        warm = [once(folder / "home", ["--source", asked.source]) for _ in range(asked.repeat)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    walls = sorted(float(run["wall_seconds"]) for run in warm)
    middle = next(run for run in warm if run["wall_seconds"] == walls[len(walls) // 2])
    print(json.dumps({"bench": "main_job", "cores": os.cpu_count(), "cold": cold, "warm": middle, "warm_walls": walls}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
