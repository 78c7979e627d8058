"""Seals what the ledger has written and proves that a row is in it.

A seal is anchored first (write-once, outside the database) and recorded second. So a crash leaves at most one anchored
seal that the database does not have yet; the next run takes that one over instead of making another, and there are never
two seals of one number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from chimera.domain.ledger import GENESIS, row_hash
from chimera.domain.merkle import inclusion_path, verify_inclusion
from chimera.domain.models import Model
from chimera.domain.seals import MAX_AGE_SECONDS, MAX_ROWS, Seal, new_seal, signing_message
from chimera.errors import ChimeraError
from chimera.ports import Clock, Signer, Verifier


@dataclass(frozen=True)
class SealableRow:
    """What a seal and a proof need of a ledger row."""

    seq: int
    tx_id: str
    prev_hash: bytes
    body: bytes
    row_hash: bytes
    created_at: datetime
    signature: bytes | None = None
    signed_by: str | None = None


class SealableRows(Protocol):
    """The ledger's rows of one tenant, as far as seals need them."""

    @property
    def tenant_id(self) -> str:
        """Whose."""
        ...

    def after(self, seq: int, limit: int) -> Sequence[SealableRow]:
        """Up to `limit` committed rows after `seq`, in order."""
        ...

    def row(self, key: str) -> SealableRow:
        """A row by its sequence number or transaction id; `NOT_FOUND`."""
        ...

    def hashes(self, first_seq: int, last_seq: int) -> Sequence[bytes]:
        """The row hashes of these rows, in order."""
        ...


class SealRows(Protocol):
    """The database's record of the seals of one tenant."""

    def last(self) -> Seal | None:
        """The newest one."""
        ...

    def keep(self, seal: Seal) -> None:
        """Record a seal; the same again is nothing, another one of that number `CONFLICT`."""
        ...

    def covering(self, seq: int) -> Seal | None:
        """The seal of a row, if it is sealed."""
        ...

    def all(self) -> Iterator[Seal]:
        """Every recorded seal, in order of number."""
        ...


class SealAnchor(Protocol):
    """Where seals are kept so that the database's owner cannot change them. Write-once: the first writer wins."""

    def keep(self, seal: Seal) -> None:
        """Anchor a seal, durably when it returns; the same bytes again are nothing, others `CONFLICT`."""
        ...

    def get(self, number: int) -> Seal | None:
        """The anchored seal of a number. `CONFLICT` when what is kept there is not a seal."""
        ...

    def all(self) -> Iterator[Seal]:
        """Every anchored seal, in order of number. `CONFLICT` when what is kept there is not a seal."""
        ...


@dataclass(frozen=True)
class InclusionProof:
    """All that is needed to check, with the seal's public key alone, that a row was in the ledger when it was sealed.

    `SHA-256(0x00 ‖ prev_hash ‖ body)` is the leaf, number `index` of `size`; `path` leads from it to `seal.root`.
    """

    row: SealableRow
    index: int
    size: int
    path: list[bytes]
    seal: Seal

    @property
    def holds(self) -> bool:
        """Whether leaf, path and root fit; the seal's signature is another matter."""
        leaf = row_hash(self.row.prev_hash, self.row.body)
        return verify_inclusion(leaf, self.index, self.size, self.path, self.seal.root)

    def as_json(self) -> dict[str, Any]:
        """As the API and the command line show it: hashes and signatures in hexadecimal, bodies as the exact text."""
        signature = self.row.signature
        return {
            "row": {
                "seq": self.row.seq,
                "tx_id": self.row.tx_id,
                "prev_hash": self.row.prev_hash.hex(),
                "body": self.row.body.decode("utf-8"),
                "row_hash": self.row.row_hash.hex(),
                "signature": signature.hex() if signature else None,
                "signed_by": self.row.signed_by,
            },
            "leaf_index": self.index,
            "tree_size": self.size,
            "path": [hash_.hex() for hash_ in self.path],
            "seal": {
                "number": self.seal.number,
                "body": self.seal.body.decode("utf-8"),
                "root": self.seal.root.hex(),
                "signature": self.seal.signature.hex(),
                "signed_by": self.seal.kid,
            },
        }


class SealDue(Model):
    """The scheduled function's event."""

    tenant_id: str
    force: bool = False


def seal_due(event: SealDue, sealer: Sealer) -> dict[str, Any]:
    """Seal what is due: `{seals, rows, sealed_through}`; the last is None when nothing was."""
    made = sealer.seal_due(force=event.force)
    rows = sum(seal.last_seq - seal.first_seq + 1 for seal in made)
    return {"seals": len(made), "rows": rows, "sealed_through": made[-1].last_seq if made else None}


