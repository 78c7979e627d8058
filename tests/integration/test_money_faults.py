"""What money does while the signer is away, the switch cannot be read or the database is gone: it approves nothing.

An approval is one only with its ledger row and its signature; when the fault ends, the same questions get their answers.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chimera.adapters.local.clock import SystemClock
from chimera.adapters.local.keys import KeyFileSigner
from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.ledger import PostgresLedger
from chimera.domain.approval import verify_approval
from chimera.errors import ChimeraError
from chimera.usecases.cfo import Cfo
from tests.fakes.money_load import ask
from tests.fakes.money_replay import replay
from tests.fakes.money_world import NO_RISK, Site, new_site, own_cluster


class WeakSigner:
    """The key file, behind a service that is away or slow when the test says so."""

    def __init__(self, keys: Path) -> None:
        self._signer = KeyFileSigner(keys)
        self.key_id = self._signer.key_id
        self.up = threading.Event()
        self.up.set()
        self.asked = threading.Event()
        self.waits = False

    def sign(self, message: bytes) -> bytes:
        """`PROVIDER_TIMEOUT` while it is away."""
        self.asked.set()
        if self.waits:
            self.up.wait(30)
        if not self.up.is_set():
            raise ChimeraError("PROVIDER_TIMEOUT", "signing: the key service does not answer")
        return self._signer.sign(message)


@pytest.fixture
def site(new_database: Callable[[], Any], tmp_path: Path) -> Site:
    """A tenant in a database whose rights a test may change."""
    return new_site(new_database().app, tmp_path / "keys", "1000")


@contextlib.contextmanager
def cfo_with(site: Site, signer: WeakSigner) -> Iterator[tuple[Cfo, PostgresLedger]]:
    with contextlib.closing(Database(site.url)) as database:
        ledger = PostgresLedger(database, site.tenant)
        yield Cfo(ledger, signer, site.verifier(), SystemClock(), NO_RISK), ledger


def outcome(step: Callable[[], Any]) -> str:
    """approved, rejected, or the error."""
    try:
        return str(step()["decision"])
    except ChimeraError as error:
        return error.code


def usable(site: Site, answer: dict[str, Any]) -> bool:
    """Whether a spender would take it: a valid signature over the very row of the ledger."""
    if answer["token"] is None:
        return False
    claims = verify_approval(answer["token"], site.verifier(), now=datetime.now(UTC), tenant_id=site.tenant)
    with site.open() as (_, ledger):
        decision, _, reservation = ledger.get(claims.request_id)
    assert reservation is not None
    return decision.body == claims.body and reservation.state == "SIGNED"


def whole(site: Site) -> None:
    """Nothing unsigned, nothing to find, the counters right."""
    with site.open() as (cfo, ledger):
        cfo.sweep()
        assert replay(ledger, site.policy).problems == []
        report = ledger.verify(site.verifier())
    assert (report.problems, report.unsigned) == ([], 0)


# --- the signer


def test_without_the_signer_nothing_is_approved_and_afterwards_everything_is(site: Site) -> None:
    signer = WeakSigner(site.keys)
    bodies = [site.request(f"fault {n}") for n in range(12)]
    with cfo_with(site, signer) as (cfo, ledger):
        before = [outcome(lambda b=body: cfo.approve(b)) for body in bodies[:4]]
        signer.up.clear()
        during = [outcome(lambda b=body: cfo.approve(b)) for body in [*bodies[4:8], bodies[4]]]
        assert before == ["approved"] * 4
        assert "approved" not in during
        states = {reservation.request_id: reservation.state for reservation in ledger.open_reservations()}
        assert {states.get(body["request_id"]) for body in bodies[4:8]} <= {None, "RESERVED"}
        with pytest.raises(ChimeraError):  # the sweep cannot sign either, and says so
            cfo.sweep()
        signer.up.set()
        cfo.sweep()
        answers = [cfo.approve(body) for body in bodies]
    assert [answer["decision"] for answer in answers] == ["approved"] * 12
    assert all(usable(site, answer) for answer in answers)
    whole(site)


def test_a_slow_signer_holds_up_nobody_else(site: Site) -> None:
    slow, quick = WeakSigner(site.keys), WeakSigner(site.keys)
    slow.waits = True
    slow.up.clear()
    with cfo_with(site, slow) as (one, _), cfo_with(site, quick) as (other, _), ThreadPoolExecutor(1) as pool:
        try:
            waiting = pool.submit(one.approve, site.request("slow"))
            assert slow.asked.wait(30)
            assert other.approve(site.request("quick"))["approved"]  # signing holds no lock
            assert other.approve(site.request("slow"))["approved"]  # nor does it own the request
            assert not waiting.done()
        finally:
            slow.up.set()
        late = waiting.result(30)
        again = other.approve(site.request("slow"))
    assert late["approval_signature"] == again["approval_signature"]
    whole(site)


# --- the switch


@contextlib.contextmanager
def unreadable(site: Site) -> Iterator[None]:
    """The application's right to read the switch is gone."""
    with psycopg.connect(site.url.replace("chimera_app", "postgres", 1), autocommit=True) as owner:
        owner.execute("REVOKE SELECT ON controls FROM chimera_app")
        try:
            yield
        finally:
            owner.execute("GRANT SELECT ON controls TO chimera_app")


