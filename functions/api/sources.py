"""Which sources may be named over HTTP."""

from __future__ import annotations

from collections.abc import Sequence

from chimera.errors import ChimeraError


def refuse_local_sources(sources: Sequence[str], *, feeds: str = "") -> None:
    """`FORBIDDEN` for files of the machine that answers, and for feeds that its operator did not configure.

    Whoever names an address over HTTP could else make this machine read what only it can reach.
    """
    known = {form for address in feeds.split() for form in (address, f"rss:{address}")}
    for source in sources:
        kind = source.strip().lower().partition(":")[0]
        if kind == "file" or (kind in ("rss", "http", "https") and ":" in source and source not in known):
            where = "on the command line only" if kind == "file" else "on the command line or in CHIMERA_RSS_FEEDS"
            raise ChimeraError("FORBIDDEN", f"source {source[:80]!r}: it can be named {where}", {"source": source[:80]})