class Sealer:
    """Seals of one tenant's ledger.

    `announce` is called before a seal is made: it writes down which key signs seals (`usecases/keys.py`) and refuses when
    the ledger names another one.
    """

    def __init__(
        self,
        rows: SealableRows,
        seals: SealRows,
        anchor: SealAnchor,
        signer: Signer,
        verifier: Verifier,
        clock: Clock,
        announce: Callable[[], object] = lambda: None,
    ) -> None:
        self._rows = rows
        self._seals = seals
        self._anchor = anchor
        self._signer = signer
        self._verifier = verifier
        self._clock = clock
        self._announce = announce

    def seal_due(self, *, force: bool = False) -> list[Seal]:
        """Seal what is due: every full 1000 rows, and the rest once its oldest row is 60 s old (or at once with `force`).

        Safe to run twice at once and again after a crash. `CONFLICT`, and nothing sealed, when the ledger does not fit
        the seals that there are: a changed row is not to be sealed, nor a database that was put back.
        """
        made: list[Seal] = []
        announced = False
        before = self._adopt(made)
        while True:
            rows = self._rows.after(before.last_seq if before else 0, MAX_ROWS)
            if not rows or not (force or len(rows) == MAX_ROWS or self._is_old(rows[0])):
                return made
            if not announced:  # may add a KEY row, which then is sealed as well
                self._announce()
                announced = True
                continue
            self._check_chain(before, rows)
            seal = new_seal(
                self._rows.tenant_id, before, rows[0].seq, [row.row_hash for row in rows], self._clock.now()
            )
            signed = seal.signed(self._signer.key_id, self._signer.sign(signing_message(seal)))
            before = self._keep(before, signed)
            made.append(before)

    def proof(self, key: str) -> InclusionProof:
        """The proof that a row (by sequence number or transaction id) is in the ledger. `NOT_FOUND` with when it will be,
        for a row that is not sealed yet."""
        row = self._rows.row(key)
        seal = self._seals.covering(row.seq)
        if seal is None:
            due = row.created_at.astimezone(UTC) + timedelta(seconds=MAX_AGE_SECONDS)
            when = due.isoformat(timespec="seconds").replace("+00:00", "Z")
            raise ChimeraError(
                "NOT_FOUND",
                f"row {row.seq} is not sealed yet; it is due by {when} (`chimera ledger seal` seals at once)",
                {"seq": row.seq, "sealed_by": when},
            )
        hashes = self._rows.hashes(seal.first_seq, seal.last_seq)
        index = row.seq - seal.first_seq
        if len(hashes) != seal.last_seq - seal.first_seq + 1:
            raise _broken(f"rows of seal {seal.number} are missing", seal)
        found = InclusionProof(row, index, len(hashes), inclusion_path(hashes, index), seal)
        if not found.holds:
            raise _broken(f"rows {seal.first_seq}-{seal.last_seq} are not those that seal {seal.number} sealed", seal)
        return found

    def restore_anchor(self) -> list[Seal]:
        """Anchor recorded seals that the anchor has lost, after checking their signatures; those that were put back."""
        restored = []
        for seal in self._seals.all():
            if self._anchor.get(seal.number) is None:
                self._check_signature(seal)
                self._anchor.keep(seal)
                restored.append(seal)
        return restored

    # --- inside

    def _adopt(self, made: list[Seal]) -> Seal | None:
        """The newest seal, after recording one that a crash left in the anchor only."""
        before = self._seals.last()
        if before is not None:
            anchored = self._anchor.get(before.number)
            if anchored is None:
                raise ChimeraError(
                    "CONFLICT",
                    f"seal {before.number} is in the database but not anchored any more: "
                    "bring the anchored seals back, or run `chimera ledger seal --restore-anchor`",
                    {"number": before.number},
                )
            if anchored != before:
                raise _broken(f"seal {before.number} is another in the database than in the anchor", before)
        while (found := self._anchor.get(before.number + 1 if before else 1)) is not None:
            self._check_fits(before, found)
            self._seals.keep(found)
            made.append(found)
            before = found
        return before

    def _keep(self, before: Seal | None, seal: Seal) -> Seal:
        try:
            self._anchor.keep(seal)
        except ChimeraError as error:
            found = self._anchor.get(seal.number)
            if error.code != "CONFLICT" or found is None:
                raise
            self._check_fits(before, found)  # a twin was faster: its seal is the one
            seal = found
        self._seals.keep(seal)
        return seal

    def _check_fits(self, before: Seal | None, found: Seal) -> None:
        """An anchored seal that we did not make just now is one of this ledger, or sealing stops."""
        self._check_signature(found)
        first = before.last_seq + 1 if before else 1
        hashes = self._rows.hashes(first, found.last_seq)
        fits = len(hashes) == found.last_seq - first + 1 and bool(hashes)
        if not fits or new_seal(self._rows.tenant_id, before, first, hashes, found.at).body != found.body:
            raise _broken(
                f"anchored seal {found.number} (rows {found.first_seq}-{found.last_seq}) does not fit the ledger's rows",
                found,
            )

    def _check_signature(self, seal: Seal) -> None:
        if not self._verifier.verify(seal.kid, signing_message(seal), seal.signature):
            raise _broken(f"seal {seal.number}: its signature is not a key's that we know ({seal.kid[:60]})", seal)

    def _check_chain(self, before: Seal | None, rows: Sequence[SealableRow]) -> None:
        seq, head = (before.last_seq, before.head) if before else (0, GENESIS)
        for row in rows:
            if row.seq != seq + 1 or row.prev_hash != head or row_hash(row.prev_hash, row.body) != row.row_hash:
                raise ChimeraError(
                    "CONFLICT",
                    f"row {row.seq} does not follow row {seq}: the ledger was changed and is not sealed; "
                    "`chimera ledger verify` says where",
                    {"seq": row.seq},
                )
            seq, head = row.seq, row.row_hash

    def _is_old(self, row: SealableRow) -> bool:
        age: timedelta = self._clock.now() - row.created_at
        return age >= timedelta(seconds=MAX_AGE_SECONDS)


def _broken(what: str, seal: Seal) -> ChimeraError:
    return ChimeraError("CONFLICT", f"{what}; `chimera ledger verify` says what was changed", {"number": seal.number})
