"""How a run ends is what really happened to its content, not the absence of bad news."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from chimera.errors import ChimeraError
from chimera.usecases.supervisor import FinishRun, finish_run


class Runs:
    def __init__(self, **options: Any) -> None:
        self.options = options
        self.status = ""
        self.summary: dict[str, Any] = {}

    def get(self, run_id: str) -> dict[str, Any]:
        return {"id": run_id, "options": self.options}

    def set_status(self, run_id: str, status: str, **summary: Any) -> None:
        self.status, self.summary = status, summary


class Content:
    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = rows

    def of_run(self, run_id: str) -> list[dict[str, Any]]:
        return list(self.rows)


class Publications:
    def __init__(self, *statuses: str) -> None:
        self.statuses = statuses

    def of_content(self, content_id: str) -> list[dict[str, Any]]:
        return [{"status": status} for status in self.statuses]


def refused(code: str) -> dict[str, Any]:
    cause = json.dumps({"errorType": "X", "errorMessage": str(ChimeraError(code, "the channel is not connected"))})
    return {"error": "States.TaskFailed", "cause": json.dumps({"Error": "X", "Cause": cause})}


def end(runs: Runs, content: Content, *published: str, items: list[Any] | None = None) -> str:
    event = FinishRun(tenant_id="t", run_id="r", items=items or [])
    answer = finish_run(event, cast(Any, runs), cast(Any, content), cast(Any, Publications(*published)))
    assert answer["status"] == runs.status
    return runs.status


READY = {"id": "c", "stage": "ready", "metadata": {}}


@pytest.mark.parametrize(
    ("row", "published", "options", "expected"),
    [
        (READY, ("published",), {}, "published"),
        (READY, ("failed",), {}, "failed"),
        (READY, ("unknown",), {}, "failed"),
        (READY, (), {}, "failed"),
        (READY, (), {"stop_at": "judge"}, "stopped"),
        ({**READY, "stage": "failed"}, (), {}, "failed"),
        ({**READY, "stage": "failed", "metadata": {"rejected": True}}, (), {}, "rejected"),
    ],
)
def test_the_status_is_that_of_the_content(
    row: dict[str, Any], published: tuple[str, ...], options: dict[str, Any], expected: str
) -> None:
    assert end(Runs(**options), Content(row), *published) == expected


def test_a_refusal_before_the_post_is_a_failure_that_says_why() -> None:
    runs = Runs()
    assert end(runs, Content(READY), items=[{"publications": [refused("FORBIDDEN")]}]) == "failed"
    assert runs.summary["error"]["code"] == "FORBIDDEN"


def test_a_task_that_never_became_content_is_a_failure_not_nothing_to_make() -> None:
    runs = Runs()
    assert end(runs, Content(), items=[refused("NOT_FOUND")]) == "failed"
    assert "not connected" in runs.summary["error"]["message"]


def test_what_broke_while_it_was_opened_is_a_failure_although_a_stop_was_asked_for() -> None:
    opened = {**READY, "stage": "brief"}
    runs = Runs(stop_at="judge")
    assert end(runs, Content(opened), items=[refused("INTERNAL")]) == "failed"
    assert runs.summary["error"]["code"] == "INTERNAL"
    rejected = {**READY, "stage": "failed", "metadata": {"rejected": True}}
    assert end(Runs(stop_at="judge"), Content(rejected), items=[refused("POLICY_VIOLATION")]) == "rejected"


def test_nothing_planned_is_a_rejection() -> None:
    runs = Runs()
    assert end(runs, Content()) == "rejected"
    assert "no trend" in runs.summary["error"]["message"]
