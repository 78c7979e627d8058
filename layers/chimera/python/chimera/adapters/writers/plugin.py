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


def _own_script(context: ProviderContext) -> Writer:
    from chimera.adapters.writers.own_script import OwnScriptWriter

    return OwnScriptWriter()


@hookimpl
def chimera_writers() -> list[Callable[[ProviderContext], Writer]]:
    """The offline writer, and the one that takes a person's own script as it stands."""
    return [_offline, _own_script]
