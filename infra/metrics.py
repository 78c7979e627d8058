"""Names of what the functions count (EMF), as the dashboard and the alarms read them.

Namespace `Chimera/NAME`; names and labels are those of the technical specification's section on metrics, as
CloudWatch metrics and dimensions, plus the few that the dashboard needs beside them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """A metric: its name, its dimensions' names, and its CloudWatch unit."""

    name: str
    dimensions: tuple[str, ...]
    unit: str


TASKS = Measured("agent_tasks_total", ("role", "status"), "Count")
RESPONSE_TIME = Measured("agent_response_time_seconds", ("role",), "Seconds")
BUDGET_SPENT = Measured("budget_spent_total", ("period", "category"), "None")
BUDGET_LIMIT = Measured("budget_limit", ("period", "category"), "None")
STAGE_DURATION = Measured("content_pipeline_stage_duration_seconds", ("stage",), "Seconds")
LEDGER_TRANSACTIONS = Measured("ledger_transactions_total", ("approved",), "Count")
PRODUCTION_DURATION = Measured("video_production_duration_seconds", ("resolution",), "Seconds")
APPROVAL_LATENCY = Measured("approval_latency_seconds", (), "Seconds")
JUDGE_VERDICTS = Measured("judge_verdicts_total", ("verdict",), "Count")
PUBLICATIONS = Measured("publications_total", ("status",), "Count")
REVIEW_BACKLOG = Measured("review_backlog", (), "Count")
LEDGER_PROBLEMS = Measured("ledger_problems", (), "Count")

ALL = (
    TASKS, RESPONSE_TIME, BUDGET_SPENT, BUDGET_LIMIT, STAGE_DURATION, LEDGER_TRANSACTIONS, PRODUCTION_DURATION,
    APPROVAL_LATENCY, JUDGE_VERDICTS, PUBLICATIONS, REVIEW_BACKLOG, LEDGER_PROBLEMS,
)  # fmt: skip

ROLES = ("supervisor", "scout", "planner", "director", "cfo", "artist", "judge", "publisher", "analyst")
STAGES = ("draft", "generating", "review", "ready", "published")
PERIODS = ("daily", "weekly", "monthly")
CATEGORIES = ("total", "api_call", "compute", "storage")


def namespace(name: str) -> str:
    """The namespace of a deployment: two of them in one account do not mix."""
    return f"Chimera/{name}"
