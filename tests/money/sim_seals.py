"""Sealing in the simulator: the production sealer over rows, records and an anchor in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from chimera.domain.ledger import Entry
from chimera.domain.seals import Seal, check_seals
from chimera.errors import ChimeraError
from chimera.usecases.sealing import SealableRow, Sealer
from tests.money.invariants import expect
from tests.money.sim_world import Actor, SimSigner

if TYPE_CHECKING:
    from tests.money.simulator import Simulation


def sealable(entry: Entry) -> SealableRow:
    """A row as seals see it."""
    return SealableRow(
        entry.seq, entry.tx_id, entry.prev_hash, entry.body, entry.row_hash, entry.created_at, entry.signature,
        entry.signed_by,
    )  # fmt: skip


class SimSealRows:
    """The ledger's rows for seals."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self.tenant_id = sim.store.tenant_id

    def after(self, seq: int, limit: int) -> Sequence[SealableRow]:
        """Committed rows after `seq`."""
        self._sim.world.io("rows_after", "before")
        found = [sealable(e) for e in self._sim.store.tables.ledger[seq : seq + limit]]
        self._sim.world.io("rows_after", "after")
        return found

    def row(self, key: str) -> SealableRow:
        """By sequence number; `NOT_FOUND`."""
        self._sim.world.io("row", "before")
        ledger = self._sim.store.tables.ledger
        if not 1 <= int(key) <= len(ledger):
            raise ChimeraError("NOT_FOUND", f"no row {key}", {})
        return sealable(ledger[int(key) - 1])

    def hashes(self, first_seq: int, last_seq: int) -> Sequence[bytes]:
        """Row hashes, in order."""
        self._sim.world.io("hashes", "before")
        return [e.row_hash for e in self._sim.store.tables.ledger[first_seq - 1 : last_seq]]


class SimSeals:
    """Seals by number, write-once: the database's record or the anchor."""

    def __init__(self, sim: Simulation, name: str) -> None:
        self._sim = sim
        self._name = name
        self.kept: dict[int, Seal] = {}

    def last(self) -> Seal | None:
        """The newest."""
        self._sim.world.io(f"{self._name}_last", "before")
        return self.kept[max(self.kept)] if self.kept else None

    def get(self, number: int) -> Seal | None:
        """One."""
        self._sim.world.io(f"{self._name}_get", "before")
        return self.kept.get(number)

    def keep(self, seal: Seal) -> None:
        """The first writer wins; another seal of that number is `CONFLICT`."""
        self._sim.world.io(f"{self._name}_keep", "before")
        if self.kept.setdefault(seal.number, seal) != seal:
            raise ChimeraError("CONFLICT", f"another seal {seal.number}", {})
        self._sim.world.io(f"{self._name}_keep", "after")

    def covering(self, seq: int) -> Seal | None:
        """The seal of a row."""
        return next((s for s in self.kept.values() if s.first_seq <= seq <= s.last_seq), None)

    def all(self) -> Iterator[Seal]:
        """In order."""
        return iter([self.kept[number] for number in sorted(self.kept)])


class SealJobs:
    """Sealing and proving, and the check that seals and rows fit."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.rows = SimSealRows(sim)
        self.recorded = SimSeals(sim, "recorded")
        self.anchor = SimSeals(sim, "anchor")
        self.signer = SimSigner(sim.world, "sim-seal-1")

    def sealer(self) -> Sealer:
        """Production's."""
        sim = self.sim
        return Sealer(self.rows, self.recorded, self.anchor, self.signer, sim.verifier, sim.world.clock)

    def seal(self, actor: Actor | None) -> None:
        """Seal what is due."""
        self.sealer().seal_due(force=self.sim.rng.random() < 0.3)

    def prove(self, actor: Actor | None) -> None:
        """A proof of some sealed row holds."""
        count = len(self.sim.store.tables.ledger)
        if not count:
            return
        try:
            proof = self.sealer().proof(str(self.sim.rng.randrange(1, count + 1)))
        except ChimeraError as error:
            if error.code != "NOT_FOUND":
                raise
            return
        expect(proof.holds, "a proof does not hold", proof.row.seq)

    def check(self) -> None:
        """I7: anchor, record and rows fit."""
        expect(set(self.recorded.kept) <= set(self.anchor.kept), "a seal was recorded before it was anchored")
        for number, seal in self.recorded.kept.items():
            expect(self.anchor.kept[number] == seal, "two seals of one number", number)
        rows = [(e.seq, e.row_hash) for e in self.sim.store.tables.ledger]
        problems = list(
            check_seals(self.sim.store.tenant_id, rows, list(self.anchor.all()), self.sim.verifier, recorded=None)
        )
        expect(not problems, "I7 seals and rows", problems[:3])
