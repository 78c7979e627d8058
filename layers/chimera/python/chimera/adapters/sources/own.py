"""A person's own material as the one trend of a run: nothing rises, something is to be made."""

from __future__ import annotations

from collections.abc import Sequence

from chimera.domain.options import OwnMaterial
from chimera.domain.trends import RawTrend
from chimera.errors import ChimeraError

_TITLE_CHARACTERS = 90


class OwnSource:
    """Gives the material that came with the run; keywords and timeframe do not apply. Nothing is counted, so there are
    no metrics."""

    name = "own"

    def __init__(self, material: OwnMaterial | None) -> None:
        self._material = material

    def fetch(self, *, keywords: Sequence[str], timeframe_hours: int, limit: int) -> list[RawTrend]:
        """One trend. Raises `VALIDATION_FAILED` when the run brought no material."""
        given = self._material
        if given is None:
            raise ChimeraError("VALIDATION_FAILED", "source own: got no material, expected a title, a text or a script")
        said = given.text or given.script
        title = given.title or _first_line(said)
        return [RawTrend(platform=self.name, topic=title[:255], title=title, description=said, url=given.url)]


def _first_line(text: str) -> str:
    """The first line that says something, without its mark as a heading, cut at a word."""
    line = next((line.strip("# \t") for line in text.splitlines() if any(c.isalnum() for c in line)), text)
    if len(line) <= _TITLE_CHARACTERS:
        return line
    return line[:_TITLE_CHARACTERS].rsplit(" ", 1)[0]
