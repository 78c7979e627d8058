"""`ledger verify`: recompute the chain, the seals, the signatures and the counters from the rows, and say what does not fit."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from chimera.adapters.postgres.chain import database_now
from chimera.adapters.postgres.database import Connection, Database
from chimera.adapters.postgres.ledger_chunks import CHUNK, Job, SeenRow, chunks
from chimera.domain.ledger import GENESIS, VerifyReport
from chimera.domain.ledger_fold import CounterRow, LedgerFold, LedgerRow, Problems, compare_counters
from chimera.domain.seals import Seal, SealChecker
from chimera.domain.seals import signing_message as seal_message
from chimera.errors import ChimeraError
from chimera.ports import Verifier

SAMPLE = 2000
"""Signatures verified below the last seal without `full`; the seals vouch for the rows themselves."""
MANY = 20_000
"""From so many rows on, another process pays."""
UNSIGNED_GRACE = timedelta(hours=1)
"""A signature is made after the commit; the sweep makes the one that a crash prevented. Older than this it is missing."""
OPEN_STATES = ("RESERVED", "SIGNED", "DISPATCHED")

Progress = Callable[[int, int], None]
"""Told how many rows of how many are done."""


@dataclass(frozen=True)
class SealSource:
    """The seals to check against: those of the anchor, in order, and those that the database has (None: not compared)."""

    anchored: Sequence[Seal]
    recorded: Mapping[int, Seal] | None = None
    trouble: Sequence[str] = ()
    """What could not be read of them, as sentences."""


def read_seals(anchored: Iterable[Seal], recorded: Callable[[], Mapping[int, Seal]]) -> SealSource:
    """The seals of both places; what cannot be read is trouble that `verify_ledger` reports."""
    found: list[Seal] = []
    trouble: list[str] = []
    kept: Mapping[int, Seal] = {}
    try:
        kept = recorded()
    except ChimeraError as error:
        trouble.append(error.message)
    try:
        found.extend(anchored)
    except ChimeraError as error:
        trouble.append(f"after {len(found)} anchored seals: {error.message}")
    return SealSource(found, kept, trouble)


@dataclass(frozen=True)
class LedgerReport(VerifyReport):
    """What was found, and how far it was looked: `entries` rows from `first_seq` on, `signatures` of them verified."""

    first_seq: int = 1
    signatures: int = 0
    seals: int = 0
    sealed_through: int = 0
    seconds: float = 0.0
    skipped: list[str] = field(default_factory=list)
    """What was not looked at, as sentences."""
    row_problems: list[str] = field(default_factory=list)
    """Those of the problems that are about rows, signatures or seals, not about the tables beside the ledger."""
    wrong_scopes: list[str] = field(default_factory=list)
    """Scopes whose counters or freezes are not what the ledger says; `total` when a row itself is wrong."""


@dataclass
class Snapshot:
    """The tables beside the ledger, as they were when `head` was its last row."""

    head_seq: int
    head_hash: bytes
    now: datetime
    limits: dict[tuple[str, str], int]
    budget: list[CounterRow]
    open: dict[str, dict[str, Any]]
    closed: dict[str, int] | None
    """Resolved reservations by state; None where they were not counted."""
    frozen: dict[str, str]
    keys: dict[str, str]


def take_snapshot(c: Connection, *, count_closed: bool = True) -> Snapshot:
    """Read them under the chain head's lock: every change of money ends with it, so under it they fit the head."""
    head = c.execute("SELECT seq, hash FROM chain_head WHERE shard = 0 FOR UPDATE").fetchone()
    return Snapshot(
        head_seq=head["seq"] if head else 0,
        head_hash=head["hash"] if head else GENESIS,
        now=database_now(c),
        limits={(r["scope"], r["kind"]): r["limit_micros"] for r in c.execute("SELECT * FROM budget_limits")},
        budget=[
            CounterRow(
                (r["scope"], r["kind"], r["period_id"]),
                r["target_limit_micros"],
                r["limit_micros"],
                r["reserved_micros"],
                r["spent_micros"],
            )
            for r in c.execute("SELECT * FROM budget_tracking ORDER BY scope, kind, period_id")
        ],
        open={
            str(r["request_id"]): r
            for r in c.execute(
                "SELECT r.*, l.seq FROM reservation r LEFT JOIN ledger l ON l.tx_id = r.decision_tx"
                " WHERE r.state = ANY(%s)",
                (list(OPEN_STATES),),
            )
        },
        closed={
            r["state"]: r["n"]
            for r in c.execute(
                "SELECT state, count(*) AS n FROM reservation WHERE state <> ALL(%s) GROUP BY state",
                (list(OPEN_STATES),),
            )
        },
        frozen={r["scope"]: str(r["entry_tx"]) for r in c.execute("SELECT scope, entry_tx FROM budget_freeze")},
        keys={r["purpose"]: r["kid"] for r in c.execute("SELECT purpose, kid FROM ledger_key")},
    )


