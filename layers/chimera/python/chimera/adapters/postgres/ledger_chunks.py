"""The part of `ledger verify` that many processes can do at once: one stretch of rows, each against its own bytes.

Checked here for every row: its hash, its link to the row before, its columns against the signed body, a decision's
request hash; and the signatures that were asked for. What needs all rows before it is left to the caller.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from itertools import islice
from multiprocessing import get_context
from typing import Any

import psycopg
import rfc8785
from psycopg import sql
from psycopg.rows import tuple_row

from chimera.adapters.postgres.database import Connection, Database
from chimera.domain.ledger import FIELDS, Entry, body_fields, row_hash, signing_message
from chimera.domain.ledger_fold import DETAILED, LightRow
from chimera.ports import Verifier

CHUNK = 5000
_AS_TEXT = {
    *("tenant_id", "tx_id", "request_id", "agent_id", "cfo_agent_id", "override_of", "settles"),
    *("periods", "details"),
}
_COLUMNS = sql.SQL(", ").join(
    sql.SQL("l.{}::text" if name in _AS_TEXT else "l.{}").format(sql.Identifier(name)) for name in FIELDS
)
_SELECT = sql.SQL(
    "SELECT {}, s.kid, s.sig FROM ledger l LEFT JOIN ledger_signature s ON s.tenant_id = l.tenant_id AND s.seq = l.seq"
    " WHERE l.seq BETWEEN %s AND %s ORDER BY l.seq"
).format(_COLUMNS)
_NAMES = (*FIELDS, "signed_by", "signature")
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False).encode
_UNREADABLE = (KeyError, ValueError, TypeError, AttributeError, RecursionError, rfc8785.CanonicalizationError)


@dataclass(frozen=True)
class Job:
    """Rows `first` to `last`; `check` are those whose signature is verified, None means all."""

    first: int
    last: int
    check: frozenset[int] | None
    unsigned_before: datetime
    """A row made before this should have its signature."""


@dataclass(frozen=True)
class SeenRow:
    """A row as it goes on to the fold: what it says, its hash, which key signed it."""

    row: LightRow
    row_hash: bytes
    signed_by: str | None


@dataclass
class Chunk:
    """What a stretch of rows showed. `first_prev` is the previous hash that its first row names."""

    rows: list[tuple[tuple[Any, ...], bytes, str | None]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    """Rows without a signature that should have had one by now."""
    first_prev: bytes = b""
    first_seq: int = 0
    signatures: int = 0

    def seen(self) -> Iterator[SeenRow]:
        """The rows, in order of seq."""
        for values, digest, signed_by in self.rows:
            yield SeenRow(LightRow._make(values), digest, signed_by)


def check_chunk(db: Database, tenant_id: str, verifier: Verifier, job: Job) -> Chunk:
    """Read and check the rows of a job, in a transaction that writes nothing."""
    with db.transaction(tenant_id) as connection:
        connection.execute("SET TRANSACTION READ ONLY")
        connection.execute("SET LOCAL TimeZone = 'UTC'")
        chunk = Chunk()
        try:
            rows: Sequence[tuple[Any, ...]] = _fetch(connection, job.first, job.last)
        except psycopg.DataError:
            rows = []
        if rows:
            _check_rows(rows, job, verifier, chunk)
            return chunk
        # none, or one that cannot be read at all (a year beyond 9999): find it
        seqs = connection.execute(
            "SELECT seq FROM ledger WHERE seq BETWEEN %s AND %s ORDER BY seq", (job.first, job.last)
        )
        found = []
        for row in seqs.fetchall():
            try:
                found += _fetch(connection, row["seq"], row["seq"])
            except psycopg.DataError as error:
                chunk.problems.append(f"row {row['seq']}: cannot be read: {str(error)[:120]}")
        _check_rows(found, job, verifier, chunk)
        return chunk


def _fetch(connection: Connection, first: int, last: int) -> list[tuple[Any, ...]]:
    with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
        return cursor.execute(_SELECT, (first, last)).fetchall()


def _check_rows(rows: Sequence[tuple[Any, ...]], job: Job, verifier: Verifier, chunk: Chunk) -> None:
    periods: dict[str, Any] = {}
    before: bytes | None = None
    for values in rows:
        # a frozen dataclass's own constructor is five times slower, and a million rows come through here
        entry = object.__new__(Entry)
        state = entry.__dict__
        state.update(zip(_NAMES, values, strict=True))
        text = state["periods"]
        if text not in periods:
            periods[text] = json.loads(text)
        state["periods"] = periods[text]
        seq = entry.seq
        if before is None:
            chunk.first_seq, chunk.first_prev = seq, entry.prev_hash
        elif entry.prev_hash != before:
            chunk.problems.append(f"row {seq}: does not follow the row before it (previous hash)")
        before = entry.row_hash
        if row_hash(entry.prev_hash, entry.body) != entry.row_hash:
            chunk.problems.append(f"row {seq}: its hash is not that of its body")
        if not _fits(state, entry):
            chunk.problems.append(f"row {seq}: its columns are not what its body says")
        if entry.signed_by is None or entry.signature is None:
            if entry.created_at < job.unsigned_before:
                chunk.late.append(seq)
        elif job.check is None or seq in job.check or entry.signed_by != entry.key_id:
            chunk.signatures += 1
            if not verifier.verify(entry.signed_by, signing_message(entry), entry.signature):
                chunk.problems.append(f"row {seq}: its signature is not the CFO's")
        chunk.rows.append((_light(entry), entry.row_hash, entry.signed_by))


def _light(entry: Entry) -> tuple[Any, ...]:
    return (
        entry.seq,
        entry.entry_type,
        entry.tx_id,
        entry.request_id,
        entry.request_type,
        entry.amount_micros,
        entry.decision,
        entry.override_of,
        entry.settles,
        entry.periods,
        entry.control_epoch,
        entry.expires_at,
        entry.details if entry.entry_type in DETAILED else {},
        entry.key_id,
    )


def _fits(state: dict[str, Any], entry: Entry) -> bool:
    """Whether the stored body is, byte for byte, the one that the columns make, and a decision's request hash theirs.

    The quick way makes the same bytes with the standard library's encoder, which writes what the ledger holds (ASCII
    names, strings, whole numbers) as RFC 8785 does. Where they differ, the slow way has the last word.
    """
    try:
        details = json.loads(state["details"])
        state["details"] = {}
        fields = body_fields(entry)
        fields["details_sha256"] = sha256(_canonical(details).encode()).hexdigest()
        state["details"] = details
        if _canonical(fields).encode() != entry.body and rfc8785.dumps(body_fields(entry)) != entry.body:
            return False
        return entry.entry_type != "DECISION" or _request_fits(entry)
    except _UNREADABLE:
        return False


def _request_fits(entry: Entry) -> bool:
    """Whether `req_sha256` is the hash of the request in the columns: it covers justification and ROI."""
    fields = {
        "request_id": entry.request_id,
        "agent_id": entry.agent_id,
        "request_type": entry.request_type,
        "amount_micros": str(entry.amount_micros),
        "projected_roi": f"{entry.projected_roi:.6f}",
        "justification": entry.justification,
        "currency": entry.currency,
    }
    override = entry.details.get("override")
    if override is not None:
        fields |= {"override_of": override["of"], "by": override["by"], "note": override["note"]}
        fields["approve"] = str(override["approve"] == "true")
    if sha256(_canonical(fields).encode()).digest() == entry.req_sha256:
        return True
    return sha256(rfc8785.dumps(fields)).digest() == entry.req_sha256


# --- many at once


def chunks(
    db: Database, tenant_id: str, verifier: Verifier, jobs: Sequence[Job], processes: int | None
) -> Iterator[Chunk]:
    """Every job's chunk, in order. `processes`: how many work at once; None means as many as there are cores."""
    count = processes or min(os.cpu_count() or 1, 8)
    if count == 1 or len(jobs) < 4 or db.url is None or not _can_travel(verifier):
        for job in jobs:
            yield check_chunk(db, tenant_id, verifier, job)
        return
    with ProcessPoolExecutor(
        count, mp_context=get_context("spawn"), initializer=_open, initargs=(db.url, tenant_id, verifier)
    ) as pool:
        remaining = iter(jobs)
        window: deque[Future[Chunk]] = deque(pool.submit(_work, job) for job in islice(remaining, 3 * count))
        try:
            while window:
                done = window.popleft().result()
                window.extend(pool.submit(_work, job) for job in islice(remaining, 1))
                yield done
        finally:
            pool.shutdown(cancel_futures=True)


def _can_travel(verifier: Verifier) -> bool:
    try:
        pickle.dumps(verifier)
    except (pickle.PicklingError, TypeError, AttributeError):
        return False
    return True


def _open(url: str, tenant_id: str, verifier: Verifier) -> None:
    """In a process of the pool: one connection for all its jobs."""
    gc.disable()  # rows make no cycles, and looking for them took a fifth of the time
    _Worker.db, _Worker.tenant_id, _Worker.verifier = Database(url), tenant_id, verifier


def _work(job: Job) -> Chunk:
    return check_chunk(_Worker.db, _Worker.tenant_id, _Worker.verifier, job)


class _Worker:
    """What a process of the pool keeps between jobs."""

    db: Database
    tenant_id: str
    verifier: Verifier
