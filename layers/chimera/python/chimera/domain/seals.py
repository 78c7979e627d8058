"""Seals of the ledger, pure: what a seal says and signs, how it is kept, and whether rows and seals still fit.

A seal stands for 1 to 1000 rows: the Merkle root of their hashes, signed with a key of its own and kept where the
database's owner cannot change it. Who rewrites the ledger afterwards cannot rewrite the seal.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Protocol

import rfc8785

from chimera.domain.ledger import timestamp
from chimera.domain.merkle import merkle_root
from chimera.errors import ChimeraError

SEAL_PREFIX = b"chimera.ledger.seal.v1\n"
FIRST_PREV = bytes(32)
MAX_ROWS = 1000
MAX_AGE_SECONDS = 60
SEAL_PURPOSE, CFO_PURPOSE = "seal", "cfo"
MAX_SEAL_BYTES = 4096


class SignatureVerifier(Protocol):
    """The part of ports.Verifier that this module needs."""

    def verify(self, key_id: str, message: bytes, signature: bytes) -> bool:
        """Whether the signature is by this key over this message."""
        ...


@dataclass(frozen=True)
class Seal:
    """One seal: the exact bytes that were signed, and what they say. Rows `first_seq` to `last_seq`, both included."""

    tenant_id: str
    number: int
    first_seq: int
    last_seq: int
    root: bytes
    head: bytes
    """The hash of row `last_seq`."""
    prev: bytes
    """SHA-256 of the body of the seal before; 32 zero bytes for the first."""
    at: datetime
    body: bytes
    kid: str = ""
    signature: bytes = b""

    @property
    def digest(self) -> bytes:
        """SHA-256 of the body: the next seal's `prev`."""
        return sha256(self.body).digest()

    def signed(self, kid: str, signature: bytes) -> Seal:
        """This seal with its signature (ES256, raw r‖s)."""
        return replace(self, kid=kid, signature=signature)


def new_seal(tenant_id: str, before: Seal | None, first_seq: int, hashes: Sequence[bytes], at: datetime) -> Seal:
    """The unsigned seal of these row hashes, after the seal `before`. `at` is aware; microseconds are kept."""
    number = before.number + 1 if before else 1
    prev = before.digest if before else FIRST_PREV
    root, head = merkle_root(hashes), hashes[-1]
    last_seq = first_seq + len(hashes) - 1
    body = rfc8785.dumps(
        {
            "v": 1,
            "tenant_id": tenant_id,
            "number": number,
            "first_seq": first_seq,
            "last_seq": last_seq,
            "root": root.hex(),
            "head": head.hex(),
            "prev": prev.hex(),
            "at": timestamp(at),
        }
    )
    return Seal(tenant_id, number, first_seq, last_seq, root, head, prev, at, body)


def signing_message(seal: Seal) -> bytes:
    """The bytes that a seal's signature covers."""
    return SEAL_PREFIX + seal.body


def seal_from_body(body: bytes, kid: str, signature: bytes) -> Seal:
    """A kept seal. `VALIDATION_FAILED` when the bytes are not a seal's canonical body."""
    try:
        says = json.loads(body)
        if not isinstance(says, dict) or rfc8785.dumps(says) != body or says["v"] != 1:
            raise ValueError("not the canonical body of a seal of version 1")
        rows = _whole(says["last_seq"]) - _whole(says["first_seq"]) + 1
        if not 1 <= rows <= MAX_ROWS:
            raise ValueError(f"it covers {rows} rows, expected 1-{MAX_ROWS}")
        return Seal(
            tenant_id=str(says["tenant_id"]),
            number=_whole(says["number"]),
            first_seq=_whole(says["first_seq"]),
            last_seq=_whole(says["last_seq"]),
            root=_hash(says["root"]),
            head=_hash(says["head"]),
            prev=_hash(says["prev"]),
            at=datetime.fromisoformat(says["at"]),
            body=body,
            kid=kid,
            signature=signature,
        )
    except (ValueError, KeyError, TypeError, RecursionError, rfc8785.CanonicalizationError) as error:
        raise _not_a_seal(error) from error


