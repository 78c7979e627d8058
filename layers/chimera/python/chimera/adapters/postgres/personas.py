"""Personas and channels of a tenant."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import errors
from psycopg.types.json import Jsonb

from chimera.adapters.postgres.audit import audit
from chimera.adapters.postgres.database import Connection, Database, Row
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

    def set_template(
        self, persona_id: str, template: str, *, by: str, rollback: bool = False, expected: str | None = None
    ) -> str:
        """Change which template the persona uses; the audit log keeps the history. The one before.

        `CONFLICT` if that is not what was `expected`: somebody changed it in between.
        """
        with self._db.transaction(self._tenant) as tx:
            row = tx.execute("SELECT template FROM personas WHERE id = %s FOR UPDATE", (persona_id,)).fetchone()
            if row is None:
                raise ChimeraError("NOT_FOUND", f"no persona {persona_id!r}", {"persona_id": persona_id})
            before = str(row["template"])
            if expected not in (None, before):
                raise ChimeraError("CONFLICT", f"the persona uses {before} by now, expected {expected}; look again")
            tx.execute("UPDATE personas SET template = %s, updated_at = now() WHERE id = %s", (template, persona_id))
            audit(
                tx,
                actor=by,
                action=_TEMPLATE_ACTION,
                before={"persona_id": persona_id, "template": before},
                after={"persona_id": persona_id, "template": template, "rollback": rollback},
            )
        return before

    def channel_ids(self) -> list[str]:
        """The tenant's channels."""
        with self._db.transaction(self._tenant) as tx:
            return [str(row["id"]) for row in tx.execute("SELECT id FROM channels ORDER BY id").fetchall()]

    def create(self, persona: Persona, *, by: str, given: dict[str, Any]) -> Persona:
        """Enter it, once: the same id with the same `given` again is the persona as it is now. `CONFLICT` for another
        `given`, for one that was deleted since, and for a name that is taken.
        """
        digest = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()
        with self._db.transaction(self._tenant) as tx:
            # two who begin with one key at once wait for each other here
            tx.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (persona.persona_id,))
            made = tx.execute(
                "SELECT output_data FROM audit_logs WHERE action = %s AND output_data->>'persona_id' = %s LIMIT 1",
                (_CREATED, persona.persona_id),
            ).fetchone()
            if made is not None:
                row = tx.execute("SELECT * FROM personas WHERE id = %s", (persona.persona_id,)).fetchone()
                if row is None or made["output_data"]["given"] != digest:
                    why = "another body" if row is not None else "a persona that was deleted since"
                    raise ChimeraError(
                        "CONFLICT", f"this key came before with {why}", {"persona_id": persona.persona_id}
                    )
                return _persona(row)
            with _names_unique(persona.name):
                tx.execute(
                    "INSERT INTO personas (id, name, tone, target_audience, brand_guidelines, channels, daily_quota,"
                    " cooldown_hours, template, language, voice_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    (persona.persona_id, *_columns(persona)),
                )
            audit(tx, actor=by, action=_CREATED, after={"persona_id": persona.persona_id, "given": digest})
        return persona

    def change(self, persona_id: str, edit: Callable[[Persona], Persona], *, by: str) -> Persona:
        """What `edit` makes of the persona, under a lock, so that two changes do not undo each other.

        `NOT_FOUND`; `CONFLICT` for a name that is taken. The audit log keeps what was changed.
        """
        with self._db.transaction(self._tenant) as tx:
            before = _locked(tx, persona_id)
            after = edit(before)
            was, now = before.model_dump(mode="json"), after.model_dump(mode="json")
            changed = [name for name in now if name != "persona_id" and now[name] != was[name]]
            if not changed:
                return before
            with _names_unique(after.name):
                tx.execute(
                    "UPDATE personas SET name = %s, tone = %s, target_audience = %s, brand_guidelines = %s, channels = %s,"
                    " daily_quota = %s, cooldown_hours = %s, template = %s, language = %s, voice_id = %s, updated_at = now()"
                    " WHERE id = %s",
                    (*_columns(after), persona_id),
                )
            known = {"persona_id": persona_id}
            audit(tx, actor=by, action="persona.change", before=known, after={**known, "changed": changed})
            if "template" in changed:
                before_it, after_it = {**known, "template": before.template}, {**known, "template": after.template}
                audit(tx, actor=by, action=_TEMPLATE_ACTION, before=before_it, after={**after_it, "rollback": False})
        return after

    def delete(self, persona_id: str, *, by: str) -> Persona:
        """Remove one that nothing was planned or made for; `NOT_FOUND`, else `CONFLICT` with how much there is."""
        with self._db.transaction(self._tenant) as tx:
            persona = _locked(tx, persona_id)  # while it is held nobody plans for it
            counts = {
                "tasks": tx.execute("SELECT count(*) AS n FROM tasks WHERE persona_id = %s", (persona_id,)),
                "content": tx.execute(
                    "SELECT count(*) AS n FROM content_pipeline WHERE persona_id = %s", (persona_id,)
                ),
            }
            used = {name: int((cursor.fetchone() or {"n": 0})["n"]) for name, cursor in counts.items()}
            if any(used.values()):
                raise ChimeraError(
                    "CONFLICT",
                    f"persona {persona.name!r} has {used['tasks']} tasks and {used['content']} productions, which keep it;"
                    " daily_quota 0 lets it make nothing more",
                    {"persona_id": persona_id, **used},
                )
            tx.execute("DELETE FROM personas WHERE id = %s", (persona_id,))
            audit(tx, actor=by, action="persona.delete", before={"persona_id": persona_id})
        return persona

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
_CREATED = "persona.create"


@contextmanager
def _names_unique(name: str) -> Iterator[None]:
    try:
        yield
    except errors.UniqueViolation:
        raise ChimeraError("CONFLICT", f"there is a persona named {name!r} already; a name stands once", {}) from None


def _locked(tx: Connection, persona_id: str) -> Persona:
    found = is_uuid(persona_id)
    row = tx.execute("SELECT * FROM personas WHERE id = %s FOR UPDATE", (persona_id,)).fetchone() if found else None
    if row is None:
        raise ChimeraError("NOT_FOUND", f"no persona {persona_id[:100]!r}", {"persona_id": persona_id[:100]})
    return _persona(row)


def _columns(persona: Persona) -> tuple[Any, ...]:
    """The persona's values as the statements above name their columns."""
    brand = persona.brand_guidelines.model_dump(mode="json", exclude_defaults=True)
    return (
        persona.name, persona.tone, persona.target_audience, Jsonb(brand), persona.channels, persona.daily_quota,
        persona.cooldown_hours, persona.template, persona.language, persona.voice_id,
    )  # fmt: skip


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
