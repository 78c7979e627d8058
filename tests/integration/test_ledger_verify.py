"""The ledger cannot be changed by the application, and a change behind its back is found."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chimera.adapters.local.keys import KeyFileSigner, KeyFolderVerifier
from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.ledger import PostgresLedger
from chimera.adapters.postgres.tenancy import agent_id
from chimera.domain.ledger import VerifyReport, row_hash
from chimera.domain.models import CostLine
from chimera.usecases.cfo import Cfo

MakeCfo = Callable[..., Cfo]
Tamper = Callable[[psycopg.Connection[Any], str], None]


def fill(cfo: Cfo, tenant: str) -> None:
    """Rows of every kind: limits (1), the key (2), approvals (3, 5, 7, 8), a settlement (4), a release (6), a rejection
    (9)."""

    def ask(roi: str = "2.0") -> dict[str, Any]:
        return cfo.approve(
            {
                "request_id": str(uuid.uuid4()),
                "agent_id": agent_id(tenant, "artist"),
                "request_type": "compute",
                "request_cost": "10",
                "projected_roi": roi,
                "justification": "a video",
            }
        )

    first = ask()
    cfo.dispatch(first["token"], "run")
    used = CostLine(step="render", item="vCPU", quantity="1", unit="vCPU second", amount_micros=4_000_000)
    cfo.settle(first["request_id"], [used])
    second = ask()
    cfo.release(second["request_id"], "not needed")
    third = ask()
    cfo.dispatch(third["token"], "run")
    ask()
    ask("1.0")
    cfo.sweep()


def verify(db: Database, tenant: str, cfo: Cfo) -> VerifyReport:
    return PostgresLedger(db, tenant).verify(cfo._verifier)


def test_a_clean_ledger_verifies(make_cfo: MakeCfo, db: Database, tenant: str) -> None:
    cfo = make_cfo(tenant)
    assert verify(db, str(uuid.uuid4()), cfo).entries == 0
    fill(cfo, tenant)
    report = verify(db, tenant, cfo)
    assert (report.verified, report.entries, report.unsigned, report.problems) == (True, 9, 0, [])


@pytest.mark.parametrize("table", ["ledger", "ledger_signature"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_rows_are_never_changed_or_deleted(
    make_cfo: MakeCfo, database_urls: Any, tenant: str, table: str, statement: str
) -> None:
    fill(make_cfo(tenant), tenant)
    for url in (database_urls.app, database_urls.owner, database_urls.super):
        with (
            psycopg.connect(url) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute("SELECT set_config('app.tenant', %s, true)", (tenant,))
            connection.execute(statement.format(table))  # type: ignore[arg-type]


def test_the_application_cannot_switch_the_protection_off(database_urls: Any) -> None:
    for statement in (
        "SET session_replication_role = replica",
        "ALTER TABLE ledger DISABLE TRIGGER ALL",
        "ALTER TABLE ledger NO FORCE ROW LEVEL SECURITY",
        "DROP TABLE ledger CASCADE",
    ):
        with (
            psycopg.connect(database_urls.app) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)  # type: ignore[arg-type]
    with psycopg.connect(database_urls.super) as connection:
        role = connection.execute(
            "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname IN ('chimera_app', 'chimera_owner')"
        ).fetchall()
        open_tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            " AND NOT (relrowsecurity AND relforcerowsecurity) AND relname <> 'alembic_version'"
        ).fetchall()
    assert role == [(False, False), (False, False)]
    assert open_tables == []


def _set(assignment: str, seq: int) -> Tamper:
    def tamper(c: psycopg.Connection[Any], tenant: str) -> None:
        c.execute(f"UPDATE ledger SET {assignment} WHERE tenant_id = %s AND seq = %s", (tenant, seq))  # type: ignore[arg-type]

    return tamper


def _run(statement: str) -> Tamper:
    def tamper(c: psycopg.Connection[Any], tenant: str) -> None:
        changed = c.execute(statement, {"t": tenant})  # type: ignore[arg-type]
        assert changed.rowcount > 0

    return tamper


def _swap(c: psycopg.Connection[Any], tenant: str) -> None:
    for old, new in ((4, 100), (6, 4), (100, 6)):
        c.execute("UPDATE ledger SET seq = %s WHERE tenant_id = %s AND seq = %s", (new, tenant, old))


def _rewrite_rest(c: psycopg.Connection[Any], tenant: str) -> None:
    """A forger who knows the hash function: a smaller amount in row 2, all later hashes and the head made to
    fit."""
    rows = c.execute("SELECT seq, body FROM ledger WHERE tenant_id = %s ORDER BY seq", (tenant,)).fetchall()
    previous = bytes(32)
    for seq, body in rows:
        fields = json.loads(body)
        if seq == 3:
            fields["amount_micros"] = "1000000"
        fields["prev"] = previous.hex()
        forged = json.dumps(fields, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
        digest = row_hash(previous, forged)
        c.execute(
            "UPDATE ledger SET body = %s, prev_hash = %s, row_hash = %s, amount_micros = %s WHERE tenant_id"
            " = %s AND seq = %s",
            (forged, previous, digest, int(fields["amount_micros"]), tenant, seq),
        )
        previous = digest
    c.execute("UPDATE chain_head SET hash = %s WHERE tenant_id = %s", (previous, tenant))


def _drop_and_close_up(c: psycopg.Connection[Any], tenant: str) -> None:
    """The last row goes, and the head with it: what it did to the counters stays."""
    c.execute("DELETE FROM ledger_signature WHERE tenant_id = %s AND seq >= 8", (tenant,))
    c.execute("DELETE FROM ledger WHERE tenant_id = %s AND seq >= 8", (tenant,))
    c.execute(
        "UPDATE chain_head h SET seq = 7, hash = (SELECT row_hash FROM ledger l WHERE l.tenant_id ="
        " h.tenant_id AND seq = 7)"
        " WHERE tenant_id = %s",
        (tenant,),
    )


@pytest.mark.parametrize(
    ("name", "tamper"),
    [
        ("body", _set("body = replace(convert_from(body, 'UTF8'), '10000000', '90000000')::bytea", 3)),
        ("amount", _set("amount_micros = 1", 3)),
        ("decision", _set("decision = 'approved'", 9)),
        ("reason", _set("reason = 'fine'", 9)),
        ("who", _set("made_by = 'nobody'", 6)),
        ("details", _set("""details = '{"lines": []}'""", 4)),
        ("time", _set("created_at = created_at + interval '1 day'", 3)),
        ("hash", _set("row_hash = prev_hash", 5)),
        ("previous hash", _set("prev_hash = row_hash", 5)),
        ("request hash", _set("req_sha256 = prev_hash", 5)),
        ("period", _set("""periods = '{"D": "2020-01-01", "W": "2020-W01", "M": "2020-01"}'""", 5)),
        ("delete the first", _run("DELETE FROM ledger WHERE tenant_id = %(t)s AND seq = 1")),
        ("delete one", _run("DELETE FROM ledger WHERE tenant_id = %(t)s AND seq = 4")),
        ("delete the last", _run("DELETE FROM ledger WHERE tenant_id = %(t)s AND seq = 9")),
        ("delete all", _run("DELETE FROM ledger WHERE tenant_id = %(t)s")),
        ("delete the head", _run("DELETE FROM chain_head WHERE tenant_id = %(t)s")),
        ("truncate the tail", _drop_and_close_up),
        ("swap", _swap),
        ("rewrite", _rewrite_rest),
        (
            "insert",
            _run(
                "INSERT INTO ledger (tx_id, tenant_id, seq, entry_type, request_id, amount_micros, made_by,"
                " req_sha256,"
                " body, prev_hash, row_hash, created_at) SELECT gen_random_uuid(), tenant_id, 10,"
                " 'LIMIT_CHANGE',"
                " gen_random_uuid(), 0, 'x', req_sha256, body, row_hash, row_hash, created_at FROM ledger"
                " WHERE tenant_id = %(t)s AND seq = 9"
            ),
        ),
        (
            "swap signatures",
            _run(
                "UPDATE ledger_signature a SET sig = b.sig FROM ledger_signature b"
                " WHERE a.tenant_id = %(t)s AND b.tenant_id = %(t)s AND a.seq + b.seq = 10 AND a.seq IN (3, 7)"
            ),
        ),
        ("another key", _run("UPDATE ledger_signature SET kid = 'x' WHERE tenant_id = %(t)s AND seq = 3")),
        ("drop a signature", _run("DELETE FROM ledger_signature WHERE tenant_id = %(t)s AND seq = 7")),
        (
            "spent less",
            _run("UPDATE budget_tracking SET spent_micros = 0 WHERE tenant_id = %(t)s AND scope = 'total'"),
        ),
        (
            "higher limit",
            _run("UPDATE budget_limits SET limit_micros = 10 ^ 12 WHERE tenant_id = %(t)s AND kind = 'D'"),
        ),
        (
            "higher limit today",
            _run(
                "UPDATE budget_tracking SET limit_micros = 10 ^ 12, target_limit_micros = 10 ^ 12"
                " WHERE tenant_id = %(t)s AND kind = 'D'"
            ),
        ),
        ("no counters", _run("DELETE FROM budget_tracking WHERE tenant_id = %(t)s AND kind = 'W'")),
        ("larger reservation", _run("UPDATE reservation SET amount_micros = 99 WHERE tenant_id = %(t)s")),
        (
            "open again",
            _run("UPDATE reservation SET state = 'SIGNED' WHERE tenant_id = %(t)s AND state = 'RELEASED'"),
        ),
        ("no reservation", _run("DELETE FROM reservation WHERE tenant_id = %(t)s AND state = 'DISPATCHED'")),
        (
            "longer life",
            _run("UPDATE reservation SET expires_at = expires_at + interval '1 y' WHERE tenant_id = %(t)s"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tampering_is_found(
    make_cfo: MakeCfo, db: Database, database_urls: Any, tenant: str, name: str, tamper: Tamper
) -> None:
    cfo = make_cfo(tenant)
    fill(cfo, tenant)
    with psycopg.connect(database_urls.super) as connection:
        connection.execute("SET session_replication_role = replica")  # no trigger, no foreign key stands in the way
        tamper(connection, tenant)
    report = verify(db, tenant, cfo)
    assert not report.verified, name
    assert report.problems


def test_old_rows_at_the_end_need_a_signature(make_cfo: MakeCfo, db: Database, database_urls: Any, tenant: str) -> None:
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    cfo = make_cfo(tenant)
    PostgresLedger(db, tenant, now=lambda _: long_ago).set_limit("total", "D", 5, by="ada")
    report = verify(db, tenant, cfo)
    assert report.problems == ["row 2: has no signature, nor has any row after it"]
    cfo.sweep()
    assert verify(db, tenant, cfo).verified
    with psycopg.connect(database_urls.super) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM ledger_signature WHERE tenant_id = %s AND seq = 1", (tenant,))
    assert verify(db, tenant, cfo).verified  # the signature of row 2 is over row 1 as well


def test_a_key_that_is_gone_verifies_nothing(make_cfo: MakeCfo, db: Database, tenant: str, tmp_path: Path) -> None:
    fill(make_cfo(tenant), tenant)
    KeyFileSigner(tmp_path)
    report = PostgresLedger(db, tenant).verify(KeyFolderVerifier(tmp_path))
    assert not report.verified
    assert len(report.problems) == 9
