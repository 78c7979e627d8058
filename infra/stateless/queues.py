"""Three queues by priority, each through a pipe into the supervisor; what cannot be started is kept for a look.

A message is `{"tenant_id": …, "options": {…}}`; its run gets the message's id, so a message that is delivered twice is
the same run. Priority says how soon a run begins: `high` at once, `normal` and `low` after a delay in which a higher one
that arrives later still goes first.
"""

from __future__ import annotations

import json

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_pipes as pipes
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.config import Config

DELAYS = {"high": 0, "normal": 10, "low": 60}
"""Seconds that a message waits, by priority."""

INPUT = '{"tenant_id": "<$.body.tenant_id>", "run_id": "<$.messageId>", "options": <$.body.options>}'
"""Text in quotes, an object bare: the rule of Pipes' templates."""


class Queues(Construct):
    """`by_priority`, and `dead`: the dead-letter queue of each."""

    def __init__(
        self, scope: Construct, id: str, *, config: Config, supervisor: sfn.StateMachine, key: kms.IKey | None
    ) -> None:
        super().__init__(scope, id)
        self._config, self._key = config, key
        self.by_priority: dict[str, sqs.Queue] = {}
        self.dead: dict[str, sqs.Queue] = {}
        for priority, delay in DELAYS.items():
            self.dead[priority] = self._queue(f"{priority}-dead", retention_period=Duration.days(14))
            queue = self._queue(
                priority,
                # FIFO: the same message sent twice within five minutes is one
                content_based_deduplication=True,
                delivery_delay=Duration.seconds(delay),
                visibility_timeout=Duration.seconds(60),
                retention_period=Duration.days(4),
                dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead[priority], max_receive_count=3),
            )
            self.by_priority[priority] = queue
            self._pipe(priority, queue, supervisor)

    def _queue(self, name: str, **more: object) -> sqs.Queue:
        return sqs.Queue(
            self,
            name,
            queue_name=f"{self._config.name}-{name}.fifo",
            fifo=True,
            enforce_ssl=True,
            encryption=sqs.QueueEncryption.KMS if self._key else sqs.QueueEncryption.SQS_MANAGED,
            encryption_master_key=self._key,
            **more,  # type: ignore[arg-type]
        )

    def _pipe(self, priority: str, queue: sqs.Queue, supervisor: sfn.StateMachine) -> None:
        statements = [
            iam.PolicyStatement(
                sid="Take",
                actions=["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
                resources=[queue.queue_arn],
            ),
            iam.PolicyStatement(
                sid="Start", actions=["states:StartExecution"], resources=[supervisor.state_machine_arn]
            ),
        ]
        if self._key:
            statements.append(
                iam.PolicyStatement(sid="DataKey", actions=["kms:Decrypt"], resources=[self._key.key_arn])
            )
        role = iam.Role(
            self,
            f"{priority}-pipe-role",
            assumed_by=iam.ServicePrincipal("pipes.amazonaws.com"),
            inline_policies={"own": iam.PolicyDocument(statements=statements)},
        )
        pipes.CfnPipe(
            self,
            f"{priority}-pipe",
            name=f"{self._config.name}-{priority}",
            description=f"Messages of priority {priority} become runs",
            role_arn=role.role_arn,
            source=queue.queue_arn,
            source_parameters=pipes.CfnPipe.PipeSourceParametersProperty(
                sqs_queue_parameters=pipes.CfnPipe.PipeSourceSqsQueueParametersProperty(batch_size=1)
            ),
            target=supervisor.state_machine_arn,
            target_parameters=pipes.CfnPipe.PipeTargetParametersProperty(
                input_template=INPUT,
                step_function_state_machine_parameters=pipes.CfnPipe.PipeTargetStateMachineParametersProperty(
                    invocation_type="FIRE_AND_FORGET"
                ),
            ),
        )


def scan_message(tenant: str) -> str:
    """The message of a scheduled run; the time in it keeps two of them from being taken for one."""
    return json.dumps({"tenant_id": tenant, "options": {}, "scheduled": "<aws.scheduler.scheduled-time>"})
