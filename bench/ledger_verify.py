"""How long `ledger verify` takes: a clean ledger of real rows (chain, signatures, seals), verified in both modes.

Rows are written by COPY with the ledger's own functions, not by deciding a million times; every one is signed with a real
key. A clean ledger must have no problem at all: each one is a false alarm, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from chimera.adapters.local.keys import KeyFileSigner, KeyFolderVerifier
from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.ledger import PostgresLedger
from chimera.adapters.postgres.ledger_verify import LedgerReport, SealSource, verify_ledger
from chimera.adapters.postgres.tenancy import agent_id, seed_tenant
from chimera.domain.cfo import CfoPolicy, RiskFeatures, counters, periods_of
from chimera.domain.ids import stable_id
from chimera.domain.ledger import FIELDS, Entry, body_fields, decision_details, row_hash, signing_message
from chimera.domain.seals import MAX_ROWS, Seal, new_seal
from chimera.domain.seals import signing_message as seal_message
from chimera.settings import LOCAL_TENANT, Settings
from chimera.usecases.costs import cpu_seconds
from chimera_local.postgres import EmbeddedPostgres

BATCH = 10_000
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_RESERVATION = "request_id, tenant_id, decision_tx, state, category, amount_micros, periods, control_epoch, expires_at"


@dataclass
class Maker:
    """Makes rows one after the other: approvals with what became of them, rejections; the same for the same seed."""

    tenant_id: str
    kid: str
    seq: int
    head: bytes
    at: datetime
    seed: int = 1
    reserved: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    spent: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.agent, self.cfo = agent_id(self.tenant_id, "artist"), stable_id(self.tenant_id, "cfo")
        features = RiskFeatures(500, 900_000_000, Decimal("2.5"), Decimal("1.5"), 100, 3, 900, 60)
        remaining = {("total", kind, ""): 900_000_000 for kind in "DWM"}
        self.details = decision_details(features, CfoPolicy(), remaining, 500, None)

    def rows(self, wanted: int) -> Iterator[tuple[Entry, str | None]]:
        """`wanted` rows; an approval comes with the state that its reservation ends in."""
        made = 0
        while made < wanted:
            fate = self.chance.random()
            request, amount = self._id(), self.chance.randint(100, 900)
            category = self.chance.choice(("api_call", "api_call", "compute", "storage", "blockchain"))
            if fate < 0.15:
                yield self._decision(request, category, amount, "rejected"), None
                made += 1
                continue
            alone = made + 1 == wanted
            state = "SIGNED" if alone else "SETTLED" if fate < 0.9 else "RELEASED"
            approval = self._decision(request, category, amount, "approved")
            keys = counters(category, approval.periods)
            yield approval, state
            made += 1
            for key in keys:
                self.reserved[key] += amount
            if alone:
                return
            actual = self.chance.randint(0, amount) if state == "SETTLED" else 0
            line = {"step": "write", "item": "tokens", "quantity": str(actual), "amount_micros": str(actual)}
            yield (
                self._row(
                    entry_type="SETTLE" if state == "SETTLED" else "RELEASE",
                    request_id=request,
                    request_type=category,
                    amount_micros=actual,
                    settles=approval.tx_id,
                    reason="settled at the real cost" if state == "SETTLED" else "not needed",
                    req_sha256=approval.req_sha256,
                    details={"lines": [line], "reserved_micros": str(amount)},
                ),
                None,
            )
            made += 1
            for key in keys:
                self.reserved[key] -= amount
                self.spent[key] += actual

    def _id(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def _decision(self, request: str, category: str, amount: int, decision: str) -> Entry:
        justification, roi = f"tokens for script {self.seq} – “Äpfel & Öl”", Decimal("2.500000")
        fields = {
            "request_id": request,
            "agent_id": self.agent,
            "request_type": category,
            "amount_micros": str(amount),
            "projected_roi": f"{roi:.6f}",
            "justification": justification,
            "currency": "USD",
        }
        features = {**self.details["risk"]["features"], "cost_micros": str(amount)}
        approved = decision == "approved"
        return self._row(
            entry_type="DECISION",
            request_id=request,
            request_type=category,
            amount_micros=amount,
            projected_roi=roi,
            risk_score=Decimal("0.2134"),
            decision=decision,
            code="" if approved else "ROI_TOO_LOW",
            reason="within budget, ROI and risk limits" if approved else "projected ROI 1.2 is below 1.5",
            justification=justification,
            cfo_agent_id=self.cfo,
            control_epoch=1,
            expires_at=(self.at + timedelta(days=1)).replace(microsecond=0) if approved else None,
            req_sha256=sha256(_canonical(fields).encode()).digest(),
            details={**self.details, "risk": {**self.details["risk"], "features": features}},
        )

    def _row(self, *, details: dict[str, Any], **values: Any) -> Entry:
        self.seq += 1
        self.at += timedelta(milliseconds=10)
        empty: dict[str, Any] = {
            **dict.fromkeys(("projected_roi", "risk_score", "decision", "cfo_agent_id", "settles", "control_epoch")),
            **dict.fromkeys(("code", "reason", "justification"), ""),
            "expires_at": None,
        }
        entry = Entry(
            **{
                **empty,
                **values,
                "tenant_id": self.tenant_id,
                "seq": self.seq,
                "tx_id": self._id(),
                "agent_id": self.agent,
                "currency": "USD",
                "made_by": "cfo",
                "override_of": None,
                "periods": periods_of(self.at),
                "details": {},
                "prev_hash": self.head,
                "key_id": self.kid,
                "created_at": self.at,
            }
        )
        # the standard encoder writes these details as RFC 8785 does, ten times faster
        says = {**body_fields(entry), "details_sha256": sha256(_canonical(details).encode()).hexdigest()}
        body = _canonical(says).encode()
        self.head = row_hash(entry.prev_hash, body)
        return replace(entry, body=body, row_hash=self.head, details=details)


def sign_all(folder: str, messages: list[bytes]) -> list[bytes]:
    """In another process: a signature for each message."""
    signer = KeyFileSigner(Path(folder))
    return [signer.sign(message) for message in messages]


def make(url: str, superuser: str, tenant: str, keys: Path, rows: int, workers: int) -> list[Seal]:
    """Fill the tenant's ledger up to `rows` rows and give its seals."""
    signer, sealer = KeyFileSigner(keys), KeyFileSigner(keys, "seal-signing")
    limits = {f"{name}_budget_limit": Decimal(1_000_000) for name in ("daily", "weekly", "monthly")}
    with psycopg.connect(url) as c:
        seed_tenant(c, tenant, Settings().model_copy(update={"tenant_id": tenant, **limits}))
    with closing(Database(url)) as db:
        PostgresLedger(db, tenant).use_key(signer.key_id)
    columns = sql.SQL(", ").join(map(sql.Identifier, FIELDS))
    copy = sql.SQL("COPY ledger ({}) FROM STDIN").format(columns)
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    with psycopg.connect(superuser, autocommit=True) as c, pool:
        c.execute("SET session_replication_role = replica")  # no foreign keys to look up: the rows are ours
        c.execute("SET synchronous_commit = off")
        start = c.execute("SELECT seq, row_hash FROM ledger WHERE tenant_id = %s ORDER BY seq", (tenant,)).fetchall()
        hashes = [digest for _, digest in start]
        maker = Maker(tenant, signer.key_id, len(start), hashes[-1], datetime.now(UTC), seed=rows)
        made = maker.rows(rows - len(start))
        waiting: list[tuple[list[int], Any]] = []
        while batch := [item for _, item in zip(range(BATCH), made, strict=False)]:
            messages = [signing_message(entry) for entry, _ in batch]
            waiting.append(([entry.seq for entry, _ in batch], pool.submit(sign_all, str(keys), messages)))
            hashes += [entry.row_hash for entry, _ in batch]
            with c.cursor().copy(copy) as out:
                for entry, _ in batch:
                    values = {name: getattr(entry, name) for name in FIELDS}
                    values |= {"periods": Jsonb(entry.periods), "details": Jsonb(entry.details)}
                    out.write_row(tuple(values.values()))
            with c.cursor().copy(f"COPY reservation ({_RESERVATION}) FROM STDIN") as out:
                for entry, state in batch:
                    if state is not None:
                        out.write_row(
                            (
                                *(entry.request_id, tenant, entry.tx_id, state, entry.request_type),
                                *(entry.amount_micros, Jsonb(entry.periods), entry.control_epoch, entry.expires_at),
                            )
                        )
            while len(waiting) > 2 * workers:
                _keep_signatures(c, tenant, signer.key_id, *waiting.pop(0))
            sys.stderr.write(f"made {len(hashes)} of {rows}\n")
        for seqs, signatures in waiting:
            _keep_signatures(c, tenant, signer.key_id, seqs, signatures)
        _keep_counters(c, tenant, maker)
        c.execute("VACUUM ANALYZE ledger, ledger_signature, reservation")
    seals: list[Seal] = []
    for first in range(0, len(hashes), MAX_ROWS):
        seal = new_seal(tenant, seals[-1] if seals else None, first + 1, hashes[first : first + MAX_ROWS], maker.at)
        seals.append(seal.signed(sealer.key_id, sealer.sign(seal_message(seal))))
    return seals


