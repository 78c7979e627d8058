"""Trends that come with Chimera, for a laptop without a network: written for this project and labelled as a
sample.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files

from chimera.domain.trends import RawTrend, select


class SampleSource:
    """Timeless subjects with enough text to write a script from; nothing is counted, so there are no metrics
    and no dates.
    """

    name = "sample"

    def fetch(self, *, keywords: Sequence[str], timeframe_hours: int, limit: int) -> list[RawTrend]:
        """The bundled subjects in their order; the timeframe does not apply to what is timeless."""
        from datetime import UTC, datetime

        text = files("chimera.adapters.sources").joinpath("sample_trends.json").read_text(encoding="utf-8")
        rows = [
            RawTrend.model_validate({**row, "platform": self.name, "extra": {"sample": True}})
            for row in json.loads(text)["trends"]
        ]
        return select(rows, keywords=keywords, now=datetime.now(UTC), timeframe_hours=None, limit=limit)
