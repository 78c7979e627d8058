"""Remembers: merges, ranks and stores what the sources gave."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.scanning import rank_and_note
from chimera.usecases.scout import RankTrends


@function(RankTrends)
def handler(event: RankTrends, app: App) -> dict[str, Any]:
    """The trends' ids, and what could not be reached."""
    return rank_and_note(event, app)
