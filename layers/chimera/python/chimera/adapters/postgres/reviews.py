"""Reviews by people: bound to the hash of what was seen, decided once, told until the run knows."""

from __future__ import annotations

from typing import Any, Literal

from chimera.adapters.postgres.audit import audit
from chimera.adapters.postgres.database import Connection, Database, Row
from chimera.domain.ids import is_uuid, new_id
from chimera.errors import ChimeraError

Kind = Literal["content", "spend"]
Decided = Literal["approved", "rejected"]
# the task token stays inside: who holds it can answer in a person's place
PUBLIC = (
    "id, kind, content_id, request_id, subject_hash, reason, status, decided_by, decided_at, note,"
    " in_advance,"
    " delivered_at, task_token IS NOT NULL AS waits, state_version, created_at, updated_at"
)


class PostgresReviews:
    """The reviews of one tenant."""

    def __init__(self, db: Database, tenant_id: str) -> None:
        self._db = db
        self._tenant = tenant_id

    def open(self, kind: Kind, subject_id: str, subject_hash: str, reason: str) -> Row:
        """The review of this version, before anybody waits for it; again gives the same one."""
        _require(kind, subject_id, subject_hash)
        with self._db.transaction(self._tenant) as tx:
            _insert(tx, kind, subject_id, subject_hash, reason)
            return _public(tx, _of(tx, kind, subject_id, subject_hash)["id"])

    def request(self, kind: Kind, subject_id: str, subject_hash: str, reason: str, task_token: str) -> Row:
        """Ask for a decision about this version; again gives the same review.

        A new token (the run was started again) takes the old one's place; if the review is decided already,
        that decision is to be delivered to the new token.
        """
        _require(kind, subject_id, subject_hash)
        if not task_token:
            raise ChimeraError("VALIDATION_FAILED", "a review needs the token of the task that waits", {})
        with self._db.transaction(self._tenant) as tx:
            _insert(tx, kind, subject_id, subject_hash, reason)
            row = _of(tx, kind, subject_id, subject_hash)
            if row["task_token"] != task_token:
                tx.execute(
                    "UPDATE reviews SET task_token = %s, delivered_at = NULL, state_version ="
                    " state_version + 1,"
                    " reason = CASE WHEN reason = '' THEN %s ELSE reason END WHERE id = %s",
                    (task_token, reason, row["id"]),
                )
                _log(tx, row, "review.requested", "judge" if kind == "content" else "cfo")
            return _public(tx, row["id"])

    def approve_in_advance(self, kind: Kind, subject_id: str, subject_hash: str, by: str, note: str = "") -> Row:
        """A person at the keyboard approved beforehand; recorded as such. A `reject` stays one.

        `POLICY_VIOLATION` if the judge rejected this version, `CONFLICT` if a person did or if it expired.
        """
        _require(kind, subject_id, subject_hash)
        with self._db.transaction(self._tenant) as tx:
            if kind == "content":
                verdict = tx.execute(
                    "SELECT verdict FROM safety_reports WHERE content_id = %s AND content_hash = %s"
                    " ORDER BY created_at DESC, id DESC LIMIT 1",
                    (subject_id, subject_hash),
                ).fetchone()
                if verdict and verdict["verdict"] == "reject":
                    raise ChimeraError(
                        "POLICY_VIOLATION",
                        f"the judge rejected content {subject_id}; an approval in advance cannot change that",
                        {"content_id": subject_id, "content_hash": subject_hash},
                    )
            _insert(tx, kind, subject_id, subject_hash, "")
            row = _of(tx, kind, subject_id, subject_hash)
            if row["status"] == "pending":
                return self._decide(tx, row, "approved", by, note, in_advance=True)
            if row["status"] != "approved":
                raise _decided_already(row, "approved")
            return _public(tx, row["id"])

    def decide(self, review_id: str, decision: Decided, by: str, note: str, expected_hash: str) -> Row:
        """A person's decision about the version `expected_hash`; the same decision again is the same answer.

        `CONFLICT` if the review is about another version, if the content was made anew since, or if it was
        decided otherwise.
        """
        if decision not in ("approved", "rejected") or not by.strip():
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"a decision is 'approved' or 'rejected', by someone; got {decision!r} by {by!r}",
                {"decision": str(decision)[:80]},
            )
        with self._db.transaction(self._tenant) as tx:
            row = _locked(tx, review_id)
            current = _current_hash(tx, row)
            if row["subject_hash"] != expected_hash or current != row["subject_hash"]:
                raise ChimeraError(
                    "CONFLICT",
                    f"the decision is about version {expected_hash[:64]}, the review about"
                    f" {row['subject_hash']},"
                    f" the newest is {current}; look again",
                    {"review_id": review_id, "expected": expected_hash[:64], "newest": current},
                )
            if row["status"] == decision:
                return _public(tx, row["id"])
            if row["status"] != "pending":
                raise _decided_already(row, decision)
            return self._decide(tx, row, decision, by, note, in_advance=False)

    def expire(self, review_id: str) -> Row:
        """Nobody answered in time: from now on it counts as rejected. What is decided stays decided."""
        with self._db.transaction(self._tenant) as tx:
            row = _locked(tx, review_id)
            if row["status"] == "pending":
                tx.execute(
                    "UPDATE reviews SET status = 'expired', decided_at = clock_timestamp(), task_token ="
                    " NULL,"
                    " state_version = state_version + 1 WHERE id = %s",
                    (row["id"],),
                )
                _log(tx, row, "review.expired", "supervisor")
            return _public(tx, row["id"])

    # --- telling the run that waits

    def backlog(self) -> int:
        """How many wait for a person."""
        with self._db.transaction(self._tenant) as tx:
            row = tx.execute("SELECT count(*) AS n FROM reviews WHERE status = 'pending'").fetchone()
        assert row is not None
        return int(row["n"])

    def undelivered(self, limit: int = 100, review_id: str | None = None) -> list[Row]:
        """Decided reviews, with `task_token`, whose run was not told yet; oldest decision first."""
        with self._db.transaction(self._tenant) as tx:
            return tx.execute(
                "SELECT * FROM reviews WHERE status IN ('approved', 'rejected') AND task_token IS NOT NULL"
                " AND delivered_at IS NULL AND (%(id)s::uuid IS NULL OR id = %(id)s::uuid)"
                " ORDER BY decided_at, id LIMIT %(limit)s",
                {"id": review_id, "limit": limit},
            ).fetchall()

    def mark_delivered(self, review_id: str, task_token: str) -> None:
        """The run that waits with this token was told."""
        with self._db.transaction(self._tenant) as tx:
            tx.execute(
                "UPDATE reviews SET delivered_at = clock_timestamp(), state_version = state_version + 1"
                " WHERE id = %s AND task_token = %s AND delivered_at IS NULL",
                (review_id, task_token),
            )

    # --- reading

    def get(self, review_id: str) -> Row:
        """The review without its token; `NOT_FOUND` if this tenant has none of that id."""
        with self._db.transaction(self._tenant) as tx:
            if not is_uuid(review_id):
                raise _missing(review_id)
            return _public(tx, review_id)

    def page(
        self, limit: int, before: tuple[str, str] | None, status: str | None = None, kind: str | None = None
    ) -> list[Row]:
        """Newest first; `before` is the (created_at, id) of the last row of the page before."""
        with self._db.transaction(self._tenant) as tx:
            return tx.execute(
                f"SELECT {PUBLIC} FROM reviews"  # noqa: S608
                " WHERE (%(status)s::text IS NULL OR status = %(status)s)"
                " AND (%(kind)s::text IS NULL OR kind = %(kind)s)"
                " AND (%(at)s::timestamptz IS NULL OR (created_at, id) < (%(at)s::timestamptz, %(id)s::uuid))"
                " ORDER BY created_at DESC, id DESC LIMIT %(limit)s",
                {
                    "status": status,
                    "kind": kind,
                    "at": before[0] if before else None,
                    "id": before[1] if before else None,
                    "limit": limit,
                },
            ).fetchall()

    def pending_count(self) -> int:
        """How many wait for a person."""
        with self._db.transaction(self._tenant) as tx:
            row = tx.execute("SELECT count(*) AS n FROM reviews WHERE status = 'pending'").fetchone()
            assert row is not None
            return int(row["n"])

    def _decide(self, tx: Connection, row: Row, decision: Decided, by: str, note: str, *, in_advance: bool) -> Row:
        tx.execute(
            "UPDATE reviews SET status = %s, decided_by = %s, note = %s, in_advance = %s,"
            " decided_at = clock_timestamp(), state_version = state_version + 1 WHERE id = %s AND status ="
            " 'pending'",
            (decision, by, note[:2000], in_advance, row["id"]),
        )
        _log(tx, row, f"review.{decision}", by, in_advance=in_advance)
        return _public(tx, row["id"])


