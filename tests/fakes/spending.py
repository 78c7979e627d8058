"""A tenant's CFO, store and gateway, as the tests of paid calls use them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chimera.adapters.local.clock import SystemClock
from chimera.adapters.local.keys import KeyFolderVerifier
from chimera.adapters.postgres.allowances import PostgresAllowances
from chimera.adapters.postgres.controls import PostgresControls
from chimera.adapters.postgres.database import Database
from chimera.domain.ids import stable_id
from chimera.errors import ChimeraError
from chimera.purse import Purse
from chimera.usecases.cfo import Cfo
from chimera.usecases.spend_gateway import SpendGateway


def code(call: Callable[[], object]) -> str:
    with pytest.raises(ChimeraError) as caught:
        call()
    return caught.value.code


class Desk:
    """A tenant's CFO, store and gateway."""

    def __init__(self, cfo: Cfo, db: Database, tenant: str, keys: Path) -> None:
        self.cfo, self.tenant = cfo, tenant
        self.store = PostgresAllowances(db, tenant)
        self.controls = PostgresControls(db, tenant)
        self.artist = stable_id(tenant, "artist")
        self.gateway = SpendGateway(cfo, self.store, KeyFolderVerifier(keys), SystemClock())

    def approve(self, cost: str = "1.00", agent: str = "artist") -> dict[str, Any]:
        answer = self.cfo.approve(
            {
                "request_id": str(uuid.uuid4()),
                "agent_id": stable_id(self.tenant, agent),
                "request_type": "api_call",
                "request_cost": cost,
                "projected_roi": "9",
                "justification": "a test",
                "currency": "USD",
            }
        )
        assert answer["approved"], answer
        return answer

    def purse(self, cost: str = "1.00") -> Purse:
        return self.gateway.open(self.approve(cost)["token"], agent_id=self.artist, spender="run-1")

    def left(self, purse: Purse) -> int:
        return self.store.get(purse.request_id).remaining_micros

    def draws(self, purse: Purse) -> dict[str, tuple[str, int]]:
        return {draw.call_id: (draw.state, draw.charged_micros) for draw in self.store.draws(purse.request_id)}