def _keep_signatures(c: psycopg.Connection[Any], tenant: str, kid: str, seqs: list[int], signatures: Any) -> None:
    with c.cursor().copy("COPY ledger_signature (tenant_id, seq, kid, sig) FROM STDIN") as out:
        for seq, signature in zip(seqs, signatures.result(), strict=True):
            out.write_row((tenant, seq, kid, signature))


def _keep_counters(c: psycopg.Connection[Any], tenant: str, maker: Maker) -> None:
    for (scope, kind, period), micros in maker.spent.items():
        c.execute(
            "INSERT INTO budget_tracking (tenant_id, scope, kind, period_id, target_limit_micros, limit_micros,"
            " reserved_micros, spent_micros) SELECT tenant_id, scope, kind, %s, limit_micros, limit_micros, %s, %s"
            " FROM budget_limits WHERE tenant_id = %s AND scope = %s AND kind = %s"
            " ON CONFLICT (tenant_id, scope, kind, period_id) DO UPDATE SET reserved_micros = excluded.reserved_micros,"
            " spent_micros = excluded.spent_micros",
            (period, maker.reserved[scope, kind, period], micros, tenant, scope, kind),
        )
    c.execute("UPDATE chain_head SET seq = %s, hash = %s WHERE tenant_id = %s", (maker.seq, maker.head, tenant))


