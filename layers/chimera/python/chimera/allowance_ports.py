"""What paid calls need of a store of allowances: Postgres on a laptop, DynamoDB on AWS; one contract suite holds both.

The store is the gate of last resort: a Lambda that cannot reach Postgres draws here, under the same hard limit. What an
allowance may give was debited in Postgres first, as the reservation; an allowance alone can never create budget.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from chimera.domain.allowance import Allowance, CallItem, Draw


class AllowanceStore(Protocol):
    """The allowances of one tenant; every operation may be asked again. Amounts are micros (1e-6 USD).

    `DATABASE_WAKING` when the store is away or others keep winning: it is then unknown whether it took effect.
    """

    @property
    def tenant_id(self) -> str:
        """Whose."""
        ...

    def open(self, request_id: str, amount_micros: int, epoch: int, expires_at: datetime) -> Allowance:
        """Open the allowance of a dispatched approval, once; again is the same one. `CONFLICT`: another amount or epoch."""
        ...

    def draw(self, request_id: str, call_id: str, micros: int, item: CallItem) -> Draw:
        """Take a call's enforced worst case, before it is made; the same call id and amount again is the same draw.

        All in one atomic step, the control switch read last: see `domain.allowance.check_draw` for what is refused.
        """
        ...

    def correct(self, request_id: str, call_id: str, actual_micros: int, quantity: str | None = None) -> Draw:
        """Book what the call really cost and give the rest back, once. More than was drawn is an overrun: it takes
        what remains, and nothing more is drawn from this allowance. Refused: see `check_correct`.
        """
        ...

    def give_back(self, request_id: str, call_id: str, attempt: int) -> Draw:
        """Give all of a draw back, because the call is known not to have been made; it may be drawn anew.

        `attempt` is the draw's own: what was drawn anew since is left alone (`CONFLICT`).
        """
        ...

    def close(self, request_id: str) -> Allowance:
        """End it: no draw or correction comes after this, and draws that are open count in full. Again is the same."""
        ...

    def get(self, request_id: str) -> Allowance:
        """Where it stands; `NOT_FOUND`."""
        ...

    def draws(self, request_id: str) -> list[Draw]:
        """Every draw, by call id."""
        ...
