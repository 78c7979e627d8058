"""The CFO: decides about a request, signs after the commit, lets it be spent once, books what it really
cost."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from pydantic import Field

from chimera.domain.approval import ApprovalToken, Claims, make_token, verify_approval
from chimera.domain.cfo import (
    PERIOD_NAMES,
    ApprovalRequest,
    CfoPolicy,
    parse_request,
    parse_weights,
    request_fields,
)
from chimera.domain.ids import stable_id
from chimera.domain.ledger import Entry, Override, Reservation, signing_message, timestamp
from chimera.domain.models import CostLine, Decision, Model
from chimera.domain.money import to_micros, usd
from chimera.errors import ChimeraError
from chimera.ports import Clock, Signer, Verifier
from chimera.settings import Settings

AT_ONCE = 50
"""Requests that one transaction decides."""
REFUSED = frozenset({"VALIDATION_FAILED", "FORBIDDEN", "INVALID_SIGNATURE"})
"""What of an authenticated caller is written down as a REFUSAL; other errors are answers about the moment."""
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

    def decide_many(
        self, requests: Sequence[ApprovalRequest], policy: CfoPolicy, key_id: str
    ) -> list[Entry | ChimeraError]:
        """The first decision on each request, or its error in its place."""
        ...

    def attach_signature(self, seq: int, kid: str, signature: bytes) -> Entry:
        """Keep the first signature of a row."""
        ...

    def attach_signatures(self, signed: Sequence[tuple[int, str, bytes]]) -> Sequence[Entry]:
        """The same for several rows: seq, kid, signature."""
        ...

    def use_key(self, kid: str, purpose: str = "cfo") -> bool:
        """Whether it is the key in use."""
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
        overrun_micros: int = 0,
    ) -> Entry:
        """Charge the real cost."""
        ...

    def refund(self, request_id: str, amount_micros: int, *, key: str, by: str, reason: str) -> Entry:
        """Book what a vendor gave back."""
        ...

    def refuse(
        self,
        subject: str,
        code: str,
        message: str,
        raw: Any,
        agent_id: str | None = None,
        request_id: str | None = None,
    ) -> Entry:
        """Write down a request that could not be decided."""
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


@dataclass(frozen=True)
class Asker:
    """Who asks, as authenticated, not as a body says. `agents` are the agents it may ask for: one of its own, or None
    for a person, who may ask for any of the tenant's."""

    subject: str
    agents: frozenset[str] | None = None

    @property
    def agent_id(self) -> str | None:
        """The agent that it is, if it is just one."""
        return next(iter(self.agents)) if self.agents is not None and len(self.agents) == 1 else None


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

    def approve(self, request: ApprovalRequest | Mapping[str, Any], *, asker: Asker | None = None) -> dict[str, Any]:
        """Approved, rejected or escalated, as an `ApprovalAnswer` in JSON; the same request again gives the
        same answer.

        `request_cost` is the enforced upper bound of what will be spent. Raises `VALIDATION_FAILED` (not a request),
        `FORBIDDEN` (unknown agent, or another than the asker's own), `CONFLICT` (the request id came before with another
        body), `SYSTEM_STOPPED`. With an `asker` the first two leave a REFUSAL row.
        """
        started = time.perf_counter()
        try:
            parsed = _asked(request, asker)
            entry = self._ledger.decide(parsed, self._policy, key_id=self._signer.key_id)
        except ChimeraError as error:
            self._refused(error, asker, request)
            raise
        return self._answer(self._signed(entry), started)

    def approve_many(
        self, requests: Sequence[ApprovalRequest | Mapping[str, Any]], *, asker: Asker | None = None
    ) -> list[dict[str, Any] | ChimeraError]:
        """What `approve` gives for each request, in their order, in one transaction for each 50 of them.

        A request that cannot be decided has its error in its place and does not hurt the others.
        """
        started = time.perf_counter()
        answers: list[dict[str, Any] | ChimeraError] = []
        for first in range(0, len(requests), AT_ONCE):
            answers += self._approve_at_once(requests[first : first + AT_ONCE], asker, started)
        return answers

    def _approve_at_once(
        self, requests: Sequence[ApprovalRequest | Mapping[str, Any]], asker: Asker | None, started: float
    ) -> list[dict[str, Any] | ChimeraError]:
        outcomes: list[ApprovalRequest | Entry | ChimeraError] = []
        for request in requests:
            try:
                outcomes.append(_asked(request, asker))
            except ChimeraError as error:
                outcomes.append(error)
        sound = [(place, each) for place, each in enumerate(outcomes) if isinstance(each, ApprovalRequest)]
        decided = self._ledger.decide_many([each for _, each in sound], self._policy, self._signer.key_id)
        for (place, _), entry in zip(sound, decided, strict=True):
            outcomes[place] = entry
        signed = {entry.seq: entry for entry in self._sign_all([e for e in outcomes if isinstance(e, Entry)])}
        answers: list[dict[str, Any] | ChimeraError] = []
        for request, outcome in zip(requests, outcomes, strict=True):
            if isinstance(outcome, ChimeraError):
                self._refused(outcome, asker, request)
                answers.append(outcome)
            elif isinstance(outcome, Entry):
                answers.append(self._answer(signed.get(outcome.seq, outcome), started))
        return answers

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
        """Verify the approval and use it, once, before anything is spent; gives `{request_id, amount, amount_micros,
        control_epoch, exp, first}`.

        `spender` is the same for the same work (execution and state): after a crash it is let through again,
        another one gets `CONFLICT`. A forged, altered, expired or foreign token is `INVALID_SIGNATURE`. Both, of a token
        that was used before, leave a REFUSAL row that names the spender.
        """
        try:
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
        except ChimeraError as error:
            replayed = error.code == "CONFLICT" and "spender" in error.details
            if spender and (error.code == "INVALID_SIGNATURE" or replayed):
                self._enter_refusal(error, Asker(spender), token, request_id)
            raise
        return {
            "request_id": claims.request_id,
            "amount": usd(claims.amount_micros),
            "amount_micros": claims.amount_micros,
            "control_epoch": claims.control_epoch,
            "exp": claims.exp,
            "first": first,
        }

    def settle(self, request_id: str, lines: Sequence[CostLine]) -> dict[str, Any]:
        """Book what it really cost and give the rest back; the same lines again book nothing more.

        Costs above the reservation can only come from a limit that was not enforced: all that was reserved is
        charged then, the entry and the answer say by how much it was exceeded (`overrun`), and the category is frozen
        until a person looked.
        """
        measured = sum(line.amount_micros for line in lines)
        _, _, reservation = self._ledger.get(request_id)
        reserved = reservation.amount_micros if reservation else 0
        details: dict[str, Any] = {
            "lines": [{**line.model_dump(), "amount_micros": str(line.amount_micros)} for line in lines],
            "overrun_micros": str(max(0, measured - reserved)),
        }
        overrun = max(0, measured - reserved)
        settled = self._ledger.settle(request_id, min(measured, reserved), details=details, overrun_micros=overrun)
        return {**self._settled(settled), "overrun": usd(overrun)}

    def refund(
        self, request_id: str, amount: str | int | Decimal, *, key: str, by: str, reason: str = ""
    ) -> dict[str, Any]:
        """Book what a vendor gave back (USD, in all at most what was settled) off the periods of the decision.

        The same `key` again is the same row. `CONFLICT`: the key with another amount, more than was settled, or not
        settled; `VALIDATION_FAILED`: not an amount.
        """
        entry = self._signed(
            self._ledger.refund(request_id, to_micros(amount, "amount"), key=key, by=by, reason=reason)
        )
        return {
            "request_id": entry.request_id,
            "entry_type": entry.entry_type,
            "seq": entry.seq,
            "tx_id": entry.tx_id,
            "amount": usd(entry.amount_micros),
            "amount_micros": entry.amount_micros,
            "refunded": usd(int(entry.details["refunded_micros"])),
            "settled": usd(int(entry.details["settled_micros"])),
        }

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
            signed += sum(entry.signature is not None for entry in self._sign_all(batch))
            if signed == before:
                break
        expired = self._ledger.expire_due()
        for entry in expired:
            self._signed(entry)
        return {"signed": signed, "expired": len(expired)}

    # --- inside

    def _refused(self, error: ChimeraError, asker: Asker | None, request: ApprovalRequest | Mapping[str, Any]) -> None:
        if asker is None or error.code not in REFUSED:
            return
        raw: Any = dict(request) if isinstance(request, Mapping) else request
        if isinstance(request, ApprovalRequest):
            raw = request_fields(request)
        asked = raw.get("request_id") if isinstance(raw, dict) else None
        self._enter_refusal(error, asker, raw, asked if isinstance(asked, str) else None)

    def _enter_refusal(self, error: ChimeraError, asker: Asker, raw: Any, request_id: str | None) -> None:
        if isinstance(raw, ApprovalToken):
            raw = raw.model_dump(mode="json")
        self._signed(self._ledger.refuse(asker.subject, error.code, error.message, raw, asker.agent_id, request_id))

    def _signed(self, entry: Entry) -> Entry:
        """The row with its signature, made now if a crash came between the commit and the signing."""
        if entry.signature is not None or not self._may_sign(entry):
            return entry
        signature = self._signer.sign(signing_message(entry))
        return self._ledger.attach_signature(entry.seq, self._signer.key_id, signature)

    def _sign_all(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Those of the rows that lacked a signature and may have one, with it."""
        kid = self._signer.key_id
        unsigned = {entry.seq: entry for entry in entries if entry.signature is None and self._may_sign(entry)}
        signatures = [(seq, kid, self._signer.sign(signing_message(entry))) for seq, entry in unsigned.items()]
        return self._ledger.attach_signatures(signatures)

    def _may_sign(self, entry: Entry) -> bool:
        if not entry.is_approval:
            # a row for a key that was replaced is for the key in use to sign; one that is not in use signs nothing
            return entry.key_id in ("", self._signer.key_id) or self._ledger.use_key(self._signer.key_id)
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


def _asked(request: ApprovalRequest | Mapping[str, Any], asker: Asker | None) -> ApprovalRequest:
    """The request, in the name of an agent that the asker may ask for; without one in the body, its own."""
    agent = asker.agent_id if asker else None
    if agent is not None and isinstance(request, Mapping) and "agent_id" not in request:
        request = {**request, "agent_id": agent}
    parsed = parse_request(request)
    if asker is not None and asker.agents is not None and parsed.agent_id not in asker.agents:
        raise ChimeraError(
            "FORBIDDEN",
            f"agent_id: got {parsed.agent_id}, expected an agent that {asker.subject[:80]!r} may ask for",
            {"agent_id": {"got": parsed.agent_id, "expected": sorted(asker.agents)}},
        )
    return parsed


def _decision(entry: Entry) -> Decision:
    if entry.decision not in ("approved", "rejected", "escalated"):
        raise ChimeraError("INTERNAL", f"ledger row {entry.seq} has no decision")
    return entry.decision  # type: ignore[return-value]
