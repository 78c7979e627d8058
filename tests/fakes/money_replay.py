"""Judges a ledger from outside: replay its rows in their order with the pure rules and compare every answer.

Each answer carries its place (the row's number, allotted under the lock), so linearizability needs no search: the rows in
order, asked one after the other of the rules, must give the same decisions and the same remainders, and that order must
respect real time (an answer that was had before another question was put comes before it).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from chimera.adapters.postgres.ledger import PostgresLedger
from chimera.domain.cfo import (
    KINDS,
    PERIOD_NAMES,
    ApprovalRequest,
    CfoPolicy,
    CounterKey,
    RiskFeatures,
    counters,
    periods_of,
    rule,
)
from chimera.domain.ledger import Entry
from chimera.domain.money import MICROS
from tests.fakes.money_load import Reply

HISTORY = 100
RECENT = timedelta(minutes=10)
WITHOUT_EFFECT = frozenset({"KEY", "REFUSAL"})


@dataclass
class Replay:
    """The rules' own books, kept from the rows one by one; `problems` says what does not follow from them."""

    policy: CfoPolicy
    problems: list[str] = field(default_factory=list)
    limits: dict[tuple[str, str], int] = field(default_factory=dict)
    reserved: dict[CounterKey, int] = field(default_factory=lambda: defaultdict(int))
    spent: dict[CounterKey, int] = field(default_factory=lambda: defaultdict(int))
    seq: dict[str, int] = field(default_factory=dict)
    """Where each request was decided."""
    decisions: dict[str, tuple[str, str, tuple[int, ...]]] = field(default_factory=dict)
    """What was decided: decision, code, what was left of day, week and month."""
    approved: dict[str, Entry] = field(default_factory=dict)
    """The approvals that nothing resolved yet."""
    history: dict[str, deque[Entry]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=HISTORY)))

    def add(self, entry: Entry) -> None:
        """One row more."""
        if entry.entry_type == "DECISION":
            self._decide(entry)
        elif entry.entry_type in {"SETTLE", "RELEASE", "EXPIRE"}:
            self._resolve(entry)
        elif entry.entry_type == "LIMIT_CHANGE":
            for change in entry.details["changes"]:
                self.limits[change["scope"], change["kind"]] = int(change["after"])
        elif entry.entry_type not in WITHOUT_EFFECT:
            self.problems.append(f"row {entry.seq}: {entry.entry_type} was not expected under this load")

    def remaining(self, key: CounterKey) -> int:
        """What is left of one counter, in micros."""
        return max(0, self.limits[key[0], key[1]] - self.reserved[key] - self.spent[key])

    def _decide(self, entry: Entry) -> None:
        where = f"row {entry.seq}"
        assert entry.request_type is not None
        assert entry.agent_id is not None
        assert entry.projected_roi is not None
        if entry.request_id in self.seq:
            self.problems.append(f"{where}: a second decision on {entry.request_id}")
        if entry.periods != periods_of(entry.created_at):
            self.problems.append(f"{where}: periods {entry.periods} at {entry.created_at}")
        request = ApprovalRequest(
            request_id=entry.request_id,
            agent_id=entry.agent_id,
            request_type=entry.request_type,
            request_cost=Decimal(entry.amount_micros) / MICROS,
            projected_roi=entry.projected_roi,
            justification=entry.justification,
            currency=entry.currency,
        )
        keys = counters(entry.request_type, entry.periods)
        left = {key: self.remaining(key) for key in keys}
        ruling = rule(request, left, self._features(entry, request, left), self.policy)
        if (ruling.decision, ruling.code, ruling.risk) != (entry.decision, entry.code, entry.risk_score):
            self.problems.append(
                f"{where}: {entry.decision} {entry.code} at risk {entry.risk_score}, by the rules it is"
                f" {ruling.decision} {ruling.code} at {ruling.risk}"
            )
        if entry.is_approval:
            for key in keys:
                self.reserved[key] += entry.amount_micros
            self.approved[entry.request_id] = entry
        after = tuple(min(self.remaining(key) for key in keys if key[1] == kind) for kind in KINDS)
        written = tuple(int(entry.details["remaining_micros"][PERIOD_NAMES[kind]]) for kind in KINDS)
        if written != after:
            self.problems.append(f"{where}: says {written} micros are left, by the rules {after}")
        self.seq[entry.request_id] = entry.seq
        self.decisions[entry.request_id] = (entry.decision or "", entry.code, after)
        self.history[entry.agent_id].append(entry)

    def _features(self, entry: Entry, request: ApprovalRequest, left: Mapping[CounterKey, int]) -> RiskFeatures:
        before = self.history[request.agent_id]
        same = [e.amount_micros for e in before if e.decision == "approved" and e.request_type == request.request_type]
        return RiskFeatures(
            cost_micros=request.amount_micros,
            remaining_micros=min(left.values()),
            roi=request.projected_roi,
            hurdle=self.policy.hurdle,
            agent_decisions=len(before),
            agent_rejections=sum(1 for e in before if e.decision == "rejected"),
            largest_before_micros=max(same, default=0),
            recent_decisions=sum(1 for e in before if e.created_at > entry.created_at - RECENT),
        )

    def _resolve(self, entry: Entry) -> None:
        approval = self.approved.pop(entry.request_id, None)
        if approval is None or entry.settles != approval.tx_id or entry.amount_micros > approval.amount_micros:
            self.problems.append(f"row {entry.seq}: {entry.entry_type} of nothing that was open")
            return
        for key in counters(approval.request_type or "", approval.periods):
            self.reserved[key] -= approval.amount_micros
            self.spent[key] += entry.amount_micros

    def compare_counters(self, ledger: PostgresLedger) -> None:
        """The tables' counters are these books, to the micro, and within their limits."""
        for line in ledger.budgets():
            kind = next(k for k, name in PERIOD_NAMES.items() if name == line.period)
            key = (line.category, kind, line.period_id)
            if (line.reserved_micros, line.spent_micros) != (self.reserved[key], self.spent[key]):
                self.problems.append(
                    f"{key}: the table says {line.reserved_micros} reserved and {line.spent_micros} spent,"
                    f" the rows {self.reserved[key]} and {self.spent[key]}"
                )
            if line.reserved_micros + line.spent_micros > self.limits[key[0], key[1]]:
                self.problems.append(f"{key}: over its limit")

    def compare_replies(self, replies: Sequence[Reply]) -> None:
        """Every answer is what its row says, and the rows' order respects real time."""
        for reply in replies:
            row = self.decisions.get(reply.request_id)
            if row != (reply.decision, reply.code, reply.remaining_micros):
                self.problems.append(f"{reply.request_id}: answered {reply}, its row says {row}")
            elif reply.signed != (reply.decision == "approved"):
                self.problems.append(f"{reply.request_id}: {reply.decision}, signed: {reply.signed}")
        latest = 0.0
        for reply in sorted(replies, key=lambda r: (self.seq.get(r.request_id, 0), r.invoked)):
            if reply.acked < latest:
                self.problems.append(f"{reply.request_id}: answered before a request was put that stands before it")
            latest = max(latest, reply.invoked)


