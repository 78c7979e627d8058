"""Seals over a real ledger: when they are due, crashes between anchor and table, twins, proofs, what is refused."""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chimera.adapters.local.keys import KeyFiles, KeyFileSigner, KeyFolderVerifier
from chimera.adapters.local.seals import FolderSealAnchor
from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.ledger import PostgresLedger
from chimera.adapters.postgres.money import PostgresMoney
from chimera.adapters.postgres.seals import PostgresSeals
from chimera.domain.merkle import verify_inclusion
from chimera.domain.seals import Seal, SealChecker, check_seals, signing_message
from chimera.errors import ChimeraError
from chimera.usecases.keys import Keys
from chimera.usecases.sealing import SealAnchor, SealDue, Sealer, SealRows, seal_due


@dataclass
class Clock:
    """Stands where a test puts it."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        return self.at


@dataclass
class Bench:
    """One tenant's sealer with everything around it."""

    db: Database
    tenant: str
    folder: Path
    keys: Path
    clock: Clock = field(default_factory=Clock)

    @property
    def seals(self) -> PostgresSeals:
        return PostgresSeals(self.db, self.tenant)

    @property
    def anchor(self) -> FolderSealAnchor:
        return FolderSealAnchor(self.folder, self.tenant)

    def sealer(self, *, seals: SealRows | None = None, anchor: SealAnchor | None = None) -> Sealer:
        signer = KeyFileSigner(self.keys, "seal-signing")
        verifier = KeyFolderVerifier(self.keys)
        return Sealer(self.seals, seals or self.seals, anchor or self.anchor, signer, verifier, self.clock)

    def rows(self, count: int) -> None:
        """Add this many rows."""
        ledger = PostgresLedger(self.db, self.tenant)
        for _ in range(count):
            ledger.refuse(str(uuid.uuid4()), "VALIDATION_FAILED", "not a request", b"{}")

    def later(self, seconds: float) -> None:
        self.clock.at += timedelta(seconds=seconds)

    def problems(self) -> list[str]:
        rows = [(row.seq, row.row_hash) for row in self.seals.after(0, 100_000)]
        verifier = KeyFolderVerifier(self.keys)
        return list(check_seals(self.tenant, rows, self.anchor.all(), verifier, recorded=self.seals.recorded()))


@pytest.fixture
def bench(db: Database, tenant: str, tmp_path: Path) -> Bench:
    return Bench(db, tenant, tmp_path / "seals", tmp_path / "keys")


def test_a_seal_is_due_when_its_oldest_row_is_60_seconds_old(bench: Bench) -> None:
    bench.rows(2)
    bench.clock.at = bench.seals.after(0, 1)[0].created_at
    bench.later(59.9)
    assert bench.sealer().seal_due() == []
    bench.later(0.1)
    (seal,) = bench.sealer().seal_due()
    assert (seal.number, seal.first_seq, seal.last_seq, seal.prev) == (1, 1, 3, bytes(32))
    assert bench.sealer().seal_due(force=True) == []
    assert bench.problems() == []


def test_full_thousands_are_sealed_at_once_and_the_rest_when_it_is_due(bench: Bench, database_urls: Any) -> None:
    many(database_urls.super, bench.tenant, 2300)
    made = bench.sealer().seal_due()
    assert [(s.number, s.first_seq, s.last_seq) for s in made] == [(1, 1, 1000), (2, 1001, 2000)]
    made = bench.sealer().seal_due(force=True)
    assert [(s.number, s.first_seq, s.last_seq) for s in made] == [(3, 2001, 2301)]
    assert made[0].prev == sha256(bench.anchor.get(2).body).digest()  # type: ignore[union-attr]
    assert bench.problems() == []
    proof = bench.sealer().proof("1500")
    assert (proof.seal.number, proof.index, proof.size, len(proof.path)) == (2, 499, 1000, 10)
    assert proof.holds


def many(url: str, tenant: str, count: int) -> None:
    """Rows as the engine chains them, quickly: their body is of no interest to a seal."""
    with psycopg.connect(url) as c:
        c.execute("SELECT set_config('app.tenant', %s, true)", (tenant,))
        seq, head = c.execute("SELECT seq, hash FROM chain_head WHERE tenant_id = %s", (tenant,)).fetchone()  # type: ignore[misc]
        for n in range(seq + 1, seq + 1 + count):
            body = json.dumps({"seq": n}).encode()
            digest = sha256(b"\0" + head + body).digest()
            c.execute(
                "INSERT INTO ledger (tx_id, tenant_id, seq, entry_type, request_id, amount_micros, made_by, req_sha256,"
                " body, prev_hash, row_hash, created_at) VALUES (%s, %s, %s, 'REFUSAL', %s, 0, 'test', %s, %s, %s, %s,"
                " clock_timestamp())",
                (str(uuid.uuid4()), tenant, n, str(uuid.uuid4()), bytes(32), body, head, digest),
            )
            head = digest
        c.execute("UPDATE chain_head SET seq = %s, hash = %s WHERE tenant_id = %s", (seq + count, head, tenant))


