"""The buckets: media, seals under Object Lock, and the access logs of both and of the console's bucket."""

from __future__ import annotations

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.config import Config
from infra.names import CONSOLE, LOGS, MEDIA, SEALS, bucket_arn, bucket_name


class Buckets(Construct):
    """All private, versioned, TLS only; names carry account and region, so two accounts never meet."""

    def __init__(self, scope: Construct, id: str, *, config: Config, key: kms.IKey | None) -> None:
        super().__init__(scope, id)
        self._config = config
        # the target of access logs may not use a customer-managed key, and is kept out of its own logs
        self.logs = self._bucket(
            LOGS,
            None,
            object_ownership=s3.ObjectOwnership.OBJECT_WRITER,
            lifecycle_rules=[s3.LifecycleRule(id="forget", expiration=Duration.days(90))],
        )
        acknowledge(self.logs, "it is the access log bucket itself; logging it into itself would never end",
                    "AwsSolutions-S1")  # fmt: skip
        self.media = self._bucket(
            MEDIA,
            key,
            logged=True,
            # for a browser that posts a file with a form of the API's; the form's signature is what allows it
            cors=[
                s3.CorsRule(
                    allowed_methods=[s3.HttpMethods.POST],
                    allowed_origins=[f"https://{config.domain}" if config.domain else "https://*.cloudfront.net"],
                    allowed_headers=["*"],
                    max_age=3000,
                )
            ],
            lifecycle_rules=[
                s3.LifecycleRule(id="temporary-parts", tag_filters={"kind": "temporary"}, expiration=Duration.days(7)),
                s3.LifecycleRule(
                    id="raw-to-cold",
                    tag_filters={"kind": "raw"},
                    transitions=[
                        s3.Transition(
                            storage_class=s3.StorageClass.GLACIER_INSTANT_RETRIEVAL,
                            transition_after=Duration.days(90),
                        )
                    ],
                ),
                s3.LifecycleRule(
                    id="old-versions",
                    noncurrent_version_expiration=Duration.days(30),
                    abort_incomplete_multipart_upload_after=Duration.days(7),
                ),
            ],
        )
        self.seals = self._bucket(
            SEALS,
            key,
            logged=True,
            object_lock_enabled=True,
            object_lock_default_retention=s3.ObjectLockRetention.compliance(Duration.days(config.seal_days)),
        )
        # the console's bucket is in the stateless stack: what is in it can be made again
        self.logs.add_to_resource_policy(
            iam.PolicyStatement(
                sid="ConsoleAccessLogs",
                principals=[iam.ServicePrincipal("logging.s3.amazonaws.com")],
                actions=["s3:PutObject"],
                resources=[self.logs.arn_for_objects("console/*")],
                conditions={
                    "ArnLike": {"aws:SourceArn": bucket_arn(config, CONSOLE)},
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                },
            )
        )

    def _bucket(self, name: str, key: kms.IKey | None, *, logged: bool = False, **more: object) -> s3.Bucket:
        return s3.Bucket(
            self,
            name,
            bucket_name=bucket_name(self._config, name),
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=key,
            bucket_key_enabled=True if key else None,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            server_access_logs_bucket=self.logs if logged else None,
            server_access_logs_prefix=f"{name}/" if logged else None,
            removal_policy=RemovalPolicy.RETAIN,
            **more,  # type: ignore[arg-type]
        )
