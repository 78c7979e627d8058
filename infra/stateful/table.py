"""The one DynamoDB table: allowances, read models, switches, breakers, rate limits; hot, small and short-lived."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.config import Config
from infra.names import table_name

TTL_ATTRIBUTE = "expires_at"


class HotTable(Construct):
    """Keys `pk` and `sk` (text), paid by request, items end by themselves at `expires_at` (epoch seconds)."""

    def __init__(self, scope: Construct, id: str, *, config: Config, key: kms.IKey | None) -> None:
        super().__init__(scope, id)
        self.table = dynamodb.Table(
            self,
            "table",
            table_name=table_name(config),
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute=TTL_ATTRIBUTE,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED if key else dynamodb.TableEncryption.DEFAULT,
            encryption_key=key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=config.production,
            removal_policy=RemovalPolicy.RETAIN,
        )