class CrashError(Exception):
    """The process ends here."""


class Crashing:
    """A port whose `keep` ends the process before or after it did its work."""

    def __init__(self, port: Any, *, after: bool) -> None:
        self._port = port
        self._after = after

    def keep(self, seal: Seal) -> None:
        if self._after:
            self._port.keep(seal)
        raise CrashError

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


@pytest.mark.parametrize("port", ["anchor", "seals"])
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_anywhere_is_repaired_and_never_makes_two_seals_of_one_number(
    bench: Bench, port: str, after: bool
) -> None:
    bench.rows(3)
    bench.sealer().seal_due(force=True)
    bench.rows(2)
    crashing: Any = Crashing(getattr(bench, port), after=after)
    with pytest.raises(CrashError):
        bench.sealer(**{port: crashing}).seal_due(force=True)
    anchored = bench.anchor.get(2)
    bench.rows(1)
    bench.later(3600)
    bench.sealer().seal_due(force=True)
    if anchored is not None:
        assert bench.anchor.get(2) == anchored
    kept = list(bench.anchor.all())
    assert kept == list(bench.seals.all())
    assert kept[-1].last_seq == 7
    assert bench.problems() == []


def test_twins_agree_on_one_seal(bench: Bench, database_urls: Any) -> None:
    bench.rows(4)
    start = threading.Barrier(4)
    failed: list[ChimeraError] = []

    def run() -> None:
        db = Database(database_urls.app)
        twin = Bench(db, bench.tenant, bench.folder, bench.keys)
        try:
            start.wait()
            twin.sealer().seal_due(force=True)
        except ChimeraError as error:
            failed.append(error)
        finally:
            db.close()

    KeyFileSigner(bench.keys, "seal-signing")
    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert list(bench.anchor.all()) == list(bench.seals.all())
    assert [s.last_seq for s in bench.anchor.all()] == [5]


def test_a_changed_row_is_not_sealed(bench: Bench, database_urls: Any) -> None:
    bench.rows(3)
    tamper(database_urls.super, bench.tenant, "UPDATE ledger SET body = body || ' ' WHERE tenant_id = %s AND seq = 3")
    with pytest.raises(ChimeraError) as error:
        bench.sealer().seal_due(force=True)
    assert (error.value.code, "row 3" in error.value.message) == ("CONFLICT", True)
    assert list(bench.anchor.all()) == []


def test_a_ledger_that_was_put_back_is_not_sealed_over(bench: Bench, database_urls: Any) -> None:
    bench.rows(3)
    bench.sealer().seal_due(force=True)
    bench.rows(2)
    bench.sealer().seal_due(force=True)
    for statement in (
        "DELETE FROM ledger_seal WHERE tenant_id = %s AND number = 2",
        "DELETE FROM ledger WHERE tenant_id = %s AND seq > 4",
    ):
        tamper(database_urls.super, bench.tenant, statement)
    with pytest.raises(ChimeraError) as error:
        bench.sealer().seal_due(force=True)
    assert (error.value.code, "does not fit" in error.value.message) == ("CONFLICT", True)
    assert "the ledger ends at row 4, but seal 2 covers rows up to 6" in bench.problems()


def test_a_lost_anchor_stops_sealing_until_it_is_restored(bench: Bench) -> None:
    bench.rows(2)
    bench.sealer().seal_due(force=True)
    path = next((bench.folder / bench.tenant).glob("*.json"))
    record = path.read_bytes()
    path.unlink()
    bench.rows(1)
    with pytest.raises(ChimeraError, match="not anchored any more"):
        bench.sealer().seal_due(force=True)
    assert bench.problems() == ["seal 1 (rows 1-3) is in the database but not anchored"]
    assert [seal.number for seal in bench.sealer().restore_anchor()] == [1]
    assert path.read_bytes() == record
    assert [seal.number for seal in bench.sealer().seal_due(force=True)] == [2]


def test_a_rewritten_row_under_a_seal_is_found_and_has_no_proof(bench: Bench, database_urls: Any) -> None:
    bench.rows(5)
    bench.sealer().seal_due(force=True)
    tamper(
        database_urls.super,
        bench.tenant,
        "UPDATE ledger SET row_hash = sha256(row_hash) WHERE tenant_id = %s AND seq = 4",
    )
    assert bench.problems() == ["seal 1: rows 1-6 are not those that were sealed"]
    with pytest.raises(ChimeraError, match="not those that seal 1 sealed"):
        bench.sealer().proof("5")


