"""`ledger verify`: recompute the chain, the signatures and the counters from the rows, and say what does not
fit."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from chimera.adapters.postgres.chain import database_now
from chimera.adapters.postgres.database import Connection, Database
from chimera.domain.cfo import counters
from chimera.domain.ledger import (
    GENESIS,
    RESOLUTIONS,
    Entry,
    VerifyReport,
    body_fields,
    entry_from_row,
    row_hash,
    signing_message,
)
from chimera.ports import Verifier

BATCH = 1000
MAX_PROBLEMS = 200
UNSIGNED_GRACE = timedelta(hours=1)
"""A signature is made after the commit; the sweep makes the one that a crash prevented. Older than this it is
missing."""


@dataclass
class _Snapshot:
    """The tables beside the ledger, as they were when `head` was its last row."""

    head_seq: int
    head_hash: bytes
    now: datetime
    limits: dict[tuple[str, str], int]
    budget: list[dict[str, Any]]
    open: dict[str, dict[str, Any]]
    closed: dict[str, int]


@dataclass
class _State:
    """What the rows say so far."""

    problems: list[str] = field(default_factory=list)
    unsigned: int = 0
    uncovered: list[int] = field(default_factory=list)  # old rows without a signature, none later either
    seq: int = 0
    hash: bytes = GENESIS
    rows: int = 0
    decisions: dict[str, tuple[str, str]] = field(default_factory=dict)  # request -> (decision, tx id)
    open: dict[str, Entry] = field(default_factory=dict)
    closed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    reserved: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    spent: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    limits: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)  # -> (micros, since period)
    never_signed: set[str] = field(default_factory=set)

    def problem(self, text: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(text)
        elif len(self.problems) == MAX_PROBLEMS:
            self.problems.append("more problems than are shown")


def verify_ledger(db: Database, tenant_id: str, verifier: Verifier) -> VerifyReport:
    """Read every row of the tenant's ledger and check invariants I1–I4 and I7.

    I4 (categories add up to the total) holds when every counter equals its own recomputation, which is what
    is compared.

    Writers are held up for the few milliseconds in which the counters and the chain's head are read together;
    the rows
    up to that head cannot change any more, so they are read afterwards without a lock.
    """
    with db.transaction(tenant_id) as c:
        snapshot = _take_snapshot(c)
    state = _State()
    last = 0
    while True:
        with db.transaction(tenant_id) as c:
            rows = c.execute(
                "SELECT * FROM ledger_entries WHERE seq > %s AND seq <= %s ORDER BY seq LIMIT %s",
                (last, snapshot.head_seq, BATCH),
            ).fetchall()
        for row in rows:
            _check_row(state, entry_from_row(row), verifier, snapshot)
        if len(rows) < BATCH:
            break
        last = rows[-1]["seq"]
    with db.transaction(tenant_id) as c:
        ends = c.execute(
            "SELECT coalesce((SELECT max(seq) FROM ledger), 0)"
            " > coalesce((SELECT seq FROM chain_head WHERE shard = 0), 0) AS beyond"
        ).fetchone()
    if ends and ends["beyond"]:
        state.problem("there are rows beyond the head of the chain")
    if (state.seq, state.hash) != (snapshot.head_seq, snapshot.head_hash):
        state.problem(f"the chain's head is at {snapshot.head_seq}, the rows end at {state.seq} or with another hash")
    for seq in state.uncovered:
        state.problem(f"row {seq}: has no signature, nor has any row after it")
    _check_counters(state, snapshot)
    _check_reservations(state, snapshot)
    return VerifyReport(
        verified=not state.problems,
        entries=state.rows,
        problems=state.problems,
        unsigned=state.unsigned,
        head=state.hash.hex(),
    )


def _take_snapshot(c: Connection) -> _Snapshot:
    # every change of money ends with this lock, so under it the counters fit the head
    head = c.execute("SELECT seq, hash FROM chain_head WHERE shard = 0 FOR UPDATE").fetchone()
    return _Snapshot(
        head_seq=head["seq"] if head else 0,
        head_hash=head["hash"] if head else GENESIS,
        now=database_now(c),
        limits={(r["scope"], r["kind"]): r["limit_micros"] for r in c.execute("SELECT * FROM budget_limits")},
        budget=c.execute("SELECT * FROM budget_tracking ORDER BY scope, kind, period_id").fetchall(),
        open={
            str(r["request_id"]): r
            for r in c.execute("SELECT * FROM reservation WHERE state IN ('RESERVED', 'SIGNED', 'DISPATCHED')")
        },
        closed={r["state"]: r["n"] for r in c.execute("SELECT state, count(*) AS n FROM reservation GROUP BY state")},
    )


def _check_row(state: _State, entry: Entry, verifier: Verifier, snapshot: _Snapshot) -> None:
    state.rows += 1
    where = f"row {entry.seq}"
    if entry.seq != state.seq + 1:
        state.problem(f"{where}: {state.seq + 1} is missing before it")
    if entry.prev_hash != state.hash:
        state.problem(f"{where}: does not follow the row before it (previous hash)")
    if row_hash(entry.prev_hash, entry.body) != entry.row_hash:
        state.problem(f"{where}: its hash is not that of its body")
    state.seq, state.hash = entry.seq, entry.row_hash
    try:
        body = json.loads(entry.body)
    except ValueError:
        body = None
    if body != body_fields(entry):
        state.problem(f"{where}: its columns are not what its body says")
    _check_signature(state, entry, verifier, snapshot)
    if entry.entry_type == "DECISION":
        _apply_decision(state, entry)
    elif entry.entry_type in RESOLUTIONS:
        _apply_resolution(state, entry)
    elif entry.entry_type == "LIMIT_CHANGE":
        for change in entry.details.get("changes", []):
            key = (change["scope"], change["kind"])
            before = str(state.limits[key][0]) if key in state.limits else None
            if change["before"] != before:
                state.problem(f"{where}: changes a limit of {key} from {change['before']}, which was {before}")
            state.limits[key] = (int(change["after"]), entry.periods[change["kind"]])


def _check_signature(state: _State, entry: Entry, verifier: Verifier, snapshot: _Snapshot) -> None:
    if entry.signature is None or entry.signed_by is None:
        state.unsigned += 1
        if entry.is_approval:
            state.never_signed.add(entry.request_id)  # fine while it is unused: see _check_reservations
        elif snapshot.now - entry.created_at > UNSIGNED_GRACE:
            state.uncovered.append(entry.seq)
    elif entry.is_approval and entry.signed_by != entry.key_id:
        state.problem(f"row {entry.seq}: signed by key {entry.signed_by}, decided for {entry.key_id}")
    elif not verifier.verify(entry.signed_by, signing_message(entry), entry.signature):
        state.problem(f"row {entry.seq}: its signature is not the CFO's")
    else:
        state.uncovered.clear()  # a signed body names the hash of the row before, so it covers all before it


def _apply_decision(state: _State, entry: Entry) -> None:
    if entry.request_id in state.decisions:
        state.problem(f"row {entry.seq}: a second decision on request {entry.request_id}")
    state.decisions[entry.request_id] = (entry.decision or "", entry.tx_id)
    if entry.is_approval:
        state.open[entry.request_id] = entry
        for key in counters(entry.request_type or "", entry.periods):
            state.reserved[key] += entry.amount_micros


def _apply_resolution(state: _State, entry: Entry) -> None:
    approval = state.open.pop(entry.request_id, None)
    where = f"row {entry.seq}: {entry.entry_type}"
    if approval is None or approval.tx_id != entry.settles:
        state.problem(f"{where} of {entry.request_id}, which has no open approval before it")
        return
    if entry.amount_micros > approval.amount_micros or (entry.entry_type != "SETTLE" and entry.amount_micros):
        state.problem(f"{where} of {entry.amount_micros} micros, {approval.amount_micros} were reserved")
    if entry.periods != approval.periods:
        state.problem(f"{where} in other periods than the approval's")
    if entry.entry_type == "SETTLE" and approval.request_id in state.never_signed:
        state.problem(f"{where} of an approval that was never signed")
    state.closed[{"SETTLE": "SETTLED", "RELEASE": "RELEASED", "EXPIRE": "EXPIRED"}[entry.entry_type]] += 1
    for key in counters(approval.request_type or "", approval.periods):
        state.reserved[key] -= approval.amount_micros
        state.spent[key] += entry.amount_micros


def _check_counters(state: _State, snapshot: _Snapshot) -> None:
    seen = set()
    for row in snapshot.budget:
        key = (row["scope"], row["kind"], row["period_id"])
        seen.add(key)
        name = " ".join(key)
        if (row["reserved_micros"], row["spent_micros"]) != (state.reserved[key], state.spent[key]):
            state.problem(
                f"budget {name}: reserved {row['reserved_micros']} and spent {row['spent_micros']} micros, "
                f"the ledger says {state.reserved[key]} and {state.spent[key]}"
            )
        used = row["reserved_micros"] + row["spent_micros"]
        if row["reserved_micros"] < 0 or row["spent_micros"] < 0 or used > row["limit_micros"]:
            state.problem(f"budget {name}: {used} of {row['limit_micros']} micros used")
        if row["limit_micros"] != max(row["target_limit_micros"], used):
            state.problem(f"budget {name}: its limit of {row['limit_micros']} micros is not what was set")
        limit, since = state.limits.get(key[:2], (0, ""))
        if row["period_id"] >= since and row["target_limit_micros"] != limit:
            state.problem(f"budget {name}: limit {row['target_limit_micros']} micros, the ledger says {limit}")
    for key in {*state.reserved, *state.spent} - seen:
        if state.reserved[key] or state.spent[key]:
            state.problem(f"budget {' '.join(key)}: its row is missing")
    if snapshot.limits != {key: limit for key, (limit, _) in state.limits.items()}:
        state.problem("the limits in force are not those that the ledger has")


def _check_reservations(state: _State, snapshot: _Snapshot) -> None:
    for request_id in snapshot.open.keys() ^ state.open.keys():
        where = "the reservations" if request_id in snapshot.open else "the ledger"
        state.problem(f"request {request_id}: open only in {where}")
    for request_id in snapshot.open.keys() & state.open.keys():
        row, entry = snapshot.open[request_id], state.open[request_id]
        same = (
            row["amount_micros"] == entry.amount_micros
            and row["category"] == entry.request_type
            and row["periods"] == entry.periods
            and row["expires_at"] == entry.expires_at
            and row["control_epoch"] == entry.control_epoch
        )
        if not same:
            state.problem(f"request {request_id}: its reservation is not what was approved")
        if row["state"] != "RESERVED" and request_id in state.never_signed:
            state.problem(f"request {request_id}: {row['state']} without a signature")
    closed = {name: n for name, n in snapshot.closed.items() if name in {"SETTLED", "RELEASED", "EXPIRED"}}
    if closed != dict(state.closed):
        state.problem(f"closed reservations {closed}, the ledger says {dict(state.closed)}")
