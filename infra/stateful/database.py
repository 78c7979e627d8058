"""Aurora PostgreSQL: frugal by express configuration outside any VPC, production in two zones behind a proxy.

Both take IAM logins only, over TLS. `login_arn(user)` is what a role needs to log in as that user.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from aws_cdk import Duration, Fn, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.catalogue import DATABASE_USERS, OWNER_DATABASE_USER
from infra.config import Config
from infra.provider import OwnResource, arn_of, own_function
from infra.stateful.network import Network

DATABASE_NAME = "chimera"
EXPRESS_DATABASE_NAME = "postgres"
"""Express configuration refuses a name of one's own."""
PORT = 5432
ROOT_CERTIFICATES = "/opt/python/certifi/cacert.pem"
"""Amazon's public roots, as the `core` layer carries them: gateway and proxy are certified by them."""
MAX_CAPACITY = 16
PAUSE_SECONDS = 300


@dataclass(frozen=True)
class Login:
    """Where to log in, and the resource in `rds-db:connect` ARNs (a cluster's or a proxy's id)."""

    host: str
    resource_id: str

    def arn(self, scope: Construct, user: str) -> str:
        """The ARN that `rds-db:connect` names for this user."""
        return arn_of(scope, "rds-db", f"dbuser:{self.resource_id}/{user}")