def _count_closed(c: Connection) -> dict[str, int]:
    rows = c.execute(
        "SELECT state, count(*) AS n FROM reservation WHERE state <> ALL(%s) GROUP BY state", (list(OPEN_STATES),)
    )
    return {row["state"]: row["n"] for row in rows}


@dataclass
class _Reading:
    """What the rows said, in order."""

    fold: LedgerFold
    seals: SealChecker | None
    problems: Problems
    seq: int
    hash: bytes
    unsigned: int = 0
    signatures: int = 0
    uncovered: list[int] = field(default_factory=list)  # late rows without a signature, none later either
    never_signed: set[str] = field(default_factory=set)
    other_signer: list[tuple[LedgerRow, str]] = field(default_factory=list)
    anonymous: dict[str, int] = field(default_factory=dict)  # key -> first row that it signed without being named


def verify_ledger(
    db: Database,
    tenant_id: str,
    verifier: Verifier,
    *,
    full: bool = False,
    since: int | datetime | None = None,
    seals: SealSource | None = None,
    progress: Progress | None = None,
    processes: int | None = None,
) -> LedgerReport:
    """Check invariants I1-I4 and I7 over every row of the tenant's ledger, its seals and its signatures.

    Signatures: all with `full` or without seals; else those of the rows after the last seal, of what can still be
    spent, and of `SAMPLE` others. `since` begins behind the last good seal before that row or time: counters, limits
    and reservations are not compared then. `processes` None uses every core once there are many rows.

    Writers are held up for the few milliseconds in which the counters and the chain's head are read together; the rows
    up to that head cannot change any more, so they are read afterwards without a lock. Nothing is written.
    """
    report, _ = read_ledger(
        db, tenant_id, verifier, full=full, since=since, seals=seals, progress=progress, processes=processes
    )
    return report


def read_ledger(
    db: Database,
    tenant_id: str,
    verifier: Verifier,
    *,
    full: bool = False,
    since: int | datetime | None = None,
    seals: SealSource | None = None,
    progress: Progress | None = None,
    processes: int | None = None,
) -> tuple[LedgerReport, LedgerFold]:
    """As `verify_ledger`, with the state that the rows make."""
    started = time.monotonic()
    problems = Problems()
    # before the snapshot: no seal is then of rows beyond the head
    anchored = list(seals.anchored) if seals else []
    for text in seals.trouble if seals else ():
        problems.add(text)
    with db.transaction(tenant_id) as c:
        snapshot = take_snapshot(c)
    base = _base(anchored, since, verifier, problems)
    sealed = anchored[-1].last_seq if anchored else 0
    first = base.last_seq + 1 if base else 1
    reading = _Reading(
        fold=LedgerFold(partial=base is not None),
        seals=_seal_checker(tenant_id, anchored, base, verifier, seals),
        problems=problems,
        seq=first - 1,
        hash=base.head if base else GENESIS,
    )
    check = None if full else _sample(first, sealed, snapshot)
    if base:
        reading.fold.seq = base.last_seq
    jobs = [
        Job(
            start,
            min(start + CHUNK - 1, snapshot.head_seq),
            None
            if check is None
            else frozenset(s for s in check if start <= s < start + CHUNK) | _after(sealed, start),
            snapshot.now - UNSIGNED_GRACE,
        )
        for start in range(first, snapshot.head_seq + 1, CHUNK)
    ]
    total = max(snapshot.head_seq - first + 1, 0)
    wanted = processes if processes or total >= MANY else 1
    for chunk in chunks(db, tenant_id, verifier, jobs, wanted):
        for text in chunk.problems:
            problems.add(text)
        if chunk.rows and chunk.first_prev != reading.hash:
            problems.add(f"row {chunk.first_seq}: does not follow the row before it (previous hash)")
        reading.signatures += chunk.signatures
        late = set(chunk.late)
        for seen in chunk.seen():
            _read(reading, seen, late)
        if progress:
            progress(min(reading.seq - first + 1, total), total)
    _check_end(db, tenant_id, reading, snapshot)
    _check_signers(reading)
    if reading.seals is not None:
        for text in reading.seals.finish():
            problems.add(text)
    row_problems = [*reading.fold.problems.found, *problems.found]
    wrong: dict[str, list[str]] = {}
    if base is None:
        wrong = compare_counters(reading.fold, snapshot.budget)
        for scope, texts in compare_state(reading.fold, snapshot, reading.never_signed).items():
            wrong.setdefault(scope, []).extend(texts)
        if row_problems:  # what a row itself gets wrong may be anywhere
            wrong.setdefault("total", [])
        for texts in wrong.values():
            for text in texts:
                problems.add(text)
    found = [*reading.fold.problems.found, *problems.found]
    report = LedgerReport(
        verified=not found,
        entries=reading.fold.rows,
        problems=found,
        unsigned=reading.unsigned,
        head=reading.hash.hex(),
        first_seq=first,
        signatures=reading.signatures,
        seals=reading.seals.seals if reading.seals else 0,
        sealed_through=reading.seals.sealed_through if reading.seals else 0,
        seconds=round(time.monotonic() - started, 3),
        skipped=_skipped(base, reading, seals, full=full),
        row_problems=row_problems,
        wrong_scopes=sorted(wrong),
    )
    return report, reading.fold


