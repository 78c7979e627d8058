"""One transaction's decisions: each sees what the ones before it reserved, as if their rows were written already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import rfc8785

from chimera.domain.cfo import (
    ApprovalRequest,
    CfoPolicy,
    CounterKey,
    RiskFeatures,
    Ruling,
    check_control,
    counters,
    periods_of,
    rule,
    scopes_of,
)
from chimera.domain.ids import stable_id
from chimera.domain.ledger import (
    Chain,
    Entry,
    Override,
    Reservation,
    decision_details,
    request_digest,
    timestamp,
)
from chimera.errors import ChimeraError
from chimera.money_ports import DecisionView, Move, PastDecision, Write

HISTORY = 100
"""How many of an agent's decisions its risk rests on."""
RECENT = timedelta(minutes=10)


class Desk:
    """Decides request after request under the locks of one view, and collects what is to be written."""

    def __init__(
        self,
        view: DecisionView,
        tenant_id: str,
        policy: CfoPolicy,
        key_id: str,
        new_id: Callable[[], str],
    ) -> None:
        self._policy = policy
        self._key_id = key_id
        self._chain = Chain(tenant_id, view.head_seq, view.head_hash, view.now, view.key_id, new_id)
        self._periods = periods_of(view.now)
        self._counters = dict(view.counters)
        self._decided: dict[str, Entry] = {}
        self._histories: dict[str, list[PastDecision]] = {}
        self.writes: list[Write] = []

    def decide(
        self,
        request: ApprovalRequest,
        view: DecisionView,
        *,
        override: Override | None = None,
        escalated: Entry | None = None,
    ) -> Entry:
        """The request's row: the one it has already, or a new one among `writes`."""
        digest = request_digest(request, override)
        known = view.known or self._decided.get(request.request_id)
        if known is not None:
            if known.req_sha256 != digest:
                raise ChimeraError(
                    "CONFLICT",
                    f"request {request.request_id} came before with another body",
                    {"request_id": request.request_id},
                )
            return known
        if not view.agent_known:
            raise ChimeraError(
                "FORBIDDEN",
                f"agent {request.agent_id} is not one of this tenant's",
                {"agent_id": request.agent_id},
            )
        check_control(view.control[0] if view.control else None)
        assert view.control is not None
        keys = counters(request.request_type, self._periods)
        if not set(keys) <= self._counters.keys():
            raise ChimeraError(
                "INTERNAL", "the tenant has no budget limits: seed it first", {"rows": len(view.counters)}
            )
        remaining = {key: self._counters[key].remaining_micros for key in keys}
        history = self._histories.setdefault(request.agent_id, list(view.history[:HISTORY]))
        features = self._features(request, history, min(remaining.values()))
        ruling = rule(
            request,
            remaining,
            features,
            self._policy,
            waive_risk=override is not None,
            frozen=self._frozen(request, keys),
        )
        if override is not None and not override.approve:
            ruling = Ruling(
                "rejected", "FORBIDDEN", f"{override.by} did not approve the escalated request", ruling.risk
            )
        self._announce_key()
        approved = ruling.decision == "approved"
        at = self._chain.at
        entry = self._chain.add(
            "DECISION",
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
            cfo_agent_id=stable_id(self._chain.tenant_id, "cfo"),
            made_by=override.by if override else "cfo",
            override_of=escalated.tx_id if escalated else None,
            periods=self._periods,
            control_epoch=view.control[1],
            expires_at=(at + timedelta(seconds=self._policy.approval_ttl_seconds)).replace(microsecond=0)
            if approved
            else None,
            details=decision_details(
                features, self._policy, remaining, request.amount_micros if approved else 0, override
            ),
            req_sha256=digest,
        )
        self.writes.append(self._reserve(entry, keys) if approved else Write(entry))
        self._decided[request.request_id] = entry
        history.insert(0, PastDecision(ruling.decision, request.request_type, request.amount_micros, at))
        del history[HISTORY:]
        return entry

    def _reserve(self, entry: Entry, keys: list[CounterKey]) -> Write:
        for key in keys:
            counter = self._counters[key]
            self._counters[key] = replace(counter, reserved_micros=counter.reserved_micros + entry.amount_micros)
        assert entry.expires_at is not None
        assert entry.control_epoch is not None
        reservation = Reservation(
            request_id=entry.request_id,
            state="RESERVED",
            amount_micros=entry.amount_micros,
            category=str(entry.request_type),
            periods=entry.periods,
            expires_at=entry.expires_at,
            control_epoch=entry.control_epoch,
            spender=None,
            decision_tx=entry.tx_id,
        )
        return Write(entry, move=Move(keys, reserved_micros=entry.amount_micros), reserve=reservation)

    def _frozen(self, request: ApprovalRequest, keys: list[CounterKey]) -> dict[str, str]:
        frozen = {}
        for key in keys:
            counter = self._counters[key]
            if counter.frozen and key[0] in scopes_of(request.request_type):
                since = timestamp(counter.frozen_at) if counter.frozen_at else "an unknown time"
                frozen[key[0]] = f"{since}: {counter.frozen_why}"
        return frozen

    def _features(self, request: ApprovalRequest, history: list[PastDecision], remaining: int) -> RiskFeatures:
        recent = self._chain.at - RECENT
        return RiskFeatures(
            cost_micros=request.amount_micros,
            remaining_micros=remaining,
            roi=request.projected_roi,
            hurdle=self._policy.hurdle,
            agent_decisions=len(history),
            agent_rejections=sum(1 for past in history if past.decision == "rejected"),
            largest_before_micros=max(
                (
                    past.amount_micros
                    for past in history
                    if past.decision == "approved" and past.request_type == request.request_type
                ),
                default=0,
            ),
            recent_decisions=sum(1 for past in history if past.created_at > recent),
        )

    def _announce_key(self) -> None:
        """The first key to decide has a row before what it decides; another one than that in use decides nothing."""
        used = self._chain.key_id
        if not self._key_id or self._key_id == used:
            return
        if used:
            raise ChimeraError(
                "CONFLICT",
                f"this process signs with key {self._key_id}, the ledger names {used}: start it again",
                {"key_id": self._key_id, "in_use": used},
                retryable=True,
            )
        self.writes.append(first_key_row(self._chain, "cfo", self._key_id))


def first_key_row(chain: Chain, purpose: str, kid: str) -> Write:
    """The KEY row of a purpose's first key; the CFO's rows are for that key from here on, its announcement included."""
    if not 0 < len(kid) <= 64 or purpose not in {"cfo", "seal"}:
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"key: got {purpose!r} {kid[:80]!r}, expected cfo or seal and a key id of 1–64 characters",
            {"purpose": purpose, "kid": kid[:80]},
        )
    if purpose == "cfo":
        chain.key_id = kid
    tx_id = stable_id(chain.tenant_id, "key", purpose, kid)
    details = {"purpose": purpose, "kid": kid, "replaces": None}
    entry = chain.add(
        "KEY",
        tx_id=tx_id,
        request_id=tx_id,
        amount_micros=0,
        made_by="cfo",
        reason=f"key {kid} is in use",
        details=details,
        req_sha256=sha256(rfc8785.dumps(details)).digest(),
    )
    return Write(entry, key=(purpose, kid))
