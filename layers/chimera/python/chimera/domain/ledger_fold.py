"""The ledger read from its first row to its last: what every counter, limit and approval must be, and which row breaks a rule.

Used by `ledger verify`, by the recovery job's recomputation and by the simulator, so that all three mean the same.
Amounts are micros (1e-6 USD). What must hold, by the names that problems give:

- I1 reserved and spent are never negative, and together never above the limit, for every (scope, kind, period)
- I2 one decision a request, one end of it (settle, release, expire) at most, and only of an approval
- I3 reserved and spent are the sums of the open and the settled approvals, less refunds
- I4 every row counts once in the total and once in its category (blockchain in the total only)
- I7 sequence numbers without a gap, each row's hash over the one before
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from chimera.domain.cfo import SCOPES, CounterKey, counters, scopes_of
from chimera.domain.ledger import GENESIS, row_hash

MAX_PROBLEMS = 200
RESOLVED_STATE = {"SETTLE": "SETTLED", "RELEASE": "RELEASED", "EXPIRE": "EXPIRED"}
DETAILED = frozenset({"LIMIT_CHANGE", "OVERRUN", "FREEZE", "UNFREEZE", "KEY"})
"""Entry types whose `details` the fold reads; of the others they may be left empty."""


class LedgerRow(Protocol):
    """What the fold reads of a row; `domain.ledger.Entry` and `LightRow` have it."""

    @property
    def seq(self) -> int: ...
    @property
    def entry_type(self) -> str: ...
    @property
    def tx_id(self) -> str: ...
    @property
    def request_id(self) -> str: ...
    @property
    def request_type(self) -> str | None: ...
    @property
    def amount_micros(self) -> int: ...
    @property
    def decision(self) -> str | None: ...
    @property
    def override_of(self) -> str | None: ...
    @property
    def settles(self) -> str | None: ...
    @property
    def periods(self) -> Mapping[str, str]: ...
    @property
    def control_epoch(self) -> int | None: ...
    @property
    def expires_at(self) -> datetime | None: ...
    @property
    def details(self) -> Mapping[str, Any]: ...
    @property
    def key_id(self) -> str: ...


class LightRow(NamedTuple):
    """A row without its body: small enough to hand a million of them from process to process."""

    seq: int
    entry_type: str
    tx_id: str
    request_id: str
    request_type: str | None
    amount_micros: int
    decision: str | None
    override_of: str | None
    settles: str | None
    periods: Mapping[str, str]
    control_epoch: int | None
    expires_at: datetime | None
    details: Mapping[str, Any]
    key_id: str


@dataclass
class Settlement:
    """A settled approval: what may still come back of it."""

    request_id: str
    request_type: str
    periods: Mapping[str, str]
    reserved_micros: int
    actual_micros: int
    refunded_micros: int = 0


@dataclass(frozen=True)
class CounterRow:
    """One row of the budget table, as it is compared with the ledger."""

    key: CounterKey
    target_micros: int
    limit_micros: int
    reserved_micros: int
    spent_micros: int


@dataclass
class Problems:
    """Sentences, at most `MAX_PROBLEMS` of them."""

    found: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """One more, unless there are enough to see that nothing holds."""
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(text)
        elif len(self.found) == MAX_PROBLEMS:
            self.found.append("more problems than are shown")


class LedgerFold:
    """The state that the rows so far make; `apply` them in the order of `seq`.

    `settlement_of` finds a settled approval (by its tx_id) that is not among the rows applied: a fold that goes on from
    a checkpoint has only the open ones in memory. `partial` says that rows before the first one were not looked at,
    so that rules about them are left out.

    >>> fold = LedgerFold()
    >>> for row in rows: fold.apply(row)
    >>> fold.spent[("total", "D", "2026-11-21")], fold.problems.found
    """

    def __init__(
        self, *, settlement_of: Callable[[str], Settlement | None] | None = None, partial: bool = False
    ) -> None:
        self.problems = Problems()
        self.seq = 0
        self.rows = 0
        self.reserved: dict[CounterKey, int] = {}
        self.spent: dict[CounterKey, int] = {}
        self.limits: dict[tuple[str, str], tuple[int, str]] = {}
        """(scope, kind) -> (micros, the period id from which they hold)."""
        self.frozen: dict[str, str] = {}
        """Frozen scope -> tx_id of the row that froze it."""
        self.open: dict[str, LedgerRow] = {}
        """Approvals that are not resolved, by request id."""
        self.closed: dict[str, int] = dict.fromkeys(RESOLVED_STATE.values(), 0)
        self.refunded_micros = 0
        self.overrun_micros = 0
        self.keys: dict[str, str] = {}
        """Purpose (cfo, seal) -> the key in force."""
        self.began: dict[str, int] = {}
        """CFO key -> seq of the KEY row with which it began."""
        self.replaced: dict[str, int] = {}
        """CFO key -> seq of the KEY row that replaced it."""
        self._partial = partial
        self._settlement_of = settlement_of
        self._settlements: dict[str, Settlement] = {}
        self._decided: set[str] = set()
        self._escalated: set[str] = set()
        self._overridden: set[str] = set()
        self._keys_of: dict[tuple[str, str, str, str], list[CounterKey]] = {}
        self._last: LedgerRow | None = None

    def apply(self, row: LedgerRow) -> None:
        """Take one more row into account; what breaks a rule goes into `problems`."""
        if row.seq != self.seq + 1 and not (self._partial and self.rows == 0):
            self._problem(row, f"{self.seq + 1} is missing before it (I7)")
        self.seq = row.seq
        self.rows += 1
        rule = _RULES.get(row.entry_type)
        if rule is None:
            self._problem(row, f"an entry type that is not known: {row.entry_type!r}")
        else:
            try:
                rule(self, row)
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                self._problem(row, f"{row.entry_type} cannot be read: {type(error).__name__} {str(error)[:80]}")
        self._check_key(row)
        self._last = row

    def _problem(self, row: LedgerRow, text: str) -> None:
        self.problems.add(f"row {row.seq}: {text}")

    def _check_key(self, row: LedgerRow) -> None:
        if row.key_id in self.replaced and row.entry_type != "KEY":
            self._problem(row, f"is to be signed by key {row.key_id}, which was replaced before it")
        elif not row.key_id and ("cfo" in self.keys or (row.entry_type == "DECISION" and row.decision == "approved")):
            self._problem(row, "names no key that is to sign it")

    # --- one method for each entry type

    def _decision(self, row: LedgerRow) -> None:
        if row.request_id in self._decided:
            self._problem(row, f"a second decision on request {row.request_id} (I2)")
        self._decided.add(row.request_id)
        if row.override_of is not None:
            if row.override_of in self._overridden:
                self._problem(row, f"a second answer to the escalated decision {row.override_of}")
            elif row.override_of not in self._escalated and not self._partial:
                self._problem(row, f"answers {row.override_of}, which was not escalated before it")
            self._overridden.add(row.override_of)
        if row.decision == "escalated":
            self._escalated.add(row.tx_id)
        if row.decision != "approved":
            return
        if row.amount_micros <= 0:
            self._problem(row, f"approves {row.amount_micros} micros")
        keys = self._counters(row)
        for scope in scopes_of(row.request_type or ""):
            if scope in self.frozen:
                self._problem(row, f"approved although {scope} was frozen")
        self.open[row.request_id] = row
        for key in keys:
            used = self.reserved.get(key, 0) + row.amount_micros
            self.reserved[key] = used
            limit = self.limits.get(key[:2])
            if limit is not None and key[2] >= limit[1] and used + self.spent.get(key, 0) > limit[0]:
                self._problem(row, f"approved above the limit of {' '.join(key)} (I1)")

    def _resolution(self, row: LedgerRow) -> None:
        approval = self.open.pop(row.request_id, None)
        what = f"{row.entry_type} of {row.request_id}"
        if approval is None:
            if not self._partial:
                self._problem(row, f"{what}, which has no open approval before it (I2)")
            return
        if approval.tx_id != row.settles:
            self._problem(row, f"{what} names another approval than the open one")
        if row.amount_micros > approval.amount_micros or (row.entry_type != "SETTLE" and row.amount_micros):
            self._problem(row, f"{what}: {row.amount_micros} micros, {approval.amount_micros} were reserved")
        if row.periods != approval.periods:
            self._problem(row, f"{what} in other periods than the approval's")
        self.closed[RESOLVED_STATE[row.entry_type]] += 1
        for key in self._counters(approval):
            self.reserved[key] = self.reserved.get(key, 0) - approval.amount_micros
            self.spent[key] = self.spent.get(key, 0) + row.amount_micros
        if row.entry_type == "SETTLE":
            self._settlements[approval.tx_id] = Settlement(
                row.request_id,
                approval.request_type or "",
                approval.periods,
                approval.amount_micros,
                row.amount_micros,
            )

    def _limit_change(self, row: LedgerRow) -> None:
        changes = row.details["changes"]
        if not changes:
            self._problem(row, "LIMIT_CHANGE without a change")
        for change in changes:
            key = (change["scope"], change["kind"])
            before = str(self.limits[key][0]) if key in self.limits else None
            if change["before"] != before and not (self._partial and before is None):
                self._problem(row, f"changes a limit of {key} from {change['before']}, which was {before}")
            self.limits[key] = (int(change["after"]), row.periods[change["kind"]])

    def _refund(self, row: LedgerRow) -> None:
        settled = self.settlement(row.settles or "")
        if settled is None or settled.request_id != row.request_id:
            if not self._partial or settled is not None or self._settlement_of is not None:
                self._problem(row, f"REFUND of {row.request_id}, which was not settled before it")
            return
        if row.amount_micros <= 0:
            self._problem(row, f"REFUND of {row.amount_micros} micros")
        if row.periods != settled.periods:
            self._problem(row, "REFUND in other periods than the approval's")
        settled.refunded_micros += row.amount_micros
        self.refunded_micros += row.amount_micros
        if settled.refunded_micros > settled.actual_micros:
            self._problem(
                row, f"refunds of {settled.refunded_micros} micros, {settled.actual_micros} were settled (I3)"
            )
        for key in self._keys(settled.request_type, settled.periods):
            self.spent[key] = self.spent.get(key, 0) - row.amount_micros

    def _overrun(self, row: LedgerRow) -> None:
        before = self._last
        settled = self.settlement(row.settles or "")
        if settled is None or settled.request_id != row.request_id:
            if not self._partial or settled is not None or self._settlement_of is not None:
                self._problem(row, f"OVERRUN of {row.request_id}, which was not settled before it")
            return
        if before is not None and (before.entry_type != "SETTLE" or before.settles != row.settles):
            self._problem(row, "OVERRUN that does not follow its SETTLE")
        if settled.actual_micros != settled.reserved_micros:
            self._problem(row, "OVERRUN of an approval that was not charged in full")
        measured, reserved = int(row.details["measured_micros"]), int(row.details["reserved_micros"])
        if row.amount_micros <= 0 or measured - reserved != row.amount_micros or reserved != settled.reserved_micros:
            self._problem(row, f"OVERRUN of {row.amount_micros} micros: {measured} measured, {reserved} reserved")
        self.overrun_micros += row.amount_micros
        self._freeze_scopes(row, row.details["freeze"])

    def _freeze(self, row: LedgerRow) -> None:
        self._freeze_scopes(row, row.details["scopes"])
        self._check_no_money(row)

    def _freeze_scopes(self, row: LedgerRow, scopes: Sequence[str]) -> None:
        if not scopes or any(scope not in SCOPES for scope in scopes):
            self._problem(row, f"{row.entry_type} of {list(scopes)}, expected scopes of {SCOPES}")
        for scope in scopes:
            self.frozen.setdefault(scope, row.tx_id)

    def _unfreeze(self, row: LedgerRow) -> None:
        for scope in row.details["scopes"]:
            if self.frozen.pop(scope, None) is None and not self._partial:
                self._problem(row, f"UNFREEZE of {scope}, which was not frozen")
        self._check_no_money(row)

    def _refusal(self, row: LedgerRow) -> None:
        if row.decision is not None:
            self._problem(row, f"REFUSAL with the decision {row.decision}")
        self._check_no_money(row)

    def _key(self, row: LedgerRow) -> None:
        purpose, kid, replaces = row.details["purpose"], row.details["kid"], row.details.get("replaces")
        current = self.keys.get(purpose)
        if replaces != current and not (self._partial and current is None):
            self._problem(row, f"KEY {kid} replaces {replaces}, the {purpose} key in force was {current}")
        if purpose == "cfo" and kid in self.replaced:
            self._problem(row, f"KEY {kid} was replaced before and begins again")
        if purpose == "cfo" and row.key_id and row.key_id != (replaces or kid):
            self._problem(row, f"KEY {kid} is to be signed by {row.key_id}, expected the key it replaces")
        if purpose == "cfo":
            self.began[kid] = row.seq
            if replaces:
                self.replaced[replaces] = row.seq
        self.keys[purpose] = kid
        self._check_no_money(row)

    def _check_no_money(self, row: LedgerRow) -> None:
        if row.amount_micros:
            self._problem(row, f"{row.entry_type} of {row.amount_micros} micros, expected 0")

    # --- what others ask

    def look_up(self, settlement_of: Callable[[str], Settlement | None]) -> None:
        """Where to find a settled approval (by its tx_id) that is not among the rows applied."""
        self._settlement_of = settlement_of

    def settlement(self, approval_tx: str) -> Settlement | None:
        """How an approval was settled, if it was, with its refunds so far."""
        found = self._settlements.get(approval_tx)
        if found is None and self._settlement_of is not None:
            found = self._settlement_of(approval_tx)
            if found is not None:
                self._settlements[approval_tx] = found
        return found

    def signer_fits(self, row: LedgerRow, kid: str) -> bool:
        """Whether this key may have signed the row: the one it names, or a later one if that was replaced since.

        An approval is worth something under the key it names only: its token says so.
        """
        if not row.key_id or kid == row.key_id:
            return True
        approval = row.entry_type == "DECISION" and row.decision == "approved"
        return not approval and self.replaced.get(row.key_id, 0) > row.seq and self.began.get(kid, 0) > row.seq

    def _counters(self, row: LedgerRow) -> list[CounterKey]:
        return self._keys(row.request_type or "", row.periods)

    def _keys(self, request_type: str, periods: Mapping[str, str]) -> list[CounterKey]:
        # a million rows share a handful of days
        name = (request_type, periods["D"], periods["W"], periods["M"])
        keys = self._keys_of.get(name)
        if keys is None:
            keys = self._keys_of[name] = counters(request_type, periods)
        return keys

    # --- checkpoints

    def dump(self) -> dict[str, Any]:
        """The state as JSON: all that a fold needs to go on from here, but for settled approvals (`settlement_of`)."""
        return {
            "v": 1,
            "seq": self.seq,
            "counters": [
                [*key, str(self.reserved.get(key, 0)), str(self.spent.get(key, 0))]
                for key in sorted({*self.reserved, *self.spent})
            ],
            "limits": [[*key, str(micros), since] for key, (micros, since) in sorted(self.limits.items())],
            "frozen": self.frozen,
            "open": [
                [
                    row.seq,
                    row.tx_id,
                    row.request_id,
                    row.request_type,
                    str(row.amount_micros),
                    dict(row.periods),
                    row.control_epoch,
                    row.expires_at.isoformat() if row.expires_at else None,
                    row.key_id,
                ]
                for row in self.open.values()
            ],
            "closed": self.closed,
            "refunded": str(self.refunded_micros),
            "overrun": str(self.overrun_micros),
            "keys": self.keys,
            "began": self.began,
            "replaced": self.replaced,
        }

    @classmethod
    def load(
        cls, state: Mapping[str, Any], settlement_of: Callable[[str], Settlement | None] | None = None
    ) -> LedgerFold:
        """A fold that goes on where `dump` was taken. `ValueError` for a state of another version."""
        if state.get("v") != 1:
            raise ValueError(f"checkpoint of version {state.get('v')!r}, expected 1")
        fold = cls(settlement_of=settlement_of, partial=True)
        fold.seq, fold.rows = int(state["seq"]), int(state["seq"])
        for scope, kind, period, reserved, spent in state["counters"]:
            fold.reserved[scope, kind, period] = int(reserved)
            fold.spent[scope, kind, period] = int(spent)
        fold.limits = {(scope, kind): (int(micros), since) for scope, kind, micros, since in state["limits"]}
        fold.frozen, fold.closed = dict(state["frozen"]), dict(state["closed"])
        fold.refunded_micros, fold.overrun_micros = int(state["refunded"]), int(state["overrun"])
        fold.keys, fold.began, fold.replaced = dict(state["keys"]), dict(state["began"]), dict(state["replaced"])
        for seq, tx_id, request_id, request_type, amount, periods, epoch, expires, key_id in state["open"]:
            fold.open[request_id] = LightRow(
                seq=seq,
                entry_type="DECISION",
                tx_id=tx_id,
                request_id=request_id,
                request_type=request_type,
                amount_micros=int(amount),
                decision="approved",
                override_of=None,
                settles=None,
                periods=periods,
                control_epoch=epoch,
                expires_at=datetime.fromisoformat(expires) if expires else None,
                details={},
                key_id=key_id,
            )
        return fold


_RULES: dict[str, Callable[[LedgerFold, LedgerRow], None]] = {
    "DECISION": LedgerFold._decision,
    "SETTLE": LedgerFold._resolution,
    "RELEASE": LedgerFold._resolution,
    "EXPIRE": LedgerFold._resolution,
    "LIMIT_CHANGE": LedgerFold._limit_change,
    "REFUND": LedgerFold._refund,
    "OVERRUN": LedgerFold._overrun,
    "FREEZE": LedgerFold._freeze,
    "UNFREEZE": LedgerFold._unfreeze,
    "REFUSAL": LedgerFold._refusal,
    "KEY": LedgerFold._key,
}


def compare_counters(fold: LedgerFold, rows: Iterable[CounterRow]) -> dict[str, list[str]]:
    """What of the budget table is not what the ledger says (I1, I3, I4), by scope; empty when all fits.

    I4 (the categories and blockchain add up to the total) follows: every counter is compared with its own
    recomputation, and every row counts in the total.
    """
    wrong: dict[str, list[str]] = {}
    seen: set[CounterKey] = set()
    for row in rows:
        key, name = row.key, " ".join(row.key)
        seen.add(key)
        reserved, spent = fold.reserved.get(key, 0), fold.spent.get(key, 0)
        found = []
        if (row.reserved_micros, row.spent_micros) != (reserved, spent):
            found.append(
                f"budget {name}: reserved {row.reserved_micros} and spent {row.spent_micros} micros, "
                f"the ledger says {reserved} and {spent} (I3)"
            )
        used = row.reserved_micros + row.spent_micros
        if row.reserved_micros < 0 or row.spent_micros < 0 or used > row.limit_micros:
            found.append(f"budget {name}: {used} of {row.limit_micros} micros used (I1)")
        if row.limit_micros != max(row.target_micros, used):
            found.append(f"budget {name}: its limit of {row.limit_micros} micros is not what was set")
        limit, since = fold.limits.get((key[0], key[1]), (0, ""))
        if key[2] >= since and row.target_micros != limit:
            found.append(f"budget {name}: limit {row.target_micros} micros, the ledger says {limit}")
        if found:
            wrong.setdefault(key[0], []).extend(found)
    for key in sorted({*fold.reserved, *fold.spent} - seen):
        if fold.reserved.get(key) or fold.spent.get(key):
            wrong.setdefault(key[0], []).append(f"budget {' '.join(key)}: its row is missing (I3)")
    return wrong


@dataclass
class ChainCheck:
    """The hash chain so far (I7): where it is and what did not fit."""

    seq: int = 0
    hash: bytes = GENESIS

    def follow(self, seq: int, prev_hash: bytes, body: bytes, digest: bytes) -> list[str]:
        """Go on to this row; sentences for what does not fit, none for a sound one."""
        found = []
        if seq != self.seq + 1:
            found.append(f"row {seq}: {self.seq + 1} is missing before it")
        if prev_hash != self.hash:
            found.append(f"row {seq}: does not follow the row before it (previous hash)")
        if row_hash(prev_hash, body) != digest:
            found.append(f"row {seq}: its hash is not that of its body")
        self.seq, self.hash = seq, digest
        return found
