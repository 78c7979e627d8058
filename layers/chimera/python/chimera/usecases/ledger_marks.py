"""Rows of the ledger that are about no approval: limits, freezes, refusals, keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import rfc8785

from chimera.domain import ids
from chimera.domain.cfo import KINDS, SCOPES, periods_of
from chimera.domain.ids import is_uuid, stable_id
from chimera.domain.ledger import Chain, Entry, LimitChange
from chimera.domain.money import MAX_MICROS
from chimera.errors import ChimeraError
from chimera.money_ports import MoneyStore, MoneyTransaction, Write
from chimera.usecases.ledger_desk import first_key_row
from chimera.usecases.ledger_refusal import clean, received


class LedgerMarks:
    """The half of the engine that approves and spends nothing."""

    def __init__(self, store: MoneyStore, *, new_id: Callable[[], str] = ids.new_id) -> None:
        self._store = store
        self._new_id = new_id
        self.tenant_id = store.tenant_id

    def set_limit(self, scope: str, kind: str, limit_micros: int, *, by: str, reason: str = "") -> Entry | None:
        """Change one limit from the current period on; the LIMIT_CHANGE row, or None if it is the limit
        already.

        A limit below what is used already freezes the current period; what is used stays as it is.
        """
        if not 0 < limit_micros <= MAX_MICROS or scope not in SCOPES or kind not in KINDS:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"limit: got {scope} {kind} {limit_micros}, expected a category of {SCOPES}, a period of"
                f" {KINDS} and 1–{MAX_MICROS} micros",
                {"category": scope, "period": kind, "limit_micros": limit_micros},
            )
        wanted: dict[tuple[str, str], int] = {(scope, kind): limit_micros}
        return self._store.run(
            lambda tx: change_limits(tx, self.tenant_id, wanted, by=by, reason=reason, new_id=self._new_id)
        )

    def freeze(self, scopes: Sequence[str], reason: str, by: str) -> Entry:
        """Approve nothing in these scopes from here on; scopes that are frozen already stay as they are.

        Gives the row that froze them: the earlier one when all of them were frozen.
        """
        wanted = _scopes(scopes, reason, by)

        def work(tx: MoneyTransaction) -> Entry:
            chain = self._chain(tx)
            frozen = tx.frozen()
            more = [scope for scope in wanted if scope not in frozen]
            if not more:
                known = tx.entry(frozen[wanted[0]])
                assert known is not None
                return known
            entry = self._mark(chain, "FREEZE", more, reason, by)
            tx.write([Write(entry, freeze=more)])
            return entry

        return self._store.run(work)

    def unfreeze(self, scopes: Sequence[str], reason: str, by: str) -> Entry:
        """A person looked: approve in these scopes again. `CONFLICT` when none of them is frozen."""
        wanted = _scopes(scopes, reason, by)

        def work(tx: MoneyTransaction) -> Entry:
            chain = self._chain(tx)
            frozen = tx.frozen()
            thawed = [scope for scope in wanted if scope in frozen]
            if not thawed:
                raise ChimeraError(
                    "CONFLICT", f"{', '.join(wanted)}: not frozen", {"scopes": wanted, "frozen": sorted(frozen)}
                )
            entry = self._mark(chain, "UNFREEZE", thawed, reason, by)
            tx.write([Write(entry, unfreeze=thawed)])
            return entry

        return self._store.run(work)

    def _mark(self, chain: Chain, entry_type: str, scopes: list[str], reason: str, by: str) -> Entry:
        details = {"scopes": scopes, "why": reason}
        return chain.add(
            entry_type,
            request_id=self._new_id(),
            amount_micros=0,
            made_by=by,
            reason=reason,
            details=details,
            req_sha256=_digest(details),
        )

    def refuse(
        self,
        subject: str,
        code: str,
        message: str,
        raw: Any,
        agent_id: str | None = None,
        request_id: str | None = None,
    ) -> Entry:
        """Write down that an authenticated caller's request could not be decided; the same again is the same row.

        `raw` is what came: bytes, text or JSON values, of which a hash and 200 characters are kept. Nothing is
        reserved.
        """
        digest, shown = received(raw)
        who = clean(subject, 200)
        tx_id = stable_id(self.tenant_id, "refusal", who, code, digest.hex())

        def work(tx: MoneyTransaction) -> Entry:
            known = tx.entry(tx_id)
            if known is not None:
                return known
            agent = agent_id if agent_id and is_uuid(agent_id) and tx.agent_known(agent_id) else None
            entry = self._chain(tx).add(
                "REFUSAL",
                tx_id=tx_id,
                request_id=request_id.lower() if request_id and is_uuid(request_id) else tx_id,
                agent_id=agent,
                amount_micros=0,
                made_by=who,
                code=code,
                reason=clean(message, 500),
                details={"subject": who, "received_sha256": digest.hex(), "shown": shown},
                req_sha256=digest,
            )
            tx.write([Write(entry)])
            return entry

        return self._store.run(work)

    def use_key(self, kid: str, purpose: str = "cfo") -> bool:
        """Whether it is the key in use; the first key of a purpose becomes it, with a KEY row.

        Another key takes over by a KEY row that the key before it signs (usecases/keys.py), never by turning up.
        """

        def work(tx: MoneyTransaction) -> bool:
            used = tx.key(purpose)
            if not used:
                chain = self._chain(tx)
                used = tx.key(purpose)  # again, now that nobody else can change it
                if not used:
                    tx.write([first_key_row(chain, purpose, kid)])
                    return True
            return used == kid

        return self._store.run(work)

    def _chain(self, tx: MoneyTransaction) -> Chain:
        return _chain(tx, self.tenant_id, self._new_id)


def change_limits(
    tx: MoneyTransaction,
    tenant_id: str,
    wanted: Mapping[tuple[str, str], int],
    *,
    by: str,
    reason: str,
    new_id: Callable[[], str] = ids.new_id,
) -> Entry | None:
    """Several limits (micros by scope and kind) as one LIMIT_CHANGE row in an open transaction; None if nothing changes."""
    before = tx.lock_limits()
    changes = [
        LimitChange(scope, kind, before.get((scope, kind)), micros)
        for (scope, kind), micros in sorted(wanted.items())
        if before.get((scope, kind)) != micros
    ]
    if not changes:
        return None
    current = periods_of(tx.now())
    tx.lock_counters([(change.scope, change.kind, current[change.kind]) for change in changes])
    details = {"changes": [change.as_json() for change in changes]}
    entry = _chain(tx, tenant_id, new_id).add(
        "LIMIT_CHANGE",
        request_id=new_id(),
        amount_micros=0,
        made_by=by,
        reason=reason[:200],
        periods=current,
        details=details,
        req_sha256=_digest(details),
    )
    tx.write([Write(entry, limits={(change.scope, change.kind): change.after for change in changes})])
    return entry


def _chain(tx: MoneyTransaction, tenant_id: str, new_id: Callable[[], str]) -> Chain:
    """The chain's end, locked: the last lock, and the clock is read after it."""
    seq, digest = tx.head()
    return Chain(tenant_id, seq, digest, tx.now(), tx.key("cfo"), new_id)


def _scopes(scopes: Sequence[str], reason: str, by: str) -> list[str]:
    wanted = sorted(set(scopes))
    if not wanted or not set(wanted) <= set(SCOPES) or not 0 < len(reason) <= 500 or not 0 < len(by) <= 200:
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"freeze: got {wanted}, reason {reason[:80]!r}, by {by[:80]!r}; expected some of {SCOPES}, a reason of"
            " 1–500 and a name of 1–200 characters",
            {"scopes": wanted, "expected": list(SCOPES)},
        )
    return wanted


def _digest(details: Mapping[str, Any]) -> bytes:
    return sha256(rfc8785.dumps(dict(details))).digest()
