"""Finds plugins by entry point and makes the providers they offer, chosen by name."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import pluggy

from chimera.errors import ChimeraError
from chimera.plugins.hookspecs import KINDS, ChimeraSpec, Factory, ProviderContext

GROUP = "chimera.plugins"


@lru_cache(maxsize=1)
def manager() -> pluggy.PluginManager:
    """The plugin manager with every installed plugin; built-in and foreign ones arrive the same way."""
    plugins = pluggy.PluginManager("chimera")
    plugins.add_hookspecs(ChimeraSpec)
    plugins.load_setuptools_entrypoints(GROUP)
    plugins.check_pending()
    return plugins


def factories(kind: str) -> list[Factory]:
    """Every factory for a kind of provider (`sources`, `voices`, …)."""
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}; known: {', '.join(KINDS)}")
    hook = getattr(manager().hook, f"chimera_{kind}")
    return [factory for offered in hook() for factory in cast(list[Factory], offered)]


def providers(kind: str, context: ProviderContext) -> dict[str, Any]:
    """Every provider of a kind by its name. Two of one name are a `CONFLICT`: neither may silently win."""
    found: dict[str, Any] = {}
    for factory in factories(kind):
        provider = factory(context)
        if provider.name in found:
            raise ChimeraError(
                "CONFLICT",
                f"two {kind} are named {provider.name!r}; uninstall one plugin",
                {"kind": kind, "name": provider.name},
            )
        found[provider.name] = provider
    return found


def provider(kind: str, name: str, context: ProviderContext) -> Any:
    """The provider of that name; `NOT_FOUND` says which there are."""
    found = providers(kind, context)
    if name not in found:
        raise ChimeraError(
            "NOT_FOUND", f"no {kind[:-1]} is named {name!r}; there are: {', '.join(sorted(found))}", {"kind": kind}
        )
    return found[name]


def template_folders() -> list[tuple[str, Path]]:
    """The folders of template packs that plugins offer, each with its plugin's name."""
    found: list[tuple[str, Path]] = []
    for implementation in manager().hook.chimera_templates.get_hookimpls():
        found += [
            (f"plugin {implementation.plugin_name}", Path(folder))
            for folder in cast(list[Path], implementation.function())
        ]
    return found
