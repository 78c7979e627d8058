"""Tasks, and what a planner must know of a persona: in one transaction, one planner at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from psycopg import errors
from psycopg.types.json import Jsonb

from chimera.adapters.postgres.database import Connection, Database, Row
from chimera.domain.ids import is_uuid
from chimera.domain.models import Persona
from chimera.domain.planning import Covered, TaskMessage
from chimera.errors import ChimeraError


class PlanningSession:
    """One planner's transaction. What failed or was cancelled neither uses quota nor covers a topic."""

    def __init__(self, tx: Connection, tenant_id: str) -> None:
        self._tx = tx
        self._tenant = tenant_id

    def of_run(self, run_id: str) -> list[TaskMessage]:
        """What this run planned already, in the order it was planned."""
        rows = self._tx.execute(
            "SELECT * FROM tasks WHERE run_id = %s ORDER BY (payload->>'position')::int NULLS LAST, created_at, id",
            (run_id,),
        ).fetchall()
        return [_message(row, self._tenant) for row in rows]

    def used_today(self, persona: Persona, now: datetime) -> int:
        """Videos planned for the persona on this UTC day."""
        start = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        row = self._tx.execute(
            "SELECT count(*) AS n FROM tasks WHERE persona_id = %s AND type = 'generate_video'"
            " AND status NOT IN ('failed', 'cancelled') AND created_at >= %s",
            (persona.persona_id, start),
        ).fetchone()
        return int(row["n"]) if row else 0

    def covered(self, persona: Persona, now: datetime) -> list[Covered]:
        """Topics that the persona took up within its cool-down, newest first, a thousand at most."""
        rows = self._tx.execute(
            "SELECT r.topic, r.title, t.created_at FROM tasks t JOIN trends r ON r.id = t.trend_id"
            " WHERE t.persona_id = %s AND t.type = 'generate_video'"
            " AND t.status NOT IN ('failed', 'cancelled') AND t.created_at > %s"
            " ORDER BY t.created_at DESC LIMIT 1000",
            (persona.persona_id, now - timedelta(hours=persona.cooldown_hours)),
        ).fetchall()
        return [Covered(topic=row["topic"], title=row["title"], at=row["created_at"]) for row in rows]

    def insert(self, run_id: str, tasks: Sequence[TaskMessage]) -> None:
        """Enter the tasks, each once. `NOT_FOUND` for a run, persona or trend that is not there."""
        try:
            for position, task in enumerate(tasks):
                self._tx.execute(
                    "INSERT INTO tasks"
                    " (id, run_id, type, priority, persona_id, trend_id, payload, trace_id, created_at)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING",
                    (
                        task.task_id,
                        run_id,
                        task.type,
                        task.priority,
                        task.persona_id,
                        task.payload["trend_id"],
                        Jsonb({**task.payload, "position": position}),
                        task.trace_id,
                        task.created_at,
                    ),
                )
        except errors.ForeignKeyViolation as error:
            what = str(error.diag.message_detail or error)[:200]
            raise ChimeraError("NOT_FOUND", f"cannot enter the plan: {what}", {"run_id": run_id}) from error


class PostgresTasks:
    """The tasks of one tenant."""

    def __init__(self, db: Database, tenant_id: str) -> None:
        self._db = db
        self._tenant = tenant_id

    @contextmanager
    def planning(self, personas: Sequence[Persona]) -> Iterator[PlanningSession]:
        """A transaction that holds these personas: a second planner waits, so quotas hold between them."""
        with self._db.transaction(self._tenant) as tx:
            tx.execute(
                "SELECT id FROM personas WHERE id = ANY(%s::uuid[]) ORDER BY id FOR UPDATE",
                ([p.persona_id for p in personas],),
            )
            yield PlanningSession(tx, self._tenant)

    def get(self, task_id: str) -> Row:
        """The row; `NOT_FOUND` if this tenant has none of that id."""
        with self._db.transaction(self._tenant) as tx:
            row = is_uuid(task_id) and tx.execute("SELECT * FROM tasks WHERE id = %s", (task_id,)).fetchone()
        if not row:
            raise ChimeraError("NOT_FOUND", f"no task {task_id!r}", {"task_id": task_id})
        return row

    def message(self, task_id: str) -> TaskMessage:
        """The task as the message that workers take."""
        return _message(self.get(task_id), self._tenant)

    def page(self, limit: int, before: tuple[str, str] | None, status: str | None = None) -> list[Row]:
        """Newest first; `before` is the (created_at, id) of the last row of the page before."""
        with self._db.transaction(self._tenant) as tx:
            return tx.execute(
                "SELECT * FROM tasks WHERE (%(status)s::text IS NULL OR status = %(status)s)"
                " AND (%(at)s::timestamptz IS NULL OR (created_at, id) < (%(at)s::timestamptz, %(id)s::uuid))"
                " ORDER BY created_at DESC, id DESC LIMIT %(limit)s",
                {
                    "status": status,
                    "at": before[0] if before else None,
                    "id": before[1] if before else None,
                    "limit": limit,
                },
            ).fetchall()


def _message(row: Row, tenant_id: str) -> TaskMessage:
    return TaskMessage(
        task_id=str(row["id"]),
        type=row["type"],
        priority=row["priority"],
        persona_id=str(row["persona_id"]),
        tenant_id=tenant_id,
        state_version=row["state_version"],
        payload={key: value for key, value in row["payload"].items() if key != "position"},
        trace_id=row["trace_id"],
        created_at=row["created_at"],
    )
