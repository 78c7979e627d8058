"""Opens a source by the name a person gives it: a plugin's name, `file:PATH`, `rss:ADDRESS` or a feed's address."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote, urlsplit

from chimera.errors import ChimeraError
from chimera.plugins.loader import provider

if TYPE_CHECKING:
    from chimera.domain.options import OwnMaterial
    from chimera.plugins.hookspecs import ProviderContext
    from chimera.ports import Source


def open_source(
    name: str, context: ProviderContext, *, allow_files: bool, material: OwnMaterial | None = None
) -> Source:
    """The source of that name; NOT_FOUND says which there are.

    `own` is the person's own `material`, which comes with the run.
    `allow_files` is for whoever may read this machine's files anyway (the command line); a name from the
    network is not allowed to (FORBIDDEN).
    """
    if name.startswith("file:"):
        if not allow_files:
            raise ChimeraError(
                "FORBIDDEN", "sources of kind file: are only for the command line", {"source": name[:200]}
            )
        from chimera.adapters.sources.file import FileSource

        return FileSource(_path(name))
    if name == "own":
        from chimera.adapters.sources.own import OwnSource

        return OwnSource(material)
    if name.startswith(("http://", "https://")):
        name = f"rss:{name}"
    if name.startswith("rss:"):
        from chimera.adapters.sources.rss import RssSource

        return RssSource(context.settings, name.removeprefix("rss:"))
    return cast("Source", provider("sources", name, context))


def _path(name: str) -> Path:
    rest = name.removeprefix("file:")
    if rest.startswith("//"):
        rest = unquote(urlsplit(name).path)
    if not rest or "\0" in rest:
        raise ChimeraError(
            "VALIDATION_FAILED", f"source: got {name[:80]!r}, expected file:PATH", {"source": name[:200]}
        )
    return Path(rest)