class Database(Construct):
    """`login` is where functions log in, `owner_login` where migrations do; `group` guards it in production."""

    login: Login
    owner_login: Login
    group: ec2.SecurityGroup | None = None

    def __init__(self, scope: Construct, id: str, *, config: Config, network: Network, key: kms.IKey | None) -> None:
        super().__init__(scope, id)
        self.cluster_name = f"{config.name}-database"
        self.database_name = DATABASE_NAME if config.production else EXPRESS_DATABASE_NAME
        if config.production:
            self._production(network, key)
        else:
            self._express(config)

    def _express(self, config: Config) -> None:
        """CreateDBCluster(WithExpressConfiguration=true), by a function of ours: CDK 2.275 has no property for it."""
        clusters = arn_of(self, "rds", f"cluster:{self.cluster_name}")
        instances = arn_of(self, "rds", f"db:{self.cluster_name}-*")
        snapshots = arn_of(self, "rds", f"cluster-snapshot:{self.cluster_name}-final-*")
        statements = [
            iam.PolicyStatement(
                actions=["rds:CreateDBCluster", "rds:EnableInternetAccessGateway", "rds:CreateDBInstance"],
                resources=[
                    clusters,
                    instances,
                    arn_of(self, "rds", "subgrp:default"),
                    arn_of(self, "rds", "cluster-pg:default.*"),
                    arn_of(self, "rds", "pg:default.*"),
                    arn_of(self, "rds", "og:default*"),
                ],
            ),
            iam.PolicyStatement(
                actions=["rds:DescribeDBClusters", "rds:ModifyDBCluster", "rds:DeleteDBCluster",
                         "rds:CreateDBClusterSnapshot", "rds:AddTagsToResource", "rds:ListTagsForResource"],
                resources=[clusters, snapshots],
            ),
            iam.PolicyStatement(
                actions=["rds:DeleteDBInstance", "rds:DescribeDBInstances", "rds:AddTagsToResource"],
                resources=[instances],
            ),
        ]  # fmt: skip
        begin, wait = (
            own_function(self, entry, folder="express_database", handler=entry, statements=statements, seconds=120)
            for entry in ("on_event", "is_complete")
        )
        resource = OwnResource(
            self,
            "express",
            resource_type="ExpressDatabase",
            on_event=begin,
            is_complete=wait,
            properties={
                "Cluster": self.cluster_name,
                "MinCapacity": "0",
                "MaxCapacity": str(MAX_CAPACITY),
                "PauseSeconds": str(PAUSE_SECONDS),
                "BackupDays": "7",
                "Tags": {"chimera-owned": "express", "chimera-deployment": config.name},
            },
        )
        self.owner_login = self.login = Login(resource.text("Endpoint"), resource.text("ResourceId"))

    def _production(self, network: Network, key: kms.IKey | None) -> None:
        self.group = ec2.SecurityGroup(
            self, "group", vpc=network.vpc, description="Database and proxy", allow_all_outbound=False
        )
        self.group.add_ingress_rule(self.group, ec2.Port.tcp(PORT), "proxy to database")
        self.group.add_egress_rule(self.group, ec2.Port.tcp(PORT), "proxy to database")
        if network.functions_group:
            self.group.add_ingress_rule(network.functions_group, ec2.Port.tcp(PORT), "functions that remember")
        cluster = rds.DatabaseCluster(
            self,
            "cluster",
            cluster_identifier=self.cluster_name,
            engine=rds.DatabaseClusterEngine.aurora_postgres(version=rds.AuroraPostgresEngineVersion.VER_16_13),
            writer=rds.ClusterInstance.serverless_v2("writer", enable_performance_insights=True),
            readers=[
                rds.ClusterInstance.serverless_v2("reader", scale_with_writer=True, enable_performance_insights=True)
            ],
            serverless_v2_min_capacity=0.5,
            serverless_v2_max_capacity=MAX_CAPACITY,
            vpc=network.vpc,
            vpc_subnets=network.database_subnets(),
            security_groups=[self.group],
            default_database_name=DATABASE_NAME,
            port=PORT,
            iam_authentication=True,
            credentials=rds.Credentials.from_username("postgres"),
            storage_encrypted=True,
            storage_encryption_key=key,
            performance_insight_encryption_key=key,
            backup=rds.BackupProps(retention=Duration.days(14)),
            copy_tags_to_snapshot=True,
            cloudwatch_logs_exports=["postgresql"],
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN,
            parameters={"rds.force_ssl": "1"},
        )
        # no password at all: the master user logs in by IAM as well
        raw = cast(rds.CfnDBCluster, cluster.node.default_child)
        raw.add_property_override("MasterUserAuthenticationType", "iam-db-auth")
        raw.add_property_deletion_override("MasterUserPassword")
        raw.add_property_override("MasterUsername", "postgres")
        cluster.node.try_remove_child("Secret")
        acknowledge(
            cluster,
            "there is no password to rotate (IAM logins only); the port is not the secret, the group lets nobody in "
            "but the functions",
            "AwsSolutions-SMG4",
            "AwsSolutions-RDS11",
        )
        inner = Login(cluster.cluster_endpoint.hostname, cluster.cluster_resource_identifier)
        role = iam.Role(
            self,
            "proxy-role",
            assumed_by=iam.ServicePrincipal("rds.amazonaws.com"),
            inline_policies={
                "login": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(
                            actions=["rds-db:connect"],
                            resources=[inner.arn(self, user) for user in (*DATABASE_USERS, OWNER_DATABASE_USER)],
                        )
                    ]
                )
            },
        )
        proxy = rds.CfnDBProxy(
            self,
            "proxy",
            db_proxy_name=self.cluster_name,
            engine_family="POSTGRESQL",
            default_auth_scheme="IAM_AUTH",
            role_arn=role.role_arn,
            require_tls=True,
            idle_client_timeout=300,
            vpc_security_group_ids=[self.group.security_group_id],
            vpc_subnet_ids=network.vpc.select_subnets(subnet_group_name="database").subnet_ids,
        )
        rds.CfnDBProxyTargetGroup(
            self,
            "proxy-targets",
            db_proxy_name=proxy.ref,
            target_group_name="default",
            db_cluster_identifiers=[cluster.cluster_identifier],
            connection_pool_configuration_info=rds.CfnDBProxyTargetGroup.ConnectionPoolConfigurationInfoFormatProperty(
                max_connections_percent=90, connection_borrow_timeout=30
            ),
        ).node.add_dependency(cluster)
        # an ARN arn:aws:rds:REGION:ACCOUNT:db-proxy:prx-… ends in the id that logins name
        self.owner_login = self.login = Login(proxy.attr_endpoint, Fn.select(6, Fn.split(":", proxy.attr_db_proxy_arn)))

    def url(self, login: Login, user: str) -> str:
        """The address with its user; the password is a token that the function mints when it connects."""
        return f"postgresql://{user}@{login.host}:{PORT}/{self.database_name}?sslmode=verify-full&sslrootcert={ROOT_CERTIFICATES}"
