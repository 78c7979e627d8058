"""The control switch is read last before each spend and each post; one that is missing or cannot be read is a stop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chimera.adapters.postgres.controls import PostgresControls
from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.ledger import PostgresLedger
from chimera.adapters.postgres.money import PostgresTransaction
from chimera.adapters.postgres.tenancy import agent_id
from chimera.domain.ids import new_id
from chimera.errors import ChimeraError
from tests.fakes.publishing import Desk

Switch = Callable[[str], contextlib.AbstractContextManager[None]]
NO_SPENDING = ["STOP", "PAUSE_SPEND", "missing", "unreadable"]
NO_PUBLISHING = ["STOP", "PAUSE_PUBLISH", "missing", "unreadable"]


@pytest.fixture
def switch(database_urls: Any, tenant: str) -> Switch:
    """Puts the switch of the tenant as it is named, for the length of a `with`; behind everybody's back."""

    @contextlib.contextmanager
    def put(state: str) -> Iterator[None]:
        with psycopg.connect(database_urls.super, autocommit=True) as admin:
            if state == "missing":
                admin.execute("DELETE FROM controls WHERE tenant_id = %s", (tenant,))
            elif state == "unreadable":
                admin.execute("REVOKE SELECT ON controls FROM chimera_app")
            else:
                admin.execute("UPDATE controls SET state = %s WHERE tenant_id = %s", (state, tenant))
            try:
                yield
            finally:
                admin.execute("GRANT SELECT ON controls TO chimera_app")

    return put


def request(tenant: str) -> dict[str, str]:
    return {
        "request_id": new_id(),
        "agent_id": agent_id(tenant, "artist"),
        "request_type": "compute",
        "request_cost": "1",
        "projected_roi": "3",
    }


def refused(work: Callable[[], object]) -> str:
    """The code of the error; a switch that the database does not let us read is no ChimeraError, and no yes either."""
    try:
        work()
    except ChimeraError as error:
        return error.code
    except psycopg.errors.InsufficientPrivilege:
        return "unreadable"
    return "done"


# --- spending


@pytest.mark.parametrize("state", NO_SPENDING)
def test_no_dispatch_unless_the_switch_says_so(
    make_cfo: Callable[..., Any], db: Database, tenant: str, switch: Switch, state: str
) -> None:
    cfo, ledger = make_cfo(tenant), PostgresLedger(db, tenant)
    asked = request(tenant)
    token = cfo.approve(asked)["token"]
    with switch(state):
        assert refused(lambda: cfo.dispatch(token, "run-1")) in ("SYSTEM_STOPPED", "unreadable")
        [waiting] = ledger.open_reservations()
        assert (waiting.state, waiting.spender) == ("SIGNED", None)


@pytest.mark.parametrize("state", NO_SPENDING)
def test_a_spender_that_had_begun_is_held_too(
    make_cfo: Callable[..., Any], tenant: str, switch: Switch, state: str
) -> None:
    cfo = make_cfo(tenant)
    token = cfo.approve(request(tenant))["token"]
    assert cfo.dispatch(token, "run-1")["first"] is True
    with switch(state):
        assert refused(lambda: cfo.dispatch(token, "run-1")) in ("SYSTEM_STOPPED", "unreadable")


@pytest.mark.parametrize("state", NO_SPENDING)
def test_no_decision_unless_the_switch_says_so(
    make_cfo: Callable[..., Any], db: Database, tenant: str, switch: Switch, state: str
) -> None:
    cfo, ledger = make_cfo(tenant), PostgresLedger(db, tenant)
    cfo.approve(request(tenant))
    before = ledger.entries(limit=1).entries[0].seq
    with switch(state):
        assert refused(lambda: cfo.approve(request(tenant))) in ("SYSTEM_STOPPED", "unreadable")
        assert ledger.entries(limit=1).entries[0].seq == before
        assert len(ledger.open_reservations()) == 1


def test_publishing_that_is_paused_lets_money_be_spent(
    make_cfo: Callable[..., Any], tenant: str, switch: Switch
) -> None:
    cfo = make_cfo(tenant)
    with switch("PAUSE_PUBLISH"):
        assert cfo.dispatch(cfo.approve(request(tenant))["token"], "run-1")["first"] is True