def _column(kind: str) -> str:
    return "content_id" if kind == "content" else "request_id"


def _insert(tx: Connection, kind: Kind, subject_id: str, subject_hash: str, reason: str) -> None:
    column = _column(kind)
    tx.execute(
        f"INSERT INTO reviews (id, kind, {column}, subject_hash, reason)"  # noqa: S608
        " VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (tenant_id, kind, coalesce(content_id, request_id), subject_hash) DO NOTHING",
        (new_id(), kind, subject_id, subject_hash, reason),
    )


def _of(tx: Connection, kind: Kind, subject_id: str, subject_hash: str) -> Row:
    row = tx.execute(
        f"SELECT * FROM reviews WHERE kind = %s AND {_column(kind)} = %s AND subject_hash = %s FOR UPDATE",  # noqa: S608
        (kind, subject_id, subject_hash),
    ).fetchone()
    if row is None:
        raise _missing(subject_id)
    return row


def _locked(tx: Connection, review_id: str) -> Row:
    row = (
        tx.execute("SELECT * FROM reviews WHERE id = %s FOR UPDATE", (review_id,)).fetchone()
        if is_uuid(review_id)
        else None
    )
    if row is None:
        raise _missing(review_id)
    return row


def _public(tx: Connection, review_id: Any) -> Row:
    row = tx.execute(f"SELECT {PUBLIC} FROM reviews WHERE id = %s", (review_id,)).fetchone()  # noqa: S608
    if row is None:
        raise _missing(str(review_id))
    return row


