"""The HTTP API: every path but three needs a Cognito token; paths about money go to the function with the CFO's rights."""

from __future__ import annotations

import json
from typing import cast

from aws_cdk import Aws, RemovalPolicy
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.config import Config
from infra.names import log_group_name
from infra.policies import Grounds
from infra.stateful.identity import Identity
from infra.stateless.functions import Functions, retention

OPEN_PATHS = ("/health", "/openapi.json", "/docs")
MONEY_PATHS = ("/v1/approvals", "/v1/budgets", "/v1/ledger")
ACCESS_LOG = {
    "requestId": "$context.requestId",
    "requestTime": "$context.requestTime",
    "method": "$context.httpMethod",
    "route": "$context.routeKey",
    "status": "$context.status",
    "latency": "$context.responseLatency",
    "subject": "$context.authorizer.claims.sub",
    "error": "$context.error.messageString",
}
"""No path, no query, no address: who asked which route, and how it went."""

RATE_PER_SECOND = 50
BURST = 100


class Api(Construct):
    """`http`: the API; `domain`: its host, for the console's distribution."""

    def __init__(
        self, scope: Construct, id: str, *, config: Config, grounds: Grounds, functions: Functions, identity: Identity
    ) -> None:
        super().__init__(scope, id)
        self._region = region = config.region
        authorizer = authorizers.HttpJwtAuthorizer(
            "cognito",
            f"https://cognito-idp.{region}.amazonaws.com/{identity.pool.user_pool_id}",
            jwt_audience=[identity.client.user_pool_client_id],
        )
        self.http = apigateway.HttpApi(
            self,
            "http",
            api_name=config.name,
            description=f"Chimera {config.name}",
            create_default_stage=False,
            default_authorizer=authorizer,
        )
        general = integrations.HttpLambdaIntegration("general", functions.live["api"])
        money = integrations.HttpLambdaIntegration("money", functions.live["api_money"])
        every = [apigateway.HttpMethod.ANY]
        for path in OPEN_PATHS:
            for route in self.http.add_routes(
                path=path,
                methods=[apigateway.HttpMethod.GET],
                integration=general,
                authorizer=apigateway.HttpNoneAuthorizer(),
            ):
                acknowledge(route, "open on purpose: health and the API's own description, no data of anybody",
                            "AwsSolutions-APIG4")  # fmt: skip
        self.http.add_routes(path="/v1/{path+}", methods=every, integration=general)
        for path in MONEY_PATHS:
            self.http.add_routes(path=path, methods=every, integration=money)
            self.http.add_routes(path=f"{path}/{{path+}}", methods=every, integration=money)
        group = logs.LogGroup(
            self,
            "logs",
            log_group_name=log_group_name(config, "http"),
            retention=retention(config),
            encryption_key=grounds.keys.data,
            removal_policy=RemovalPolicy.DESTROY,
        )
        stage = apigateway.HttpStage(
            self,
            "stage",
            http_api=self.http,
            stage_name="$default",
            auto_deploy=True,
            throttle=apigateway.ThrottleSettings(rate_limit=RATE_PER_SECOND, burst_limit=BURST),
            detailed_metrics_enabled=config.production,
        )
        raw = cast(apigateway.CfnStage, stage.node.default_child)
        raw.access_log_settings = apigateway.CfnStage.AccessLogSettingsProperty(
            destination_arn=group.log_group_arn, format=json.dumps(ACCESS_LOG)
        )

    @property
    def domain(self) -> str:
        """The API's host."""
        return f"{self.http.api_id}.execute-api.{self._region}.{Aws.URL_SUFFIX}"
