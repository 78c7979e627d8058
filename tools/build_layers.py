"""Builds the Lambda layers (arm64, Python 3.13) from their hashed locks into `layers/*/python/`, the same bytes each time."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("core", "db", "llm", "migrate")
PLATFORM = ["--platform", "manylinux_2_28_aarch64", "--platform", "manylinux_2_17_aarch64", "--python-version", "3.13",
            "--implementation", "cp", "--only-binary", ":all:"]  # fmt: skip


def build(name: str) -> str:
    """Install the lock into a clean folder; gives the sha256 over its files' names and bytes."""
    layer = ROOT / "layers" / name
    target = layer / "python"
    shutil.rmtree(target, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile",
               "--require-hashes", "--no-deps", "--target", str(target), *PLATFORM, "-r", str(layer / "requirements.lock")]  # fmt: skip
    subprocess.run(command, check=True)
    shutil.rmtree(target / "bin", ignore_errors=True)
    for leftover in [
        *target.rglob("*.pyc"),
        *target.rglob("RECORD"),
        *target.rglob("REQUESTED"),
        *target.rglob("INSTALLER"),
    ]:
        leftover.unlink()
    digest = hashlib.sha256()
    for path in sorted(p for p in target.rglob("*") if p.is_file()):
        digest.update(path.relative_to(target).as_posix().encode() + b"\0" + path.read_bytes())
    size = sum(p.stat().st_size for p in target.rglob("*") if p.is_file())
    sys.stdout.write(f"layers/{name}: {size / 1e6:.1f} MB unzipped, sha256 {digest.hexdigest()}\n")
    return digest.hexdigest()


if __name__ == "__main__":
    for layer_name in LAYERS:
        build(layer_name)
