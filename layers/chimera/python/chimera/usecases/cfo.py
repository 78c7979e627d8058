"""The CFO: decides about a request, signs after the commit, lets it be spent once, books what it really
cost."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import Field

from chimera.domain.approval import ApprovalToken, Claims, make_token, verify_approval
from chimera.domain.cfo import PERIOD_NAMES, ApprovalRequest, CfoPolicy, parse_request, parse_weights
from chimera.domain.ids import stable_id
from chimera.domain.ledger import Entry, Override, Reservation, signing_message, timestamp
from chimera.domain.models import CostLine, Decision, Model
from chimera.domain.money import to_micros, usd
from chimera.errors import ChimeraError
from chimera.ports import Clock, Signer, Verifier
from chimera.settings import Settings

SIGNING_MARGIN = timedelta(seconds=30)
"""An approval that ends sooner than this is left to expire instead of being signed late."""


class Ledger(Protocol):
    """What the CFO needs of a tenant's ledger (adapters.postgres.ledger)."""

    tenant_id: str

    def decide(
        self, request: ApprovalRequest, policy: CfoPolicy, *, key_id: str, override: Override | None = None
    ) -> Entry:
        """The first decision on the request."""
        ...

    def attach_signature(self, seq: int, kid: str, signature: bytes) -> Entry:
        """Keep the first signature of a row."""
        ...

    def dispatch(self, claims: Claims, spender: str) -> bool:
        """Use an approval, once."""
        ...

    def settle(
        self,
        request_id: str,
        actual_micros: int,
        *,
        made_by: str = "cfo",
        details: Mapping[str, Any] | None = None,
    ) -> Entry:
        """Charge the real cost."""
        ...

    def release(self, request_id: str, why: str, *, made_by: str = "cfo") -> Entry:
        """Give a reservation back."""
        ...

    def expire_due(self, limit: int = 100) -> Sequence[Entry]:
        """Close approvals that ended unused."""
        ...

    def unsigned(self, limit: int = 100) -> Sequence[Entry]:
        """Rows that wait for their signature."""
        ...

    def get(self, request_id: str) -> tuple[Entry, Entry | None, Reservation | None]:
        """Decision, resolution, reservation."""
        ...


class ApprovalAnswer(Model):
    """cfo.approve's answer. Amounts are decimal strings in USD; `risk_score` 0–1."""

    request_id: str
    decision: Decision
    approved: bool
    reason: str
    code: str = Field(description="The documented error code of a refusal; empty when approved")
    amount: str
    risk_score: float
    approval_signature: str | None
    token: ApprovalToken | None = Field(description="What a spender shows: claims, key id, signature")
    budget_remaining: dict[str, str]
    conditions: list[str]
    expires_at: str | None
    execution_time_ms: int


def policy_of(settings: Settings) -> CfoPolicy:
    """The rules' numbers, from the settings."""
    return CfoPolicy(
        hurdle=settings.min_roi_hurdle_rate,
        max_transaction_micros=to_micros(settings.max_transaction, "max_transaction"),
        risk_threshold=settings.risk_threshold,
        weights=parse_weights(settings.risk_weights),
        approval_ttl_seconds=settings.approval_ttl_seconds,
    )


