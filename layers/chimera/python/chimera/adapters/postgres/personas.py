"""Personas and channels of a tenant."""

from __future__ import annotations

from chimera.adapters.postgres.audit import audit
from chimera.adapters.postgres.database import Database, Row
from chimera.domain.ids import is_uuid
from chimera.domain.models import BrandGuidelines, Persona
from chimera.errors import ChimeraError


class PostgresPersonas:
    """The personas of one tenant."""

    def __init__(self, db: Database, tenant_id: str) -> None:
        self._db = db
        self._tenant = tenant_id

    def get(self, persona_id: str) -> Persona:
        """The persona; `NOT_FOUND` if this tenant has none of that id."""
        row = None
        if is_uuid(persona_id):
            with self._db.transaction(self._tenant) as tx:
                row = tx.execute("SELECT * FROM personas WHERE id = %s", (persona_id,)).fetchone()
        if row is None:
            raise ChimeraError("NOT_FOUND", f"no persona {persona_id[:100]!r}", {"persona_id": persona_id[:100]})
        return _persona(row)

    def all(self) -> list[Persona]:
        """Every persona, by name."""
        with self._db.transaction(self._tenant) as tx:
            return [_persona(row) for row in tx.execute("SELECT * FROM personas ORDER BY name").fetchall()]

    def set_template(self, persona_id: str, template: str, *, by: str, rollback: bool = False) -> str:
        """Change which template the persona uses; the audit log keeps the history. The one before."""
        with self._db.transaction(self._tenant) as tx:
            row = tx.execute("SELECT template FROM personas WHERE id = %s FOR UPDATE", (persona_id,)).fetchone()
            if row is None:
                raise ChimeraError("NOT_FOUND", f"no persona {persona_id!r}", {"persona_id": persona_id})
            before = str(row["template"])
            tx.execute("UPDATE personas SET template = %s, updated_at = now() WHERE id = %s", (template, persona_id))
            audit(
                tx,
                actor=by,
                action=_TEMPLATE_ACTION,
                before={"persona_id": persona_id, "template": before},
                after={"persona_id": persona_id, "template": template, "rollback": rollback},
            )
        return before

    def template_history(self, persona_id: str) -> list[Row]:
        """Every change of the persona's template, oldest first: `{at, by, before, after, rollback}`."""
        with self._db.transaction(self._tenant) as tx:
            rows = tx.execute(
                "SELECT created_at, agent_id, input_data, output_data FROM audit_logs"
                " WHERE action = %s AND output_data->>'persona_id' = %s ORDER BY created_at, id",
                (_TEMPLATE_ACTION, persona_id),
            ).fetchall()
        return [
            {
                "at": row["created_at"],
                "by": str(row["agent_id"]),
                "before": row["input_data"]["template"],
                "after": row["output_data"]["template"],
                "rollback": bool(row["output_data"].get("rollback")),
            }
            for row in rows
        ]


_TEMPLATE_ACTION = "persona.template"


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
