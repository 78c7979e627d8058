"""The network: public subnets for Batch in both profiles; in production also subnets for functions and database.

There is no NAT gateway in either. Frugal functions and the frugal database are in no VPC at all.
"""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.config import Config

BATCH = "batch"
FUNCTIONS = "functions"
DATABASE = "database"


class Network(Construct):
    """`vpc`, and `batch_group`: jobs may call out and nobody may call in."""

    def __init__(self, scope: Construct, id: str, *, config: Config, key: kms.IKey | None) -> None:
        super().__init__(scope, id)
        subnets = [ec2.SubnetConfiguration(name=BATCH, subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=22)]
        if config.production:
            subnets += [
                # egress over IPv6 only: AWS's dual-stack endpoints, no NAT
                ec2.SubnetConfiguration(name=FUNCTIONS, subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=22),
                ec2.SubnetConfiguration(name=DATABASE, subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=26),
            ]
        self.vpc = ec2.Vpc(
            self,
            "vpc",
            vpc_name=config.name,
            availability_zones=list(config.zones),
            ip_addresses=ec2.IpAddresses.cidr("10.40.0.0/16"),
            ip_protocol=ec2.IpProtocol.DUAL_STACK if config.production else ec2.IpProtocol.IPV4_ONLY,
            nat_gateways=0,
            subnet_configuration=subnets,
            restrict_default_security_group=False,
        )
        self.vpc.add_gateway_endpoint("s3", service=ec2.GatewayVpcEndpointAwsService.S3)
        self.vpc.add_gateway_endpoint("dynamodb", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB)
        if config.production:
            self._flow_logs(key)
        else:
            acknowledge(
                self.vpc,
                "frugal: only short-lived Batch jobs are in it, which accept no connection; flow logs cost more than they show",
                "AwsSolutions-VPC7",
            )
        self.batch_group = ec2.SecurityGroup(
            self, "jobs", vpc=self.vpc, description="Batch jobs: no way in", allow_all_outbound=True
        )
        self.functions_group: ec2.SecurityGroup | None = None
        if config.production:
            self.functions_group = ec2.SecurityGroup(
                self,
                "remembering",
                vpc=self.vpc,
                description="Functions that remember: no way in",
                allow_all_outbound=True,
                allow_all_ipv6_outbound=True,
            )

    def _flow_logs(self, key: kms.IKey | None) -> None:
        group = logs.LogGroup(
            self,
            "flow",
            retention=logs.RetentionDays.THREE_MONTHS,
            encryption_key=key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        role = iam.Role(self, "flow-role", assumed_by=iam.ServicePrincipal("vpc-flow-logs.amazonaws.com"))
        self.vpc.add_flow_log("all", destination=ec2.FlowLogDestination.to_cloud_watch_logs(group, role))

    def functions_subnets(self) -> ec2.SubnetSelection:
        """Where production's remembering functions are."""
        return ec2.SubnetSelection(subnet_group_name=FUNCTIONS)

    def database_subnets(self) -> ec2.SubnetSelection:
        """Where production's database is."""
        return ec2.SubnetSelection(subnet_group_name=DATABASE)

    def batch_subnets(self) -> ec2.SubnetSelection:
        """Where jobs run."""
        return ec2.SubnetSelection(subnet_group_name=BATCH)
