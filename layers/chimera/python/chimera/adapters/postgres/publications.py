"""Publications: one row for each (content, channel); every step is a fenced transition of its state."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from chimera.adapters.postgres.audit import audit
from chimera.adapters.postgres.database import Connection, Database, Row
from chimera.adapters.postgres.publishing_rules import require_may_publish, require_running
from chimera.domain.ids import is_uuid
from chimera.domain.models import PublishRequest, Receipt
from chimera.domain.publication import (
    MAX_ATTEMPTS,
    MAX_LOOKUPS,
    SETTLE,
    Event,
    State,
    absence_is_proof,
    lease_end,
    next_state,
)
from chimera.errors import ChimeraError

JSON_COLUMNS = {"request", "receipt", "last_error"}


class PostgresPublications:
    """The publications of one tenant."""

    def __init__(self, db: Database, tenant_id: str) -> None:
        self._db = db
        self._tenant = tenant_id

    # --- before anything is sent

    def subject(self, content_id: str, channel_id: str) -> Row:
        """What a request is made of: the content's row, `platform`, `persona_language`, `video` facts.

        Refuses what may not be published there, as `claim_send` will: see `require_may_publish`.
        """
        with self._db.transaction(self._tenant) as tx:
            content = require_may_publish(tx, content_id, channel_id)
            video = tx.execute(
                "SELECT duration_seconds, width, height, sha256 FROM video_metadata WHERE content_id = %s",
                (content_id,),
            ).fetchone()
            return {**content, "video": video}

    def plan(self, request: PublishRequest) -> Row:
        """Enter the intent; again gives the same row. A newer version replaces one never posted."""
        fields: dict[str, Any] = {
            "content_hash": request.content_hash,
            "title": request.title,
            "description": request.description,
            "tags": request.tags,
            "request": request.model_dump(mode="json"),
            "scheduled_at": request.scheduled_at,
        }
        with self._db.transaction(self._tenant) as tx:
            tx.execute(
                "INSERT INTO publications (id, content_id, content_hash, platform, channel_id,"
                " idempotency_key, title, description, tags, request, scheduled_at)"
                " VALUES (%(key)s::uuid, %(content_id)s, %(content_hash)s, %(platform)s, %(channel_id)s,"
                " %(key)s::text, %(title)s, %(description)s, %(tags)s, %(request)s, %(scheduled_at)s)"
                " ON CONFLICT (tenant_id, content_id, channel_id) DO NOTHING",
                {
                    **fields,
                    "request": Jsonb(fields["request"]),
                    "key": request.idempotency_key,
                    "content_id": request.content_id,
                    "platform": request.platform,
                    "channel_id": request.channel_id,
                },
            )
            row = self._lock(tx, request.idempotency_key)
            replaceable = row["state"] in (State.PLANNED, State.READY, State.FAILED_PERMANENT)
            if replaceable and row["content_hash"] != request.content_hash:
                row = self._move(tx, row, Event.REPLANNED, "publisher", last_error=None, **fields)
            return row

    def ready(self, publication_id: str) -> Row:
        """The platform would take it: PLANNED becomes READY; any other state stays."""
        with self._db.transaction(self._tenant) as tx:
            row = self._lock(tx, publication_id)
            return self._move(tx, row, Event.CHECKED) if row["state"] == State.PLANNED else row

    # --- the send

    def claim_send(
        self,
        publication_id: str,
        *,
        state_version: int,
        jti: str,
        expires_at: datetime,
        content_hash: str,
        channel_id: str,
    ) -> Row:
        """Use up a grant: READY becomes SENDING, with a lease. The same grant again gives the row as it is.

        The grant names the `state_version` it was made for, so that one claim wins and older grants are worth
        nothing. Last before the change, rules and control switch are looked at again: `FORBIDDEN`,
        `POLICY_VIOLATION`, `PUBLISHING_PAUSED`, `SYSTEM_STOPPED`.
        """
        with self._db.transaction(self._tenant) as tx:
            row = self._lock(tx, publication_id)
            if row["grant_jti"] == jti or row["state"] == State.CONFIRMED:
                return row
            if (row["content_hash"], row["channel_id"]) != (content_hash, channel_id):
                raise ChimeraError(
                    "FORBIDDEN",
                    "the grant is for another content or channel",
                    {"publication_id": publication_id},
                )
            if row["state"] != State.READY or row["state_version"] != state_version:
                raise ChimeraError(
                    "CONFLICT",
                    f"the grant is for version {state_version}, the publication is {row['state']}"
                    f" at version {row['state_version']}; ask for a new grant",
                    {"publication_id": publication_id, "state": row["state"]},
                )
            if _now(tx) >= expires_at:
                raise ChimeraError("UNAUTHENTICATED", "the grant has expired", {"publication_id": publication_id})
            require_may_publish(tx, str(row["content_id"]), channel_id, content_hash)
            require_running(tx)
            return self._move(
                tx,
                row,
                Event.CLAIMED,
                attempts=row["attempts"] + 1,
                lookups=0,
                grant_jti=jti,
                grant_used_at=_now(tx),
                lease_until=lease_end(expires_at),
            )

    def confirm(self, publication_id: str, receipt: Receipt) -> Row:
        """The platform says that it is posted: keep the receipt, mark content and video. Again is the same.

        A receipt of another post for a publication that has one is a `CONFLICT`: it was posted twice, look
        at it.
        """
        with self._db.transaction(self._tenant) as tx:
            row = self._lock(tx, publication_id)
            if not receipt.post_id or (receipt.idempotency_key, receipt.platform) != (
                row["idempotency_key"],
                row["platform"],
            ):
                raise ChimeraError(
                    "VALIDATION_FAILED",
                    f"the receipt names post {receipt.post_id!r} on {receipt.platform!r},"
                    f" expected a post of {publication_id} on {row['platform']!r}",
                    {"publication_id": publication_id},
                )
            if row["state"] == State.CONFIRMED:
                if row["post_id"] != receipt.post_id:
                    raise ChimeraError(
                        "CONFLICT",
                        f"publication {publication_id} is post {row['post_id']}, a second receipt says"
                        f" {receipt.post_id}",
                        {
                            "publication_id": publication_id,
                            "first": row["post_id"],
                            "second": receipt.post_id,
                        },
                    )
                return row
            if row["attempts"] == 0:
                raise ChimeraError("CONFLICT", "a receipt for what was never sent", {"publication_id": publication_id})
            at = receipt.published_at or _now(tx)
            row = self._move(
                tx,
                row,
                Event.RECEIPT,
                post_id=receipt.post_id,
                url=receipt.url,
                published_at=at,
                lease_until=None,
                receipt=receipt.model_copy(update={"attempts": row["attempts"]}).model_dump(mode="json"),
            )
            tx.execute(
                "UPDATE content_pipeline SET stage = 'published', published_at = coalesce(published_at, %s),"
                " state_version = state_version + 1 WHERE id = %s AND stage <> 'published'",
                (at, row["content_id"]),
            )
            tx.execute(
                "UPDATE video_metadata SET platform_ids = platform_ids || jsonb_build_object(%s::text,"
                " %s::text)"
                " WHERE content_id = %s",
                (row["channel_id"], receipt.post_id, row["content_id"]),
            )
            return row

    def ambiguous(self, publication_id: str, *, attempt: int | None, error: dict[str, Any], worker_ended: bool) -> Row:
        """A send whose outcome nobody knows. Only the claim `attempt` is meant (None: the running one).

        `worker_ended`: the worker itself reported it, so it sends no more and the wait is short; a worker
        that only fell silent keeps its lease.
        """
        with self._db.transaction(self._tenant) as tx:
            row = self._lock(tx, publication_id)
            mine = attempt is None or row["attempts"] == attempt
            if not mine or row["state"] not in (State.SENDING, State.AMBIGUOUS):
                return row
            lease = row["lease_until"]
            if worker_ended and lease is not None:
                lease = min(lease, _now(tx) + SETTLE)
            if row["state"] == State.AMBIGUOUS:
                return self._update(tx, row, row["state"], lease_until=lease, last_error=error)
            return self._move(tx, row, Event.TROUBLE, last_error=error, lease_until=lease)

    def fail_permanent(self, publication_id: str, *, attempt: int, error: dict[str, Any]) -> Row:
        """The platform refuses for good; nothing is posted. Only the claim `attempt` (0: none yet) is."""
        with self._db.transaction(self._tenant) as tx:
            row = self._lock(tx, publication_id)
            if row["attempts"] != attempt or row["state"] not in (State.PLANNED, State.READY, State.SENDING):
                return row
            return self._move(tx, row, Event.REFUSED, last_error=error, lease_until=None)

    # --- after a send whose outcome is not known

    def back_to_ready(self, publication_id: str, *, looked_up_at: datetime, dedupes_by_key: bool) -> Row:
        """A look-up found nothing: READY if that is proof, else the row stays until its lease is over."""
        with self._db.transaction(self._tenant) as tx:
            row = self._lock(tx, publication_id)
            proof = absence_is_proof(
                looked_up_at=looked_up_at, lease_until=row["lease_until"], dedupes_by_key=dedupes_by_key
            )
            if row["state"] != State.AMBIGUOUS or not proof:
                return row
            if row["attempts"] >= MAX_ATTEMPTS:
                return self._move(tx, row, Event.UNKNOWABLE, lease_until=None)
            return self._move(tx, row, Event.ABSENT, lease_until=None)

    def needs_human(self, publication_id: str, *, error: dict[str, Any], at_once: bool = False) -> Row:
        """A look-up had no answer: counted, and after MAX_LOOKUPS (or `at_once`) a person is asked."""
        with self._db.transaction(self._tenant) as tx:
            row = self._lock(tx, publication_id)
            if row["state"] != State.AMBIGUOUS:
                return row
            if at_once or row["lookups"] + 1 >= MAX_LOOKUPS:
                return self._move(tx, row, Event.UNKNOWABLE, last_error=error)
            return self._update(tx, row, row["state"], lookups=row["lookups"] + 1, last_error=error)

    def person_found_nothing(self, publication_id: str, *, by: str) -> Row:
        """A person looked and it is not posted: NEEDS_HUMAN becomes READY. A find goes to `confirm`."""
        with self._db.transaction(self._tenant) as tx:
            row = self._lock(tx, publication_id)
            return self._move(tx, row, Event.HUMAN_ABSENT, actor=by, lease_until=None)

    def cancel(self, publication_id: str) -> Row:
        """Give up what is not posted and not being sent; again is the same."""
        with self._db.transaction(self._tenant) as tx:
            row = self._lock(tx, publication_id)
            return row if row["state"] == State.CANCELLED else self._move(tx, row, Event.CANCELLED)

    # --- reading

    def get(self, publication_id: str) -> Row:
        """The row; `NOT_FOUND` if this tenant has none of that id."""
        with self._db.transaction(self._tenant) as tx:
            return _row(tx, publication_id)

    def of_content(self, content_id: str) -> list[Row]:
        """The content's publications, by channel."""
        with self._db.transaction(self._tenant) as tx:
            return tx.execute(
                "SELECT * FROM publications WHERE content_id = %s ORDER BY channel_id", (content_id,)
            ).fetchall()

    def page(
        self,
        limit: int,
        before: tuple[str, str] | None,
        status: str | None = None,
        platform: str | None = None,
    ) -> list[Row]:
        """Newest first; `before` is the (created_at, id) of the last row of the page before."""
        with self._db.transaction(self._tenant) as tx:
            return tx.execute(
                "SELECT * FROM publications WHERE (%(status)s::text IS NULL OR status = %(status)s)"
                " AND (%(platform)s::text IS NULL OR platform = %(platform)s)"
                " AND (%(at)s::timestamptz IS NULL OR (created_at, id) < (%(at)s::timestamptz, %(id)s::uuid))"
                " ORDER BY created_at DESC, id DESC LIMIT %(limit)s",
                {
                    "status": status,
                    "platform": platform,
                    "at": before[0] if before else None,
                    "id": before[1] if before else None,
                    "limit": limit,
                },
            ).fetchall()

    def unsettled(self, limit: int = 100) -> list[Row]:
        """What a look-up has to settle: ambiguous, or being sent for longer than the lease; oldest first."""
        with self._db.transaction(self._tenant) as tx:
            return tx.execute(
                "SELECT * FROM publications WHERE state = 'AMBIGUOUS'"
                " OR (state = 'SENDING' AND lease_until < clock_timestamp()) ORDER BY lease_until LIMIT %s",
                (limit,),
            ).fetchall()

    # --- inside a transaction

    def _lock(self, tx: Connection, publication_id: str) -> Row:
        """The row, locked; a claim that ran out is ambiguous from here on."""
        row = _row(tx, publication_id, lock=True)
        if row["state"] == State.SENDING and row["lease_until"] < _now(tx):
            return self._move(tx, row, Event.LEASE_ENDED)
        return row

    def _move(self, tx: Connection, row: Row, event: Event, actor: str = "publisher", **changes: Any) -> Row:
        state = next_state(row["state"], event)
        changed = self._update(tx, row, state, **changes)
        audit(
            tx,
            actor=actor,
            action=f"publication.{event.value}",
            before={"state": row["state"], "state_version": row["state_version"]},
            after={"state": state, "content_id": str(row["content_id"]), "channel_id": row["channel_id"]},
            request_id=str(row["id"]),
        )
        return changed

    def _update(self, tx: Connection, row: Row, state: str, **changes: Any) -> Row:
        values = {k: Jsonb(v) if k in JSON_COLUMNS and v is not None else v for k, v in changes.items()}
        values["state"] = str(state)
        statement = sql.SQL(
            "UPDATE publications SET {changes}, state_version = state_version + 1"
            " WHERE id = %(id)s AND state_version = %(version)s RETURNING *"
        ).format(
            changes=sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(k), sql.Placeholder(f"c_{k}")) for k in values
            )
        )
        parameters = {f"c_{k}": v for k, v in values.items()} | {
            "id": row["id"],
            "version": row["state_version"],
        }
        changed = tx.execute(statement, parameters).fetchone()
        if changed is None:
            raise ChimeraError("CONFLICT", f"publication {row['id']} was changed by someone else; read it again", {})
        return changed


def _now(tx: Connection) -> datetime:
    """The database's clock, the only one that decides; read after a lock, not before."""
    row = tx.execute("SELECT clock_timestamp() AS now").fetchone()
    assert row is not None
    moment: datetime = row["now"]
    return moment


def _row(tx: Connection, publication_id: str, *, lock: bool = False) -> Row:
    row = None
    if is_uuid(publication_id):
        statement = sql.SQL("SELECT * FROM publications WHERE id = %s {}").format(sql.SQL("FOR UPDATE" if lock else ""))
        row = tx.execute(statement, (publication_id,)).fetchone()
    if row is None:
        raise ChimeraError(
            "NOT_FOUND", f"no publication {publication_id[:80]!r}", {"publication_id": publication_id[:80]}
        )
    return row
