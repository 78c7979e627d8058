"""Registers the built-in canvases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chimera.errors import ChimeraError
from chimera.plugins.hookspecs import Factory, hookimpl

if TYPE_CHECKING:
    from chimera.adapters.canvases.cards import CardCanvas
    from chimera.plugins.hookspecs import ProviderContext


def _cards(context: ProviderContext) -> CardCanvas:
    try:
        from chimera.adapters.canvases.cards import CardCanvas  # skia and numpy are imported only by who paints
    except ImportError as error:
        # skia's wheel carries all it needs but GL, which desktops have and bare servers lack
        raise ChimeraError(
            "VALIDATION_FAILED",
            "the cards need libGL and libEGL, which this system lacks; on Debian or Ubuntu: apt-get install libgl1 libegl1",
            {"reason": str(error)[:200]},
        ) from error

    return CardCanvas(context)


def _openai(context: ProviderContext) -> Any:
    from chimera.adapters.canvases.openai_images import OpenAiCanvas

    return OpenAiCanvas(context)


def _runway(context: ProviderContext) -> Any:
    from chimera.adapters.canvases.runway import RunwayCanvas

    return RunwayCanvas(context)


@hookimpl
def chimera_canvases() -> list[Factory]:
    """The procedural cards; OpenAI's pictures and Runway's footage, which cost money."""
    return [_cards, _openai, _runway]