def to_record(seal: Seal) -> bytes:
    """How an anchor keeps a seal: JSON with the exact body as text, the key's id and the signature (base64url)."""
    signature = base64.urlsafe_b64encode(seal.signature).rstrip(b"=").decode("ascii")
    return rfc8785.dumps({"body": seal.body.decode("utf-8"), "kid": seal.kid, "sig": signature})


def from_record(record: bytes) -> Seal:
    """A seal as an anchor kept it. `VALIDATION_FAILED` for other bytes."""
    try:
        if len(record) > MAX_SEAL_BYTES:
            raise ValueError(f"{len(record)} bytes, expected at most {MAX_SEAL_BYTES}")
        value: Any = json.loads(record)
        body, kid, sig = value["body"].encode("utf-8"), str(value["kid"]), str(value["sig"])
        signature = base64.b64decode(sig + "=" * (-len(sig) % 4), altchars=b"-_", validate=True)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise _not_a_seal(error) from error
    return seal_from_body(body, kid, signature)


def read_record(record: bytes, where: str, number: int) -> Seal:
    """An anchored record as a seal; `CONFLICT` when it is not one, or one of another number."""
    try:
        seal = from_record(record)
    except ChimeraError as error:
        raise ChimeraError(
            "CONFLICT", f"anchored seal {number} ({where}): {error.message}", {"number": number}
        ) from error
    if seal.number != number:
        raise ChimeraError(
            "CONFLICT", f"anchored seal {number} ({where}) says that it is number {seal.number}", {"number": number}
        )
    return seal


def already_anchored(seal: Seal, where: str) -> ChimeraError:
    """What a second, different seal of one number gets."""
    return ChimeraError(
        "CONFLICT",
        f"seal {seal.number} is anchored already with other bytes ({where}): an anchored seal is never rewritten",
        {"number": seal.number},
    )


