"""A persona as a YAML file: what `chimera persona export` writes and `import` reads; its logo lies beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from chimera.errors import ChimeraError
from chimera.ports import MediaStore
from chimera.templates.problems import ProblemsError
from chimera.templates.reading import MAX_BYTES, read_yaml

_BARE = re.compile(r"[A-Za-z][A-Za-z0-9 _./@-]*[A-Za-z0-9]|[A-Za-z]")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


class _Dumper(yaml.SafeDumper):
    """Quotes every text that some reader of YAML could take for something else."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    bare = bool(_BARE.fullmatch(value)) and value.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if bare else '"')


_Dumper.add_representer(str, _text)


def as_yaml(document: dict[str, Any]) -> str:
    """The document as YAML; `read_persona` gives the same back."""
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000))


def read_persona(path: Path) -> dict[str, Any]:
    """The keys and values of a file. `NOT_FOUND`; `VALIDATION_FAILED` with the line of what is not YAML."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ChimeraError("NOT_FOUND", f"there is no file {path}", {"file": str(path)}) from None
    except OSError as error:
        raise ChimeraError("VALIDATION_FAILED", f"{path} cannot be read: {error.strerror}", {}) from None
    try:
        document = read_yaml(data, path.name).data
    except ProblemsError as error:
        raise ChimeraError("VALIDATION_FAILED", str(error.problems[0]), {"file": str(path)}) from None
    if not isinstance(document, dict):
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"{path.name}: got {type(document).__name__}, expected keys and values; `chimera persona keys`",
            {"file": str(path)},
        )
    return document


def write_persona(document: dict[str, Any], out: Path, media: MediaStore, tenant_id: str) -> list[str]:
    """Write the file, and its logo beside it under the name that it then has in the file. What was written."""
    theme = document.get("theme") or {}
    logo = str(theme.get("logo") or "")
    files: dict[Path, bytes] = {}
    if logo.startswith("key:"):
        beside = out.with_name(f"{out.stem}-logo.png")
        files[beside] = media.get_bytes(f"tenants/{tenant_id}/{logo.removeprefix('key:')}")
        document = {**document, "theme": {**theme, "logo": beside.name}}
    files[out] = as_yaml(document).encode()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        for path, data in files.items():
            path.write_bytes(data)
    except OSError as error:
        raise ChimeraError("VALIDATION_FAILED", f"{out} cannot be written: {error.strerror}", {}) from None
    return [str(path) for path in reversed(files)]
