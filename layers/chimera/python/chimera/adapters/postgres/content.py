"""Content rows: one for each task, every change fenced by `state_version`."""

from __future__ import annotations

from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from chimera.adapters.postgres.audit import audit
from chimera.adapters.postgres.database import Connection, Database, Row
from chimera.domain.ids import new_id, stable_id
from chimera.errors import ChimeraError
from chimera.metrics import measure

# which agent brings a content into a stage, for the audit log
_WHO = {"generating": "artist", "review": "judge", "ready": "judge", "published": "publisher"}
JSON_COLUMNS = {"brief", "media", "metadata", "visual_prompts", "last_error"}


class PostgresContent:
    """The content pipeline of one tenant."""

    def __init__(self, db: Database, tenant_id: str) -> None:
        self._db = db
        self._tenant = tenant_id

    def open(self, task_id: str, run_id: str, format: str = "video") -> Row:
        """Claim the task and open its content row; asked again (a retry), the same row comes back."""
        content_id = stable_id(task_id, "content")
        with self._db.transaction(self._tenant) as tx:
            task = tx.execute(
                "UPDATE tasks SET status = 'running', attempts = attempts + 1, state_version = state_version + 1"
                " WHERE id = %s AND status IN ('queued', 'running') RETURNING *",
                (task_id,),
            ).fetchone()
            if task is None:
                raise ChimeraError("NOT_FOUND", f"no open task {task_id!r}", {"task_id": task_id})
            tx.execute(
                "INSERT INTO content_pipeline (id, task_id, run_id, trend_source_id, persona_id, format)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (task_id) DO NOTHING",
                (content_id, task_id, run_id, task["trend_id"], task["persona_id"], format),
            )
            audit(tx, actor="director", action="content.opened", after={"content_id": content_id, "task_id": task_id})
            return _must(self._row(tx, content_id), content_id)

    def get(self, content_id: str) -> Row:
        """The row; `NOT_FOUND` if this tenant has none of that id."""
        with self._db.transaction(self._tenant) as tx:
            return _must(self._row(tx, content_id), content_id)

    def of_run(self, run_id: str) -> list[Row]:
        """The content of a run, in the order it was begun."""
        with self._db.transaction(self._tenant) as tx:
            return tx.execute(
                "SELECT * FROM content_pipeline WHERE run_id = %s ORDER BY created_at, id", (run_id,)
            ).fetchall()

    def page(self, limit: int, before: tuple[str, str] | None, stage: str | None) -> list[Row]:
        """Newest first; `before` is the (created_at, id) of the last row of the page before."""
        with self._db.transaction(self._tenant) as tx:
            return tx.execute(
                "SELECT * FROM content_pipeline WHERE (%(stage)s::text IS NULL OR stage = %(stage)s)"
                " AND (%(at)s::timestamptz IS NULL OR (created_at, id) < (%(at)s::timestamptz, %(id)s::uuid))"
                " ORDER BY created_at DESC, id DESC LIMIT %(limit)s",
                {
                    "stage": stage,
                    "at": before[0] if before else None,
                    "id": before[1] if before else None,
                    "limit": limit,
                },
            ).fetchall()

    def advance(self, content_id: str, stages: tuple[str, ...], **changes: Any) -> Row:
        """Change columns while the row is in one of `stages`; another writer in between is a `CONFLICT`."""
        with self._db.transaction(self._tenant) as tx:
            row = _must(self._row(tx, content_id), content_id)
            if row["stage"] not in stages:
                raise ChimeraError(
                    "CONFLICT",
                    f"content {content_id} is {row['stage']!r}, expected {' or '.join(stages)}",
                    {"content_id": content_id, "stage": row["stage"], "expected": list(stages)},
                )
            return self._update(tx, row, changes)

    def _update(self, tx: Connection, row: Row, changes: dict[str, Any]) -> Row:
        values = {k: Jsonb(v) if k in JSON_COLUMNS and v is not None else v for k, v in changes.items()}
        moves = changes.get("stage", row["stage"]) != row["stage"]
        statement = sql.SQL(
            "UPDATE content_pipeline SET {changes}, {since}state_version = state_version + 1"
            " WHERE id = %(id)s AND state_version = %(version)s RETURNING *"
        ).format(
            since=sql.SQL("stage_since = clock_timestamp(), " if moves else ""),
            changes=sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(k), sql.Placeholder(f"c_{k}")) for k in values
            ),
        )
        parameters = {f"c_{k}": v for k, v in values.items()} | {
            "id": row["id"],
            "version": row["state_version"],
        }
        changed = tx.execute(statement, parameters).fetchone()
        if changed is not None and changed["stage"] != row["stage"]:
            lasted = changed["stage_since"] - row["stage_since"]
            measure("content_pipeline_stage_duration_seconds", max(0.0, lasted.total_seconds()), stage=row["stage"])
            audit(
                tx,
                actor=_WHO.get(changed["stage"], "supervisor"),
                action=f"content.{changed['stage']}",
                before={"stage": row["stage"]},
                after={"content_id": str(row["id"]), "content_hash": changed["content_hash"]},
                status="failure" if changed["stage"] == "failed" else "success",
            )
        if changed is None:
            raise ChimeraError("CONFLICT", f"content {row['id']} was changed by someone else; read it again", {})
        return changed

    def close_task(self, task_id: str, status: str, error: dict[str, Any] | None = None) -> None:
        """Mark the task done or failed."""
        with self._db.transaction(self._tenant) as tx:
            tx.execute(
                "UPDATE tasks SET status = %s, last_error = %s, state_version = state_version + 1"
                " WHERE id = %s AND status = 'running'",
                (status, Jsonb(error) if error else None, task_id),
            )

    def save_video(self, content_id: str, title: str, video: dict[str, Any], assets: list[dict[str, Any]]) -> None:
        """The video's facts and every file that was made; again is the same."""
        with self._db.transaction(self._tenant) as tx:
            tx.execute(
                "INSERT INTO video_metadata (id, content_id, title, duration_seconds, resolution, width, height, fps, codec,"
                " file_size_bytes, sha256, thumbnail_url, video_url) VALUES (%(id)s, %(content_id)s, %(title)s,"
                " %(duration_seconds)s, %(resolution)s, %(width)s, %(height)s, %(fps)s, %(codec)s, %(size_bytes)s, %(sha256)s,"
                " %(thumbnail_url)s, %(video_url)s) ON CONFLICT (content_id) DO UPDATE SET sha256 = EXCLUDED.sha256,"
                " file_size_bytes = EXCLUDED.file_size_bytes, duration_seconds = EXCLUDED.duration_seconds",
                {"id": new_id(), "content_id": content_id, "title": title[:255], **video},
            )
        self.save_assets(content_id, assets)

    def save_assets(self, content_id: str, assets: list[dict[str, Any]]) -> None:
        """Every file that was made; again is the same."""
        with self._db.transaction(self._tenant) as tx:
            for asset in assets:
                tx.execute(
                    "INSERT INTO assets (id, content_id, kind, url, sha256, bytes, licence, generator, prompt, cost_micros)"
                    " VALUES (%(id)s, %(content_id)s, %(kind)s, %(url)s, %(sha256)s, %(bytes)s, %(licence)s, %(generator)s,"
                    " %(prompt)s, %(cost_micros)s) ON CONFLICT (content_id, url) DO NOTHING",
                    {"id": new_id(), "content_id": content_id, "prompt": None, "cost_micros": 0, **asset},
                )

    def video(self, content_id: str) -> Row | None:
        """The video's facts, once it is made."""
        with self._db.transaction(self._tenant) as tx:
            return tx.execute("SELECT * FROM video_metadata WHERE content_id = %s", (content_id,)).fetchone()

    def save_report(self, report: dict[str, Any]) -> None:
        """A safety report; one for each content hash and policy version."""
        with self._db.transaction(self._tenant) as tx:
            tx.execute(
                "INSERT INTO safety_reports (id, content_id, content_hash, checks, confidence, verdict, policy_version)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (content_id, content_hash, policy_version) DO NOTHING",
                (
                    new_id(),
                    report["content_id"],
                    report["content_hash"],
                    Jsonb(report["checks"]),
                    report["confidence"],
                    report["verdict"],
                    report["policy_version"],
                ),
            )

    def report(self, content_id: str) -> Row | None:
        """The newest safety report."""
        with self._db.transaction(self._tenant) as tx:
            return tx.execute(
                "SELECT * FROM safety_reports WHERE content_id = %s ORDER BY created_at DESC LIMIT 1",
                (content_id,),
            ).fetchone()

    def rate_history(self, pixel_rate: int, limit: int = 20) -> list[Row]:
        """What finished productions of so many pixels a second really used, newest first."""
        with self._db.transaction(self._tenant) as tx:
            return tx.execute(
                "SELECT metadata->'production' AS production FROM content_pipeline"
                " WHERE metadata->'production'->>'pixel_rate' = %s::text ORDER BY created_at DESC LIMIT %s",
                (str(pixel_rate), limit),
            ).fetchall()

    @staticmethod
    def _row(tx: Connection, content_id: str) -> Row | None:
        return tx.execute("SELECT * FROM content_pipeline WHERE id = %s", (content_id,)).fetchone()


def _must(row: Row | None, content_id: str) -> Row:
    if row is None:
        raise ChimeraError("NOT_FOUND", f"no content {content_id!r}", {"content_id": content_id})
    return row
