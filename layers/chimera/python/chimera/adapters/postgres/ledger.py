"""The ledger in Postgres: the one place that can say "approved".

One short transaction decides: lock the budget rows in a fixed order, read the clock, apply the rules,
reserve, write one
ledger row. The lock order everywhere is reservation -> limits -> budget rows (sorted) -> chain head. What
holds at every commit:

- I1 0 <= reserved, 0 <= spent, reserved + spent <= limit, for every (scope, kind, period)
- I2 one decision per request, one resolution (settle, release, expire) at most, and only of an approval
- I3 reserved and spent are the sums of the ledger's open and settled approvals
- I7 sequence numbers without a gap, each row's hash over the one before
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from chimera.adapters.postgres.chain import append, change_limits, key_columns
from chimera.adapters.postgres.database import Connection, Row
from chimera.adapters.postgres.ledger_reads import LedgerReads, decision_on, known_uuid, resolution_of
from chimera.domain.approval import Claims
from chimera.domain.cfo import (
    KINDS,
    SCOPES,
    ApprovalRequest,
    CfoPolicy,
    CounterKey,
    RiskFeatures,
    Ruling,
    check_control,
    counters,
    periods_of,
    rule,
)
from chimera.domain.ids import stable_id
from chimera.domain.ledger import Entry, Override, decision_details, entry_from_row
from chimera.domain.money import MAX_MICROS, usd
from chimera.errors import ChimeraError

EXPIRY_GRACE = timedelta(seconds=30)
"""The job waits longer than spenders do (they refuse 30 s early): clocks differ."""


class PostgresLedger(LedgerReads):
    """The ledger of one tenant. Not thread-safe, as its Database is not."""

    # --- decide

    def decide(
        self, request: ApprovalRequest, policy: CfoPolicy, *, key_id: str, override: Override | None = None
    ) -> Entry:
        """The decision's row: written now, or the one written when this request first came.

        `CONFLICT` when the request id came before with another body, `FORBIDDEN` for an agent that is not the
        tenant's,
        `SYSTEM_STOPPED` (nothing written) when the switch forbids spending.
        """
        return self._retry(lambda c: self._decide(c, request, policy, key_id, override))

    def _decide(
        self,
        c: Connection,
        request: ApprovalRequest,
        policy: CfoPolicy,
        key_id: str,
        override: Override | None,
    ) -> Entry:
        digest = _digest(request, override)
        known = self._known(c, request.request_id, digest)
        if known is not None:
            return known
        if c.execute("SELECT 1 FROM agents WHERE id = %s", (request.agent_id,)).fetchone() is None:
            raise ChimeraError(
                "FORBIDDEN",
                f"agent {request.agent_id} is not one of this tenant's",
                {"agent_id": request.agent_id},
            )
        escalated = self._escalated(c, override) if override else None
        now, keys, remaining = self._lock_budget(c, request.request_type)
        # a racing duplicate may have committed while this one waited for the locks
        known = self._known(c, request.request_id, digest)
        if known is not None:
            return known
        control = c.execute("SELECT state, epoch FROM controls").fetchone()
        check_control(control["state"] if control else None)
        assert control is not None
        features = self._features(c, request, policy, now, min(remaining.values()))
        ruling = rule(request, remaining, features, policy, waive_risk=override is not None)
        if override is not None and not override.approve:
            ruling = Ruling(
                "rejected", "FORBIDDEN", f"{override.by} did not approve the escalated request", ruling.risk
            )
        approved = ruling.decision == "approved"
        if approved:
            updated = c.execute(
                "UPDATE budget_tracking SET reserved_micros = reserved_micros + %s, ver = ver + 1"
                " WHERE (scope, kind, period_id) IN (SELECT * FROM unnest(%s::text[], %s::text[],"
                " %s::text[]))",
                (request.amount_micros, *key_columns(keys)),
            )
            if updated.rowcount != len(keys):
                raise ChimeraError("INTERNAL", f"{updated.rowcount} of {len(keys)} budget rows reserved")
        used = request.amount_micros if approved else 0
        details = decision_details(features, policy, remaining, used, override)
        entry = append(
            c,
            self.tenant_id,
            now,
            entry_type="DECISION",
            request_id=request.request_id,
            agent_id=request.agent_id,
            request_type=request.request_type,
            amount_micros=request.amount_micros,
            currency=request.currency,
            projected_roi=request.projected_roi,
            risk_score=ruling.risk,
            decision=ruling.decision,
            code=ruling.code,
            reason=ruling.reason,
            justification=request.justification,
            cfo_agent_id=stable_id(self.tenant_id, "cfo"),
            made_by=override.by if override else "cfo",
            override_of=escalated.tx_id if escalated else None,
            periods=periods_of(now),
            control_epoch=control["epoch"],
            expires_at=(now + timedelta(seconds=policy.approval_ttl_seconds)).replace(microsecond=0)
            if approved
            else None,
            details=details,
            req_sha256=digest,
            key_id=key_id if approved else "",
        )
        if approved:
            c.execute(
                "INSERT INTO reservation (request_id, decision_tx, state, category, amount_micros, periods,"
                " control_epoch, expires_at) VALUES (%s, %s, 'RESERVED', %s, %s, %s, %s, %s)",
                (
                    request.request_id,
                    entry.tx_id,
                    request.request_type,
                    request.amount_micros,
                    Jsonb(entry.periods),
                    control["epoch"],
                    entry.expires_at,
                ),
            )
        return entry

    def _known(self, c: Connection, request_id: str, digest: bytes) -> Entry | None:
        entry = decision_on(c, request_id)
        if entry is not None and entry.req_sha256 != digest:
            raise ChimeraError(
                "CONFLICT", f"request {request_id} came before with another body", {"request_id": request_id}
            )
        return entry

    def _escalated(self, c: Connection, override: Override) -> Entry:
        entry = decision_on(c, override.request_id)
        if entry is None:
            raise ChimeraError("NOT_FOUND", f"no request {override.request_id}", {"request_id": override.request_id})
        if entry.decision != "escalated":
            raise ChimeraError(
                "CONFLICT",
                f"request {override.request_id} is {entry.decision}, only an escalated one waits for a person",
                {"decision": entry.decision},
            )
        return entry

    def _lock_budget(
        self, c: Connection, request_type: str
    ) -> tuple[datetime, list[CounterKey], dict[CounterKey, int]]:
        """Lock this moment's budget rows; the moment is read again after the lock, and if a period ended
        meanwhile: again."""
        now = self._now(c)
        while True:
            keys = counters(request_type, periods_of(now))
            found = c.execute(
                "SELECT count(*) AS n FROM budget_tracking"
                " WHERE (scope, kind, period_id) IN (SELECT * FROM unnest(%s::text[], %s::text[],"
                " %s::text[]))",
                key_columns(keys),
            ).fetchone()
            if found is None or found["n"] != len(keys):
                self._create_rows(c, keys)
            rows = c.execute(
                "SELECT scope, kind, period_id, limit_micros, reserved_micros, spent_micros FROM"
                " budget_tracking"
                " WHERE (scope, kind, period_id) IN (SELECT * FROM unnest(%s::text[], %s::text[],"
                " %s::text[]))"
                " ORDER BY scope, kind, period_id FOR UPDATE",
                key_columns(keys),
            ).fetchall()
            if len(rows) != len(keys):
                raise ChimeraError("INTERNAL", "the tenant has no budget limits: seed it first", {"rows": len(rows)})
            locked_at = self._now(c)
            if periods_of(locked_at) == periods_of(now):
                remaining = {
                    (r["scope"], r["kind"], r["period_id"]): r["limit_micros"]
                    - r["reserved_micros"]
                    - r["spent_micros"]
                    for r in rows
                }
                return locked_at, keys, remaining
            now = locked_at

    def _create_rows(self, c: Connection, keys: Sequence[CounterKey]) -> None:
        """A period's rows come into being with its first request, in a transaction of the lock order."""
        # FOR SHARE: a change of limits either comes before these rows or sees them
        limits = {
            (r["scope"], r["kind"]): r["limit_micros"]
            for r in c.execute(
                "SELECT scope, kind, limit_micros FROM budget_limits ORDER BY scope, kind FOR SHARE"
            ).fetchall()
        }
        for scope, kind, period_id in keys:
            if (scope, kind) in limits:
                limit = limits[scope, kind]
                c.execute(
                    "INSERT INTO budget_tracking (scope, kind, period_id, target_limit_micros, limit_micros)"
                    " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                    (scope, kind, period_id, limit, limit),
                )

    def _features(
        self, c: Connection, request: ApprovalRequest, policy: CfoPolicy, now: datetime, remaining: int
    ) -> RiskFeatures:
        history = c.execute(
            "SELECT decision, request_type, amount_micros, created_at FROM ledger"
            " WHERE agent_id = %s AND entry_type = 'DECISION' ORDER BY seq DESC LIMIT 100",
            (request.agent_id,),
        ).fetchall()
        recent = now - timedelta(minutes=10)
        return RiskFeatures(
            cost_micros=request.amount_micros,
            remaining_micros=remaining,
            roi=request.projected_roi,
            hurdle=policy.hurdle,
            agent_decisions=len(history),
            agent_rejections=sum(1 for row in history if row["decision"] == "rejected"),
            largest_before_micros=max(
                (
                    row["amount_micros"]
                    for row in history
                    if row["decision"] == "approved" and row["request_type"] == request.request_type
                ),
                default=0,
            ),
            recent_decisions=sum(1 for row in history if row["created_at"] > recent),
        )

    # --- sign, dispatch

    def attach_signature(self, seq: int, kid: str, signature: bytes) -> Entry:
        """Keep the first signature of a row and give the row with it; an approval becomes SIGNED."""

        def attach(c: Connection) -> Entry:
            # reservation before ledger_signature, as everywhere
            c.execute(
                "UPDATE reservation SET state = 'SIGNED', state_version = state_version + 1 WHERE state ="
                " 'RESERVED'"
                " AND decision_tx = (SELECT tx_id FROM ledger WHERE seq = %s)",
                (seq,),
            )
            c.execute(
                "INSERT INTO ledger_signature (seq, kid, sig) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (seq, kid, signature),
            )
            row = c.execute("SELECT * FROM ledger_entries WHERE seq = %s", (seq,)).fetchone()
            if row is None:
                raise ChimeraError("NOT_FOUND", f"no ledger row {seq}", {"seq": seq})
            return entry_from_row(row)

        return self._retry(attach)

    def dispatch(self, claims: Claims, spender: str) -> bool:
        """Let one spender use the approval, once, before anything is spent. True the first time, False when
        it asks again.

        `INVALID_SIGNATURE`: not this ledger's approval, ended, or expired. `CONFLICT`: used by another
        spender, or closed.
        `SYSTEM_STOPPED`: the switch forbids spending.
        """
        if not 0 < len(spender) <= 500:
            raise ChimeraError("VALIDATION_FAILED", f"spender: got {spender[:80]!r}, expected 1–500 characters")

        def run(c: Connection) -> bool:
            row = self._lock_reservation(c, claims.request_id)
            decision = decision_on(c, claims.request_id)
            if decision is None or decision.body != claims.body:
                raise ChimeraError("INVALID_SIGNATURE", "the token is not the approval that the ledger has")
            control = c.execute("SELECT state, epoch FROM controls").fetchone()
            check_control(control["state"] if control else None)
            state = row["state"]
            if state == "DISPATCHED" and row["spender"] == spender:
                return False
            if state in {"DISPATCHED", "SETTLED", "RELEASED"}:
                raise ChimeraError(
                    "CONFLICT",
                    f"the approval of {claims.request_id} is {state} already",
                    {"state": state, "spender": row["spender"]},
                )
            if control is None or row["control_epoch"] != control["epoch"]:
                raise ChimeraError(
                    "CONFLICT", "the approval was given before the control switch was last used; ask again"
                )
            if state != "SIGNED" or row["expires_at"] <= self._now(c):
                raise ChimeraError(
                    "INVALID_SIGNATURE",
                    "the approval has expired or was never signed",
                    {"state": state, "expires_at": row["expires_at"].isoformat()},
                )
            c.execute(
                "UPDATE reservation SET state = 'DISPATCHED', state_version = state_version + 1, spender ="
                " %s,"
                " dispatched_at = clock_timestamp() WHERE request_id = %s AND state = 'SIGNED'",
                (spender, claims.request_id),
            )
            return True

        return self._retry(run)

    # --- settle, release, expire

    def settle(
        self,
        request_id: str,
        actual_micros: int,
        *,
        made_by: str = "cfo",
        details: Mapping[str, Any] | None = None,
    ) -> Entry:
        """Charge what it really cost (0 … reserved) to the periods of the decision and give the rest back.

        Again with the same amount: the same row. `CONFLICT`: another amount, never dispatched, or closed
        otherwise.
        `BUDGET_EXCEEDED`: more than was reserved; the reservation stays as it is.
        """
        if actual_micros < 0:
            raise ChimeraError("VALIDATION_FAILED", f"actual cost: got {actual_micros} micros, expected 0 or more")

        def run(c: Connection) -> Entry:
            row = self._lock_reservation(c, request_id)
            done = resolution_of(c, request_id)
            if done is not None:
                if done.entry_type == "SETTLE" and done.amount_micros == actual_micros:
                    return done
                raise _closed(request_id, done)
            if row["state"] != "DISPATCHED":
                raise ChimeraError(
                    "CONFLICT",
                    f"{request_id} is {row['state']}: only a dispatched approval has costs",
                    {"state": row["state"]},
                )
            if actual_micros > row["amount_micros"]:
                raise ChimeraError(
                    "BUDGET_EXCEEDED",
                    f"{usd(actual_micros)} spent, {usd(row['amount_micros'])} USD reserved: the cost was not capped",
                    {"actual": usd(actual_micros), "reserved": usd(row["amount_micros"])},
                )
            return self._resolve(c, row, "SETTLE", actual_micros, made_by, "settled at the real cost", details)

        return self._retry(run)

    def release(self, request_id: str, why: str, *, made_by: str = "cfo") -> Entry:
        """Give all of a reservation back, because nothing was spent. Again: the same row. `CONFLICT` once it
        is settled."""

        def run(c: Connection) -> Entry:
            row = self._lock_reservation(c, request_id)
            done = resolution_of(c, request_id)
            if done is not None:
                if done.entry_type == "SETTLE":
                    raise _closed(request_id, done)
                return done
            return self._resolve(c, row, "RELEASE", 0, made_by, why, None)

        return self._retry(run)

    def expire_due(self, limit: int = 100) -> list[Entry]:
        """Close approvals that ended unused. A dispatched one never expires: its money may be spent."""

        def next_one(c: Connection) -> Entry | None:
            row = c.execute(
                "SELECT * FROM reservation WHERE state IN ('RESERVED', 'SIGNED') AND expires_at < %s"
                " ORDER BY expires_at, request_id LIMIT 1 FOR UPDATE SKIP LOCKED",
                (self._now(c) - EXPIRY_GRACE,),
            ).fetchone()
            return self._resolve(c, row, "EXPIRE", 0, "cfo", "not used in time", None) if row else None

        expired: list[Entry] = []
        while len(expired) < limit and (entry := self._retry(next_one)) is not None:
            expired.append(entry)
        return expired

    def _lock_reservation(self, c: Connection, request_id: str) -> Row:
        known_uuid(request_id)
        row = c.execute("SELECT * FROM reservation WHERE request_id = %s FOR UPDATE", (request_id,)).fetchone()
        if row is None:
            raise ChimeraError("NOT_FOUND", f"no approval of request {request_id}", {"request_id": request_id})
        return row

    def _resolve(
        self,
        c: Connection,
        row: Row,
        entry_type: str,
        actual: int,
        made_by: str,
        reason: str,
        details: Mapping[str, Any] | None,
    ) -> Entry:
        request_id = str(row["request_id"])
        decision = decision_on(c, request_id)
        assert decision is not None
        keys = counters(row["category"], row["periods"])  # the periods of the decision, also after midnight
        c.execute(
            "SELECT 1 FROM budget_tracking"
            " WHERE (scope, kind, period_id) IN (SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]))"
            " ORDER BY scope, kind, period_id FOR UPDATE",
            key_columns(keys),
        )
        updated = c.execute(
            "UPDATE budget_tracking SET reserved_micros = reserved_micros - %s, spent_micros = spent_micros"
            " + %s,"
            " limit_micros = greatest(target_limit_micros, reserved_micros - %s + spent_micros + %s), ver ="
            " ver + 1"
            " WHERE (scope, kind, period_id) IN (SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]))",
            (row["amount_micros"], actual, row["amount_micros"], actual, *key_columns(keys)),
        )
        if updated.rowcount != len(keys):
            raise ChimeraError("INTERNAL", f"{updated.rowcount} of {len(keys)} budget rows updated")
        state = {"SETTLE": "SETTLED", "RELEASE": "RELEASED", "EXPIRE": "EXPIRED"}[entry_type]
        c.execute(
            "UPDATE reservation SET state = %s, state_version = state_version + 1 WHERE request_id = %s",
            (state, request_id),
        )
        return append(
            c,
            self.tenant_id,
            self._now(c),
            entry_type=entry_type,
            request_id=request_id,
            agent_id=decision.agent_id,
            request_type=decision.request_type,
            amount_micros=actual,
            made_by=made_by,
            reason=reason[:200],
            settles=decision.tx_id,
            cfo_agent_id=decision.cfo_agent_id,
            periods=row["periods"],
            details={**(details or {}), "reserved_micros": str(row["amount_micros"])},
            req_sha256=decision.req_sha256,
        )

    def set_limit(self, scope: str, kind: str, limit_micros: int, *, by: str, reason: str = "") -> Entry | None:
        """Change one limit from the current period on; the LIMIT_CHANGE row, or None if it is the limit
        already.

        A limit below what is used already freezes the current period; what is used stays as it is.
        """
        if not 0 < limit_micros <= MAX_MICROS or scope not in SCOPES or kind not in KINDS:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"limit: got {scope} {kind} {limit_micros}, expected a category of {SCOPES}, a period of"
                f" {KINDS}"
                f" and 1–{MAX_MICROS} micros",
                {"category": scope, "period": kind, "limit_micros": limit_micros},
            )
        return self._retry(
            lambda c: change_limits(
                c, self.tenant_id, {(scope, kind): limit_micros}, made_by=by, reason=reason, now=self._now(c)
            )
        )


def _digest(request: ApprovalRequest, override: Override | None) -> bytes:
    if override is None:
        return request.sha256()
    return request.sha256(
        override_of=override.request_id, by=override.by, approve=str(override.approve), note=override.note
    )


def _closed(request_id: str, done: Entry) -> ChimeraError:
    return ChimeraError(
        "CONFLICT",
        f"{request_id} is closed: {done.entry_type} of {usd(done.amount_micros)} USD",
        {"entry_type": done.entry_type, "amount": usd(done.amount_micros), "seq": done.seq},
    )