def tamper(url: str, tenant: str, statement: str) -> None:
    """As a superuser who switched the triggers off."""
    with psycopg.connect(url) as c:
        c.execute("SET session_replication_role = replica")
        assert c.execute(statement, (tenant,)).rowcount > 0  # type: ignore[arg-type]


def test_a_proof_can_be_checked_from_its_json_alone(bench: Bench) -> None:
    bench.rows(6)
    bench.sealer().seal_due(force=True)
    tx_id = bench.seals.row("4").tx_id
    told = json.loads(json.dumps(bench.sealer().proof(tx_id).as_json()))
    row, seal = told["row"], told["seal"]
    leaf = sha256(b"\0" + bytes.fromhex(row["prev_hash"]) + row["body"].encode()).digest()
    says = json.loads(seal["body"])
    path = [bytes.fromhex(step) for step in told["path"]]
    assert leaf.hex() == row["row_hash"]
    assert verify_inclusion(leaf, told["leaf_index"], told["tree_size"], path, bytes.fromhex(says["root"]))
    assert row["seq"] == says["first_seq"] + told["leaf_index"] == 4
    signature, message = bytes.fromhex(seal["signature"]), b"chimera.ledger.seal.v1\n" + seal["body"].encode()
    assert KeyFolderVerifier(bench.keys).verify(seal["signed_by"], message, signature)


def test_a_row_that_is_not_sealed_yet_says_when_it_will_be(bench: Bench) -> None:
    bench.rows(1)
    with pytest.raises(ChimeraError) as error:
        bench.sealer().proof("2")
    due = bench.seals.row("2").created_at.astimezone(UTC) + timedelta(seconds=60)
    assert error.value.code == "NOT_FOUND"
    assert due.isoformat(timespec="seconds").replace("+00:00", "Z") in error.value.message
    for unknown in ("99", "0", "x", "-1", str(uuid.uuid4()), "1" * 40):
        with pytest.raises(ChimeraError) as error:
            bench.sealer().proof(unknown)
        assert error.value.code == "NOT_FOUND"


@pytest.mark.parametrize("statement", ["UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_recorded_seals_are_never_changed_or_deleted(bench: Bench, database_urls: Any, statement: str) -> None:
    bench.rows(1)
    bench.sealer().seal_due(force=True)
    for url in (database_urls.app, database_urls.owner, database_urls.super):
        with psycopg.connect(url) as c, pytest.raises(psycopg.errors.InsufficientPrivilege):
            c.execute("SELECT set_config('app.tenant', %s, true)", (bench.tenant,))
            c.execute(statement.format("ledger_seal"))  # type: ignore[arg-type]


def test_the_scheduled_function_says_what_it_sealed(bench: Bench) -> None:
    bench.rows(2)
    event = SealDue(tenant_id=bench.tenant, force=True)
    assert seal_due(event, bench.sealer()) == {"seals": 1, "rows": 3, "sealed_through": 3}
    assert seal_due(event, bench.sealer()) == {"seals": 0, "rows": 0, "sealed_through": None}


def test_checking_can_begin_behind_a_seal(bench: Bench) -> None:
    for _ in range(3):
        bench.rows(2)
        bench.sealer().seal_due(force=True)
    first, second, third = bench.anchor.all()
    verifier = KeyFolderVerifier(bench.keys)
    checker = SealChecker(bench.tenant, [second, third], verifier, after=first)
    found = [p for row in bench.seals.after(first.last_seq, 100) for p in checker.row(row.seq, row.row_hash)]
    assert [*found, *checker.finish()] == []
    assert (checker.seals, checker.sealed_through) == (2, 7)
    assert verifier.verify(third.kid, signing_message(third), third.signature)


def test_the_first_seal_writes_down_its_key(bench: Bench) -> None:
    keys = Keys(PostgresMoney(bench.db, bench.tenant), KeyFiles(bench.keys), sweep=lambda: None, seal=lambda: None)
    signer = KeyFileSigner(bench.keys, "seal-signing")
    verifier = KeyFolderVerifier(bench.keys)
    sealer = Sealer(
        bench.seals, bench.seals, bench.anchor, signer, verifier, bench.clock, lambda: keys.announce("seal")
    )
    (seal,) = sealer.seal_due(force=True)
    assert (seal.first_seq, seal.last_seq) == (1, 2)
    row = PostgresLedger(bench.db, bench.tenant).entries(limit=1).entries[0]
    assert (row.entry_type, row.details) == ("KEY", {"purpose": "seal", "kid": signer.key_id, "replaces": None})
    assert keys.in_force("seal") == signer.key_id
    assert sealer.seal_due(force=True) == []
