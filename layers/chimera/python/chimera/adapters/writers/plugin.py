"""The writers that need no key, as a plugin."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from chimera.plugins.hookspecs import ProviderContext, hookimpl

if TYPE_CHECKING:
    from chimera.ports import Writer


def _offline(context: ProviderContext) -> Writer:
    from chimera.adapters.writers.offline import OfflineWriter

    return OfflineWriter()


@hookimpl
def chimera_writers() -> list[Callable[[ProviderContext], Writer]]:
    """The offline writer."""
    return [_offline]
