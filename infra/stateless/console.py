"""The web console: files in a private bucket behind CloudFront, the API on the same host, so there is no CORS."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as route53_targets
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.config import Config
from infra.names import CONSOLE, LOGS, bucket_name
from infra.stateless.api import Api

API_PATHS = ("/v1/*", "/health", "/openapi.json", "/docs")


class Console(Construct):
    """`bucket` takes the built console (`aws s3 sync`); `address` is where it is."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        config: Config,
        api: Api,
        web_acl_arn: str | None,
        certificate: acm.ICertificate | None,
    ) -> None:
        super().__init__(scope, id)
        logs = s3.Bucket.from_bucket_name(self, "logs", bucket_name(config, LOGS))
        self.bucket = s3.Bucket(
            self,
            "files",
            bucket_name=bucket_name(config, CONSOLE),
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            lifecycle_rules=[s3.LifecycleRule(id="old", noncurrent_version_expiration=Duration.days(30))],
            removal_policy=RemovalPolicy.RETAIN,
        )
        self.bucket_raw = self.bucket.node.default_child
        assert isinstance(self.bucket_raw, s3.CfnBucket)
        self.bucket_raw.logging_configuration = s3.CfnBucket.LoggingConfigurationProperty(
            destination_bucket_name=logs.bucket_name, log_file_prefix="console/"
        )
        api_origin = origins.HttpOrigin(
            api.domain,
            protocol_policy=cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
            origin_ssl_protocols=[cloudfront.OriginSslPolicy.TLS_V1_2],
        )
        api_behavior = cloudfront.BehaviorOptions(
            origin=api_origin,
            allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
            cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
            origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
        )
        self.distribution = cloudfront.Distribution(
            self,
            "distribution",
            comment=f"Chimera {config.name}",
            default_root_object="index.html",
            default_behavior=cloudfront.BehaviorOptions(
                origin=origins.S3BucketOrigin.with_origin_access_control(self.bucket),
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
                response_headers_policy=cloudfront.ResponseHeadersPolicy.SECURITY_HEADERS,
            ),
            additional_behaviors=dict.fromkeys(API_PATHS, api_behavior),
            domain_names=[config.domain] if config.domain else None,
            certificate=certificate,
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
            price_class=cloudfront.PriceClass.PRICE_CLASS_100,
            enable_logging=True,
            log_bucket=logs,
            log_file_prefix="cloudfront/",
            web_acl_id=web_acl_arn,
        )
        self._acknowledge(config)
        if config.domain and config.hosted_zone_id and config.hosted_zone_name:
            zone = route53.HostedZone.from_hosted_zone_attributes(
                self, "zone", hosted_zone_id=config.hosted_zone_id, zone_name=config.hosted_zone_name
            )
            target = route53.RecordTarget.from_alias(route53_targets.CloudFrontTarget(self.distribution))
            route53.ARecord(self, "a", zone=zone, record_name=config.domain, target=target)
            route53.AaaaRecord(self, "aaaa", zone=zone, record_name=config.domain, target=target)

    def _acknowledge(self, config: Config) -> None:
        acknowledge(
            self.distribution,
            "people work from anywhere; who they are is asked of their token, not of their country",
            "AwsSolutions-CFR1",
        )
        if not config.production:
            acknowledge(
                self.distribution,
                "frugal: a web firewall costs more a month than all the rest; the API is throttled and needs a token",
                "AwsSolutions-CFR2",
            )
        if not config.domain:
            acknowledge(
                self.distribution,
                "without an own domain CloudFront's certificate is used, whose lowest TLS version cannot be chosen",
                "AwsSolutions-CFR4",
            )

    def address(self, config: Config) -> str:
        """Where people open it."""
        return f"https://{config.domain or self.distribution.distribution_domain_name}"