def _base(
    anchored: Sequence[Seal], since: int | datetime | None, verifier: Verifier, problems: Problems
) -> Seal | None:
    """The last anchored seal before `since`, behind which the reading begins; None begins with row 1."""
    if since is None:
        return None
    before = [s for s in anchored if (s.last_seq < since if isinstance(since, int) else s.at <= since)]
    for seal in reversed(before):
        if verifier.verify(seal.kid, seal_message(seal), seal.signature):
            return seal
        problems.add(f"seal {seal.number}: its signature is not the seal key's")
    return None


def _seal_checker(
    tenant_id: str, anchored: Sequence[Seal], base: Seal | None, verifier: Verifier, seals: SealSource | None
) -> SealChecker | None:
    if seals is None:
        return None
    if base is None:
        return SealChecker(tenant_id, anchored, verifier, recorded=seals.recorded)
    later = [seal for seal in anchored if seal.number > base.number]
    return SealChecker(tenant_id, later, verifier, recorded=seals.recorded, after=base)


def _sample(first: int, sealed: int, snapshot: Snapshot) -> set[int]:
    """Rows under a seal whose signatures are verified all the same; nobody can tell beforehand which."""
    under = range(first, min(sealed, snapshot.head_seq) + 1)
    drawn = random.SystemRandom().sample(under, min(SAMPLE, len(under)))
    spendable = (row["seq"] for row in snapshot.open.values() if row["seq"] is not None)
    return {*drawn, *spendable}


def _after(sealed: int, start: int) -> frozenset[int]:
    """The rows of the stretch from `start` on that no seal covers."""
    return frozenset(range(max(sealed + 1, start), start + CHUNK))


def _read(reading: _Reading, seen: SeenRow, late: set[int]) -> None:
    row, kid = seen.row, seen.signed_by
    reading.fold.apply(row)
    if reading.seals is not None:
        if row.entry_type == "KEY":
            reading.seals.key(row.seq, str(row.details.get("purpose")), str(row.details.get("kid")))
        for text in reading.seals.row(row.seq, seen.row_hash):
            reading.problems.add(text)
    reading.seq, reading.hash = row.seq, seen.row_hash
    approval = row.decision == "approved" and row.entry_type == "DECISION"
    if kid is None:
        reading.unsigned += 1
        if approval:
            reading.never_signed.add(row.request_id)  # fine while it is unused: see compare_state
        elif row.seq in late:
            reading.uncovered.append(row.seq)
    else:
        reading.uncovered.clear()  # a signed body names the hash of the row before, so it covers all before it
        if kid != row.key_id:
            if row.key_id:
                reading.other_signer.append((row, kid))
            else:
                reading.anonymous.setdefault(kid, row.seq)
    if row.entry_type == "SETTLE" and row.request_id in reading.never_signed:
        reading.problems.add(f"row {row.seq}: SETTLE of an approval that was never signed")


