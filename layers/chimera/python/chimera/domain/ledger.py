"""The ledger's rows, pure: what is hashed and signed, how rows are chained, what a verification reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import rfc8785

from chimera.domain.cfo import (
    PERIOD_NAMES,
    RISK_VERSION,
    ApprovalRequest,
    CfoPolicy,
    CounterKey,
    RiskFeatures,
    scopes_of,
)

APPROVAL_PREFIX = b"chimera.cfo.approval.v1\n"
ENTRY_PREFIX = b"chimera.cfo.entry.v1\n"
GENESIS = bytes(32)
RESOLUTIONS = frozenset({"SETTLE", "RELEASE", "EXPIRE"})
AUDIENCE = "chimera.spender"


@dataclass(frozen=True)
class Entry:
    """One ledger row, with its signature once there is one. Amounts in micros."""

    tenant_id: str
    seq: int
    tx_id: str
    entry_type: str
    request_id: str
    agent_id: str | None
    request_type: str | None
    amount_micros: int
    currency: str
    projected_roi: Decimal | None
    risk_score: Decimal | None
    decision: str | None
    code: str
    reason: str
    justification: str
    cfo_agent_id: str | None
    made_by: str
    override_of: str | None
    settles: str | None
    periods: dict[str, str]
    control_epoch: int | None
    expires_at: datetime | None
    details: dict[str, Any]
    req_sha256: bytes
    prev_hash: bytes
    key_id: str
    created_at: datetime
    body: bytes = b""
    row_hash: bytes = b""
    signature: bytes | None = None
    signed_by: str | None = None

    @property
    def is_approval(self) -> bool:
        """Whether this row, once signed, lets somebody spend."""
        return self.entry_type == "DECISION" and self.decision == "approved"


FIELDS = tuple(name for name in Entry.__dataclass_fields__ if name not in {"signature", "signed_by"})


def entry_from_row(row: Mapping[str, Any]) -> Entry:
    """A row of the `ledger_entries` view as an Entry."""
    values = {name: row[name] for name in FIELDS}
    for name in ("tenant_id", "tx_id", "request_id", "agent_id", "cfo_agent_id", "override_of", "settles"):
        values[name] = None if row[name] is None else str(row[name])
    return Entry(**values, signature=row.get("approval_signature"), signed_by=row.get("signed_by"))


def timestamp(instant: datetime) -> str:
    """ISO 8601 UTC with microseconds, as Postgres keeps it."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def body_fields(entry: Entry) -> dict[str, Any]:
    """What the chain and the signature cover, from the row's columns alone. For an approval these are the
    token's claims.

    Amounts are strings (RFC 8785 numbers are binary doubles). Justification and ROI are in `req_sha256`, the
    rest of
    the row's columns in `details_sha256`. `prev` makes every signature a signature over all rows before it.
    """
    fields: dict[str, Any] = {
        "v": 1,
        "entry": entry.entry_type,
        "tenant_id": entry.tenant_id,
        "seq": entry.seq,
        "tx_id": entry.tx_id,
        "request_id": entry.request_id,
        "amount_micros": str(entry.amount_micros),
        "currency": entry.currency,
        "made_by": entry.made_by,
        "at": timestamp(entry.created_at),
        "req_sha256": entry.req_sha256.hex(),
        "details_sha256": sha256(rfc8785.dumps(entry.details)).hexdigest(),
        "prev": entry.prev_hash.hex(),
    }
    if entry.agent_id is not None:
        fields["agent_id"] = entry.agent_id
    if entry.request_type is not None:
        fields |= {"category": entry.request_type, "scopes": list(scopes_of(entry.request_type))}
    if entry.periods:
        fields["periods"] = entry.periods
    if entry.reason:
        fields["reason"] = entry.reason
    if entry.settles is not None:
        fields["settles"] = entry.settles
    if entry.entry_type == "DECISION":
        fields |= {
            "decision": entry.decision,
            "code": entry.code,
            "risk_score": str(entry.risk_score),
            "risk_version": RISK_VERSION,
            "cfo": entry.cfo_agent_id,
            "control_epoch": entry.control_epoch,
        }
    elif entry.code:
        fields["code"] = entry.code
    if entry.override_of is not None:
        fields["override_of"] = entry.override_of
    if entry.key_id:
        fields["kid"] = entry.key_id
    if entry.is_approval and entry.expires_at is not None:
        fields |= {
            "kid": entry.key_id,
            "alg": "ES256",
            "aud": AUDIENCE,
            "nbf": int(entry.created_at.timestamp()),
            "exp": int(entry.expires_at.timestamp()),
        }
    return fields


def row_hash(prev_hash: bytes, body: bytes) -> bytes:
    """The link of the chain: SHA-256 of 0x00 ‖ previous hash ‖ body."""
    return sha256(b"\0" + prev_hash + body).digest()