def told(report: LedgerReport) -> dict[str, Any]:
    """What a verification showed, for the JSON line."""
    return {
        "rows": report.entries,
        "seconds": round(report.seconds, 2),
        "rows_per_second": round(report.entries / report.seconds),
        "signatures": report.signatures,
        "seals": report.seals,
        "false_alarms": len(report.problems),
    }


def main() -> int:
    """Print one JSON object; 1 if a clean ledger raised an alarm."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the ledger verified in the default mode")
    parser.add_argument("--full-rows", type=int, default=0, help="of the one verified in full (default: a tenth)")
    parser.add_argument("--processes", type=int, default=None, help="default: every core")
    asked = parser.parse_args()
    cores = os.cpu_count() or 1
    folder = Path(tempfile.mkdtemp(prefix="ch-bench-", dir="/tmp"))
    folder.chmod(0o755)
    out: dict[str, Any] = {"bench": "ledger_verify", "cores": cores}
    sizes = {"default": asked.rows, "full": asked.full_rows or max(asked.rows // 10, 1000)}
    try:
        with EmbeddedPostgres(folder / "home") as postgres:
            superuser = postgres.app_url.replace("chimera_app@", "postgres@", 1)
            for number, (mode, rows) in enumerate(sizes.items()):
                keys = folder / mode
                tenant = LOCAL_TENANT[:-1] + str(number + 1)
                started = time.monotonic()
                seals = make(postgres.app_url, superuser, tenant, keys, rows, cores)
                making = round(time.monotonic() - started, 1)
                before = cpu_seconds()
                with closing(Database(postgres.app_url)) as db:
                    report = verify_ledger(
                        db,
                        tenant,
                        KeyFolderVerifier(keys),
                        full=mode == "full",
                        seals=SealSource(seals),
                        processes=asked.processes,
                    )
                for problem in report.problems[:5]:
                    sys.stderr.write(f"{problem}\n")
                # what else the machine did: other programs take their share of the cores
                out[mode] = {"making_seconds": making, **told(report), "cpu_seconds": round(cpu_seconds() - before, 2)}
                out[mode]["load"] = round(os.getloadavg()[0], 1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(out))
    return int(any(out[mode]["false_alarms"] for mode in sizes))


if __name__ == "__main__":
    sys.exit(main())