class Cfo:
    """Decisions about one tenant's money.

    >>> answer = cfo.approve({"request_id": ..., "agent_id": ..., "request_type": "compute", "request_cost":
    "0.06",
    ...                       "projected_roi": "2.0", "justification": "a video", "currency": "USD"})
    >>> cfo.dispatch(answer["token"], spender=execution_id)   # before anything is spent
    >>> cfo.settle(answer["request_id"], cost_lines)
    """

    def __init__(
        self,
        ledger: Ledger,
        signer: Signer,
        verifier: Verifier,
        clock: Clock,
        policy: CfoPolicy | None = None,
    ) -> None:
        self._ledger = ledger
        self._signer = signer
        self._verifier = verifier
        self._clock = clock
        self._policy = policy or CfoPolicy()

    # --- decide

    def approve(self, request: ApprovalRequest | Mapping[str, Any]) -> dict[str, Any]:
        """Approved, rejected or escalated, as an `ApprovalAnswer` in JSON; the same request again gives the
        same answer.

        `request_cost` is the enforced upper bound of what will be spent. Raises `VALIDATION_FAILED` (nothing
        written),
        `CONFLICT` (the request id came before with another body), `FORBIDDEN` (unknown agent),
        `SYSTEM_STOPPED`.
        """
        started = time.perf_counter()
        parsed = parse_request(request)
        entry = self._ledger.decide(parsed, self._policy, key_id=self._signer.key_id)
        return self._answer(self._signed(entry), started)

    def approve_override(
        self, request: ApprovalRequest | Mapping[str, Any], by: str, *, approve: bool = True, note: str = ""
    ) -> dict[str, Any]:
        """A person's decision on an escalated request: a new decision, under an id of its own, that names the
        first.

        The person may waive the risk, never the budget. A no is written down as a rejection. `CONFLICT` if
        the request
        was not escalated, is not the one that was, or a person decided otherwise before.
        """
        started = time.perf_counter()
        first = parse_request(request)
        if not 0 < len(by) <= 200:
            raise ChimeraError("VALIDATION_FAILED", f"by: got {by[:80]!r}, expected who decides (1–200 characters)")
        decision, _, _ = self._ledger.get(first.request_id)
        if decision.req_sha256 != first.sha256():
            raise ChimeraError(
                "CONFLICT",
                f"request {first.request_id} was escalated with another body",
                {"request_id": first.request_id},
            )
        second = first.model_copy(update={"request_id": stable_id(first.request_id, "override")})
        override = Override(request_id=first.request_id, by=by, approve=approve, note=note[:500])
        entry = self._ledger.decide(second, self._policy, key_id=self._signer.key_id, override=override)
        return self._answer(self._signed(entry), started)

    def answer(self, request_id: str) -> dict[str, Any]:
        """The answer that was given to a request; `NOT_FOUND`."""
        started = time.perf_counter()
        return self._answer(self._signed(self._ledger.get(request_id)[0]), started)

    # --- spend

    def dispatch(
        self,
        token: ApprovalToken | Mapping[str, Any] | None,
        spender: str,
        *,
        request_id: str | None = None,
        agent_id: str | None = None,
        amount_micros: int | None = None,
    ) -> dict[str, Any]:
        """Verify the approval and use it, once, before anything is spent; gives `{request_id, amount,
        first}`.

        `spender` is the same for the same work (execution and state): after a crash it is let through again,
        another
        one gets `CONFLICT`. A forged, altered, expired or foreign token is `INVALID_SIGNATURE`.
        """
        claims = verify_approval(
            token,
            self._verifier,
            now=self._clock.now(),
            agent_id=agent_id,
            amount_micros=amount_micros,
            request_id=request_id,
            tenant_id=self._ledger.tenant_id,
            # the ledger does that, by its own clock; a spender that goes on after a crash is not late
            check_expiry=False,
        )
        first = self._ledger.dispatch(claims, spender)
        return {"request_id": claims.request_id, "amount": usd(claims.amount_micros), "first": first}

    def settle(self, request_id: str, lines: Sequence[CostLine]) -> dict[str, Any]:
        """Book what it really cost and give the rest back; the same lines again book nothing more.

        Costs above the reservation can only come from a limit that was not enforced: all that was reserved is
        charged
        then, and the entry and the answer say by how much it was exceeded (`overrun`).
        """
        measured = sum(line.amount_micros for line in lines)
        _, _, reservation = self._ledger.get(request_id)
        reserved = reservation.amount_micros if reservation else 0
        details: dict[str, Any] = {
            "lines": [{**line.model_dump(), "amount_micros": str(line.amount_micros)} for line in lines],
            "overrun_micros": str(max(0, measured - reserved)),
        }
        entry = self._settled(self._ledger.settle(request_id, min(measured, reserved), details=details))
        return {**entry, "overrun": usd(max(0, measured - reserved))}

    def release(self, request_id: str, why: str) -> dict[str, Any]:
        """Give the whole reservation back, because nothing was spent; again is the same. `CONFLICT` once it
        is settled."""
        return self._settled(self._ledger.release(request_id, why))

    def state(self, request_id: str) -> str:
        """RESERVED, SIGNED, DISPATCHED, SETTLED, RELEASED, EXPIRED, or REJECTED and ESCALATED;
        `NOT_FOUND`."""
        decision, _, reservation = self._ledger.get(request_id)
        return reservation.state if reservation else str(decision.decision).upper()

    def sweep(self) -> dict[str, int]:
        """What a crash left behind: sign what is unsigned, expire what is over. Run at start-up and every
        minute."""
        signed = 0
        while batch := self._ledger.unsigned(100):
            before = signed
            for entry in batch:
                signed += self._signed(entry).signature is not None
            if signed == before:
                break
        expired = self._ledger.expire_due()
        for entry in expired:
            self._signed(entry)
        return {"signed": signed, "expired": len(expired)}

    # --- inside

    def _signed(self, entry: Entry) -> Entry:
        """The row with its signature, made now if a crash came between the commit and the signing."""
        if entry.signature is not None:
            return entry
        if entry.is_approval:
            entry, _, reservation = self._ledger.get(entry.request_id)
            open_still = reservation is not None and reservation.state == "RESERVED"
            if entry.signature is not None or not open_still or not self._may_still_sign(entry):
                return entry
        signature = self._signer.sign(signing_message(entry))
        return self._ledger.attach_signature(entry.seq, self._signer.key_id, signature)

    def _may_still_sign(self, entry: Entry) -> bool:
        if entry.key_id != self._signer.key_id:  # decided for a key that was since replaced: it expires unused
            return False
        soon: datetime = self._clock.now() + SIGNING_MARGIN
        return entry.expires_at is not None and entry.expires_at > soon

    def _answer(self, entry: Entry, started: float) -> dict[str, Any]:
        token = None
        if entry.is_approval and entry.signature is not None and entry.signed_by is not None:
            token = make_token(json.loads(entry.body), entry.signed_by, entry.signature)
        remaining = entry.details.get("remaining_micros", {})
        conditions = []
        if entry.is_approval and entry.expires_at is not None:
            conditions = [
                f"spend at most {usd(entry.amount_micros)} {entry.currency}",
                f"single use, before {timestamp(entry.expires_at)}",
            ]
        elif entry.decision == "escalated":
            conditions = ["a person decides; no answer is a rejection"]
        return ApprovalAnswer(
            request_id=entry.request_id,
            decision=_decision(entry),
            approved=token is not None,
            reason=entry.reason,
            code=entry.code,
            amount=usd(entry.amount_micros),
            risk_score=float(entry.risk_score or 0),
            approval_signature=token.sig if token else None,
            token=token,
            budget_remaining={name: usd(int(remaining.get(name, 0))) for name in PERIOD_NAMES.values()},
            conditions=conditions,
            expires_at=timestamp(entry.expires_at) if entry.expires_at else None,
            execution_time_ms=round((time.perf_counter() - started) * 1000),
        ).model_dump(mode="json")

    def _settled(self, entry: Entry) -> dict[str, Any]:
        entry = self._signed(entry)
        reserved = int(entry.details.get("reserved_micros", 0))
        return {
            "request_id": entry.request_id,
            "entry_type": entry.entry_type,
            "seq": entry.seq,
            "tx_id": entry.tx_id,
            "actual_micros": entry.amount_micros,
            "actual": usd(entry.amount_micros),
            "reserved_micros": reserved,
            "reserved": usd(reserved),
            "released": usd(reserved - entry.amount_micros),
        }


def _decision(entry: Entry) -> Decision:
    if entry.decision not in ("approved", "rejected", "escalated"):
        raise ChimeraError("INTERNAL", f"ledger row {entry.seq} has no decision")
    return entry.decision  # type: ignore[return-value]