@dataclass
class Chain:
    """Rows that follow a head, built before they are written: each has the hash of the one before in its body."""

    tenant_id: str
    seq: int
    hash: bytes
    at: datetime
    """Every row's time: the store's clock, read when the head was locked."""
    key_id: str
    """The key that is to sign the rows."""
    new_id: Callable[[], str]

    def add(
        self,
        entry_type: str,
        *,
        request_id: str,
        amount_micros: int,
        made_by: str,
        req_sha256: bytes,
        tx_id: str | None = None,
        agent_id: str | None = None,
        request_type: str | None = None,
        currency: str = "USD",
        projected_roi: Decimal | None = None,
        risk_score: Decimal | None = None,
        decision: str | None = None,
        code: str = "",
        reason: str = "",
        justification: str = "",
        cfo_agent_id: str | None = None,
        override_of: str | None = None,
        settles: str | None = None,
        periods: Mapping[str, str] | None = None,
        control_epoch: int | None = None,
        expires_at: datetime | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Entry:
        """The next row; the chain goes on after it. Numbers in `details` are strings."""
        entry = Entry(
            tenant_id=self.tenant_id,
            seq=self.seq + 1,
            tx_id=tx_id or self.new_id(),
            entry_type=entry_type,
            request_id=request_id,
            agent_id=agent_id,
            request_type=request_type,
            amount_micros=amount_micros,
            currency=currency,
            projected_roi=projected_roi,
            risk_score=risk_score,
            decision=decision,
            code=code,
            reason=reason,
            justification=justification,
            cfo_agent_id=cfo_agent_id,
            made_by=made_by,
            override_of=override_of,
            settles=settles,
            periods=dict(periods or {}),
            control_epoch=control_epoch,
            expires_at=expires_at,
            details=dict(details or {}),
            req_sha256=req_sha256,
            prev_hash=self.hash,
            key_id=self.key_id,
            created_at=self.at,
        )
        body = rfc8785.dumps(body_fields(entry))
        entry = replace(entry, body=body, row_hash=row_hash(entry.prev_hash, body))
        self.seq, self.hash = entry.seq, entry.row_hash
        return entry


def signing_message(entry: Entry) -> bytes:
    """The bytes that are signed: a prefix that says what for, then the stored body. Only an approval opens a
    purse."""
    return (APPROVAL_PREFIX if entry.is_approval else ENTRY_PREFIX) + entry.body


@dataclass(frozen=True)
class Override:
    """A person's answer to an escalated decision."""

    request_id: str
    by: str
    approve: bool
    note: str = ""


def request_digest(request: ApprovalRequest, override: Override | None = None) -> bytes:
    """What makes two requests the same: the request's meaning and, for a person's decision, that decision."""
    if override is None:
        return request.sha256()
    return request.sha256(
        override_of=override.request_id, by=override.by, approve=str(override.approve), note=override.note
    )


@dataclass(frozen=True)
class Reservation:
    """Where an approval stands: RESERVED, SIGNED, DISPATCHED, then SETTLED, RELEASED or EXPIRED."""

    request_id: str
    state: str
    amount_micros: int
    category: str
    periods: dict[str, str]
    expires_at: datetime
    control_epoch: int
    spender: str | None
    decision_tx: str = ""
    state_version: int = 0
    dispatched_at: datetime | None = None


@dataclass(frozen=True)
class LimitChange:
    """One changed limit, in micros; `before` is None for the first one."""

    scope: str
    kind: str
    before: int | None
    after: int

    def as_json(self) -> dict[str, str | None]:
        """For the row's details."""
        before = None if self.before is None else str(self.before)
        return {"scope": self.scope, "kind": self.kind, "before": before, "after": str(self.after)}


@dataclass(frozen=True)
class BudgetLine:
    """One counter of a current period, in micros. `remaining` is never negative: a cut below what is used
    freezes."""

    period: str
    category: str
    period_id: str
    period_start: datetime
    period_end: datetime
    limit_micros: int
    reserved_micros: int
    spent_micros: int

    @property
    def remaining_micros(self) -> int:
        """What may still be reserved."""
        return max(0, self.limit_micros - self.reserved_micros - self.spent_micros)


@dataclass(frozen=True)
class Page:
    """Some entries, newest first, and where the next ones begin."""

    entries: list[Entry]
    next_cursor: str | None


@dataclass(frozen=True)
class VerifyReport:
    """What `ledger verify` found. `unsigned` rows are those that the sweep has still to sign."""

    verified: bool
    entries: int
    problems: list[str] = field(default_factory=list)
    unsigned: int = 0
    head: str = ""


def decision_details(
    features: RiskFeatures,
    policy: CfoPolicy,
    remaining: Mapping[CounterKey, int],
    used: int,
    override: Override | None,
) -> dict[str, Any]:
    """All that the decision rested on, and what is left after it: strings only, so that its hash has one
    form."""
    left = {
        name: str(max(0, min(micros for (_, kind, _), micros in remaining.items() if kind == k) - used))
        for k, name in PERIOD_NAMES.items()
    }
    details: dict[str, Any] = {
        "remaining_micros": left,
        "risk": {
            "version": RISK_VERSION,
            "features": {name: str(value) for name, value in asdict(features).items()},
            "weights": {name: str(value) for name, value in asdict(policy.weights).items()},
            "threshold": str(policy.risk_threshold),
        },
        "hurdle": str(policy.hurdle),
    }
    if override is not None:
        details["override"] = {
            "of": override.request_id,
            "by": override.by,
            "approve": str(override.approve).lower(),
            "note": override.note,
        }
    return details
