"""Metrics carry the specification's names, closed labels and CloudWatch's embedded format; the stacks read the same names."""

from __future__ import annotations

import json

import pytest

from chimera.bootstrap import App
from chimera.domain.models import Model
from chimera.entrypoints import function
from chimera.errors import ChimeraError
from chimera.metrics import METRICS, MOST_NOTED, flush, measure, take
from chimera.settings import get_settings


@pytest.fixture(autouse=True)
def nothing_noted() -> None:
    take()


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_measurement_is_one_line_of_the_embedded_format(capsys: pytest.CaptureFixture[str]) -> None:
    measure("agent_tasks_total", role="cfo", status="completed")
    measure("budget_limit", 1000.5, period="daily", category="total")
    measure("approval_latency_seconds", 0.25)
    assert flush("Chimera/test") == 3
    first, second, third = lines(capsys.readouterr().out)
    assert first["role"] == "cfo"
    described = first["_aws"]["CloudWatchMetrics"][0]  # type: ignore[index]
    assert described["Namespace"] == "Chimera/test"
    assert described["Dimensions"] == [["role", "status"]]
    assert described["Metrics"] == [{"Name": "agent_tasks_total", "Unit": "Count"}]
    assert second["budget_limit"] == [1000.5]
    assert third["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [[]]  # type: ignore[index]
    assert flush("Chimera/test") == 0


def test_without_a_namespace_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    measure("approval_latency_seconds", 1)
    assert flush("") == 0
    assert capsys.readouterr().out == ""
    assert take() == ()


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("agent_tasks_total", {"role": "cfo"}),
        ("agent_tasks_total", {"role": "cfo", "status": "completed", "content_id": "x"}),
        ("no_such_metric", {}),
    ],
)
def test_an_unknown_name_or_label_is_refused(name: str, labels: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="not one of METRICS"):
        measure(name, **labels)


def test_the_dashboard_reads_the_names_that_are_written() -> None:
    from infra import metrics as read

    assert {one.name: (one.dimensions, one.unit) for one in read.ALL} == METRICS


class Event(Model):
    """What the handlers below take."""

    fails: bool


@pytest.mark.parametrize("fails", [False, True])
def test_every_invocation_is_counted_and_timed(
    fails: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHIMERA_METRICS_NAMESPACE", "Chimera/test")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "approve")
    get_settings.cache_clear()
    try:

        def use(event: Event, app: App) -> dict[str, bool]:
            if event.fails:
                raise ChimeraError("CONFLICT", "as asked")
            return {"done": True}

        use.__module__ = "functions.approve.handler"
        handler = function(Event)(use)
        if fails:
            with pytest.raises(ChimeraError):
                handler({"fails": True}, None)
        else:
            assert handler({"fails": False}, None) == {"done": True}
    finally:
        get_settings.cache_clear()
    counted, timed = lines(capsys.readouterr().out)
    assert (counted["role"], counted["status"]) == ("cfo", "failed" if fails else "completed")
    assert timed["agent_response_time_seconds"][0] >= 0  # type: ignore[index]


def test_every_line_of_a_run_s_functions_carries_one_trace_id(capsys: pytest.CaptureFixture[str]) -> None:
    run = "01a1fe6c-33cb-7cd5-bc25-c9563ab17143"

    def use(event: Event, app: App) -> dict[str, bool]:
        return {"done": True}

    use.__module__ = "functions.grant.handler"

    class Carrier(Event):
        run_id: str = ""

    handler = function(Carrier)(use)
    handler({"fails": False, "run_id": run}, None)
    (line,) = [one for one in lines(capsys.readouterr().err) if one.get("message") == "done"]
    assert line["trace_id"] == run.replace("-", "")
    assert line["run_id"] == run


def test_a_process_that_never_writes_keeps_only_the_newest() -> None:
    for number in range(MOST_NOTED + 500):
        measure("review_backlog", number)
    kept = take()
    assert len(kept) <= MOST_NOTED + 1
    assert kept[-1].value == MOST_NOTED + 499
