"""The stacks' own custom resources: a Python function from `infra/resources/`, run by CDK's provider framework."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import Aws, CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import custom_resources as cr
from constructs import Construct

from infra.acknowledge import acknowledge, acknowledge_managed_policy, acknowledge_wildcards, wildcards

OLD_RUNTIME = "AwsSolutions-L1"
RESOURCES = Path(__file__).resolve().parent / "resources"


def own_function(
    scope: Construct,
    id: str,
    *,
    folder: str,
    handler: str,
    statements: list[iam.PolicyStatement],
    seconds: int = 60,
    environment: dict[str, str] | None = None,
) -> lambda_.Function:
    """A function of the stack itself, arm64, with its own log group and no more than `statements`."""
    group = logs.LogGroup(
        scope, f"{id}-logs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
    )
    role = iam.Role(
        scope,
        f"{id}-role",
        assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        inline_policies={
            "own": iam.PolicyDocument(
                statements=[
                    iam.PolicyStatement(
                        actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[group.log_group_arn]
                    ),
                    *statements,
                ]
            )
        },
    )
    if found := wildcards(statements):
        acknowledge_wildcards(
            role, f"{folder}: names that AWS chooses or completes; the fixed part is ours alone", *found
        )
    function = lambda_.Function(
        scope,
        id,
        runtime=lambda_.Runtime.PYTHON_3_13,
        architecture=lambda_.Architecture.ARM_64,
        code=lambda_.Code.from_asset(str(RESOURCES / folder), exclude=["__pycache__", "*.pyc"]),
        handler=f"handler.{handler}",
        timeout=Duration.seconds(seconds),
        memory_size=256,
        role=role.without_policy_updates(),
        log_group=group,
        environment=environment,
    )
    acknowledge(
        function, "every function of the deployment runs on the Python that the layers' locks are for", OLD_RUNTIME
    )
    return function


class OwnResource(Construct):
    """A custom resource; with `is_complete` it is asked again every 15 s until it says so, for at most an hour."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        resource_type: str,
        properties: dict[str, object],
        on_event: lambda_.IFunction,
        is_complete: lambda_.IFunction | None = None,
        minutes: int = 60,
        removal_policy: RemovalPolicy = RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, id)
        waits = is_complete is not None
        provider = cr.Provider(
            self,
            "provider",
            on_event_handler=on_event,
            is_complete_handler=is_complete,
            query_interval=Duration.seconds(15) if waits else None,
            total_timeout=Duration.minutes(minutes) if waits else None,
            log_group=logs.LogGroup(
                self, "logs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
            ),
        )
        self._acknowledge(provider, [on_event, *([is_complete] if is_complete else [])])
        self.resource = CustomResource(
            self,
            "resource",
            service_token=provider.service_token,
            resource_type=f"Custom::{resource_type}",
            properties=properties,
            removal_policy=removal_policy,
        )

    def _acknowledge(self, provider: cr.Provider, given: list[lambda_.IFunction]) -> None:
        reason = (
            "CDK's provider framework: its own code, whose policies call every version of the function it was given"
        )
        inner = [
            child
            for name in ("framework-isComplete", "framework-onTimeout")
            if isinstance(child := provider.node.try_find_child(name), lambda_.Function)
        ]
        acknowledge(provider, reason, OLD_RUNTIME, "AwsSolutions-SF1", "AwsSolutions-SF2")
        acknowledge_managed_policy(provider, reason, "service-role/AWSLambdaBasicExecutionRole")
        acknowledge_wildcards(provider, reason, *[f"{function.function_arn}:*" for function in (*given, *inner)])

    def text(self, attribute: str) -> str:
        """An attribute that the function answered."""
        return self.resource.get_att_string(attribute)


def arn_of(scope: Construct, service: str, resource: str) -> str:
    """`arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE` of the stack."""
    stack = Stack.of(scope)
    return f"arn:{Aws.PARTITION}:{service}:{stack.region}:{stack.account}:{resource}"
