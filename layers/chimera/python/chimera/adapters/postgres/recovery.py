"""What the recovery job asks of Postgres: whether the books still fit the ledger, and which dispatched approvals wait too long.

The books are recomputed from a checkpoint, so that a minute's check reads a minute's rows; once a day, and whenever there is
no checkpoint, every row is read.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from psycopg.types.json import Jsonb

from chimera.adapters.postgres.audit import audit
from chimera.adapters.postgres.chain import database_now
from chimera.adapters.postgres.database import Database, Row
from chimera.adapters.postgres.ledger_chunks import CHUNK, Job, chunks
from chimera.adapters.postgres.ledger_verify import (
    UNSIGNED_GRACE,
    SealSource,
    Snapshot,
    compare_state,
    read_ledger,
    take_snapshot,
)
from chimera.domain.ledger_fold import LedgerFold, Settlement, compare_counters
from chimera.errors import ChimeraError
from chimera.ports import Verifier
from chimera.usecases.recovery import BooksCheck, Dispatched, Work

FULL_EVERY = timedelta(hours=24)
MAX_TROUBLE = 20


class PostgresRecovery:
    """The books and the waiting approvals of one tenant. Not thread-safe, as its Database is not."""

    def __init__(
        self,
        db: Database,
        tenant_id: str,
        verifier: Verifier,
        seals: Callable[[], SealSource],
        *,
        processes: int | None = 1,
    ) -> None:
        self._db = db
        self.tenant_id = tenant_id
        self._verifier = verifier
        self._seals = seals
        self._processes = processes

    # --- the books

    def check(self, *, full: bool) -> BooksCheck:
        """Compare counters, limits, freezes, keys and open reservations with what the ledger says (I3, I4, I7).

        Without `full` only rows since the checkpoint are read, when there is one of the last 24 hours. The checkpoint
        moves on only when all fits.
        """
        with self._db.transaction(self.tenant_id) as c:
            checkpoint = c.execute("SELECT * FROM ledger_checkpoint").fetchone()
            now = database_now(c)
        # while something is wrong every row is read: it may be one below the checkpoint
        usable = checkpoint is not None and not checkpoint["trouble"] and now - checkpoint["full_at"] < FULL_EVERY
        if not full and checkpoint is not None and usable:
            found = self._check_since(checkpoint)
            if found is not None:
                return found
        report, fold = read_ledger(
            self._db, self.tenant_id, self._verifier, seals=self._seals(), processes=self._processes
        )
        if report.verified:
            self._keep(fold, bytes.fromhex(report.head), full=True)
        return BooksCheck(report.problems, report.wrong_scopes, report.entries, full=True)

    def _check_since(self, checkpoint: Row) -> BooksCheck | None:
        """From the checkpoint on; None when it cannot be used, and then every row is read."""
        try:
            fold = LedgerFold.load(checkpoint["state"])
        except (ValueError, KeyError, TypeError):
            return None
        if fold.seq != checkpoint["seq"]:
            return None
        fold.look_up(lambda tx: self._settlement(tx, fold.seq))
        with self._db.transaction(self.tenant_id) as c:
            snapshot = take_snapshot(c, count_closed=False)
            row = c.execute("SELECT row_hash FROM ledger WHERE seq = %s", (fold.seq,)).fetchone()
        if fold.seq and (row is None or row["row_hash"] != checkpoint["hash"]):
            return None  # the rows below are not those that were read then
        problems: list[str] = []
        head, before = bytes(checkpoint["hash"]), fold.rows
        for chunk in chunks(self._db, self.tenant_id, self._verifier, _jobs(fold.seq, snapshot), self._processes):
            problems += chunk.problems
            if chunk.rows and chunk.first_prev != head:
                problems.append(f"row {chunk.first_seq}: does not follow the row before it (previous hash)")
            for seen in chunk.seen():
                fold.apply(seen.row)
                head = seen.row_hash
        if (fold.seq, head) != (snapshot.head_seq, snapshot.head_hash):
            problems.append(
                f"the chain's head is at {snapshot.head_seq}, the rows end at {fold.seq} or with another hash"
            )
        problems += fold.problems.found
        wrong = compare_counters(fold, snapshot.budget)
        for scope, texts in compare_state(fold, snapshot).items():
            wrong.setdefault(scope, []).extend(texts)
        if problems:
            wrong.setdefault("total", [])
        problems += [text for texts in wrong.values() for text in texts]
        if not problems and fold.seq > checkpoint["seq"]:
            self._keep(fold, head, full=False)
        return BooksCheck(problems, sorted(wrong), fold.rows - before, full=False)

    def _settlement(self, approval_tx: str, before_seq: int) -> Settlement | None:
        with self._db.transaction(self.tenant_id) as c:
            row = c.execute(
                "SELECT request_id, request_type, periods, amount_micros, details->>'reserved_micros' AS reserved,"
                " (SELECT coalesce(sum(r.amount_micros), 0)::bigint FROM ledger r WHERE r.entry_type = 'REFUND'"
                "  AND r.settles = l.settles AND r.seq < %s) AS refunded"
                " FROM ledger l WHERE entry_type = 'SETTLE' AND settles = %s AND seq < %s",
                (before_seq, approval_tx, before_seq),
            ).fetchone()
        if row is None:
            return None
        return Settlement(
            str(row["request_id"]),
            row["request_type"],
            row["periods"],
            int(row["reserved"]),
            row["amount_micros"],
            row["refunded"],
        )

    def _keep(self, fold: LedgerFold, head: bytes, *, full: bool) -> None:
        with self._db.transaction(self.tenant_id) as c:
            c.execute(
                "INSERT INTO ledger_checkpoint (seq, hash, state, full_at) VALUES (%s, %s, %s, clock_timestamp())"
                " ON CONFLICT (tenant_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, state = excluded.state,"
                " full_at = CASE WHEN %s THEN excluded.full_at ELSE ledger_checkpoint.full_at END"
                " WHERE ledger_checkpoint.seq <= excluded.seq",
                (fold.seq, head, Jsonb(fold.dump()), full),
            )

    # --- trouble

    def note_trouble(self, problems: list[str], scopes: list[str]) -> bool:
        """Keep what is wrong for `health`, with a row of the audit log; True if it was not known yet.

        No problems clear it. Two machines at once enter it once.
        """
        texts = problems[:MAX_TROUBLE]
        with self._db.transaction(self.tenant_id) as c:
            row = c.execute("SELECT trouble FROM ledger_checkpoint FOR UPDATE").fetchone()
            if row is None:
                if not texts:
                    return False
                # nothing was ever checked without trouble: a checkpoint that no check starts from
                c.execute(
                    "INSERT INTO ledger_checkpoint (seq, hash, state, full_at) VALUES (0, %s, '{}', 'epoch')"
                    " ON CONFLICT DO NOTHING",
                    (bytes(32),),
                )
                row = c.execute("SELECT trouble FROM ledger_checkpoint FOR UPDATE").fetchone()
            if row is None or row["trouble"] == texts:
                return False
            c.execute(
                "UPDATE ledger_checkpoint SET trouble = %s, trouble_since ="
                " CASE WHEN %s = '{}'::text[] THEN NULL ELSE coalesce(trouble_since, clock_timestamp()) END",
                (texts, texts),
            )
            action = "alert.budget_mismatch" if texts else "alert.budget_mismatch_over"
            audit(
                c, actor="recovery", action=action, after={"scopes": scopes, "problems": texts}, status=_status(texts)
            )
        return bool(texts)

    def trouble(self) -> list[str]:
        """What did not fit at the last check."""
        with self._db.transaction(self.tenant_id) as c:
            row = c.execute("SELECT trouble FROM ledger_checkpoint").fetchone()
        return list(row["trouble"]) if row else []

    def frozen(self) -> set[str]:
        """Scopes in which nothing is approved."""
        with self._db.transaction(self.tenant_id) as c:
            return {row["scope"] for row in c.execute("SELECT scope FROM budget_freeze")}

    # --- what a person does about it

    def recount(self, *, by: str, note: str) -> list[str]:
        """Put counters and limits back to what the ledger says, because a person asked; sentences for what changed.

        `CONFLICT`, and nothing changed, when the ledger itself is in doubt: only a sound one may be counted from. Scopes
        stay frozen. The change is entered in the audit log.
        """
        for _ in range(5):
            report, fold = read_ledger(
                self._db, self.tenant_id, self._verifier, seals=self._seals(), processes=self._processes
            )
            if report.row_problems:
                raise ChimeraError(
                    "CONFLICT",
                    f"the ledger itself does not verify, so nothing is counted from it: {report.row_problems[0]}",
                    {"problems": report.row_problems[:5]},
                )
            changed = self._apply(fold, report.head, by, note)
            if changed is not None:
                return changed
        raise ChimeraError("DATABASE_WAKING", "others keep writing to the ledger; ask again")

    def _apply(self, fold: LedgerFold, head: str, by: str, note: str) -> list[str] | None:
        """Under the locks of everybody; None when the ledger went on since it was read."""
        with self._db.transaction(self.tenant_id) as c:
            c.execute("SELECT 1 FROM budget_limits ORDER BY scope, kind FOR UPDATE")
            kept = {
                (row["scope"], row["kind"], row["period_id"]): row
                for row in c.execute("SELECT * FROM budget_tracking ORDER BY scope, kind, period_id FOR UPDATE")
            }
            snapshot = take_snapshot(c, count_closed=False)
            if snapshot.head_hash.hex() != head:
                return None
            changed = [text for texts in compare_counters(fold, snapshot.budget).values() for text in texts]
            if snapshot.limits != {key: limit for key, (limit, _) in fold.limits.items()}:
                changed.append("the limits in force are not those that the ledger has")
            if not changed:
                return []
            for (scope, kind), (micros, _) in fold.limits.items():
                c.execute(
                    "UPDATE budget_limits SET limit_micros = %s WHERE (scope, kind) = (%s, %s) AND limit_micros <> %s",
                    (micros, scope, kind, micros),
                )
            for key in sorted({*fold.reserved, *fold.spent, *kept}):
                reserved, spent = fold.reserved.get(key, 0), fold.spent.get(key, 0)
                limit, since = fold.limits[key[0], key[1]]
                target = limit if key[2] >= since or key not in kept else kept[key]["target_limit_micros"]
                c.execute(
                    "INSERT INTO budget_tracking (scope, kind, period_id, target_limit_micros, limit_micros,"
                    " reserved_micros, spent_micros) VALUES (%s, %s, %s, %s, %s, %s, %s)"
                    " ON CONFLICT (tenant_id, scope, kind, period_id) DO UPDATE SET ver = budget_tracking.ver + 1,"
                    " target_limit_micros = excluded.target_limit_micros, limit_micros = excluded.limit_micros,"
                    " reserved_micros = excluded.reserved_micros, spent_micros = excluded.spent_micros",
                    (*key, target, max(target, reserved + spent), reserved, spent),
                )
            audit(
                c, actor=by, action="budget.recounted", before={"problems": changed[:MAX_TROUBLE]}, after={"note": note}
            )
        return changed

    # --- dispatched approvals

    def dispatched(self, older_than_seconds: float, limit: int = 100) -> list[Dispatched]:
        """Approvals that were dispatched so long ago, oldest first; those that somebody works on now are left out."""
        with self._db.transaction(self.tenant_id) as c:
            rows = c.execute(
                "SELECT request_id, amount_micros, category, spender, dispatched_at FROM reservation"
                " WHERE state = 'DISPATCHED' AND dispatched_at < %s ORDER BY dispatched_at LIMIT %s FOR UPDATE SKIP LOCKED",
                (database_now(c) - timedelta(seconds=older_than_seconds), limit),
            ).fetchall()
        return [
            Dispatched(
                str(row["request_id"]),
                row["amount_micros"],
                row["category"],
                row["spender"],
                row["dispatched_at"],
            )
            for row in rows
        ]

    def work_of(self, request_id: str) -> Work | None:
        """The piece of content that an approval was for."""
        with self._db.transaction(self.tenant_id) as c:
            row = c.execute(
                "SELECT id, task_id FROM content_pipeline WHERE approval_request_id = %s", (request_id,)
            ).fetchone()
        return Work(str(row["id"]), f"creation:{row['task_id']}") if row else None


def _jobs(seq: int, snapshot: Snapshot) -> list[Job]:
    return [
        Job(first, min(first + CHUNK - 1, snapshot.head_seq), None, snapshot.now - UNSIGNED_GRACE)
        for first in range(seq + 1, snapshot.head_seq + 1, CHUNK)
    ]


def _status(texts: list[str]) -> str:
    return "failure" if texts else "success"
