"""What is counted and timed, under the technical specification's names; written as CloudWatch's embedded metric format.

`measure(...)` only notes a number; the handler's wrapper writes all of them at the end of an invocation, one EMF line a
label set on stdout, so that a metric costs no call and no permission. Labels are few and closed: no ids, no text.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """One number with its labels; `unit` is CloudWatch's name of it."""

    name: str
    value: float
    unit: str
    labels: tuple[tuple[str, str], ...] = ()


METRICS: dict[str, tuple[tuple[str, ...], str]] = {
    "agent_tasks_total": (("role", "status"), "Count"),
    "agent_response_time_seconds": (("role",), "Seconds"),
    "budget_spent_total": (("period", "category"), "None"),
    "budget_limit": (("period", "category"), "None"),
    "content_pipeline_stage_duration_seconds": (("stage",), "Seconds"),
    "ledger_transactions_total": (("approved",), "Count"),
    "video_production_duration_seconds": (("resolution",), "Seconds"),
    "approval_latency_seconds": ((), "Seconds"),
    "judge_verdicts_total": (("verdict",), "Count"),
    "publications_total": (("status",), "Count"),
    "review_backlog": ((), "Count"),
    "ledger_problems": ((), "Count"),
}
"""Name -> labels and unit. USD amounts have CloudWatch's unit `None`."""

MOST_NOTED = 1000
"""A process that never writes (the command line, a test) keeps no more than about this many."""
_noted: ContextVar[tuple[Measurement, ...]] = ContextVar("noted", default=())


def measure(name: str, value: float = 1, **labels: str) -> None:
    """Note a number under a name of METRICS with exactly its labels; anything else is a `ValueError`."""
    if name not in METRICS or tuple(sorted(labels)) != tuple(sorted(METRICS[name][0])):
        raise ValueError(f"metric {name}({', '.join(sorted(labels))}) is not one of METRICS")
    made = Measurement(name, value, METRICS[name][1], tuple((key, labels[key]) for key in METRICS[name][0]))
    _noted.set((*_noted.get()[-MOST_NOTED:], made))


def take() -> tuple[Measurement, ...]:
    """What was noted since the last time."""
    found = _noted.get()
    _noted.set(())
    return found


def flush(namespace: str) -> int:
    """Write what was noted as EMF on stdout; gives how many. Without a namespace nothing is written."""
    found = take()
    if not namespace or not found:
        return 0
    from aws_lambda_powertools.metrics import MetricUnit, single_metric

    for one in found:
        with single_metric(name=one.name, unit=MetricUnit(one.unit), value=one.value, namespace=namespace) as metric:
            for key, value in one.labels:
                metric.add_dimension(name=key, value=value)
    return len(found)
