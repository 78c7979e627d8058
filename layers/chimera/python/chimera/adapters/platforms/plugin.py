"""The built-in platforms, offered like a stranger's."""

from __future__ import annotations

from collections.abc import Callable

from chimera.plugins.hookspecs import ProviderContext, hookimpl
from chimera.ports import Platform


@hookimpl
def chimera_platforms() -> list[Callable[[ProviderContext], Platform]]:
    """The local channel."""
    return [_local_channel]


def _local_channel(context: ProviderContext) -> Platform:
    from chimera.adapters.local.media import FolderMediaStore
    from chimera.adapters.platforms.local_channel import LocalChannel

    settings = context.settings
    return LocalChannel(settings.channel_path, FolderMediaStore(settings.media_path), settings.public_base_url)