class SealChecker:
    """Checks rows against the anchored seals, row by row, holding at most one seal's hashes in memory.

    `anchored` in order of number; `recorded` is what the database has (by number), compared byte for byte when given.
    `after` is a seal that was checked before: rows and seals then begin behind it.
    """

    def __init__(
        self,
        tenant_id: str,
        anchored: Iterable[Seal],
        verifier: SignatureVerifier,
        *,
        recorded: Mapping[int, Seal] | None = None,
        after: Seal | None = None,
    ) -> None:
        self._tenant = tenant_id
        self._anchored = iter(anchored)
        self._verifier = verifier
        self._recorded = recorded
        self._hashes: list[bytes] = []
        self._before = after
        self._seal_keys: list[tuple[int, str]] = []  # (row from which it is in force, kid)
        self._cfo_keys: set[str] = set()
        self._seq = 0
        self._unreadable = ""
        self.seals = 0
        """Seals checked so far."""
        self.sealed_through = after.last_seq if after else 0
        """The last row of the newest seal that fits."""
        self._next = self._read()

    def key(self, seq: int, purpose: str, kid: str) -> None:
        """A KEY row, told before `row` of the same row."""
        if purpose == CFO_PURPOSE:
            self._cfo_keys.add(kid)
        elif purpose == SEAL_PURPOSE:
            self._seal_keys.append((seq, kid))

    def row(self, seq: int, row_hash: bytes) -> Iterator[str]:
        """One row, in order of `seq`; yields what does not fit, once the last row of a seal is there."""
        self._seq = seq
        if self._next is None:
            return
        self._hashes.append(row_hash)
        while self._next is not None and seq >= self._next.last_seq:
            yield from self._close(self._next)

    def finish(self) -> Iterator[str]:
        """After the last row: seals of rows that are not there, seals that cannot be read or that only one side has."""
        while self._next is not None:
            seal = self._next
            yield f"the ledger ends at row {self._seq}, but seal {seal.number} covers rows up to {seal.last_seq}"
            yield from self._about(seal)
            self._advance(seal)
        if self._unreadable:
            yield self._unreadable
        last = self._before.number if self._before else 0
        for number, seal in sorted((self._recorded or {}).items()):
            if number > last:
                yield f"seal {number} (rows {seal.first_seq}-{seal.last_seq}) is in the database but not anchored"

    def _close(self, seal: Seal) -> Iterator[str]:
        problems = list(self._about(seal))
        size = seal.last_seq - seal.first_seq + 1
        if len(self._hashes) != size or merkle_root(self._hashes) != seal.root or self._hashes[-1] != seal.head:
            problems.append(f"seal {seal.number}: rows {seal.first_seq}-{seal.last_seq} are not those that were sealed")
        if not problems:
            self.sealed_through = seal.last_seq
        yield from problems
        self._advance(seal)

    def _about(self, seal: Seal) -> Iterator[str]:
        """What is wrong with the seal itself."""
        self.seals += 1
        number, prev, first = 1, FIRST_PREV, 1
        if self._before is not None:
            number, prev, first = self._before.number + 1, self._before.digest, self._before.last_seq + 1
        if seal.tenant_id != self._tenant:
            yield f"seal {seal.number} is of another tenant"
        if seal.number != number:
            yield f"seal {number} is missing: after it comes {seal.number}"
        elif seal.prev != prev:
            yield f"seal {seal.number} does not follow seal {number - 1}"
        if seal.first_seq != first:
            yield f"seal {seal.number} begins at row {seal.first_seq}, expected row {first}"
        if not self._verifier.verify(seal.kid, signing_message(seal), seal.signature):
            yield f"seal {seal.number}: its signature is not the seal key's"
        if seal.kid in self._cfo_keys or not self._key_fits(seal):
            yield f"seal {seal.number}: signed by key {seal.kid}, which did not sign seals then"
        kept = self._recorded.get(seal.number) if self._recorded is not None else seal
        if kept is not None and (kept.body, kept.kid, kept.signature) != (seal.body, seal.kid, seal.signature):
            yield f"seal {seal.number} is another in the database than in the anchor"

    def _key_fits(self, seal: Seal) -> bool:
        if not self._seal_keys:
            return True
        in_force = [kid for since, kid in self._seal_keys if since < seal.first_seq][-1:]
        # a seal may hold the KEY row that ended the key which signs it
        return seal.kid in {*in_force, *(kid for since, kid in self._seal_keys if since >= seal.first_seq)}

    def _advance(self, seal: Seal) -> None:
        self._before = seal
        self._hashes.clear()
        self._next = self._read()

    def _read(self) -> Seal | None:
        try:
            return next(self._anchored, None)
        except ChimeraError as error:  # told by `finish`; what comes after it cannot be checked
            self._unreadable = error.message
            return None


def check_seals(
    tenant_id: str,
    rows: Iterable[tuple[int, bytes]],
    anchored: Iterable[Seal],
    verifier: SignatureVerifier,
    *,
    recorded: Mapping[int, Seal] | None = None,
    keys: Iterable[tuple[int, str, str]] = (),
) -> Iterator[str]:
    """What does not fit between `rows` (seq and hash, in order) and the seals; `keys` are KEY rows (seq, purpose, kid)."""
    checker = SealChecker(tenant_id, anchored, verifier, recorded=recorded)
    waiting = sorted(keys, reverse=True)
    for seq, row_hash in rows:
        while waiting and waiting[-1][0] <= seq:
            checker.key(*waiting.pop())
        yield from checker.row(seq, row_hash)
    yield from checker.finish()


def _not_a_seal(error: Exception) -> ChimeraError:
    return ChimeraError("VALIDATION_FAILED", f"what is kept there is not a seal: {error}"[:300])


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**53:
        raise ValueError(f"got {value!r}, expected a whole number from 1")
    return value


def _hash(value: Any) -> bytes:
    found = bytes.fromhex(value)
    if len(found) != 32 or found.hex() != value:
        raise ValueError(f"got {str(value)[:80]!r}, expected 64 hexadecimal digits")
    return found