def _current_hash(tx: Connection, row: Row) -> str | None:
    """The hash of the newest version of what the review is about; a spend request never changes."""
    if row["kind"] == "spend":
        return str(row["subject_hash"])
    content = tx.execute("SELECT content_hash FROM content_pipeline WHERE id = %s", (row["content_id"],)).fetchone()
    return content["content_hash"] if content else None


def _log(tx: Connection, row: Row, action: str, actor: str, **more: Any) -> None:
    subject = row["content_id"] or row["request_id"]
    audit(
        tx,
        actor=actor,
        action=action,
        before={"status": row["status"]},
        after={"kind": row["kind"], "subject": str(subject), "subject_hash": row["subject_hash"], **more},
        request_id=str(row["id"]),
    )


def _require(kind: str, subject_id: str, subject_hash: str) -> None:
    if kind not in ("content", "spend") or not is_uuid(subject_id) or not subject_hash:
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"a review is about 'content' or 'spend', an id and a hash; got {kind!r}, {subject_id!r}, {subject_hash!r}",
            {"kind": str(kind)[:80], "subject_id": str(subject_id)[:80]},
        )


def _decided_already(row: Row, wanted: str) -> ChimeraError:
    return ChimeraError(
        "CONFLICT",
        f"review {row['id']} is {row['status']} by {row['decided_by'] or 'nobody'} already, not {wanted}",
        {"review_id": str(row["id"]), "status": row["status"]},
    )


def _missing(review_id: str) -> ChimeraError:
    return ChimeraError("NOT_FOUND", f"no review {review_id[:80]!r}", {"review_id": review_id[:80]})
