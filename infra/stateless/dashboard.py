"""One dashboard: queues, stages, spend against limits, approvals, verdicts, posts, reviews, functions, machines."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra import metrics
from infra.config import Config
from infra.stateless.machines import Machines
from infra.stateless.queues import Queues
from infra.stateless.schedules import Schedules

FIVE_MINUTES = Duration.minutes(5)


def counted(config: Config, measured: metrics.Measured, statistic: str, **dimensions: str) -> cloudwatch.Metric:
    """A metric of ours with its dimensions, over five minutes."""
    if set(dimensions) != set(measured.dimensions):
        raise ValueError(f"{measured.name}: got {sorted(dimensions)}, expected {sorted(measured.dimensions)}")
    return cloudwatch.Metric(
        namespace=metrics.namespace(config.name),
        metric_name=measured.name,
        dimensions_map=dict(dimensions),
        statistic=statistic,
        period=FIVE_MINUTES,
        label=" ".join(dimensions.values()) or measured.name,
    )


class Dashboard(Construct):
    """`body` has a row for each question that an operator asks."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        config: Config,
        machines: Machines,
        queues: Queues,
        schedules: Schedules,
    ) -> None:
        super().__init__(scope, id)
        depth = [queue.metric_approximate_number_of_messages_visible(label=name, period=FIVE_MINUTES)
                 for name, queue in queues.by_priority.items()]  # fmt: skip
        dead = [queue.metric_approximate_number_of_messages_visible(label=f"{name} dead", period=FIVE_MINUTES)
                for name, queue in {**queues.dead, "schedules": schedules.dead}.items()]  # fmt: skip
        ended = [
            metric
            for name, machine in machines.by_name.items()
            for metric in (
                machine.metric_succeeded(label=f"{name} succeeded", period=FIVE_MINUTES),
                machine.metric_failed(label=f"{name} failed", period=FIVE_MINUTES),
            )
        ]
        self.dashboard = cloudwatch.Dashboard(
            self,
            "dashboard",
            dashboard_name=config.name,
            default_interval=Duration.hours(24),
            widgets=[
                [
                    _graph("Waiting runs (queue depth)", depth),
                    _graph("Could not be started", dead),
                    _graph("Runs and their swarms", ended),
                ],
                [
                    _graph("Stage durations, p95 s", [
                        counted(config, metrics.STAGE_DURATION, "p95", stage=stage) for stage in metrics.STAGES]),
                    _graph("Video production, p95 s", [
                        counted(config, metrics.PRODUCTION_DURATION, "p95", resolution=resolution)
                        for resolution in ("720p", "1080p", "4k")]),
                    _graph("Agents' answers, p95 s", [
                        counted(config, metrics.RESPONSE_TIME, "p95", role=role) for role in metrics.ROLES]),
                ],
                [
                    _graph("Spent against limits, USD", [
                        *(counted(config, metrics.BUDGET_SPENT, "Maximum", period=period, category="total")
                          for period in metrics.PERIODS),
                        *(_named(counted(config, metrics.BUDGET_LIMIT, "Maximum", period=period, category="total"),
                                 f"{period} limit") for period in metrics.PERIODS)]),
                    _graph("Today by category, USD", [
                        counted(config, metrics.BUDGET_SPENT, "Maximum", period="daily", category=category)
                        for category in metrics.CATEGORIES]),
                    _graph("CFO: approval latency p95 s", [counted(config, metrics.APPROVAL_LATENCY, "p95")]),
                ],
                [
                    _graph("CFO: decisions", [
                        counted(config, metrics.LEDGER_TRANSACTIONS, "Sum", approved=approved)
                        for approved in ("true", "false")]),
                    _graph("Judge: verdicts", [
                        counted(config, metrics.JUDGE_VERDICTS, "Sum", verdict=verdict)
                        for verdict in ("pass", "review", "reject")]),
                    _graph("Posts", [
                        counted(config, metrics.PUBLICATIONS, "Sum", status=status)
                        for status in ("published", "failed", "unknown")]),
                ],
                [
                    _graph("Reviews that wait", [counted(config, metrics.REVIEW_BACKLOG, "Maximum")]),
                    _graph("Ledger: problems found", [counted(config, metrics.LEDGER_PROBLEMS, "Maximum")]),
                    _graph("Agents' tasks", [
                        counted(config, metrics.TASKS, "Sum", role=role, status=status)
                        for role in metrics.ROLES for status in ("completed", "failed")]),
                ],
            ],
        )  # fmt: skip


def _graph(title: str, left: list[cloudwatch.Metric]) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=left, width=8, height=6)


def _named(metric: cloudwatch.Metric, label: str) -> cloudwatch.Metric:
    return metric.with_(label=label)
