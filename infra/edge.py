"""What CloudFront takes from us-east-1 alone: the web firewall (production) and the certificate of an own domain."""

from __future__ import annotations

from aws_cdk import Environment, Stack, Tags
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from infra.config import Config

EDGE_REGION = "us-east-1"
REQUESTS_IN_FIVE_MINUTES = 2000
MANAGED_RULES = (
    "AWSManagedRulesCommonRuleSet",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesAmazonIpReputationList",
)


class EdgeStack(Stack):
    """`web_acl_arn` and `certificate`; either is None where the deployment has none."""

    def __init__(self, scope: Construct, id: str, *, config: Config) -> None:
        super().__init__(
            scope,
            id,
            env=Environment(account=config.account, region=EDGE_REGION),
            description=f"Chimera {config.name} ({config.profile}): what CloudFront takes from {EDGE_REGION}",
            cross_region_references=True,
        )
        self.web_acl_arn = self._firewall(config).attr_arn if config.production else None
        self.certificate: acm.ICertificate | None = None
        if config.domain and config.hosted_zone_id and config.hosted_zone_name:
            zone = route53.HostedZone.from_hosted_zone_attributes(
                self, "zone", hosted_zone_id=config.hosted_zone_id, zone_name=config.hosted_zone_name
            )
            self.certificate = acm.Certificate(
                self,
                "certificate",
                domain_name=config.domain,
                validation=acm.CertificateValidation.from_dns(zone),
            )
        Tags.of(self).add("chimera-deployment", config.name)

    def _firewall(self, config: Config) -> wafv2.CfnWebACL:
        rules = [
            wafv2.CfnWebACL.RuleProperty(
                name="rate",
                priority=0,
                action=wafv2.CfnWebACL.RuleActionProperty(block={}),
                statement=wafv2.CfnWebACL.StatementProperty(
                    rate_based_statement=wafv2.CfnWebACL.RateBasedStatementProperty(
                        limit=REQUESTS_IN_FIVE_MINUTES, aggregate_key_type="IP"
                    )
                ),
                visibility_config=_visible("rate"),
            ),
            *(
                wafv2.CfnWebACL.RuleProperty(
                    name=name,
                    priority=priority,
                    override_action=wafv2.CfnWebACL.OverrideActionProperty(none={}),
                    statement=wafv2.CfnWebACL.StatementProperty(
                        managed_rule_group_statement=wafv2.CfnWebACL.ManagedRuleGroupStatementProperty(
                            vendor_name="AWS", name=name
                        )
                    ),
                    visibility_config=_visible(name),
                )
                for priority, name in enumerate(MANAGED_RULES, 1)
            ),
        ]
        return wafv2.CfnWebACL(
            self,
            "firewall",
            name=config.name,
            scope="CLOUDFRONT",
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            rules=rules,
            visibility_config=_visible(config.name),
        )


def _visible(name: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=True
    )
