"""The production engine over the simulated store, with the reads that Postgres answers in production."""

from __future__ import annotations

from collections.abc import Sequence

from chimera.domain.ledger import Entry, Reservation
from chimera.errors import ChimeraError
from chimera.usecases.ledger import LedgerEngine
from tests.money.sim_store import SimStore


class SimLedger(LedgerEngine):
    """One worker's ledger: every rule is the engine's, the reads are plain look-ups of what is committed."""

    def __init__(self, store: SimStore) -> None:
        super().__init__(store)
        self._sim = store

    def get(self, request_id: str) -> tuple[Entry, Entry | None, Reservation | None]:
        """The reservation first, then decision and resolution, as the Postgres reads do. `NOT_FOUND`."""
        sim = self._sim
        sim.hooks.io("get", "before", request_id)
        reservation = sim.tables.reservations.get(request_id)
        decision = sim.find(sim.tables.decisions, request_id)
        resolution = sim.find(sim.tables.resolutions, request_id)
        sim.hooks.io("get", "after", request_id)
        if decision is None:
            raise ChimeraError("NOT_FOUND", f"no request {request_id}", {"request_id": request_id})
        return decision, resolution, reservation

    def unsigned(self, limit: int = 100) -> list[Entry]:
        """Rows without a signature, oldest first; of approvals only those that are still RESERVED."""
        tables = self._sim.tables
        self._sim.hooks.io("unsigned", "before")
        found = []
        for seq in sorted(tables.unsigned):
            entry = tables.ledger[seq - 1]
            row = tables.reservations.get(entry.request_id) if entry.entry_type == "DECISION" else None
            if row is None or row.state == "RESERVED":
                found.append(entry)
                if len(found) == limit:
                    break
        self._sim.hooks.io("unsigned", "after")
        return found

    def open_reservations(self) -> Sequence[Reservation]:
        """What is reserved and not closed."""
        self._sim.hooks.io("open_reservations", "before")
        found = [*self._sim.tables.open.values(), *self._sim.tables.dispatched.values()]
        self._sim.hooks.io("open_reservations", "after")
        return found
