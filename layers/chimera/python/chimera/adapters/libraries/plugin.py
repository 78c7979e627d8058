"""Registers the built-in libraries of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chimera.plugins.hookspecs import Factory, hookimpl

if TYPE_CHECKING:
    from chimera.plugins.hookspecs import ProviderContext


def _stock(name: str) -> Factory:
    def make(context: ProviderContext) -> Any:
        from chimera.adapters.libraries import stock

        return getattr(stock, name)(context)

    return make


def _open(name: str) -> Factory:
    def make(context: ProviderContext) -> Any:
        from chimera.adapters.libraries import collections

        return getattr(collections, name)(context)

    return make


@hookimpl
def chimera_libraries() -> list[Factory]:
    """By key: Pexels, Pixabay, Unsplash. Without one: Openverse, Wikimedia Commons. A persona names those it wants."""
    return [_stock("Pexels"), _stock("Pixabay"), _stock("Unsplash"), _open("Openverse"), _open("Commons")]
