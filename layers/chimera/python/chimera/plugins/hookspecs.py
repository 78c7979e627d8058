"""The hooks a plugin implements to add a provider; Chimera's own providers use nothing else.

A plugin is a module named by an entry point in the group `chimera.plugins`. Each hook returns a list of
factories: callables that take a `ProviderContext` and give one provider. A plugin module must import cheaply:
import heavy libraries inside the factory or the provider's methods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from chimera.adapters.paid.http import PaidFactory
    from chimera.ports import Canvas, CheckProvider, Library, Platform, Source, Transcriber, Voice, Writer
    from chimera.settings import Settings

hookspec = pluggy.HookspecMarker("chimera")
hookimpl = pluggy.HookimplMarker("chimera")


def _nothing_to_pay_from() -> PaidFactory:
    from chimera.adapters.paid.http import PaidFactory

    return PaidFactory()


@dataclass(frozen=True, kw_only=True)
class ProviderContext:
    """What a provider may use when it is made. `paid` is the only way to a vendor that costs money."""

    settings: Settings
    paid: PaidFactory = field(default_factory=_nothing_to_pay_from)
    secret: Callable[[str], str | None] = lambda _name: None
    """A key of a vendor that costs nothing, by its variable's name; keys of paid ones come with a draw only."""


class ChimeraSpec:
    """One hook per kind of provider; a provider is chosen by its `name`, lower `priority` first."""

    @hookspec
    def chimera_sources(self) -> list[Callable[[ProviderContext], Source]]:
        """Where trends come from."""
        raise AssertionError("a hook specification is not called")

    @hookspec
    def chimera_writers(self) -> list[Callable[[ProviderContext], Writer]]:
        """Who writes a script from material."""
        raise AssertionError("a hook specification is not called")

    @hookspec
    def chimera_voices(self) -> list[Callable[[ProviderContext], Voice]]:
        """Who speaks a text and says when each word is said."""
        raise AssertionError("a hook specification is not called")

    @hookspec
    def chimera_canvases(self) -> list[Callable[[ProviderContext], Canvas]]:
        """Who paints a scene's picture."""
        raise AssertionError("a hook specification is not called")

    @hookspec
    def chimera_libraries(self) -> list[Callable[[ProviderContext], Library]]:
        """Where pictures and footage by others are found, with their licences."""
        raise AssertionError("a hook specification is not called")

    @hookspec
    def chimera_transcribers(self) -> list[Callable[[ProviderContext], Transcriber]]:
        """Who turns speech into text."""
        raise AssertionError("a hook specification is not called")

    @hookspec
    def chimera_checks(self) -> list[Callable[[ProviderContext], CheckProvider]]:
        """What the judge asks about a piece of content."""
        raise AssertionError("a hook specification is not called")

    @hookspec
    def chimera_platforms(self) -> list[Callable[[ProviderContext], Platform]]:
        """Where content is posted, looked up and measured."""
        raise AssertionError("a hook specification is not called")

    @hookspec
    def chimera_templates(self) -> list[Path]:
        """Folders of template packs, each pack in a folder named as it is; data, no factories (docs/templates.md)."""
        raise AssertionError("a hook specification is not called")


NO_PROVIDERS = frozenset({"chimera_templates"})
"""Hooks that give data; every other one gives factories of providers."""


def _kinds() -> list[str]:
    names = [name for name in vars(ChimeraSpec) if name.startswith("chimera_") and name not in NO_PROVIDERS]
    return [name.removeprefix("chimera_") for name in names]


KINDS: list[str] = _kinds()
Factory = Callable[[ProviderContext], Any]