@contextlib.contextmanager
def missing(site: Site) -> Iterator[None]:
    """The tenant's switch is not there."""
    with psycopg.connect(site.url.replace("chimera_app", "postgres", 1), autocommit=True) as owner:
        owner.execute("CREATE TEMP TABLE kept AS SELECT * FROM controls WHERE tenant_id = %s", (site.tenant,))
        owner.execute("DELETE FROM controls WHERE tenant_id = %s", (site.tenant,))
        try:
            yield
        finally:
            owner.execute("INSERT INTO controls SELECT * FROM kept")


@pytest.mark.parametrize("fault", [unreadable, missing])
def test_a_switch_that_cannot_be_read_is_a_stop(
    site: Site, fault: Callable[[Site], contextlib.AbstractContextManager[None]]
) -> None:
    with site.open() as (cfo, ledger):
        earlier = cfo.approve(site.request("earlier"))
        rows = ledger.entries().entries[0].seq
        with fault(site):
            with pytest.raises((ChimeraError, psycopg.Error)):
                cfo.approve(site.request("during"))
            with pytest.raises((ChimeraError, psycopg.Error)):
                cfo.dispatch(earlier["token"], "run")
            assert [e.seq for e in ledger.entries().entries if e.entry_type == "DECISION" and e.seq > rows] == []
            assert [r.state for r in ledger.open_reservations()] == ["SIGNED"]
        assert cfo.dispatch(earlier["token"], "run")["first"] is True
        assert usable(site, cfo.approve(site.request("during")))
    whole(site)


# --- the database


def test_without_the_database_nothing_is_approved_and_afterwards_everything_is() -> None:
    with own_cluster() as cluster:
        site = cluster.site("1000")
        bodies = [site.request(f"away {uuid.uuid4()}") for _ in range(4)]
        with site.open() as (cfo, ledger):
            first = cfo.approve(bodies[0])
            cluster.kill()
            with site.open() as (fresh, _):  # a connection that broke, and one that cannot be had
                during = [ask(either, body).decision for body in bodies for either in (cfo, fresh)]
                assert set(during) == {"DATABASE_WAKING"}
            with pytest.raises(ChimeraError) as caught:
                cfo.dispatch(first["token"], "run")
            assert (caught.value.code, caught.value.retryable) == ("DATABASE_WAKING", True)
            cluster.start()
            answers = [cfo.approve(body) for body in bodies]
            assert all(usable(site, answer) for answer in answers)
            assert answers[0]["approval_signature"] == first["approval_signature"]
            assert sum(e.entry_type == "DECISION" for e in ledger.entries().entries) == 4
        whole(site)


def test_a_connection_that_cannot_leave_its_pipeline_is_given_up(site: Site) -> None:
    with contextlib.closing(Database(site.url)) as database:
        with database.transaction(site.tenant) as connection:
            connection.execute("SELECT 1")
        # as after the death of a server that libpq has not noticed: no error is left, and nothing works
        connection.pgconn.enter_pipeline_mode()
        connection.pgconn.send_query_params(b"SELECT 1", None)
        with pytest.raises(ChimeraError) as caught, database.transaction(site.tenant):
            pass
        assert caught.value.code == "DATABASE_WAKING"
        assert connection.closed
        with database.transaction(site.tenant) as fresh:
            assert fresh.execute("SELECT 1 AS one").fetchone() == {"one": 1}
