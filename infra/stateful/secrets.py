"""The secrets of providers and platforms: named by the operator, or made empty by the stack to be filled in."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.config import Config


class Secrets(Construct):
    """`arns`: provider -> what a policy names; no value ever passes through a template."""

    def __init__(self, scope: Construct, id: str, *, config: Config, key: kms.IKey | None) -> None:
        super().__init__(scope, id)
        self.arns: dict[str, str] = {}
        for provider, given in sorted(config.secrets.items()):
            name = config.secret_name(provider)
            if given != "create":
                # the six characters that Secrets Manager adds are known to nobody before: `-??????` is the exact form
                imported = secretsmanager.Secret.from_secret_name_v2(self, provider, name)
                self.arns[provider] = f"{imported.secret_arn}-??????"
                continue
            secret = secretsmanager.Secret(
                self,
                provider,
                secret_name=name,
                description=f"{config.name}: the key of {provider}; put it in by hand",
                encryption_key=key,
                removal_policy=RemovalPolicy.RETAIN,
            )
            acknowledge(
                secret,
                "a key that another company issued: it is rotated there and put in by hand (docs/runbooks)",
                "AwsSolutions-SMG4",
            )
            self.arns[provider] = secret.secret_arn