def rows(ledger: PostgresLedger) -> Iterator[Entry]:
    """Every row, oldest first."""
    pages: list[list[Entry]] = []
    cursor = None
    while True:
        page = ledger.entries(limit=500, cursor=cursor)
        pages.append([_light(entry) for entry in page.entries])
        cursor = page.next_cursor
        if cursor is None:
            break
    for entries in reversed(pages):
        yield from reversed(entries)


def _light(entry: Entry) -> Entry:
    """Without what a replay does not read: a hundred thousand rows fit in memory."""
    kept: dict[str, Any] = {k: entry.details[k] for k in ("remaining_micros", "changes") if k in entry.details}
    values = {name: getattr(entry, name) for name in Entry.__dataclass_fields__}
    values |= {"details": kept, "body": b"", "row_hash": b"", "prev_hash": b"", "req_sha256": b"", "signature": None}
    return Entry(**values)


def replay(ledger: PostgresLedger, policy: CfoPolicy, replies: Sequence[Reply] = ()) -> Replay:
    """The whole ledger against the rules, its counters and these answers."""
    books = Replay(policy)
    for entry in rows(ledger):
        books.add(entry)
    books.compare_counters(ledger)
    books.compare_replies(replies)
    return books


def expect_none(problems: Sequence[str]) -> None:
    """Fail with what was found: the first twenty."""
    if problems:
        raise AssertionError(f"{len(problems)} problems, among them:\n" + "\n".join(problems[:20]))
