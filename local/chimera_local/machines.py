"""Finds the state machine files and gives every placeholder in them its value on this machine."""

from __future__ import annotations

from pathlib import Path

import functions

ROOT = Path(functions.__file__).resolve().parents[1]
ACCOUNT = "local:000000000000"


def machine_files() -> list[Path]:
    """`statemachines/*.asl.json`, by name."""
    return sorted((ROOT / "statemachines").glob("*.asl.json"))


def function_names() -> list[str]:
    """Every folder of `functions/` that has a handler."""
    return sorted(p.parent.name for p in (ROOT / "functions").glob("*/handler.py"))


def substitutions() -> dict[str, str]:
    """Placeholder -> value, as the stack's DefinitionSubstitutions give them on AWS."""
    values = {name: f"arn:aws:lambda:{ACCOUNT}:function:{name}" for name in function_names()}
    for file in machine_files():
        name = file.name.removesuffix(".asl.json")
        values[f"{name}_machine"] = f"arn:aws:states:{ACCOUNT}:stateMachine:{name}"
    for job in ("render", "transcribe"):
        values[f"{job}_job_definition"] = f"chimera-{job}"
        values[f"{job}_job_queue"] = "local"
    return values
