"""Registers the built-in canvases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chimera.plugins.hookspecs import Factory, hookimpl

if TYPE_CHECKING:
    from chimera.adapters.canvases.cards import CardCanvas
    from chimera.plugins.hookspecs import ProviderContext


def _cards(context: ProviderContext) -> CardCanvas:
    from chimera.adapters.canvases.cards import CardCanvas  # skia and numpy are imported only by who paints

    return CardCanvas(context)


@hookimpl
def chimera_canvases() -> list[Factory]:
    """The procedural cards."""
    return [_cards]
