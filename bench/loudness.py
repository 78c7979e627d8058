"""Loudness and peaks of ten outputs: ten productions of different templates, moods and lengths, measured on their files.

Asked: -14 LUFS integrated, give or take 0.5, and true peaks of at most -1 dBTP.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from chimera.media.audio import measure_file

TEMPLATES = ("explainer", "listicle", "quote", "data-story", "how-to", "debate", "photo-essay", "montage")
MOODS = ("calm", "curious", "upbeat", "tense", "warm", "newsroom", "off")
SENTENCES = (
    "A lighthouse keeper counted ships for forty years.",
    "In 1980 there were 31 ships a day, and in 2020 there were 78 ships.",
    "Most of them carried grain, timber and coal along the coast.",
    "The old log is kept in the town hall, where anyone may read it.",
    "Nobody had asked him to do it.",
    "The light is electric now, and the house stands empty in winter.",
)


def main() -> int:
    """Make ten, print one JSON object."""
    with tempfile.TemporaryDirectory(prefix="ch-loud-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        lines = [
            {
                "title": f"Ships, {number}",
                "script": "\n\n".join(SENTENCES[: 2 + number % 5]),
                "template": TEMPLATES[number % len(TEMPLATES)],
                "music": MOODS[number % len(MOODS)],
                "seed": number + 1,
            }
            for number in range(10)
        ]
        batch = folder / "ten.jsonl"
        batch.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        command = [
            sys.executable,
            "-m",
            "chimera_local.cli",
            "batch",
            str(batch),
            "--resolution",
            "360p",
            "--stop-at",
            "render",
        ]
        environment = {**os.environ, "CHIMERA_HOME": str(folder / "home")}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False)
        results = [json.loads(line) for line in done.stdout.splitlines()]
        rows = []
        for one in sorted(results, key=lambda r: int(r["line"])):
            if not one["video"]:
                print(json.dumps({"bench": "loudness", "error": one["error"]}))
                return 1
            found = measure_file(Path(one["video"]["path"]))
            rows.append(
                {
                    "template": one["given"]["template"], "music": one["given"]["music"],
                    "seconds": one["video"]["duration_seconds"], "lufs": found.integrated, "true_peak": found.true_peak,
                }
            )  # fmt: skip
    levels = [row["lufs"] for row in rows]
    print(
        json.dumps(
            {
                "bench": "loudness", "outputs": len(rows), "median_lufs": median(levels), "lowest": min(levels),
                "highest": max(levels), "highest_true_peak": max(row["true_peak"] for row in rows), "rows": rows,
            }
        )
    )  # fmt: skip
    return 0 if all(abs(level + 14) <= 0.5 for level in levels) else 1


if __name__ == "__main__":
    sys.exit(main())
