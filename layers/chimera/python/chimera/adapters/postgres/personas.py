"""Personas and channels of a tenant."""

from __future__ import annotations

from chimera.adapters.postgres.database import Database, Row
from chimera.domain.models import BrandGuidelines, Persona
from chimera.errors import ChimeraError


class PostgresPersonas:
    """The personas of one tenant."""

    def __init__(self, db: Database, tenant_id: str) -> None:
        self._db = db
        self._tenant = tenant_id

    def get(self, persona_id: str) -> Persona:
        """The persona; `NOT_FOUND` if this tenant has none of that id."""
        with self._db.transaction(self._tenant) as tx:
            row = tx.execute("SELECT * FROM personas WHERE id = %s", (persona_id,)).fetchone()
        if row is None:
            raise ChimeraError("NOT_FOUND", f"no persona {persona_id!r}", {"persona_id": persona_id})
        return _persona(row)

    def all(self) -> list[Persona]:
        """Every persona, by name."""
        with self._db.transaction(self._tenant) as tx:
            return [_persona(row) for row in tx.execute("SELECT * FROM personas ORDER BY name").fetchall()]


def _persona(row: Row) -> Persona:
    return Persona(
        persona_id=str(row["id"]),
        name=row["name"],
        tone=row["tone"],
        target_audience=row["target_audience"],
        brand_guidelines=BrandGuidelines.model_validate(row["brand_guidelines"]),
        channels=row["channels"],
        daily_quota=row["daily_quota"],
        cooldown_hours=row["cooldown_hours"],
        template=row["template"],
        language=row["language"],
        voice_id=row["voice_id"],
    )
