"""Reviews: bound to a version, decided once, and the waiting run hears it even after a crash in between."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import ValidationError

from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.reviews import PostgresReviews
from chimera.adapters.postgres.tenancy import persona_id
from chimera.domain.ids import new_id
from chimera.errors import ChimeraError
from chimera.usecases import review as r

HASH, OTHER = "ab" * 32, "cd" * 32


@dataclass
class FakeWorkflows:
    """Remembers answers; a token can be answered once."""

    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    down: bool = False
    unknown: set[str] = field(default_factory=set)

    def send_task_success(self, token: str, output: dict[str, Any]) -> None:
        if self.down:
            raise ChimeraError("PROVIDER_TIMEOUT", "no answer")
        if token in self.unknown:
            raise ChimeraError("NOT_FOUND", "no such token")
        if token in self.answers:
            raise ChimeraError("CONFLICT", "answered")
        self.answers[token] = output


class Office:
    """One tenant's reviews."""

    def __init__(self, db: Database, tenant: str) -> None:
        self.db, self.tenant = db, tenant
        self.rows = PostgresReviews(db, tenant)
        self.workflows: Any = FakeWorkflows()

    def sql(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        with self.db.transaction(self.tenant) as tx:
            cursor = tx.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def content(self, content_hash: str = HASH, verdict: str = "review") -> str:
        content_id, task_id, trend_id = new_id(), new_id(), new_id()
        self.sql(
            "INSERT INTO trends (id, topic, title, volume, sentiment_score, rising_velocity, published_at,"
            " fetched_at) VALUES (%s, 'sea', 'sea', 1, 0, 0, now(), now())",
            trend_id,
        )
        self.sql("INSERT INTO tasks (id, type) VALUES (%s, 'generate_video')", task_id)
        self.sql(
            "INSERT INTO content_pipeline (id, task_id, trend_source_id, persona_id, stage, content_hash)"
            " VALUES (%s, %s, %s, %s, 'review', %s)",
            content_id,
            task_id,
            trend_id,
            persona_id(self.tenant),
            content_hash,
        )
        self.sql(
            "INSERT INTO safety_reports (id, content_id, content_hash, checks, confidence, verdict,"
            " policy_version) VALUES (%s, %s, %s, '[]', 0.5, %s, '1')",
            new_id(),
            content_id,
            content_hash,
            verdict,
        )
        return content_id

    def scope(self, content_id: str, **more: Any) -> dict[str, Any]:
        ids = {"tenant_id": self.tenant, "run_id": "r", "task_id": "t", "content_id": content_id}
        return {**ids, "content_hash": HASH, **more}

    def ask(self, content_id: str, token: str = "token-1", **more: Any) -> dict[str, Any]:
        event = r.RequestReview.model_validate(self.scope(content_id, task_token=token, reason="claims", **more))
        return r.request_review(event, self.rows, self.workflows)

    def decide(self, review_id: str, decision: str, expected: str = HASH, by: str = "ada") -> dict[str, Any]:
        event = r.Decide.model_validate(
            {"review_id": review_id, "decision": decision, "by": by, "note": "ok", "expected_hash": expected}
        )
        return r.decide(event, self.rows, self.workflows)


@pytest.fixture
def office(db: Database, tenant: str) -> Office:
    return Office(db, tenant)


def refused(code: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> ChimeraError:
    with pytest.raises(ChimeraError) as caught:
        call(*arguments, **named)
    assert caught.value.code == code, caught.value
    return caught.value


@pytest.mark.parametrize("decision", ["approved", "rejected"])
def test_a_decision_reaches_the_run_that_waits(office: Office, decision: str) -> None:
    asked = office.ask(content_id := office.content())
    assert (asked["status"], asked["subject_hash"], asked["reason"]) == ("pending", HASH, "claims")
    assert office.workflows.answers == {}
    decided = office.decide(asked["review_id"], decision)
    assert (decided["status"], decided["decided_by"], decided["note"]) == (decision, "ada", "ok")
    assert decided["delivered_at"]
    assert decided["content_id"] == content_id
    answer = office.workflows.answers["token-1"]
    assert (answer["decision"], answer["by"], answer["subject_hash"]) == (decision, "ada", HASH)
    actions = [row["action"] for row in office.sql("SELECT action FROM audit_logs ORDER BY created_at")]
    assert actions == ["review.requested", f"review.{decision}"]


def test_the_same_decision_again_is_the_same_answer_and_another_one_a_conflict(office: Office) -> None:
    asked = office.ask(office.content())
    first = office.decide(asked["review_id"], "approved")
    assert office.decide(asked["review_id"], "approved", by="grace") == first
    refused("CONFLICT", office.decide, asked["review_id"], "rejected")
    assert office.workflows.answers["token-1"]["decision"] == "approved"


def test_a_decision_about_another_version_is_a_conflict(office: Office) -> None:
    asked = office.ask(content_id := office.content())
    refused("CONFLICT", office.decide, asked["review_id"], "approved", OTHER)
    office.sql("UPDATE content_pipeline SET content_hash = %s WHERE id = %s", OTHER, content_id)
    refused("CONFLICT", office.decide, asked["review_id"], "approved", HASH)  # it was made anew since
    refused("CONFLICT", office.decide, asked["review_id"], "approved", OTHER)
    assert office.rows.get(asked["review_id"])["status"] == "pending"
    assert office.workflows.answers == {}


def test_each_version_has_its_own_review(office: Office) -> None:
    first = office.ask(content_id := office.content())
    second = office.ask(content_id, "token-2", content_hash=OTHER)
    assert first["review_id"] != second["review_id"]


def test_asking_again_is_the_same_review_and_the_newest_token_is_answered(office: Office) -> None:
    asked = office.ask(content_id := office.content())
    assert office.ask(content_id)["review_id"] == asked["review_id"]
    assert office.ask(content_id, "token-2")["review_id"] == asked["review_id"]
    office.decide(asked["review_id"], "approved")
    assert list(office.workflows.answers) == ["token-2"]


def test_a_run_that_asks_after_the_decision_hears_it_at_once(office: Office) -> None:
    asked = office.ask(content_id := office.content())
    office.decide(asked["review_id"], "rejected")
    again = office.ask(content_id, "token-2")
    assert again["status"] == "rejected"
    assert office.workflows.answers["token-2"]["decision"] == "rejected"


def test_a_crash_between_decision_and_answer_is_healed(office: Office) -> None:
    asked = office.ask(office.content())
    office.workflows.down = True
    decided = office.decide(asked["review_id"], "approved")
    assert (decided["status"], decided["delivered_at"]) == ("approved", None)
    assert r.deliver_pending(office.rows, office.workflows) == 0
    office.workflows.down = False
    assert r.deliver_pending(office.rows, office.workflows) == 1
    assert office.workflows.answers["token-1"]["decision"] == "approved"
    assert r.deliver_pending(office.rows, office.workflows) == 0


def test_a_crash_between_answer_and_note_is_healed(office: Office) -> None:
    asked = office.ask(office.content())
    office.decide(asked["review_id"], "approved")
    office.sql("UPDATE reviews SET delivered_at = NULL")  # died before it was noted
    assert r.deliver_pending(office.rows, office.workflows) == 1
    assert office.rows.undelivered() == []


def test_a_run_that_waits_no_more_does_not_block_the_others(office: Office) -> None:
    gone, waiting = office.ask(office.content()), office.ask(office.content(), "token-2")
    office.workflows.down = True
    office.decide(gone["review_id"], "approved")
    office.decide(waiting["review_id"], "rejected")
    office.workflows.down, office.workflows.unknown = False, {"token-1"}
    assert r.deliver_pending(office.rows, office.workflows) == 2
    assert list(office.workflows.answers) == ["token-2"]


def test_an_approval_in_advance_is_recorded_as_such(office: Office) -> None:
    content_id = office.content()
    event = r.ApproveInAdvance.model_validate(office.scope(content_id))
    answer = r.approve_in_advance(event, office.rows)
    assert (answer["decision"], answer["in_advance"]) == ("approved", True)
    assert r.approve_in_advance(event, office.rows) == answer
    assert office.ask(content_id)["status"] == "approved"
    assert office.workflows.answers["token-1"]["in_advance"] is True


def test_an_approval_in_advance_changes_no_rejection(office: Office) -> None:
    judged = r.ApproveInAdvance.model_validate(office.scope(office.content(verdict="reject")))
    refused("POLICY_VIOLATION", r.approve_in_advance, judged, office.rows)
    asked = office.ask(content_id := office.content())
    office.decide(asked["review_id"], "rejected")
    refused(
        "CONFLICT",
        r.approve_in_advance,
        r.ApproveInAdvance.model_validate(office.scope(content_id)),
        office.rows,
    )


def test_an_unanswered_review_expires_and_stays_so(office: Office) -> None:
    asked = office.ask(office.content())
    assert office.rows.expire(asked["review_id"])["status"] == "expired"
    assert office.rows.expire(asked["review_id"])["status"] == "expired"
    refused("CONFLICT", office.decide, asked["review_id"], "approved")
    assert office.rows.undelivered() == []
    decided = office.ask(office.content(), "token-2")
    office.decide(decided["review_id"], "approved")
    assert office.rows.expire(decided["review_id"])["status"] == "approved"


def test_an_escalated_spend_is_about_the_very_request(office: Office) -> None:
    request = {"request_id": new_id(), "request_cost": "12.50", "justification": "long video"}
    ids = {"tenant_id": office.tenant, "run_id": "r", "task_id": "t", "content_id": office.content()}
    event = r.RequestApproval.model_validate(
        {**ids, "request": request, "approval": {"reason": "risk 0.8"}, "task_token": "token-s"}
    )
    asked = r.request_approval(event, office.rows, office.workflows)
    assert (asked["kind"], asked["request_id"], asked["reason"]) == (
        "spend",
        request["request_id"],
        "risk 0.8",
    )
    assert asked["subject_hash"] == r.spend_hash(dict(reversed(request.items())))
    refused(
        "CONFLICT",
        office.decide,
        asked["review_id"],
        "approved",
        r.spend_hash({**request, "request_cost": "99"}),
    )
    office.decide(asked["review_id"], "approved", asked["subject_hash"])
    assert office.workflows.answers["token-s"]["kind"] == "spend"


def test_of_two_people_at_once_one_decides(office: Office, database_urls: Any) -> None:
    asked = office.ask(office.content())
    outcomes: list[str] = []

    def vote(decision: Any) -> None:
        own = Database(database_urls.app)
        try:
            rows = PostgresReviews(own, office.tenant)
            outcomes.append(rows.decide(asked["review_id"], decision, "someone", "", HASH)["status"])
        except ChimeraError as error:
            outcomes.append(error.code)
        finally:
            own.close()

    threads = [threading.Thread(target=vote, args=(d,)) for d in ("approved", "rejected") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) in (["CONFLICT", "CONFLICT", d, d] for d in ("approved", "rejected"))


def test_the_token_is_never_shown(office: Office) -> None:
    asked = office.ask(office.content(), "a-very-secret-token")
    shown = [asked, office.rows.get(asked["review_id"]), *office.rows.page(10, None)]
    assert "a-very-secret-token" not in repr(shown)
    assert "a-very-secret-token" not in repr(office.sql("SELECT * FROM audit_logs"))


def test_pages_are_newest_first_complete_and_filtered(office: Office) -> None:
    made = [office.ask(office.content(), f"token-{n}")["review_id"] for n in range(5)]
    seen: list[str] = []
    before = None
    while page := office.rows.page(2, before):
        seen += [str(row["id"]) for row in page]
        before = (page[-1]["created_at"].isoformat(), str(page[-1]["id"]))
    assert seen == made[::-1]
    office.decide(made[0], "approved")
    assert office.rows.pending_count() == 4
    assert [str(row["id"]) for row in office.rows.page(9, None, status="approved")] == made[:1]
    assert office.rows.page(9, None, kind="spend") == []


def test_another_tenant_sees_and_decides_nothing(office: Office, new_tenant: Callable[..., str]) -> None:
    asked = office.ask(office.content())
    stranger = PostgresReviews(office.db, new_tenant())
    refused("NOT_FOUND", stranger.get, asked["review_id"])
    refused("NOT_FOUND", stranger.decide, asked["review_id"], "approved", "eve", "", HASH)
    assert stranger.page(10, None) == []
    assert stranger.undelivered() == []


def test_bad_input_is_one_clear_error(office: Office) -> None:
    refused("NOT_FOUND", office.rows.get, "no id")
    refused("NOT_FOUND", office.decide, new_id(), "approved")
    refused("VALIDATION_FAILED", office.rows.request, "content", "no id", HASH, "", "token")
    refused("VALIDATION_FAILED", office.rows.request, "content", new_id(), "", "", "token")
    refused("VALIDATION_FAILED", office.rows.request, "content", new_id(), HASH, "", "")
    refused("VALIDATION_FAILED", office.rows.decide, new_id(), "maybe", "ada", "", HASH)
    with pytest.raises(ValidationError):
        office.decide(new_id(), "maybe")
