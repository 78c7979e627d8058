"""The spend gateway: an approval goes in, once, and a purse comes out; there is no other way to one.

It verifies the CFO's signature, the request, the agent and the amount, lets the ledger use the approval by one
compare-and-swap (which also holds it to its end and to the control switch), and only then opens the allowance that paid
calls draw from. Everything may be asked again by the same spender: after a crash the same purse comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chimera.allowance_ports import AllowanceStore
from chimera.domain.approval import ApprovalToken, verify_approval
from chimera.domain.models import CostLine
from chimera.domain.money import usd
from chimera.errors import ChimeraError
from chimera.ports import Clock, MediaStore, Verifier
from chimera.purse import PaidCall, Purse
from chimera.usecases.allowances import allowance_end, close_allowance
from chimera.usecases.cfo import Cfo

__all__ = ["PaidCall", "Purse", "SpendGateway"]


class SpendGateway:
    """Turns approvals of one tenant into purses, and purses into settled bills."""

    def __init__(self, cfo: Cfo, store: AllowanceStore, verifier: Verifier, clock: Clock) -> None:
        self._cfo = cfo
        self._store = store
        self._verifier = verifier
        self._clock = clock

    def open(
        self,
        token: ApprovalToken | Mapping[str, Any] | None,
        *,
        agent_id: str,
        spender: str,
        request_id: str | None = None,
        amount_micros: int | None = None,
    ) -> Purse:
        """The purse of an approval. `agent_id` is who spends, `spender` the work it is spent in (the same after a
        crash), `amount_micros` the least that the approval must cover, if the work needs a certain amount.

        `INVALID_SIGNATURE`: forged, altered, another request's, agent's or tenant's, too small, or expired. `CONFLICT`:
        used by another spender, closed, or of an older epoch. `SYSTEM_STOPPED`: the switch.
        """
        claims = verify_approval(
            token,
            self._verifier,
            now=self._clock.now(),
            agent_id=agent_id,
            amount_micros=amount_micros,
            request_id=request_id,
            tenant_id=self._store.tenant_id,
            check_expiry=False,  # the ledger does, by its own clock, when the approval is used
        )
        self._cfo.dispatch(token, spender, request_id=claims.request_id, agent_id=agent_id)
        allowance = self._store.open(
            claims.request_id, claims.amount_micros, claims.control_epoch, allowance_end(claims.exp)
        )
        if allowance.closed:  # settled by somebody else since the dispatch
            raise ChimeraError(
                "CONFLICT",
                f"the allowance of {claims.request_id} is closed at {usd(allowance.used_micros)} USD",
                {"request_id": claims.request_id},
            )
        return Purse(self._store, claims.request_id)

    def bill(self, request_id: str, media: MediaStore, prefix: str) -> list[CostLine]:
        """Close the allowance and give what is to be settled; again is the same."""
        return close_allowance(self._store, self._cfo, media, prefix, request_id)
