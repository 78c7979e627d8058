"""In the Lambda layer our package lies as it stands, not installed: it must say by itself which plugins it has."""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYER = ROOT / "layers/chimera/python"
PROBE = """
import importlib.metadata, json, sys
layer = sys.argv[1]
ours = lambda d: (d.metadata["Name"] or "").lower().replace("_", "-") == "chimera-studio"
real = importlib.metadata.distributions
found = [d for d in real() if not ours(d)] + [d for d in real(path=[layer]) if ours(d)]
importlib.metadata.distributions = lambda **_: iter(found)
from chimera.plugins.loader import providers
from chimera.plugins.hookspecs import ProviderContext
from chimera.settings import Settings
context = ProviderContext(settings=Settings())
print(json.dumps({kind: sorted(providers(kind, context)) for kind in ("writers", "checks", "platforms", "sources")}))
"""


def test_the_layer_names_the_plugins_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (found,) = importlib.metadata.distributions(path=[str(LAYER)])
    assert (found.metadata["Name"], found.version) == (project["name"], project["version"])
    named = {point.name: point.value for point in found.entry_points if point.group == "chimera.plugins"}
    assert named == project["entry-points"]["chimera.plugins"]
    for module in named.values():
        importlib.import_module(module)


def test_a_function_finds_its_providers_with_the_layer_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(LAYER)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    for kind in ("writers", "checks", "platforms", "sources"):
        assert f'"{kind}": []' not in done.stdout, done.stdout