def _check_end(db: Database, tenant_id: str, reading: _Reading, snapshot: Snapshot) -> None:
    with db.transaction(tenant_id) as c:
        ends = c.execute(
            "SELECT coalesce((SELECT max(seq) FROM ledger), 0)"
            " > coalesce((SELECT seq FROM chain_head WHERE shard = 0), 0) AS beyond"
        ).fetchone()
    if ends and ends["beyond"]:
        reading.problems.add("there are rows beyond the head of the chain")
    if (reading.seq, reading.hash) != (snapshot.head_seq, snapshot.head_hash):
        reading.problems.add(
            f"the chain's head is at {snapshot.head_seq}, the rows end at {reading.seq} or with another hash"
        )
    for seq in reading.uncovered:
        reading.problems.add(f"row {seq}: has no signature, nor has any row after it")


def _check_signers(reading: _Reading) -> None:
    for row, kid in reading.other_signer:
        if not reading.fold.signer_fits(row, kid):
            reading.problems.add(f"row {row.seq}: signed by key {kid}, decided for {row.key_id}")
    seal_key = reading.fold.keys.get("seal")
    if seal_key in reading.anonymous:  # rows from before the first KEY row may be signed by any key of the CFO
        reading.problems.add(f"row {reading.anonymous[seal_key]}: signed by key {seal_key}, which signs seals only")


def compare_state(
    fold: LedgerFold, snapshot: Snapshot, never_signed: Collection[str] = frozenset()
) -> dict[str, list[str]]:
    """Limits, freezes, keys and reservations against the ledger, by scope ("total" where it is no scope's own)."""
    wrong: dict[str, list[str]] = {}
    if snapshot.limits != {key: limit for key, (limit, _) in fold.limits.items()}:
        wrong.setdefault("total", []).append("the limits in force are not those that the ledger has")
    for scope in sorted(snapshot.frozen.keys() ^ fold.frozen.keys()):
        where = "the budget table" if scope in snapshot.frozen else "the ledger"
        wrong.setdefault(scope, []).append(f"{scope}: frozen only in {where}")
    texts = list(_compare_reservations(fold, snapshot, never_signed))
    if snapshot.keys != fold.keys:
        texts.append(f"keys in use {snapshot.keys}, the ledger says {fold.keys}")
    if texts:
        wrong.setdefault("total", []).extend(texts)
    return wrong


def _compare_reservations(fold: LedgerFold, snapshot: Snapshot, never_signed: Collection[str]) -> Iterator[str]:
    for request_id in sorted(snapshot.open.keys() ^ fold.open.keys()):
        where = "the reservations" if request_id in snapshot.open else "the ledger"
        yield f"request {request_id}: open only in {where}"
    for request_id in sorted(snapshot.open.keys() & fold.open.keys()):
        kept, row = snapshot.open[request_id], fold.open[request_id]
        same = (
            kept["amount_micros"] == row.amount_micros
            and kept["category"] == row.request_type
            and kept["periods"] == row.periods
            and kept["expires_at"] == row.expires_at
            and kept["control_epoch"] == row.control_epoch
            and str(kept["decision_tx"]) == row.tx_id
        )
        if not same:
            yield f"request {request_id}: its reservation is not what was approved"
        if kept["state"] != "RESERVED" and request_id in never_signed:
            yield f"request {request_id}: {kept['state']} without a signature"
    counted = {state: n for state, n in fold.closed.items() if n}
    if snapshot.closed is not None and snapshot.closed != counted:
        yield f"closed reservations {snapshot.closed}, the ledger says {counted}"


def _skipped(base: Seal | None, reading: _Reading, seals: SealSource | None, *, full: bool) -> list[str]:
    out = []
    if base is not None:
        out.append(f"rows 1-{base.last_seq}: taken from seal {base.number}, not read")
        out.append("counters, limits, freezes and reservations: they rest on all rows")
    signed = reading.fold.rows - reading.unsigned
    if not full and reading.signatures < signed:
        out.append(f"{signed - reading.signatures} of {signed} signatures of sealed rows: say --full")
    if seals is None:
        out.append("seals: none were given to compare with")
    return out
