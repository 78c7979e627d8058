"""Writes the lock files: every version with its hashes, no address of any index."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links",
           "--no-header", "--quiet"]  # fmt: skip


def main() -> int:
    """Compile each `.in` file with uv (`pip install uv` first); `--upgrade` takes newer versions where the pins allow."""
    for name in (
        "requirements/run",
        "requirements/test",
        "layers/core/requirements",
        "layers/db/requirements",
        "layers/llm/requirements",
        "layers/migrate/requirements",
        "containers/build",
        "containers/render/requirements",
        "containers/transcribe/requirements",
    ):
        command = ["uv", "pip", "compile", *OPTIONS, *sys.argv[1:], f"{name}.in", "-o", f"{name}.lock"]
        done = subprocess.run(command, cwd=ROOT, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
