"""Which sources may be named over HTTP."""

from __future__ import annotations

from collections.abc import Sequence

from chimera.errors import ChimeraError


def refuse_local_sources(sources: Sequence[str]) -> None:
    """`FORBIDDEN` for files of the machine that answers: they are for the person at its keyboard."""
    for source in sources:
        if source.strip().lower().startswith("file:"):
            raise ChimeraError(
                "FORBIDDEN",
                f"source {source[:80]!r}: files can be named on the command line only",
                {"source": source[:80]},
            )
