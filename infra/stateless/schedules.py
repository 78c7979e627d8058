"""What happens by the clock: scans, recovery, seals, the budgets' read model, measurements that are due.

Frugal: these wake the database, which then costs money for five minutes. So they run when a machine has just ended (the
database is awake then) and otherwise twice a day. Production: every minute, because its database never sleeps.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as events_targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.config import Config
from infra.names import machine_arn
from infra.stateless.functions import Functions
from infra.stateless.queues import Queues, scan_message


@dataclass(frozen=True)
class Periodic:
    """A function by the clock: its rates in the two profiles, and whether the end of a machine calls it too."""

    function: str
    frugal: str
    production: str
    after_runs: bool


PERIODIC = (
    Periodic("recover", "rate(12 hours)", "rate(1 minute)", after_runs=True),
    Periodic("seal", "rate(12 hours)", "rate(1 minute)", after_runs=True),
    Periodic("project_budgets", "rate(12 hours)", "rate(1 minute)", after_runs=True),
    Periodic("start_measuring", "rate(12 hours)", "rate(15 minutes)", after_runs=False),
)
ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")
AFTER = ("creation", "distribution", "supervisor")


class Schedules(Construct):
    """`group` of all schedules and `dead`: what a schedule could not deliver."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        config: Config,
        functions: Functions,
        queues: Queues,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, id)
        self._config, self._functions, self._key = config, functions, key
        self.group = scheduler.CfnScheduleGroup(self, "group", name=config.name)
        self.dead = sqs.Queue(
            self,
            "dead",
            queue_name=f"{config.name}-schedules-dead",
            enforce_ssl=True,
            encryption=sqs.QueueEncryption.KMS if key else sqs.QueueEncryption.SQS_MANAGED,
            encryption_master_key=key,
            retention_period=Duration.days(14),
            removal_policy=RemovalPolicy.DESTROY,
        )
        acknowledge(self.dead, "it is the schedules' dead-letter queue itself", "AwsSolutions-SQS3")
        there = [periodic for periodic in PERIODIC if periodic.function in functions.live]
        called = [functions.live[periodic.function].function_arn for periodic in there]
        scans = queues.by_priority["normal"]
        self._role = self._make_role(called, scans)
        event = json.dumps({"tenant_id": config.tenant})
        for periodic in there:
            self._schedule(
                periodic.function,
                periodic.production if config.production else periodic.frugal,
                functions.live[periodic.function].function_arn,
                event,
            )
        self._schedule(
            "scan",
            config.scan_schedule,
            scans.queue_arn,
            scan_message(config.tenant),
            enabled=config.scans,
            sqs_group=config.tenant,
        )
        if not config.production:
            self._after_runs([periodic.function for periodic in there if periodic.after_runs], event)

    def _make_role(self, called: list[str], scans: sqs.Queue) -> iam.Role:
        statements = [
            iam.PolicyStatement(
                sid="Send", actions=["sqs:SendMessage"], resources=[scans.queue_arn, self.dead.queue_arn]
            )
        ]
        if called:
            statements.append(iam.PolicyStatement(sid="Invoke", actions=["lambda:InvokeFunction"], resources=called))
        if self._key:
            statements.append(
                iam.PolicyStatement(
                    sid="DataKey", actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[self._key.key_arn]
                )
            )
        return iam.Role(
            self,
            "role",
            assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com"),
            inline_policies={"own": iam.PolicyDocument(statements=statements)},
        )

    def _schedule(
        self, name: str, expression: str, target: str, text: str, *, enabled: bool = True, sqs_group: str = ""
    ) -> None:
        parameters = scheduler.CfnSchedule.SqsParametersProperty(message_group_id=sqs_group) if sqs_group else None
        made = scheduler.CfnSchedule(
            self,
            name,
            name=f"{self._config.name}-{name}",
            group_name=self.group.name,
            schedule_expression=expression,
            schedule_expression_timezone="UTC",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            state="ENABLED" if enabled else "DISABLED",
            target=scheduler.CfnSchedule.TargetProperty(
                arn=target,
                role_arn=self._role.role_arn,
                input=text,
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=self.dead.queue_arn),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_retry_attempts=3, maximum_event_age_in_seconds=900
                ),
                sqs_parameters=parameters,
            ),
        )
        made.add_resource_dependency(self.group)

    def _after_runs(self, names: list[str], event: str) -> None:
        if not names:
            return
        rule = events.Rule(
            self,
            "after-runs",
            rule_name=f"{self._config.name}-after-runs",
            description="A machine has ended, so the database is awake: seal, recover, project",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={
                    "stateMachineArn": [machine_arn(self, self._config, machine) for machine in AFTER],
                    "status": list(ENDED),
                },
            ),
        )
        for name in names:
            rule.add_target(
                events_targets.LambdaFunction(
                    self._functions.live[name],
                    event=events.RuleTargetInput.from_object(json.loads(event)),
                    retry_attempts=2,
                    dead_letter_queue=self.dead,
                )
            )