def test_an_approval_of_an_older_epoch_is_worth_nothing(
    make_cfo: Callable[..., Any], db: Database, tenant: str
) -> None:
    cfo, controls = make_cfo(tenant), PostgresControls(db, tenant)
    token = cfo.approve(request(tenant))["token"]
    controls.set("STOP", by="ada", reason="drill")
    controls.set("RUN", by="ada", reason="over")
    assert refused(lambda: cfo.dispatch(token, "run-1")) == "CONFLICT"
    assert cfo.dispatch(cfo.approve(request(tenant))["token"], "run-2")["first"] is True


# --- publishing


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def desk(db: Database, tenant: str, tmp_path: Path, keys: Path) -> Desk:
    return Desk(db, tenant, tmp_path, keys)


@pytest.mark.parametrize("state", NO_PUBLISHING)
def test_no_send_is_claimed_unless_the_switch_says_so(desk: Desk, switch: Switch, state: str) -> None:
    """Whether the grant was given before the stop or under it."""
    content_id = desk.content()
    desk.preflight(content_id)
    before = desk.grant(content_id)
    with switch(state):
        for grant in (before, desk.grant(content_id)):
            code = refused(lambda grant=grant: desk.claim(content_id, grant))  # type: ignore[misc]
            assert code in ("PUBLISHING_PAUSED", "SYSTEM_STOPPED", "unreadable")
        assert desk.row(content_id)["state"] == "READY"
    assert desk.platform.sends == 0


def test_a_pause_of_spending_lets_what_is_paid_for_go_out(desk: Desk, switch: Switch) -> None:
    content_id = desk.content()
    desk.preflight(content_id)
    with switch("PAUSE_SPEND"):
        assert desk.claim(content_id, desk.grant(content_id))["state"] == "SENDING"


# --- using it


def test_every_use_is_in_the_audit_log_with_its_reason(db: Database, tenant: str) -> None:
    from chimera.adapters.postgres.money_views import PostgresMoneyViews

    controls = PostgresControls(db, tenant)
    controls.set("PAUSE_SPEND", by="ada", reason="vendor outage")
    controls.set("STOP", by="bob", reason="worse")
    controls.set("STOP", by="bob", reason="again")
    controls.set("RUN", by="ada", reason="over")
    rows = PostgresMoneyViews(db, tenant).audited(["control.set"], 10)
    told = [(row["by"], row["before"]["state"], row["after"]["state"], row["after"]["reason"]) for row in rows]
    assert told == [
        ("ada", "STOP", "RUN", "over"),
        ("bob", "PAUSE_SPEND", "STOP", "worse"),
        ("ada", "RUN", "PAUSE_SPEND", "vendor outage"),
    ]
    assert [row["after"]["epoch"] for row in rows] == [3, 2, 2]


def test_a_stop_that_was_acknowledged_is_not_followed_by_a_dispatch(
    make_cfo: Callable[..., Any], database_urls: Any, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the switch and using the approval a stop either waits, or the approval is not used."""
    cfo = make_cfo(tenant)
    token = cfo.approve(request(tenant))["token"]
    stopped: list[bool] = []
    use = PostgresTransaction.dispatch

    def stop_first(self: PostgresTransaction, *arguments: Any) -> bool:
        with psycopg.connect(database_urls.app, autocommit=True, options="-c lock_timeout=200ms") as person:
            person.execute("SELECT set_config('app.tenant', %s, false)", (tenant,))
            try:
                person.execute("UPDATE controls SET state = 'STOP', epoch = epoch + 1")
                stopped.append(True)
            except psycopg.errors.LockNotAvailable:
                stopped.append(False)
        return use(self, *arguments)

    monkeypatch.setattr(PostgresTransaction, "dispatch", stop_first)
    outcome = refused(lambda: cfo.dispatch(token, "run-1"))
    assert (stopped, outcome) in (([False], "done"), ([True], "SYSTEM_STOPPED"))
