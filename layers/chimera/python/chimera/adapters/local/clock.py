"""The system's clock."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """UTC from the operating system."""

    def now(self) -> datetime:
        """An aware UTC datetime."""
        return datetime.now(UTC)
