"""What is packed: each function its own folder, layers without rubbish; a change in one function changes one asset."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.catalogue import deployed
from tests.infra.conftest import Profile, Synthesised

pytestmark = pytest.mark.xdist_group("infra")


def asset_of(synthesised: Synthesised, profile: Profile, name: str) -> Path:
    """The staged folder of a function's code."""
    key = profile.function(name)["Code"]["S3Key"]
    listed = json.loads((synthesised.folder / f"{profile.name}-stateless.assets.json").read_text(encoding="utf-8"))
    return synthesised.folder / str(listed["files"][key.removesuffix(".zip")]["source"]["path"])


PACKED = [function for function in deployed() if not function.image]


@pytest.mark.parametrize("name", [function.name for function in PACKED])
def test_an_asset_holds_its_own_folder_and_nothing_else(synthesised: Synthesised, name: str) -> None:
    source = next(function.source for function in deployed() if function.name == name)
    folder = asset_of(synthesised, synthesised.frugal, name)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"functions/__init__.py", f"functions/{source}/handler.py"} <= files
    assert all(file == "functions/__init__.py" or file.startswith(f"functions/{source}/") for file in files)
    assert not any(file.endswith(".pyc") for file in files)


def test_functions_do_not_share_an_asset(synthesised: Synthesised) -> None:
    assets = {f.source: asset_of(synthesised, synthesised.frugal, f.name) for f in PACKED}
    assert len(set(assets.values())) == len(assets)


def test_both_profiles_pack_the_same_code(synthesised: Synthesised) -> None:
    for function in PACKED:
        assert (
            synthesised.frugal.function(function.name)["Code"]["S3Key"]
            == synthesised.production.function(function.name)["Code"]["S3Key"]
        )


def test_our_package_is_a_layer_as_it_stands(synthesised: Synthesised) -> None:
    packed = [p for p in synthesised.folder.glob("asset.*") if (p / "python/chimera/bootstrap.py").is_file()]
    assert len(packed) == 1
    assert not list(packed[0].rglob("*.pyc"))


def test_layers_that_were_not_built_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from infra.errors import ConfigError
    from infra.stateless import layers

    monkeypatch.setattr(layers, "LAYERS", tmp_path)
    with pytest.raises(ConfigError, match="layers/core/python is not there; say `make layers` first"):
        layers.folder_of("core", "built")


def test_a_function_nobody_spoke_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from infra import catalogue
    from infra.errors import ConfigError

    monkeypatch.setattr(catalogue, "folders", lambda: frozenset({"approve", "sneak"}))
    with pytest.raises(ConfigError, match="functions/sneak: has no entry"):
        catalogue.deployed()
