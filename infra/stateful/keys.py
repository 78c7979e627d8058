"""The keys: one signs approvals, one seals, one publish grants; in production one more encrypts the data.

A key's policy lets nobody sign but roles that carry this key's tag (`chimera-signs-cfo` = the deployment), so that not even an
administrator's `kms:*` signs by accident.
"""

from __future__ import annotations

from aws_cdk import Aws, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.config import Config

ADMIN_ACTIONS = [
    "kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias", "kms:UpdateKeyDescription", "kms:DescribeKey",
    "kms:GetKeyPolicy", "kms:PutKeyPolicy", "kms:ListResourceTags", "kms:TagResource", "kms:UntagResource",
    "kms:EnableKey", "kms:DisableKey", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:ListKeyPolicies",
    "kms:GetKeyRotationStatus", "kms:ListGrants",
]  # fmt: skip
"""What looking after a signing key takes; signing is not among it."""


def signer_tag(purpose: str) -> str:
    """The tag that a role must carry, with the deployment's name, to sign with its key of a purpose."""
    return f"chimera-signs-{purpose}"


class Keys(Construct):
    """`cfo` and `seal` are ES256 (ECC_NIST_P256), `grant` is RS256 (RSA_2048), `data` is symmetric or None."""

    def __init__(self, scope: Construct, id: str, *, config: Config) -> None:
        super().__init__(scope, id)
        self.cfo = self._signing(config, "cfo", kms.KeySpec.ECC_NIST_P256, "Signs the CFO's approvals (ES256)")
        self.seal = self._signing(config, "seal", kms.KeySpec.ECC_NIST_P256, "Signs the ledger's seals (ES256)")
        self.grant = self._signing(config, "grant", kms.KeySpec.RSA_2048, "Signs publish grants (RS256)")
        self.data: kms.Key | None = None
        if config.production:
            self.data = kms.Key(
                self,
                "data",
                alias=f"{config.name}-data",
                description=f"Encrypts {config.name}'s database, buckets, table and queues",
                enable_key_rotation=True,
                removal_policy=RemovalPolicy.RETAIN,
            )

    def _signing(self, config: Config, purpose: str, spec: kms.KeySpec, description: str) -> kms.Key:
        account = iam.AccountRootPrincipal()
        policy = iam.PolicyDocument(
            statements=[
                iam.PolicyStatement(sid="Administer", principals=[account], actions=ADMIN_ACTIONS, resources=["*"]),
                iam.PolicyStatement(
                    sid="ReadPublicKey", principals=[account], actions=["kms:GetPublicKey"], resources=["*"]
                ),
                iam.PolicyStatement(
                    sid="SignOnlyAsItsAgent",
                    principals=[account],
                    actions=["kms:Sign"],
                    resources=["*"],
                    conditions={"StringEquals": {f"aws:PrincipalTag/{signer_tag(purpose)}": config.name}},
                ),
            ]
        )
        generation = {"cfo": config.cfo_key_generation, "seal": config.seal_key_generation}.get(purpose, 1)
        # a new generation is another resource: the old key is kept, its public half is still asked for
        suffix = "" if generation == 1 else f"-{generation}"
        return kms.Key(
            self,
            f"{purpose}{suffix}",
            alias=f"{config.name}-{purpose}{suffix}",
            description=description,
            key_spec=spec,
            key_usage=kms.KeyUsage.SIGN_VERIFY,
            policy=policy,
            removal_policy=RemovalPolicy.RETAIN,
        )

    def purpose(self, name: str) -> kms.Key:
        """The signing key of a purpose: `cfo`, `seal` or `grant`."""
        return {"cfo": self.cfo, "seal": self.seal, "grant": self.grant}[name]


def allow_logs(key: kms.Key, scope: Construct) -> None:
    """Let CloudWatch Logs of this account and region use a data key."""
    stack = Stack.of(scope)
    key.add_to_resource_policy(
        iam.PolicyStatement(
            sid="Logs",
            principals=[iam.ServicePrincipal(f"logs.{stack.region}.amazonaws.com")],
            actions=["kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey",
                     "kms:DescribeKey"],
            resources=["*"],
            conditions={
                "ArnLike": {
                    "kms:EncryptionContext:aws:logs:arn": f"arn:{Aws.PARTITION}:logs:{stack.region}:{stack.account}:*"
                }
            },
        )
    )  # fmt: skip
