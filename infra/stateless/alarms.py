"""What wakes a person: nine alarms, each with a page in docs/runbooks that says what to do."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as cloudwatch_actions
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra import metrics
from infra.config import Config
from infra.stateless.api import Api
from infra.stateless.dashboard import counted
from infra.stateless.functions import Functions
from infra.stateless.machines import Machines
from infra.stateless.queues import Queues
from infra.stateless.schedules import PERIODIC, Schedules

RUNBOOKS = "docs/runbooks"
APPROVAL_SECONDS = 0.3
"""The CFO's response time target (p95)."""
BACKLOG = 100
"""Reviews that may wait before publishing pauses by itself."""

PRODUCING = ("research", "creation", "distribution")
"""Machines whose failures are somebody's work; the supervisor catches them, measuring goes on by itself."""


@dataclass(frozen=True)
class Page:
    """An alarm: its name is its runbook's, `says` what is wrong, above `threshold` in so many periods of five minutes."""

    name: str
    says: str
    metric: cloudwatch.IMetric
    threshold: float
    periods: int = 1


class Alarms(Construct):
    """`topic` tells people; `pages` are the alarms."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        config: Config,
        api: Api,
        functions: Functions,
        machines: Machines,
        queues: Queues,
        schedules: Schedules,
    ) -> None:
        super().__init__(scope, id)
        self._config = config
        self.topic = sns.Topic(self, "topic", topic_name=f"{config.name}-alarms", enforce_ssl=True)
        if config.alarm_email:
            self.topic.add_subscription(subscriptions.EmailSubscription(config.alarm_email))
        self.pages = (
            Page("ledger-problem", "The ledger does not verify, or the books do not fit it",
                 counted(config, metrics.LEDGER_PROBLEMS, "Maximum"), 0),
            Page("post-unknown", "A post may be out or not; a person is asked",
                 counted(config, metrics.PUBLICATIONS, "Sum", status="unknown"), 0),
            Page("posts-failing", "Several posts failed",
                 counted(config, metrics.PUBLICATIONS, "Sum", status="failed"), 2, periods=3),
            Page("budget-nearly-spent", "More than 90 % of today's budget is spent", self._spent(), 90),
            Page("approval-slow", "The CFO answers slower than 0.3 s (p95)",
                 counted(config, metrics.APPROVAL_LATENCY, "p95"), APPROVAL_SECONDS, periods=3),
            Page("review-backlog", "More reviews wait than people can do; publishing pauses by itself",
                 counted(config, metrics.REVIEW_BACKLOG, "Maximum"), BACKLOG),
            Page("runs-failing", "Productions fail", self._failed(machines), 2, periods=3),
            Page("dead-letters", "A message or a schedule could not be delivered", self._dead(queues, schedules), 0),
            Page("api-failing", "The API answers with its own errors",
                 api.http.metric_server_error(statistic="Sum", period=Duration.minutes(5)), 5),
            Page("housekeeping-failing", "Sealing, recovery or the budgets' read model fails",
                 self._housekeeping(functions), 2, periods=3),
        )  # fmt: skip
        for page in self.pages:
            alarm = cloudwatch.Alarm(
                self,
                page.name,
                alarm_name=f"{config.name}-{page.name}",
                alarm_description=f"{page.says}. What to do: {RUNBOOKS}/{page.name}.md",
                metric=page.metric,
                threshold=page.threshold,
                evaluation_periods=page.periods,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
            alarm.add_alarm_action(cloudwatch_actions.SnsAction(self.topic))
            alarm.add_ok_action(cloudwatch_actions.SnsAction(self.topic))
        if config.alarm_email:
            self._bill(config.alarm_email)

    def _spent(self) -> cloudwatch.MathExpression:
        spent = counted(self._config, metrics.BUDGET_SPENT, "Maximum", period="daily", category="total")
        limit = counted(self._config, metrics.BUDGET_LIMIT, "Maximum", period="daily", category="total")
        return cloudwatch.MathExpression(
            expression="100 * spent / limit", using_metrics={"spent": spent, "limit": limit}, label="% of today"
        )

    def _failed(self, machines: Machines) -> cloudwatch.MathExpression:
        failed = {
            f"m{number}": machine.metric_failed(statistic="Sum", period=Duration.minutes(5))
            for number, machine in enumerate(machines.by_name[name] for name in PRODUCING)
        }
        return _sum(failed, "failed executions")

    def _dead(self, queues: Queues, schedules: Schedules) -> cloudwatch.MathExpression:
        waiting = {
            f"q{number}": queue.metric_approximate_number_of_messages_visible(
                statistic="Maximum", period=Duration.minutes(5)
            )
            for number, queue in enumerate([*queues.dead.values(), schedules.dead])
        }
        return _sum(waiting, "undelivered")

    def _housekeeping(self, functions: Functions) -> cloudwatch.MathExpression:
        names = [periodic.function for periodic in PERIODIC if periodic.function in functions.by_name]
        errors = {
            f"f{number}": functions.by_name[name].metric_errors(statistic="Sum", period=Duration.minutes(5))
            for number, name in enumerate(names)
        }
        return _sum(errors, "errors")

    def _bill(self, email: str) -> None:
        """AWS's own bill: told at 80 % of the mark, and when the month's forecast passes it."""
        subscriber = budgets.CfnBudget.SubscriberProperty(subscription_type="EMAIL", address=email)
        budgets.CfnBudget(
            self,
            "aws-bill",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=f"{self._config.name}-aws-bill",
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=float(self._config.aws_budget_usd), unit="USD"),
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        comparison_operator="GREATER_THAN",
                        notification_type=kind,
                        threshold=threshold,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[subscriber],
                )
                for kind, threshold in (("ACTUAL", 80), ("FORECASTED", 100))
            ],
        )


def _sum(parts: dict[str, cloudwatch.Metric], label: str) -> cloudwatch.MathExpression:
    return cloudwatch.MathExpression(
        expression=" + ".join(f"FILL({name}, 0)" for name in parts),
        using_metrics=dict(parts),
        label=label,
        period=Duration.minutes(5),
    )
