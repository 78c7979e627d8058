"""The repositories of the two container images; a tag, once pushed, means the same image for ever."""

from __future__ import annotations

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.config import Config

IMAGES = ("render", "transcribe")


class Images(Construct):
    """`repositories`: image -> repository; scanned on push, the last ten kept."""

    def __init__(self, scope: Construct, id: str, *, config: Config) -> None:
        super().__init__(scope, id)
        self.repositories = {
            image: ecr.Repository(
                self,
                image,
                repository_name=f"{config.name}/{image}",
                image_scan_on_push=True,
                image_tag_mutability=ecr.TagMutability.IMMUTABLE,
                lifecycle_rules=[ecr.LifecycleRule(description="keep ten", max_image_count=10)],
                removal_policy=RemovalPolicy.RETAIN,
            )
            for image in IMAGES
        }
        # the render image is also that of the Lambdas voice and pictures: Lambda pulls it, for functions of this account
        self.repositories["render"].add_to_resource_policy(
            iam.PolicyStatement(
                sid="LambdaPulls",
                principals=[iam.ServicePrincipal("lambda.amazonaws.com")],
                actions=["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )
