"""Recovery: whatever step a crash comes after, nothing is lost or paid twice; a forged counter freezes, alerts, and stays."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chimera.adapters.postgres.tenancy import agent_id, seed_tenant
from chimera.bootstrap import App
from chimera.domain.allowance import CallItem
from chimera.domain.models import CostLine
from chimera.errors import ChimeraError
from chimera.settings import Settings
from chimera.usecases.recovery import RecoveryReport
from chimera.usecases.scope import content_prefix
from tests.fakes.ledger_forger import open_super

RESERVED = 10_000_000
ITEM = CallItem(step="write", item="tokens", quantity="100", unit="token")


@dataclass
class Executions:
    """The state machines, as far as recovery asks: which executions run."""

    status: dict[str, str] = field(default_factory=dict)

    def describe(self, execution_id: str) -> dict[str, Any]:
        if execution_id not in self.status:
            raise ChimeraError("NOT_FOUND", f"no execution {execution_id}")
        return {"status": self.status[execution_id]}


@dataclass
class Place:
    """One tenant with everything real but the state machines."""

    app: App
    executions: Executions
    urls: Any

    @property
    def tenant(self) -> str:
        return self.app.settings.tenant_id

    def approve(self) -> dict[str, Any]:
        return self.app.cfo(self.tenant).approve(
            {
                "request_id": str(uuid.uuid4()),
                "agent_id": agent_id(self.tenant, "artist"),
                "request_type": "compute",
                "request_cost": "10",
                "projected_roi": "2.0",
                "justification": "a video",
            }
        )

    def dispatched(self, *, open_purse: bool = True) -> str:
        """An approval that was dispatched seven hours ago."""
        answer = self.approve()
        request = str(answer["request_id"])
        if open_purse:
            self.app.gateway(self.tenant).open(
                answer["token"], agent_id=agent_id(self.tenant, "artist"), spender="work"
            )
        else:
            self.app.cfo(self.tenant).dispatch(answer["token"], "work")
        self.sql(
            "UPDATE reservation SET dispatched_at = dispatched_at - interval '7 hours' WHERE request_id = %s", request
        )
        return request

    def content(self, request: str, status: str | None) -> str:
        """The piece of content that the request is for, its execution in this state; the prefix of its files."""
        content, task, run = str(uuid.uuid4()), str(uuid.uuid4()), str(uuid.uuid4())
        self.sql(
            "INSERT INTO content_pipeline (id, tenant_id, task_id, run_id, trend_source_id, persona_id, format,"
            " approval_request_id) VALUES (%s, %s, %s, %s, %s, %s, 'video', %s)",
            *(content, self.tenant, task, run, run, run, request),
        )
        if status:
            self.executions.status[f"creation:{task}"] = status
        return content_prefix(self.tenant, content)

    def note(self, prefix: str, step: str, micros: int, *, complete: bool = True) -> None:
        line = CostLine(
            step=step, item="vCPU", quantity="1", unit="vCPU second", amount_micros=micros, complete=complete
        )
        self.app.media.put_bytes(f"{prefix}/costs/{step}.json", line.model_dump_json().encode())

    def sql(self, statement: str, *values: object) -> None:
        with open_super(self.urls.super) as c:
            assert c.execute(statement, values).rowcount > 0

    def recover(self, **options: bool) -> RecoveryReport:
        return self.app.recovery(self.tenant).run(**options)

    def state(self, request: str) -> tuple[str, int]:
        """Where the approval stands and what was charged."""
        _, resolution, reservation = self.app.ledger(self.tenant).get(request)
        assert reservation is not None
        return reservation.state, resolution.amount_micros if resolution else 0

    def alerts(self) -> list[str]:
        with open_super(self.urls.super) as c:
            rows = c.execute(
                "SELECT action FROM audit_logs WHERE tenant_id = %s AND action LIKE 'alert.%%' ORDER BY id",
                (self.tenant,),
            )
            return [row["action"] for row in rows]


@pytest.fixture
def place(database_urls: Any, tmp_path: Path) -> Iterator[Place]:
    tenant = str(uuid.uuid4())
    settings = Settings().model_copy(update={"home": tmp_path, "database_url": database_urls.app, "tenant_id": tenant})
    with psycopg.connect(database_urls.app) as connection:
        seed_tenant(connection, tenant, settings)
    executions = Executions()
    with contextlib.closing(App(settings, workflows=executions)) as app:
        yield Place(app, executions, database_urls)


# --- crash between the steps of one approval


def test_decided_but_not_signed_is_signed(place: Place) -> None:
    request = place.approve()["request_id"]
    place.sql("DELETE FROM ledger_signature WHERE tenant_id = %s", place.tenant)
    place.sql("UPDATE reservation SET state = 'RESERVED' WHERE request_id = %s", request)
    place.sql(
        "INSERT INTO ledger_unsigned (tenant_id, seq) SELECT tenant_id, seq FROM ledger WHERE tenant_id = %s"
        " ON CONFLICT DO NOTHING",
        place.tenant,
    )
    report = place.recover()
    assert report.signed >= 1
    assert place.state(request) == ("SIGNED", 0)
    assert report.problems == []


def test_signed_and_never_used_expires_but_a_dispatched_one_never_does(place: Place) -> None:
    unused, used = place.approve()["request_id"], place.dispatched()
    place.content(used, "RUNNING")
    later = {"expires_at": "2020-01-01"}
    for request in (unused, used):
        place.sql("UPDATE reservation SET expires_at = %s WHERE request_id = %s", later["expires_at"], request)
    ledger = place.app.ledger(place.tenant)
    assert [entry.request_id for entry in ledger.expire_due()] == [unused]
    assert place.state(used) == ("DISPATCHED", 0)


def test_dispatched_and_nothing_drawn_is_given_back(place: Place) -> None:
    request = place.dispatched()
    place.content(request, "FAILED")
    report = place.recover()
    assert (report.released, place.state(request)) == (1, ("RELEASED", 0))


def test_dispatched_and_drawn_is_settled_at_what_was_drawn(place: Place) -> None:
    request = place.dispatched()
    place.content(request, "FAILED")
    store = place.app.allowances(place.tenant)
    store.draw(request, "known", 4_000_000, ITEM)
    store.correct(request, "known", 1_500_000)
    store.draw(request, "cut-off", 2_000_000, ITEM)  # the crash came before its actual was reported: its worst case
    report = place.recover()
    assert (report.settled, place.state(request)) == (1, ("SETTLED", 3_500_000))
    with pytest.raises(ChimeraError):  # the worker wakes up again: too late
        store.draw(request, "late", 1, ITEM)
    assert place.app.ledger(place.tenant).get(request)[1].made_by == "recovery"  # type: ignore[union-attr]


def test_a_draw_whose_step_noted_its_end_counts_as_noted(place: Place) -> None:
    request = place.dispatched()
    prefix = place.content(request, "ABORTED")
    place.app.allowances(place.tenant).draw(request, "render", 4_000_000, ITEM)
    line = CostLine(
        step="render", item="vCPU", quantity="1", unit="vCPU second", amount_micros=700_000, call_id="render"
    )
    place.app.media.put_bytes(f"{prefix}/costs/render.json", line.model_dump_json().encode())
    place.recover()
    assert place.state(request) == ("SETTLED", 700_000)


def test_without_an_allowance_complete_notes_count(place: Place) -> None:
    request = place.dispatched(open_purse=False)
    prefix = place.content(request, "SUCCEEDED")
    place.note(prefix, "voice", 300_000)
    place.note(prefix, "render", 400_000)
    report = place.recover()
    assert (report.settled, place.state(request)) == (1, ("SETTLED", 700_000))


@pytest.mark.parametrize("noted", [True, False])
def test_without_an_allowance_what_is_not_complete_counts_as_spent_in_full(place: Place, noted: bool) -> None:
    request = place.dispatched(open_purse=False)
    prefix = place.content(request, None)  # its execution is gone
    if noted:
        place.note(prefix, "voice", 300_000)
        place.note(prefix, "render", 400_000, complete=False)
    report = place.recover()
    assert (report.assumed_spent, place.state(request)) == (1, ("SETTLED", RESERVED))
    details = place.app.ledger(place.tenant).get(request)[1].details  # type: ignore[union-attr]
    assert "counts as spent" in details["why"]


def test_a_spender_that_nobody_knows_counts_as_spent_in_full(place: Place) -> None:
    request = place.dispatched(open_purse=False)
    assert place.recover().assumed_spent == 1
    assert place.state(request) == ("SETTLED", RESERVED)


def test_work_that_still_runs_or_was_dispatched_lately_is_left_alone(place: Place) -> None:
    running = place.dispatched()
    place.content(running, "RUNNING")
    lately = place.approve()
    place.app.cfo(place.tenant).dispatch(lately["token"], "work")
    report = place.recover()
    assert (report.running, report.settled, report.released, report.assumed_spent) == (1, 0, 0, 0)
    assert place.state(running) == place.state(lately["request_id"]) == ("DISPATCHED", 0)


def test_state_machines_that_do_not_answer_are_asked_again_later(place: Place) -> None:
    request = place.dispatched()
    place.content(request, "FAILED")

    def away(_: str) -> dict[str, Any]:
        raise ChimeraError("AGENT_OFFLINE", "the engine is not up")

    place.executions.describe = away  # type: ignore[method-assign,assignment]
    report = place.recover()
    assert any("the engine is not up" in text for text in report.waiting)
    assert place.state(request) == ("DISPATCHED", 0)
    assert report.problems == []


def test_a_bill_above_the_reservation_charges_all_of_it_and_freezes_the_category(place: Place) -> None:
    request = place.dispatched(open_purse=False)
    prefix = place.content(request, "SUCCEEDED")
    place.note(prefix, "render", RESERVED + 7)
    place.recover()
    assert place.state(request) == ("SETTLED", RESERVED)
    report = place.recover()
    assert report.problems == []
    assert place.app.books(place.tenant).frozen() == {"compute"}


def test_again_and_on_two_machines_at_once_is_the_same(place: Place) -> None:
    requests = [place.dispatched() for _ in range(4)]
    for request in requests:
        place.content(request, "FAILED")
        place.app.allowances(place.tenant).draw(request, "c", 1_000_000, ITEM)
    reports: list[RecoveryReport] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with contextlib.closing(App(place.app.settings, workflows=place.executions)) as app:
                reports.append(app.recovery(place.tenant).run())
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [place.state(request) for request in requests] == [("SETTLED", 1_000_000)] * 4
    report = place.recover(full=True)
    assert report.problems == []
    assert (report.signed, report.settled) == (0, 0)
    assert place.app.verify_ledger(place.tenant, full=True).problems == []


# --- the books


FORGERIES: dict[str, tuple[str, str]] = {
    "spent less": ("UPDATE budget_tracking SET spent_micros = 0 WHERE tenant_id = %s AND scope = 'compute'", "compute"),
    "higher limit": (
        "UPDATE budget_tracking SET limit_micros = limit_micros + 1 WHERE tenant_id = %s AND scope = 'compute' AND kind = 'W'",
        "compute",
    ),
    "row gone": ("DELETE FROM budget_tracking WHERE tenant_id = %s AND scope = 'compute' AND kind = 'M'", "compute"),
    "limits": (
        "UPDATE budget_limits SET limit_micros = 9 WHERE tenant_id = %s AND kind = 'D' AND scope = 'total'",
        "total",
    ),
}


@pytest.mark.parametrize("name", list(FORGERIES))
def test_a_forged_counter_freezes_its_scope_alerts_once_and_is_not_corrected(place: Place, name: str) -> None:
    place.dispatched()
    settled = place.dispatched()
    place.app.ledger(place.tenant).settle(settled, 5_000_000)
    assert place.recover().problems == []
    statement, scope = FORGERIES[name]
    place.sql(statement, place.tenant)
    with open_super(place.urls.super) as c:
        forged = c.execute("SELECT * FROM budget_tracking WHERE tenant_id = %s ORDER BY 1", (place.tenant,)).fetchall()
    report = place.recover()
    assert report.problems
    assert report.frozen == [scope]
    assert not report.full  # the minute's check saw it
    again = place.recover()
    assert again.problems
    assert again.frozen == []
    assert place.alerts() == ["alert.budget_mismatch"]
    with open_super(place.urls.super) as c:
        rows = c.execute("SELECT * FROM budget_tracking WHERE tenant_id = %s ORDER BY 1", (place.tenant,)).fetchall()
    assert rows == forged
    assert place.approve()["code"] == "BUDGET_EXCEEDED"


def test_once_the_counter_is_put_right_a_person_unfreezes_and_work_goes_on(place: Place) -> None:
    place.approve()
    assert place.recover().problems == []
    place.sql("UPDATE budget_tracking SET reserved_micros = 0 WHERE tenant_id = %s AND scope = 'compute'", place.tenant)
    assert place.recover().frozen == ["compute"]
    ledger = place.app.ledger(place.tenant)
    ledger.unfreeze(["compute"], "looked at it", "ada")
    assert place.recover().frozen == ["compute"]  # nothing was put right: it freezes again
    books = place.app.books(place.tenant)
    assert len(books.recount(by="ada", note="restored")) == 3  # day, week and month
    assert books.recount(by="ada", note="again") == []
    assert place.recover().problems == []
    assert place.app.books(place.tenant).trouble() == []
    assert place.approve()["code"] == "BUDGET_EXCEEDED"  # a person unfreezes, recovery never does
    ledger.unfreeze(["compute"], "put right", "ada")
    assert place.approve()["approved"]
    assert place.recover(full=True).problems == []
    assert place.alerts() == ["alert.budget_mismatch", "alert.budget_mismatch_over"]


@pytest.mark.parametrize("name", list(FORGERIES))
def test_a_recount_puts_right_what_a_forger_changed(place: Place, name: str) -> None:
    place.dispatched()
    place.app.ledger(place.tenant).settle(place.dispatched(), 5_000_000)
    place.sql(FORGERIES[name][0], place.tenant)
    assert place.app.books(place.tenant).recount(by="ada", note="restored")
    assert place.app.verify_ledger(place.tenant, full=True).problems == []


def test_nothing_is_counted_from_a_ledger_that_does_not_verify(place: Place) -> None:
    place.approve()
    place.sql("UPDATE budget_tracking SET reserved_micros = 0 WHERE tenant_id = %s", place.tenant)
    place.sql("UPDATE ledger SET reason = 'fine' WHERE tenant_id = %s AND seq = 3", place.tenant)
    with pytest.raises(ChimeraError, match="does not verify"):
        place.app.books(place.tenant).recount(by="ada", note="restored")
    assert place.app.verify_ledger(place.tenant).wrong_scopes == ["compute", "total"]


def test_a_changed_row_below_the_checkpoint_is_found_by_the_full_check_and_stays_an_alert(place: Place) -> None:
    for _ in range(3):
        place.approve()
    assert place.recover().problems == []
    place.approve()
    place.sql("UPDATE ledger SET reason = 'fine' WHERE tenant_id = %s AND seq = 3", place.tenant)
    assert place.recover(full=True).frozen == ["total"]
    report = place.recover()  # not only the tail: what was found stays found
    assert report.full
    assert report.problems
    assert place.app.books(place.tenant).trouble()


def test_a_changed_row_above_the_checkpoint_is_found_within_the_minute(place: Place) -> None:
    place.approve()
    assert place.recover().problems == []
    place.approve()
    place.sql(
        "UPDATE ledger SET amount_micros = 1 WHERE tenant_id = %s AND seq = (SELECT max(seq) FROM ledger WHERE tenant_id = %s)",
        *(place.tenant, place.tenant),
    )
    report = place.recover()
    assert not report.full
    assert "total" in report.frozen


def test_the_minutes_check_reads_only_what_is_new(place: Place) -> None:
    for _ in range(3):
        place.approve()
    first = place.recover()
    assert first.full
    assert first.rows >= 5
    request = place.dispatched()
    ledger = place.app.ledger(place.tenant)
    place.recover()
    ledger.settle(request, 400)
    settled = place.recover()
    assert settled.rows <= 2
    ledger.refund(request, 100, key="a", by="ada", reason="credit")  # of an approval that closed before the checkpoint
    ledger.refund(request, 50, key="b", by="ada", reason="credit")
    place.recover()
    ledger.refund(request, 250, key="c", by="ada", reason="credit")
    last = place.recover()
    assert (last.full, last.problems) == (False, [])
    assert place.recover(full=True).problems == []


def test_what_is_due_is_sealed(place: Place) -> None:
    place.approve()
    assert place.recover().sealed == 0  # its rows are not 60 s old
    place.app.clock = Later(place.app.clock)
    assert place.recover().sealed == 1


@dataclass
class Later:
    """A clock two minutes ahead."""

    real: Any

    def now(self) -> Any:
        return self.real.now() + timedelta(minutes=2)


def test_rows_that_no_longer_fit_their_seals_freeze_everything(place: Place) -> None:
    place.approve()
    place.app.sealer(place.tenant).seal_due(force=True)
    assert place.recover().problems == []
    for path in Path(place.app.settings.seals_path).rglob("*.json"):
        path.unlink()
    report = place.recover()
    assert report.frozen == ["total"]
    assert any("seal" in text for text in report.problems)


def test_it_is_a_function_too(
    place: Place, monkeypatch: pytest.MonkeyPatch, make_handler: Callable[[App], Any]
) -> None:
    place.approve()
    answer = make_handler(place.app)({"tenant_id": place.tenant}, None)
    assert answer["problems"] == []
    assert answer["full"] is True


@pytest.fixture
def make_handler(monkeypatch: pytest.MonkeyPatch) -> Callable[[App], Any]:
    def make(app: App) -> Any:
        from functions.recover.handler import handler

        monkeypatch.setattr("chimera.entrypoints.App", lambda: app)
        return handler

    return make
