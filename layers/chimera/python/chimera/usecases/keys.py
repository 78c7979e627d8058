"""Which key signs what, since when: the ledger's KEY rows, and the change from one key to the next.

Trust passes from key to key: the KEY row that begins a new CFO key is for the old key to sign. So who holds the first public
key can follow the rows to the newest, and a key that nobody announced signs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

import rfc8785

from chimera.domain.ids import new_id, stable_id
from chimera.domain.ledger import Chain, Entry, signing_message
from chimera.errors import ChimeraError
from chimera.money_ports import MoneyStore, MoneyTransaction, Write
from chimera.ports import Signer

PURPOSES = ("cfo", "seal")


class KeyStore(Protocol):
    """Where private keys are: files on a laptop (`adapters/local/keys.py`), KMS on AWS (`adapters/aws/keys.py`)."""

    def signer(self, purpose: str) -> Signer:
        """The key in use."""
        ...

    def prepare(self, purpose: str) -> Signer:
        """The key that comes next: made once, the same until `switch`."""
        ...

    def prepared(self, purpose: str) -> Signer | None:
        """The key that a rotation prepared and did not put in place yet."""
        ...

    def switch(self, purpose: str) -> None:
        """Put the prepared key in place; again is nothing."""
        ...

    def by_id(self, purpose: str, key_id: str) -> Signer | None:
        """The key with this id, where it may still be used to finish a rotation."""
        ...

    def is_due(self, purpose: str) -> bool:
        """Whether an operator laid a newer key ready, which is to be used from now on without being asked again."""
        ...


@dataclass(frozen=True)
class Rotation:
    """What a rotation did: the keys' ids and the number of the KEY row."""

    purpose: str
    old: str
    new: str
    seq: int


class Keys:
    """The keys of one tenant's ledger. `sweep` signs what waits for the CFO's key in use; `seal` seals everything."""

    def __init__(
        self, store: MoneyStore, keys: KeyStore, *, sweep: Callable[[], object], seal: Callable[[], object]
    ) -> None:
        self._store = store
        self._keys = keys
        self._sweep = sweep
        self._seal = seal

    def in_force(self, purpose: str) -> str:
        """The key that the ledger names for this purpose; empty before the first."""
        return self._store.run(lambda tx: tx.key(purpose))

    def announce(self, purpose: str, by: str = "start-up") -> Entry | None:
        """Write down the first key of a purpose; None when it is written down already. The CFO's sweep signs the row.

        `CONFLICT` when the key in use is not the one that the ledger names: an old key does not come back by itself.
        """
        _known(purpose)
        kid = self._keys.signer(purpose).key_id
        named = self.in_force(purpose)
        if named == kid:
            return None
        if named:
            following = self._keys.prepared(purpose)
            if following is not None and following.key_id == named:
                todo = f"a rotation was cut short: `chimera ledger rotate-key --purpose {purpose}` finishes it"
            else:
                todo = "bring that key's file back, or start this process again if the key was rotated meanwhile"
            raise ChimeraError(
                "CONFLICT",
                f"the {purpose} key in use is {kid}, the ledger names {named}: {todo}",
                {"purpose": purpose, "in_use": kid, "in_force": named},
            )
        return self._begin(purpose, kid, replaces="", by=by)

    def rotate(self, purpose: str, by: str) -> Rotation:
        """Replace a key: everything so far is signed or sealed with the old one, then the new one begins.

        Cut short at any point, it is finished by asking again. Nothing else may write meanwhile (stop `chimera up`): a
        process that still holds the old key is refused from then on, and approvals that are not signed by then expire.
        """
        _known(purpose)
        old = self._keys.signer(purpose).key_id
        following = self._keys.prepared(purpose)
        if following is None or self.in_force(purpose) != following.key_id:  # else it was cut short after its KEY row
            self.announce("cfo", by)
            self.announce(purpose, by)
            self._sweep()
            if purpose == "seal":
                self._seal()
        key_id = self._keys.signer("cfo").key_id
        entry = self._begin(purpose, self._keys.prepare(purpose).key_id, replaces=old, by=by, key_id=key_id)
        cfo = self._keys.by_id("cfo", entry.key_id) if purpose == "cfo" else None
        if entry.signature is None and cfo is not None:  # now or never: the old key signs nothing later
            signature = cfo.sign(signing_message(entry))
            self._store.run(lambda tx: tx.sign(entry.seq, cfo.key_id, signature))
        self._keys.switch(purpose)
        if purpose == "seal":  # a row like any other: the CFO's sweep signs it
            self._sweep()
        return Rotation(purpose, old, entry.details["kid"], entry.seq)

    def follow(self, purpose: str, by: str = "recovery") -> Rotation | None:
        """Begin the newer key that an operator laid ready (on AWS: the first ARN of the settings), if there is one."""
        return self.rotate(purpose, by) if self._keys.is_due(purpose) else None

    def _begin(self, purpose: str, kid: str, *, replaces: str, by: str, key_id: str | None = None) -> Entry:
        tenant = self._store.tenant_id
        tx_id = stable_id(tenant, "key", purpose, kid)
        details = {"purpose": purpose, "kid": kid, "replaces": replaces or None}

        def work(tx: MoneyTransaction) -> Entry:
            seq, head = tx.head()  # locked: of two that begin a key at once, one sees what the other wrote
            known = tx.entry(tx_id)
            if known is not None:
                return known
            named = tx.key(purpose)
            if named != replaces:
                raise ChimeraError(
                    "CONFLICT",
                    f"the {purpose} key {kid} was to replace {replaces or 'none'}, but {named or 'none'} is in force",
                    {"purpose": purpose, "in_force": named, "replaces": replaces},
                )
            first = kid if purpose == "cfo" else ""  # the first CFO key signs its own announcement
            chain = Chain(tenant, seq, head, tx.now(), key_id or tx.key("cfo") or first, new_id)
            entry = chain.add(
                "KEY",
                tx_id=tx_id,
                request_id=tx_id,
                amount_micros=0,
                made_by=by[:200],
                reason=f"{purpose} key {kid} is in use" + (f" instead of {replaces}" if replaces else ""),
                details=details,
                req_sha256=sha256(rfc8785.dumps(details)).digest(),
            )
            tx.write([Write(entry, key=(purpose, kid))])
            return entry

        return self._store.run(work)


def _known(purpose: str) -> None:
    if purpose not in PURPOSES:
        raise ChimeraError("VALIDATION_FAILED", f"purpose: got {purpose[:40]!r}, expected one of {', '.join(PURPOSES)}")
