"""The fold of the ledger: sound histories make the counters of a plain model and no problem; each broken rule is named."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.domain.cfo import KINDS, CounterKey, scopes_of
from chimera.domain.ledger import GENESIS, row_hash
from chimera.domain.ledger_fold import ChainCheck, CounterRow, LedgerFold, LightRow, Settlement, compare_counters

DAYS = (
    {"D": "2026-12-31", "W": "2026-W53", "M": "2026-12"},
    {"D": "2027-01-01", "W": "2026-W53", "M": "2027-01"},
)
LIMIT = 1_000_000


def row(seq: int, entry_type: str, **values: Any) -> LightRow:
    empty: dict[str, Any] = {
        **dict.fromkeys(("request_type", "decision", "override_of", "settles", "control_epoch", "expires_at")),
        "tx_id": f"tx-{seq}",
        "request_id": f"request-{seq}",
        "amount_micros": 0,
        "periods": {},
        "details": {},
        "key_id": "k1",
    }
    return LightRow(seq=seq, entry_type=entry_type, **{**empty, **values})


@dataclass
class History:
    """A ledger written by a plain model that knows no fold: sums in two Counters."""

    rows: list[LightRow] = field(default_factory=list)
    reserved: Counter[CounterKey] = field(default_factory=Counter)
    spent: Counter[CounterKey] = field(default_factory=Counter)
    open: list[LightRow] = field(default_factory=list)
    settled: list[tuple[LightRow, int, int]] = field(default_factory=list)
    frozen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        changes = [
            {"scope": scope, "kind": kind, "before": None, "after": str(LIMIT)}
            for scope in ("total", "api_call", "compute", "storage")
            for kind in KINDS
        ]
        self.add("LIMIT_CHANGE", periods=DAYS[0], details={"changes": changes})

    def add(self, entry_type: str, **values: Any) -> LightRow:
        self.rows.append(row(len(self.rows) + 1, entry_type, **values))
        return self.rows[-1]

    def _keys(self, approval: LightRow) -> list[CounterKey]:
        return [(s, k, approval.periods[k]) for s in scopes_of(approval.request_type or "") for k in KINDS]

    def decide(self, category: str, amount: int, day: int, decision: str) -> None:
        periods = DAYS[day]
        new = row(0, "DECISION", request_type=category, periods=periods)
        keys = self._keys(new)
        full = any(self.reserved[k] + self.spent[k] + amount > LIMIT for k in keys)
        if decision == "approved" and (full or self.frozen & set(scopes_of(category))):
            decision = "rejected"
        made = self.add("DECISION", request_type=category, amount_micros=amount, periods=periods, decision=decision)
        if decision == "approved":
            self.open.append(made)
            for key in keys:
                self.reserved[key] += amount

    def resolve(self, entry_type: str, share: int) -> None:
        if not self.open:
            return
        approval = self.open.pop(share % len(self.open))
        actual = approval.amount_micros * share // 100 if entry_type in {"SETTLE", "OVERRUN"} else 0
        if entry_type == "OVERRUN":
            actual = approval.amount_micros
        same: dict[str, Any] = {
            "request_id": approval.request_id,
            "request_type": approval.request_type,
            "periods": approval.periods,
            "settles": approval.tx_id,
        }
        self.add("SETTLE" if entry_type == "OVERRUN" else entry_type, amount_micros=actual, **same)
        for key in self._keys(approval):
            self.reserved[key] -= approval.amount_micros
            self.spent[key] += actual
        if entry_type in {"SETTLE", "OVERRUN"}:
            self.settled.append((approval, actual, 0))
        if entry_type == "OVERRUN":
            scope = scopes_of(approval.request_type or "")[0]
            self.frozen.add(scope)
            details = {"freeze": [scope], "measured_micros": str(actual + 7), "reserved_micros": str(actual)}
            self.add("OVERRUN", amount_micros=7, details=details, **same)

    def refund(self, pick: int, share: int) -> None:
        if not self.settled:
            return
        approval, actual, before = self.settled.pop(pick % len(self.settled))
        amount = max(1, (actual - before) * share // 100)
        if before + amount > actual:
            return
        self.settled.append((approval, actual, before + amount))
        self.add(
            "REFUND",
            request_id=approval.request_id,
            request_type=approval.request_type,
            settles=approval.tx_id,
            periods=approval.periods,
            amount_micros=amount,
        )
        for key in self._keys(approval):
            self.spent[key] -= amount

    def freeze(self, scope: str) -> None:
        self.add("UNFREEZE" if scope in self.frozen else "FREEZE", details={"scopes": [scope], "why": "a test"})
        self.frozen ^= {scope}


OPERATIONS = st.one_of(
    st.tuples(
        st.just("decide"),
        st.sampled_from(["api_call", "compute", "storage", "blockchain"]),
        st.integers(1, 400_000),
        st.integers(0, 1),
        st.sampled_from(["approved", "approved", "rejected", "escalated"]),
    ),
    st.tuples(
        st.just("resolve"), st.sampled_from(["SETTLE", "SETTLE", "RELEASE", "EXPIRE", "OVERRUN"]), st.integers(0, 100)
    ),
    st.tuples(st.just("refund"), st.integers(0, 9), st.integers(0, 100)),
    st.tuples(st.just("freeze"), st.sampled_from(["total", "compute"])),
)


@st.composite
def histories(draw: st.DrawFn) -> History:
    history = History()
    for name, *arguments in draw(st.lists(OPERATIONS, max_size=40)):
        getattr(history, name)(*arguments)
    return history


def fold_of(rows: list[LightRow]) -> LedgerFold:
    fold = LedgerFold()
    for one in rows:
        fold.apply(one)
    return fold


def sums(values: dict[CounterKey, int]) -> dict[CounterKey, int]:
    return {key: micros for key, micros in values.items() if micros}


@given(histories())
@settings(max_examples=150, deadline=None)
def test_a_sound_history_folds_to_the_sums_of_its_operations(history: History) -> None:
    fold = fold_of(history.rows)
    assert fold.problems.found == []
    assert sums(fold.reserved) == sums(history.reserved)
    assert sums(fold.spent) == sums(history.spent)
    assert set(fold.frozen) == history.frozen
    assert set(fold.open) == {approval.request_id for approval in history.open}
    for kind in KINDS:  # I4: every request counts once in the total
        for day in DAYS:
            total = fold.spent.get(("total", kind, day[kind]), 0)
            parts = sum(fold.spent.get((s, kind, day[kind]), 0) for s in ("api_call", "compute", "storage"))
            assert total >= parts


@given(histories(), st.data())
@settings(max_examples=100, deadline=None)
def test_going_on_from_a_checkpoint_is_the_same_as_reading_all(history: History, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(history.rows)))
    before = fold_of(history.rows[:cut])
    whole = fold_of(history.rows)

    def settlement_of(tx: str) -> Settlement | None:
        return before.settlement(tx)

    resumed = LedgerFold.load(json.loads(json.dumps(before.dump())), settlement_of)
    for one in history.rows[cut:]:
        resumed.apply(one)
    assert resumed.problems.found == []
    assert resumed.dump() == whole.dump()


@given(histories(), st.data())
@settings(max_examples=100, deadline=None)
def test_a_missing_row_is_found(history: History, data: st.DataObject) -> None:
    gone = data.draw(st.integers(0, len(history.rows) - 1))
    if gone == len(history.rows) - 1:  # the tail is what seals and the chain's head are for
        return
    assert any("missing" in text for text in fold_of(history.rows[:gone] + history.rows[gone + 1 :]).problems.found)


@given(histories(), st.integers(1, 10**6), st.data())
@settings(max_examples=100, deadline=None)
def test_a_counter_that_is_off_by_any_amount_is_found_in_its_scope(
    history: History, off: int, data: st.DataObject
) -> None:
    fold = fold_of(history.rows)
    keys = sorted({*fold.reserved, *fold.spent})
    rows = [CounterRow(k, LIMIT, LIMIT, fold.reserved.get(k, 0), fold.spent.get(k, 0)) for k in keys]
    assert compare_counters(fold, rows) == {}
    if not rows:
        return
    at = data.draw(st.integers(0, len(rows) - 1))
    honest = rows[at]
    forged = CounterRow(honest.key, LIMIT, LIMIT, honest.reserved_micros, honest.spent_micros - off)
    wrong = compare_counters(fold, [*rows[:at], forged, *rows[at + 1 :]])
    assert set(wrong) == {honest.key[0]}
    if fold.reserved.get(honest.key) or fold.spent.get(honest.key):
        assert set(compare_counters(fold, rows[:at] + rows[at + 1 :])) == {honest.key[0]}


def approved(seq: int, **values: Any) -> LightRow:
    same = {"request_type": "compute", "decision": "approved", "amount_micros": 100, "periods": DAYS[0]}
    return row(seq, "DECISION", **{**same, **values})


def settled(seq: int, of: LightRow, entry_type: str = "SETTLE", **values: Any) -> LightRow:
    same = {"request_id": of.request_id, "request_type": "compute", "settles": of.tx_id, "periods": of.periods}
    return row(seq, entry_type, **{**same, "amount_micros": 80, **values})


FIRST = approved(1)
KEY = row(1, "KEY", details={"purpose": "cfo", "kid": "k1", "replaces": None})
NEXT_KEY = row(2, "KEY", details={"purpose": "cfo", "kid": "k2", "replaces": "k1"})


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([FIRST, approved(2, request_id=FIRST.request_id)], "a second decision"),
        ([FIRST, settled(2, FIRST, amount_micros=101)], "100 were reserved"),
        ([FIRST, settled(2, FIRST, settles="other")], "another approval"),
        ([FIRST, settled(2, FIRST, periods=DAYS[1])], "other periods"),
        ([FIRST, settled(2, FIRST), settled(3, FIRST)], "no open approval"),
        ([FIRST, settled(2, FIRST, entry_type="EXPIRE")], "100 were reserved"),
        ([row(1, "DECISION", decision="rejected", amount_micros=1), settled(2, FIRST)], "no open approval"),
        ([approved(1, amount_micros=0)], "approves 0"),
        ([approved(1, key_id="")], "names no key"),
        ([KEY, row(2, "FREEZE", details={"scopes": ["total"]}, key_id="")], "names no key"),
        ([FIRST, settled(2, FIRST), settled(3, FIRST, entry_type="REFUND", amount_micros=81)], "refunds of 81"),
        ([FIRST, settled(2, FIRST, entry_type="REFUND")], "not settled before"),
        ([FIRST, settled(2, FIRST), settled(3, FIRST, entry_type="REFUND", amount_micros=0)], "REFUND of 0"),
        (
            [
                FIRST,
                settled(2, FIRST),
                settled(
                    3,
                    FIRST,
                    entry_type="OVERRUN",
                    amount_micros=5,
                    details={"freeze": ["compute"], "measured_micros": "105", "reserved_micros": "100"},
                ),
            ],
            "not charged in full",
        ),
        ([row(1, "FREEZE", details={"scopes": ["compute"]}), approved(2)], "although compute was frozen"),
        ([row(1, "FREEZE", details={"scopes": []})], "expected scopes"),
        ([row(1, "UNFREEZE", details={"scopes": ["compute"]})], "was not frozen"),
        ([row(1, "REFUSAL", amount_micros=5)], "expected 0"),
        ([row(1, "REFUSAL", decision="approved")], "with the decision"),
        ([row(1, "GIFT")], "not known"),
        ([row(1, "LIMIT_CHANGE", details={})], "cannot be read"),
        ([row(1, "SETTLE", periods=None)], "no open approval"),
        ([KEY, NEXT_KEY, approved(3)], "was replaced before it"),
        (
            [KEY, NEXT_KEY, row(3, "KEY", details={"purpose": "cfo", "kid": "k1", "replaces": "k2"}, key_id="k2")],
            "again",
        ),
        ([KEY, row(2, "KEY", details={"purpose": "cfo", "kid": "k2", "replaces": "k9"})], "in force was k1"),
        ([KEY, NEXT_KEY._replace(key_id="k2")], "expected the key it replaces"),
        ([approved(1, override_of="nothing")], "not escalated"),
    ],
)
def test_a_broken_rule_is_named(rows: list[LightRow], expected: str) -> None:
    found = fold_of(rows).problems.found
    assert any(expected in text for text in found), found


def test_an_approval_above_the_limit_is_named() -> None:
    changes = [{"scope": "total", "kind": "D", "before": None, "after": "150"}]
    limit = row(1, "LIMIT_CHANGE", periods=DAYS[0], details={"changes": changes})
    assert fold_of([limit, approved(2)]).problems.found == []
    assert "above the limit" in fold_of([limit, approved(2), approved(3)]).problems.found[0]


def test_a_row_may_be_signed_by_the_key_it_names_or_by_one_that_replaced_it_later() -> None:
    rejected = row(2, "DECISION", decision="rejected", amount_micros=1, request_type="compute", periods=DAYS[0])
    approval = approved(3)
    fold = fold_of([KEY, rejected, approval, NEXT_KEY._replace(seq=4)])
    assert fold.problems.found == []
    assert fold.signer_fits(rejected, "k1")
    assert fold.signer_fits(rejected, "k2")
    assert not fold.signer_fits(rejected, "k0")
    assert not fold.signer_fits(approval, "k2")  # its token names k1
    later = rejected._replace(seq=5, key_id="k2")
    assert not fold.signer_fits(later, "k1")  # a key of yesterday signs nothing new


def test_the_chain_names_the_row_that_does_not_fit() -> None:
    first, second = row_hash(GENESIS, b"a"), row_hash(row_hash(GENESIS, b"a"), b"b")
    chain = ChainCheck()
    assert chain.follow(1, GENESIS, b"a", first) == []
    assert chain.follow(2, first, b"b", second) == []
    assert ChainCheck().follow(2, first, b"b", second) == [
        "row 2: 1 is missing before it",
        "row 2: does not follow the row before it (previous hash)",
    ]
    assert ChainCheck().follow(1, GENESIS, b"x", first) == ["row 1: its hash is not that of its body"]
