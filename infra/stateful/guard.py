"""Takes the deployment's name before anything else is made; a second deployment of that name ends here."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.config import Config
from infra.provider import OwnResource, arn_of, own_function


class DeploymentGuard(Construct):
    """A custom resource that refuses a taken name and a missing secret, each with a sentence."""

    def __init__(self, scope: Construct, id: str, *, config: Config) -> None:
        super().__init__(scope, id)
        named = {
            provider: config.secret_name(provider)
            for provider, given in sorted(config.secrets.items())
            if given != "create"
        }
        statements = [
            iam.PolicyStatement(
                actions=["ssm:GetParameter", "ssm:PutParameter", "ssm:DeleteParameter"],
                resources=[arn_of(self, "ssm", f"parameter/chimera/{config.name}/deployment")],
            )
        ]
        if named:
            statements.append(
                iam.PolicyStatement(
                    actions=["secretsmanager:DescribeSecret"],
                    resources=[arn_of(self, "secretsmanager", f"secret:{name}-??????") for name in named.values()],
                )
            )
        take = own_function(self, "take", folder="deployment_guard", handler="on_event", statements=statements)
        self.resource = OwnResource(
            self,
            "name",
            resource_type="DeploymentGuard",
            on_event=take,
            properties={
                "Name": config.name,
                "Owner": config.owner,
                "Profile": config.profile,
                "Stack": Stack.of(self).stack_name,
                "Secrets": named,
            },
        )
